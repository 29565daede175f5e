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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// timeUnit is the precision of times in a status.
const timeUnit = time.Second

// services keeps the components. Those whose turn in a rollout has not come are
// rendered with the image they run, so that all else about them is kept.
func (v *visit) services(ctx context.Context) Result {
	live, err := v.deployments(ctx)
	if err != nil {
		return failed(err)
	}
	var outcome Outcome
	installing := v.status.CurrentRevision == ""
	hold := v.awaiting || v.rotationHolds() || !v.is(v1alpha1.ConditionMigrationsApplied)
	outcome.Add("simulator", v.simulator(ctx, hold, live))
	v.wave = 0
	complete := !hold
	for _, wave := range v.waves() {
		behind := false
		for _, component := range wave.components {
			outcome.Add(string(component), v.component(ctx, component, hold, live))
			behind = behind || !v.rolledOut(component, live)
		}
		if behind && !hold {
			complete, v.wave = false, wave.number
		}
		// A first installation has no customers to protect from half of a version.
		hold = hold || (behind && !installing)
	}
	v.noteServices(ctx, live, &outcome)
	if complete {
		v.status.CurrentRevision, v.status.Version = v.status.UpdateRevision, v.stack.Spec.Version
	}
	v.noteRollout(complete)
	v.noteRolling(live, complete, installing)
	return failed(outcome.Err())
}

// wave are the components that change together.
type wave struct {
	number     int32
	components []v1alpha1.ComponentName
}

func (v *visit) waves() []wave {
	var waves []wave
	for _, component := range desired.Components() {
		number := desired.Wave(v.in, component)
		at := slices.IndexFunc(waves, func(w wave) bool { return w.number == number })
		if at < 0 {
			waves, at = append(waves, wave{number: number}), len(waves)
		}
		waves[at].components = append(waves[at].components, component)
	}
	slices.SortFunc(waves, func(a, b wave) int { return int(a.number - b.number) })
	return waves
}

// component applies the objects of a component, or, when it must wait and has
// never run, only names them.
func (v *visit) component(ctx context.Context, name v1alpha1.ComponentName, hold bool, live map[string]*appsv1.Deployment) Result {
	in := v.in
	runs := live[desired.ComponentName(v.stack.Name, name)]
	if hold && runs != nil {
		in = v.asItRuns(name, runs)
	}
	objects, err := desired.ForComponent(v.onSale(in), name)
	if err != nil {
		return stalled("InvalidSpec", "spec.services: %s: %v", name, err)
	}
	var outcome Outcome
	for _, object := range objects.Objects() {
		outcome.Add("apply", failed(v.place(ctx, object, objects.InitialReplicas, hold && runs == nil)))
	}
	return failed(outcome.Err())
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

// asItRuns is the input with the image and version that a component runs now.
func (v *visit) asItRuns(name v1alpha1.ComponentName, runs *appsv1.Deployment) desired.Input {
	in := v.in
	in.Stack = v.stack.DeepCopy()
	if version := runs.Labels[desired.LabelVersion]; version != "" {
		in.Stack.Spec.Version = version
	}
	at := slices.IndexFunc(in.Stack.Spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == name })
	if at < 0 {
		in.Stack.Spec.Services = append(in.Stack.Spec.Services, v1alpha1.ServiceSpec{Name: name})
		at = len(in.Stack.Spec.Services) - 1
	}
	if image := imageOf(runs); image != "" {
		in.Stack.Spec.Services[at].Image = image
	}
	return in
}

// simulator keeps the simulated Stripe of a Development stack.
func (v *visit) simulator(ctx context.Context, hold bool, live map[string]*appsv1.Deployment) Result {
	server, ok := desired.Simulator(v.in)
	if !ok {
		return Result{}
	}
	// The simulator makes a schema of its own, and a backup goes into an empty database.
	if v.restoreDue() || hold && live[desired.ObjectName(v.stack.Name, desired.NameSimulator)] != nil {
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
func (v *visit) deployments(ctx context.Context) (map[string]*appsv1.Deployment, error) {
	list := &appsv1.DeploymentList{}
	if err := v.Client.List(ctx, list, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	live := make(map[string]*appsv1.Deployment, len(list.Items))
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

// rolledOut says whether all pods of a component are of the wanted image and available.
func (v *visit) rolledOut(name v1alpha1.ComponentName, live map[string]*appsv1.Deployment) bool {
	names := []string{desired.ComponentName(v.stack.Name, name)}
	if _, ok := desired.WorkerScale(v.in, name); ok {
		names = append(names, desired.WorkerName(v.stack.Name, name))
	}
	for _, deployment := range names {
		found := live[deployment]
		if found == nil || imageOf(found) != desired.PlatformImage(v.in, name) || !settled(found) {
			return false
		}
	}
	return true
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
func (v *visit) noteRolling(live map[string]*appsv1.Deployment, complete, installing bool) {
	if v.status.UpdateRevision != v.status.CurrentRevision && !installing && !v.awaiting {
		v.set(v1alpha1.ConditionRollingOut, metav1.ConditionTrue, v1alpha1.RolloutProgressing,
			fmt.Sprintf("Version %s replaces %s, wave %d.", v.stack.Spec.Version, v.status.Version, v.wave))
		return
	}
	if name := v.replacing(live); name != "" && !installing {
		v.set(v1alpha1.ConditionRollingOut, metav1.ConditionTrue, v1alpha1.RolloutProgressing, "Pods of "+name+" are being replaced.")
		return
	}
	reason := v1alpha1.RolloutComplete
	if !complete {
		reason = v1alpha1.RolloutIdle
	}
	v.set(v1alpha1.ConditionRollingOut, metav1.ConditionFalse, reason, "")
}

// replacing names a Deployment whose pods are not all of its newest template. One
// that was changed in this visit counts, though the cache has not seen it yet.
func (v *visit) replacing(live map[string]*appsv1.Deployment) string {
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
