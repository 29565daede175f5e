package commercestack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

const (
	// labelRevision of a ControllerRevision is the revision it records.
	labelRevision = v1alpha1.Group + "/revision"
	// annotationRevision of a Deployment is the revision that its template was rendered from.
	annotationRevision = v1alpha1.Group + "/revision"
	// partRevision labels what is kept about revisions.
	partRevision = "revision"
)

// record is a revision that can be rendered again.
type record struct {
	snapshot desired.Snapshot
	object   *appsv1.ControllerRevision
}

// records are the revisions that are kept, by hash.
func (v *visit) records(ctx context.Context) (map[string]record, error) {
	list := &appsv1.ControllerRevisionList{}
	labels := v.instance()
	labels[desired.LabelComponent] = partRevision
	if err := v.Client.List(ctx, list, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list ControllerRevisions: %w", err)
	}
	all := map[string]record{}
	for i := range list.Items {
		object := &list.Items[i]
		r := record{object: object}
		// One that cannot be read cannot be returned to.
		if json.Unmarshal(object.Data.Raw, &r.snapshot) == nil && object.DeletionTimestamp == nil {
			all[object.Labels[labelRevision]] = r
		}
	}
	return all, nil
}

// revisionName is the name of the object that records a revision.
func (v *visit) revisionName(revision string) string {
	return desired.ObjectName(v.stack.Name, revision)
}

// keepRecord records what a revision is made of, once.
func (v *visit) keepRecord(ctx context.Context, revision string, snapshot desired.Snapshot) error {
	if _, ok := v.roll.records[revision]; ok {
		return nil
	}
	content, err := json.Marshal(snapshot)
	if err != nil {
		return fmt.Errorf("record revision %s: %w", revision, err)
	}
	newest := int64(0)
	for _, r := range v.roll.records {
		newest = max(newest, r.object.Revision)
	}
	labels := desired.Labels(v.in, partRevision)
	labels[labelRevision] = revision
	object := appsv1ac.ControllerRevision(v.revisionName(revision), v.stack.Namespace).WithLabels(labels).WithOwnerReferences(v.owner()).
		WithData(runtime.RawExtension{Raw: content}).WithRevision(newest + 1)
	return v.pass.Once(ctx, object)
}

// forgetRecords deletes the oldest revisions beyond the limit, never one that
// runs, may be returned to, or is held.
func (v *visit) forgetRecords(ctx context.Context) error {
	s := v.roll.State
	used := []string{s.Current, s.Previous, s.Target, s.Held, v.roll.revision}
	var old []record
	for revision, r := range v.roll.records {
		if !slices.Contains(used, revision) {
			old = append(old, r)
		}
	}
	slices.SortFunc(old, func(a, b record) int { return int(b.object.Revision - a.object.Revision) })
	limit := max(int(v.stack.Spec.Rollout.HistoryLimit)-1, 0) // the one before is kept anyway
	if v.pass.Dry() || len(old) <= limit {
		return nil
	}
	for _, r := range old[limit:] {
		uid := r.object.UID
		if err := v.Client.Delete(ctx, r.object, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ControllerRevision %s: %w", r.object.Name, err)
		}
	}
	return nil
}

// history are the revisions that can be returned to.
func (v *visit) history() []string { return slices.Sorted(maps.Keys(v.roll.records)) }

// inputOf is what a revision is rendered from: the spec itself for its own
// revision, a record for any other.
func (v *visit) inputOf(ctx context.Context, revision string) (desired.Input, error) {
	if revision == v.roll.revision {
		return v.in, nil
	}
	if in, ok := v.roll.inputs[revision]; ok {
		return in, nil
	}
	r, ok := v.roll.records[revision]
	if !ok {
		return desired.Input{}, &StalledError{Reason: "RevisionLost", Message: fmt.Sprintf(
			"ControllerRevision %s, which says what revision %s is made of, is gone: restore it, or change the spec back", v.revisionName(revision), revision)}
	}
	in, err := v.withSecrets(ctx, r.snapshot.Restore(v.in))
	if err != nil {
		return desired.Input{}, err
	}
	v.roll.inputs[revision] = in
	return in, nil
}

// withSecrets gives each component of another revision a Secret with the keys
// that its pods name: the one of the moment, or where the spec has other keys
// now, one of its own.
func (v *visit) withSecrets(ctx context.Context, in desired.Input) (desired.Input, error) {
	names := maps.Clone(v.in.Secrets.Components)
	as := *v
	as.stack, as.in = in.Stack, in
	for _, component := range desired.Components() {
		keys := desired.SecretKeys(in, component)
		if slices.Equal(keys, desired.SecretKeys(v.in, component)) {
			continue
		}
		name, err := as.publishOld(ctx, component, keys)
		if err != nil {
			return in, err
		}
		names[component] = name
	}
	in.Secrets.Components = names
	return in, nil
}

// publishOld publishes a Secret for a revision whose references may be gone. If
// they are, its pods keep the Secret that they have.
func (v *visit) publishOld(ctx context.Context, component v1alpha1.ComponentName, keys []string) (string, error) {
	read := v.readReferences(ctx)
	if read.Err == nil {
		return v.publish(ctx, string(component), keys, "Opaque")
	}
	live := &appsv1.Deployment{}
	if err := v.Client.Get(ctx, v.key(desired.ComponentName(v.stack.Name, component)), live); err != nil {
		return "", read.Err
	}
	if name := mountedSecret(&live.Spec.Template.Spec); name != "" {
		return name, nil
	}
	return "", read.Err
}
