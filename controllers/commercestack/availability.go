package commercestack

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// noteServices puts the components into the status.
func (v *visit) noteServices(ctx context.Context, live map[string]*appsv1.Deployment, outcome *Outcome) {
	components := desired.Components()
	services := make([]v1alpha1.ServiceStatus, 0, len(components))
	ready := 0
	var lacking []string
	for _, component := range components {
		status, available, err := v.serviceStatus(ctx, component, live)
		outcome.Add(string(component), failed(err))
		services = append(services, status)
		if available {
			ready++
			continue
		}
		text := string(component)
		if status.Message != "" {
			text += " (" + status.Message + ")"
		}
		lacking = append(lacking, text)
	}
	v.status.Services = services
	v.status.ServicesReady = fmt.Sprintf("%d/%d", ready, len(components))
	switch {
	case len(lacking) == 0:
		v.set(v1alpha1.ConditionServicesAvailable, metav1.ConditionTrue, "Available", "Every component has its pods.")
	case !v.is(v1alpha1.ConditionMigrationsApplied) && len(live) == 0:
		v.set(v1alpha1.ConditionServicesAvailable, metav1.ConditionFalse, reasonWaiting, "Waiting for the migrations.")
	default:
		v.set(v1alpha1.ConditionServicesAvailable, metav1.ConditionFalse, "Unavailable", "Pods are missing: "+strings.Join(lacking, ", ")+".")
	}
}

// serviceStatus looks at the Deployments of one component.
func (v *visit) serviceStatus(ctx context.Context, name v1alpha1.ComponentName, live map[string]*appsv1.Deployment) (v1alpha1.ServiceStatus, bool, error) {
	status := v1alpha1.ServiceStatus{Name: name}
	api := live[desired.ComponentName(v.stack.Name, name)]
	if api == nil {
		return status, false, nil
	}
	status.Ready, status.Desired, status.Image = api.Status.ReadyReplicas, wantedPods(api), imageOf(api)
	available := availablePods(api)
	role := desired.RoleAPI
	if worker := live[desired.WorkerName(v.stack.Name, name)]; worker != nil {
		status.WorkersReady, status.WorkersDesired = worker.Status.ReadyReplicas, wantedPods(worker)
		if available && !availablePods(worker) {
			available, role = false, desired.RoleWorker
		}
	}
	if available {
		return status, true, nil
	}
	_, message, err := v.podTrouble(ctx, string(name), role)
	if message == "" {
		message = deploymentTrouble(api)
	}
	status.Message = message
	return status, false, err
}

// availablePods says whether a Deployment serves: all its pods do, or as many as
// must while pods are replaced.
func availablePods(d *appsv1.Deployment) bool {
	if d.Status.ObservedGeneration < d.Generation {
		return false
	}
	if d.Status.AvailableReplicas >= wantedPods(d) {
		return true
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentAvailable {
			return condition.Status == corev1.ConditionTrue && d.Status.AvailableReplicas > 0
		}
	}
	return false
}

// deploymentTrouble is what a Deployment says when it has no pod to ask: a quota,
// an admission that refuses, a deadline.
func deploymentTrouble(d *appsv1.Deployment) string {
	for _, condition := range d.Status.Conditions {
		failure := condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue
		stuck := condition.Type == appsv1.DeploymentProgressing && condition.Status == corev1.ConditionFalse
		if failure || stuck {
			return condition.Reason + ": " + firstLine(condition.Message)
		}
	}
	return ""
}
