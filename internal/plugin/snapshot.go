package plugin

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// eventLimit bounds how many warnings are read: the newest explain a pod, and
// a namespace in trouble has thousands.
const eventLimit = 500

// snapshot is a stack and what the operator made of it, as read at one moment.
type snapshot struct {
	stack        v1alpha1.CommerceStack
	deployments  []appsv1.Deployment
	statefulSets []appsv1.StatefulSet
	autoscalers  []autoscalingv2.HorizontalPodAutoscaler
	jobs         []batchv1.Job
	pods         []corev1.Pod
	certificates []corev1.Secret
	warnings     []corev1.Event
	// hidden names the kinds that the user may not read.
	hidden []string
}

// read fetches the parts of a stack. Certificates are the only Secrets it asks
// for: the rest is told by the status.
func (c cluster) read(ctx context.Context, stack v1alpha1.CommerceStack) (snapshot, error) {
	s := snapshot{stack: stack}
	var (
		deployments  appsv1.DeploymentList
		statefulSets appsv1.StatefulSetList
		autoscalers  autoscalingv2.HorizontalPodAutoscalerList
		jobs         batchv1.JobList
		pods         corev1.PodList
		secrets      corev1.SecretList
		events       corev1.EventList
	)
	labels := client.MatchingLabels{v1alpha1.LabelName: v1alpha1.AppName, v1alpha1.LabelInstance: stack.Name}
	for _, part := range []struct {
		kind    string
		list    client.ObjectList
		options []client.ListOption
	}{
		{"Deployments", &deployments, []client.ListOption{labels}},
		{"StatefulSets", &statefulSets, []client.ListOption{labels}},
		{"HorizontalPodAutoscalers", &autoscalers, []client.ListOption{labels}},
		{"Jobs", &jobs, []client.ListOption{labels}},
		{"Pods", &pods, []client.ListOption{labels}},
		{"Secrets", &secrets, []client.ListOption{labels, client.MatchingFields{"type": string(corev1.SecretTypeTLS)}}},
		{"Events", &events, []client.ListOption{client.MatchingFields{"type": corev1.EventTypeWarning}, client.Limit(eventLimit)}},
	} {
		err := c.List(ctx, part.list, append(part.options, client.InNamespace(stack.Namespace))...)
		switch {
		case apierrors.IsForbidden(err):
			s.hidden = append(s.hidden, part.kind)
		case err != nil:
			return snapshot{}, fmt.Errorf("%s of %s/%s: %w", part.kind, stack.Namespace, stack.Name, err)
		}
	}
	s.deployments, s.statefulSets, s.autoscalers, s.jobs = deployments.Items, statefulSets.Items, autoscalers.Items, jobs.Items
	s.pods, s.certificates, s.warnings = pods.Items, secrets.Items, events.Items
	slices.SortStableFunc(s.warnings, func(a, b corev1.Event) int { return eventTime(b).Compare(eventTime(a)) })
	slices.SortStableFunc(s.pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

// podsOf are the pods of a workload's component and role.
func (s snapshot) podsOf(component, role string) []corev1.Pod {
	var found []corev1.Pod
	for _, pod := range s.pods {
		if pod.Labels[v1alpha1.LabelComponent] == component && (pod.Labels[v1alpha1.LabelRole] == v1alpha1.RoleWorker) == (role == v1alpha1.RoleWorker) && !ownedByJob(pod) {
			found = append(found, pod)
		}
	}
	return found
}

// warning is the newest warning about an object, with one of the reasons if any are given.
func (s snapshot) warning(kind, name string, reasons ...string) (corev1.Event, bool) {
	for _, event := range s.warnings {
		if event.InvolvedObject.Kind == kind && event.InvolvedObject.Name == name &&
			(len(reasons) == 0 || slices.Contains(reasons, event.Reason)) {
			return event, true
		}
	}
	return corev1.Event{}, false
}

func ownedByJob(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.Kind == "Job" })
}
