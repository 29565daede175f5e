package plugin

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// componentNames are the components of every stack.
var componentNames = []v1alpha1.ComponentName{
	v1alpha1.ComponentAuth, v1alpha1.ComponentUser, v1alpha1.ComponentProduct, v1alpha1.ComponentOrder, v1alpha1.ComponentBilling,
	v1alpha1.ComponentNotification, v1alpha1.ComponentAnalytics, v1alpha1.ComponentAdmin, v1alpha1.ComponentStorefront, v1alpha1.ComponentGateway,
}

// components are the platform's own Deployments, whatever else carries the
// labels of the stack at the end.
func (r reporter) components() node {
	group := node{Kind: "components", State: stateOK}
	if len(r.deployments) == 0 {
		group.State, group.Text = stateBusy, "no Deployments yet"
		return group
	}
	known := map[string]bool{}
	ready := 0
	for _, name := range componentNames {
		known[string(name)] = true
		part := r.component(string(name))
		if part.State == stateOK {
			ready++
		}
		group = group.with(part)
	}
	group.Text = fmt.Sprintf("%d of %d ready", ready, len(componentNames))
	for _, d := range r.deployments {
		if name := d.Labels[v1alpha1.LabelComponent]; !known[name] {
			known[name] = true
			group = group.with(r.component(name))
		}
	}
	return group
}

// component is one component: its Deployments and what scales them.
func (r reporter) component(name string) node {
	n := node{Kind: name, State: stateOK, folded: true}
	var texts []string
	for _, d := range r.deployments {
		if d.Labels[v1alpha1.LabelComponent] != name {
			continue
		}
		role := d.Labels[v1alpha1.LabelRole]
		if role == "" {
			role = d.Spec.Template.Labels[v1alpha1.LabelRole]
		}
		workload := r.deployment(d, role)
		count := fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, replicas(d.Spec.Replicas))
		if role == v1alpha1.RoleWorker {
			count += " workers"
		}
		if d.Labels[v1alpha1.LabelTrack] == v1alpha1.TrackCanary {
			count += " canary"
		}
		texts = append(texts, count)
		n = n.with(workload)
		if hpa, found := r.autoscaler("Deployment", d.Name); found {
			part := r.hpa(hpa)
			if role != v1alpha1.RoleWorker {
				texts = append(texts, part.Text)
			}
			n = n.with(part)
		}
	}
	if len(texts) == 0 {
		n.State, n.Text = stateBad, "no Deployment yet"
	} else {
		n.Text = strings.Join(texts, ", ")
	}
	for _, s := range r.stack.Status.Services {
		if string(s.Name) == name && s.Message != "" && n.State != stateOK {
			n.Text = sentence(n.Text, s.Message)
		}
	}
	return n
}

func (r reporter) deployment(d appsv1.Deployment, role string) node {
	want := replicas(d.Spec.Replicas)
	n := node{Kind: "Deployment", Name: d.Name, State: stateOK, folded: true}
	n.Text = fmt.Sprintf("%d of %d ready, %s", d.Status.ReadyReplicas, want, images(d.Spec.Template))
	switch {
	case d.Status.ObservedGeneration < d.Generation:
		n.State, n.Text = stateBusy, n.Text+", a change is not observed yet"
	case d.Status.UpdatedReplicas < want:
		n.State, n.Text = stateBusy, fmt.Sprintf("%s, %d of %d replaced", n.Text, d.Status.UpdatedReplicas, want)
	case d.Status.ReadyReplicas < want:
		n.State = stateBusy
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			n.State, n.Text = stateBad, sentence(n.Text+", "+c.Reason, c.Message)
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse:
			n.State, n.Text = stateBad, sentence(n.Text+", "+c.Reason, c.Message)
		}
	}
	return n.with(r.pods(d.Labels[v1alpha1.LabelComponent], role)...)
}

func (r reporter) pods(component, role string) []node {
	pods := r.podsOf(component, role)
	nodes := make([]node, len(pods))
	for i := range pods {
		nodes[i] = r.pod(pods[i])
	}
	return nodes
}

func (r reporter) autoscaler(kind, name string) (autoscalingv2.HorizontalPodAutoscaler, bool) {
	for _, hpa := range r.autoscalers {
		if hpa.Spec.ScaleTargetRef.Kind == kind && hpa.Spec.ScaleTargetRef.Name == name {
			return hpa, true
		}
	}
	return autoscalingv2.HorizontalPodAutoscaler{}, false
}

// hpa tells the range, where it stands, each measure against its target and why it cannot scale.
func (r reporter) hpa(hpa autoscalingv2.HorizontalPodAutoscaler) node {
	n := node{Kind: "HPA", Name: hpa.Name, State: stateOK}
	texts := []string{fmt.Sprintf("scales %d to %d", replicas(hpa.Spec.MinReplicas), hpa.Spec.MaxReplicas)}
	if hpa.Status.DesiredReplicas != hpa.Status.CurrentReplicas {
		texts = append(texts, fmt.Sprintf("now %d, wants %d", hpa.Status.CurrentReplicas, hpa.Status.DesiredReplicas))
	}
	for _, metric := range hpa.Spec.Metrics {
		if metric.Resource == nil || metric.Resource.Target.AverageUtilization == nil {
			continue
		}
		current := "unknown"
		for _, m := range hpa.Status.CurrentMetrics {
			if m.Resource != nil && m.Resource.Name == metric.Resource.Name && m.Resource.Current.AverageUtilization != nil {
				current = fmt.Sprintf("%d%%", *m.Resource.Current.AverageUtilization)
			}
		}
		texts = append(texts, fmt.Sprintf("%s %s of %d%%", metric.Resource.Name, current, *metric.Resource.Target.AverageUtilization))
	}
	for _, c := range hpa.Status.Conditions {
		failed := c.Status == corev1.ConditionFalse && (c.Type == autoscalingv2.AbleToScale || c.Type == autoscalingv2.ScalingActive)
		switch {
		case failed && c.Reason == "ScalingDisabled":
			texts = append(texts, "off at zero pods")
		case failed:
			// The pods that are there go on serving.
			n.State = stateBusy
			texts = append(texts, sentence(c.Reason, c.Message))
		case c.Type == autoscalingv2.ScalingLimited && c.Status == corev1.ConditionTrue && c.Reason == "TooManyReplicas":
			n.State = stateBusy
			texts = append(texts, "at its maximum and wants more")
		}
	}
	n.Text = strings.Join(texts, ", ")
	return n
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// images are what the containers of a template run.
func images(template corev1.PodTemplateSpec) string {
	names := make([]string, len(template.Spec.Containers))
	for i, c := range template.Spec.Containers {
		names[i] = c.Image
	}
	return strings.Join(names, ", ")
}
