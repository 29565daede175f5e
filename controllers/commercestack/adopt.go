package commercestack

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// adopt is the state of a stack that serves and has none: an operator without
// rollouts made it, or the state was lost. What runs is current. If that is what
// is desired nothing is rolled out, and nothing restarts.
func (v *visit) adopt(ctx context.Context) (rollout.State, error) {
	s := rollout.State{Phase: rollout.PhaseComplete, Since: v.now, StartedAt: v.now, FinishedAt: v.now}
	if _, ok := v.roll.records[v.status.CurrentRevision]; ok {
		s.Current, s.Target = v.status.CurrentRevision, v.status.CurrentRevision
		s.LastFailed = v.status.LastFailedRevision
		if s.LastFailed == v.roll.revision {
			s.Held = s.LastFailed
		}
		return s, nil
	}
	live, err := v.deployments(ctx)
	if err != nil {
		return s, err
	}
	in := v.asItRuns(live)
	revision, err := desired.RevisionOf(in)
	if err != nil {
		return s, err
	}
	s.Current, s.Target = revision, revision
	if err := v.keepRecord(ctx, revision, desired.SnapshotOf(in)); err != nil {
		return s, err
	}
	if r, ok := v.roll.records[revision]; !ok {
		r.snapshot = desired.SnapshotOf(in)
		r.object = &appsv1.ControllerRevision{}
		v.roll.records[revision] = r
	}
	return s, nil
}

// asItRuns is the spec with the version and the images that run. A component
// that was already replaced counts as if it had not been.
func (v *visit) asItRuns(live map[string]*appsv1.Deployment) desired.Input {
	in := v.in
	in.Stack = v.stack.DeepCopy()
	spec := &in.Stack.Spec
	if v.status.Version != "" {
		spec.Version = v.status.Version
	}
	for _, component := range desired.Components() {
		runs := live[desired.ComponentName(v.stack.Name, component)]
		if runs == nil {
			continue
		}
		image := imageOf(runs)
		if image == "" || image == desired.PlatformImage(in, component) {
			continue
		}
		at := slices.IndexFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == component })
		switch {
		case image == desired.PlatformImage(v.in, component) && at >= 0:
			spec.Services[at].Image = ""
		case image == desired.PlatformImage(v.in, component):
		case at >= 0:
			spec.Services[at].Image = image
		default:
			spec.Services = append(spec.Services, v1alpha1.ServiceSpec{Name: component, Image: image})
		}
	}
	return in
}
