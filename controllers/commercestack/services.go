package commercestack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// timeUnit is the precision of times in a status.
const timeUnit = time.Second

// services makes each wave run what the rollout assigns to it. Whatever revision
// a component runs, all about it is kept.
func (v *visit) services(ctx context.Context) Result {
	live, err := v.deployments(ctx)
	if err != nil {
		return failed(err)
	}
	assignments := v.assignments()
	var outcome Outcome
	outcome.Add("simulator", v.simulator(ctx, assignments, live))
	outcome.Add("routes", v.routes(ctx, assignments, live))
	for i, components := range v.roll.Layout.Waves {
		if i >= len(assignments) {
			break
		}
		for _, component := range components {
			outcome.Add(string(component), v.component(ctx, component, assignments[i]))
			if assignments[i].Canary != "" {
				outcome.Add(string(component), v.canary(ctx, component, assignments[i], live))
			}
		}
	}
	outcome.Add("canaries", v.retireCanaries(ctx, assignments, live))
	outcome.Add("measure", v.measureCanary(ctx))
	v.noteServices(ctx, live, &outcome)
	v.noteRolling(live)
	v.noteAutoscaling()
	if outcome.stalled != nil {
		return Result{Err: outcome.stalled, RequeueAfter: outcome.requeue}
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// component applies the objects of a component, or, as long as no revision is
// assigned to it, only names them.
func (v *visit) component(ctx context.Context, name v1alpha1.ComponentName, a rollout.Assignment) Result {
	in, waits := v.in, a.Stable == ""
	if !waits {
		var err error
		if in, err = v.inputOf(ctx, a.Stable); err != nil {
			v.keepComponent(name)
			return failed(err)
		}
	}
	in.FreezeScaleDown = a.FreezeScaleDown
	objects, err := desired.ForComponent(v.onSale(in), name)
	if err != nil {
		return stalled("InvalidSpec", "spec.services: %s: %v", name, err)
	}
	if !waits {
		for _, deployment := range []*appsv1ac.DeploymentApplyConfiguration{objects.Deployment, objects.Worker} {
			if deployment != nil {
				deployment.WithAnnotations(map[string]string{annotationRevision: a.Stable})
			}
		}
	}
	var outcome Outcome
	for _, object := range objects.Objects() {
		outcome.Add("apply", v.placeOnce(ctx, object, objects, waits))
	}
	if scaled := objects.WorkerScaledObject; scaled != nil {
		outcome.Add("apply", v.scaledObject(ctx, scaled, waits))
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}

// placeOnce applies one object of a component, but no autoscaler beside another.
func (v *visit) placeOnce(ctx context.Context, object runtime.ApplyConfiguration, objects desired.Component, waits bool) Result {
	if hpa, ok := object.(*autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration); ok && hpa == objects.WorkerHPA && !waits {
		if result, there := v.scaledObjectRemains(ctx, *hpa.Name); there {
			return result
		}
	}
	return failed(v.place(ctx, object, objects.InitialReplicas, waits))
}

// keepComponent names what a component has, so that it stays as it is.
func (v *visit) keepComponent(name v1alpha1.ComponentName) {
	if objects, err := desired.ForComponent(v.in, name); err == nil {
		for _, object := range objects.Objects() {
			_ = v.pass.Keep(object)
		}
		if scaled := objects.WorkerScaledObject; scaled != nil {
			v.pass.Name(kindScaledObject, scaled.GetNamespace(), scaled.GetName())
		}
	}
}

// place applies one object of a component.
func (v *visit) place(ctx context.Context, object runtime.ApplyConfiguration, initial []*appsv1ac.DeploymentApplyConfiguration, waits bool) error {
	if waits {
		return v.pass.Keep(object)
	}
	deployment, ok := object.(*appsv1ac.DeploymentApplyConfiguration)
	if !ok || (deployment.Spec != nil && deployment.Spec.Replicas != nil) {
		return v.pass.Apply(ctx, object)
	}
	var first *appsv1ac.DeploymentApplyConfiguration
	for _, candidate := range initial {
		if *candidate.Name == *deployment.Name {
			first = candidate
		}
	}
	return v.pass.Autoscaled(ctx, deployment, first)
}

// simulator keeps the simulated Stripe of a Development stack, of the revision
// that billing runs.
func (v *visit) simulator(ctx context.Context, assignments []rollout.Assignment, live deploymentSet) Result {
	in := v.in
	a, _ := assigned(v.roll.Layout, assignments, v1alpha1.ComponentBilling)
	waits := a.Stable == "" && live[desired.ObjectName(v.stack.Name, desired.NameSimulator)] != nil
	if a.Stable != "" && a.Stable != v.roll.revision {
		var err error
		if in, err = v.inputOf(ctx, a.Stable); err != nil {
			in, waits = v.in, true
		}
	}
	in.Secrets.Simulator = v.in.Secrets.Simulator
	server, ok := desired.Simulator(in)
	if !ok || in.Secrets.Simulator == "" {
		return Result{}
	}
	// The simulator makes a schema of its own, and a backup goes into an empty database.
	if v.restoreDue() || waits {
		for _, object := range server.Objects() {
			if err := v.pass.Keep(object); err != nil {
				return failed(err)
			}
		}
		return Result{}
	}
	return v.applyAll(ctx, server.Objects()...)
}

// deployments are the stack's, by name, from the cache.
func (v *visit) deployments(ctx context.Context) (deploymentSet, error) {
	return v.readDeployments(ctx, v.Client)
}

func (v *visit) readDeployments(ctx context.Context, reader client.Reader) (deploymentSet, error) {
	list := &appsv1.DeploymentList{}
	if err := reader.List(ctx, list, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	live := make(deploymentSet, len(list.Items))
	for i := range list.Items {
		live[list.Items[i].Name] = &list.Items[i]
	}
	return live, nil
}

// imageOf is the image of a Deployment's first container.
func imageOf(deployment *appsv1.Deployment) string {
	if containers := deployment.Spec.Template.Spec.Containers; len(containers) > 0 {
		return containers[0].Image
	}
	return ""
}

// settled says whether a Deployment has nothing left to do.
func settled(d *appsv1.Deployment) bool {
	wanted := wantedPods(d)
	status := &d.Status
	return status.ObservedGeneration >= d.Generation && status.UpdatedReplicas >= wanted && status.Replicas <= status.UpdatedReplicas &&
		status.AvailableReplicas >= wanted
}

func wantedPods(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// noteRolling says whether pods are being replaced.
func (v *visit) noteRolling(live deploymentSet) {
	s := v.roll.State
	installing := s.Current == ""
	if v.rolloutActive() && !installing {
		text := fmt.Sprintf("Revision %s (version %s) replaces %s, wave %d", s.Target, v.versionOf(s.Target), s.Current, s.Wave)
		if s.Phase == rollout.PhaseRollingBack {
			text = fmt.Sprintf("Revision %s (version %s) is taken back", s.Target, v.versionOf(s.Target))
		}
		if s.Message != "" {
			text += ": " + s.Message
		}
		v.set(v1alpha1.ConditionRollingOut, metav1.ConditionTrue, string(s.Phase), text+".")
		return
	}
	if name := v.replacing(live); name != "" && !installing {
		v.set(v1alpha1.ConditionRollingOut, metav1.ConditionTrue, v1alpha1.RolloutProgressing, "Pods of "+name+" are being replaced.")
		return
	}
	reason := v1alpha1.RolloutComplete
	if installing || !s.Ended() {
		reason = v1alpha1.RolloutIdle
	}
	v.set(v1alpha1.ConditionRollingOut, metav1.ConditionFalse, reason, "")
}

// replacing names a Deployment whose pods are not all of its newest template. One
// that was changed in this visit counts, though the cache has not seen it yet.
func (v *visit) replacing(live deploymentSet) string {
	for _, change := range v.pass.Changes() {
		if change.Kind == "Deployment" && change.Verb == apply.Updated && !v.pass.Dry() {
			return change.Name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(live)) {
		if status := &live[name].Status; status.ObservedGeneration < live[name].Generation || status.Replicas > status.UpdatedReplicas {
			return name
		}
	}
	return ""
}
