package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pass is one visit of one owner. It is not safe for concurrent use.
type Pass struct {
	applier *Applier
	owner   client.Object
	dry     bool
	named   map[key]bool
	changes []Change
}

// Change is something that was done, or in a dry Pass would be.
type Change struct {
	// Verb is Created, Updated or Deleted.
	Verb string
	// Kind and Name of the object.
	Kind, Name string
}

// The verbs of changes.
const (
	Created = "Created"
	Updated = "Updated"
	Deleted = "Deleted"
)

// String names the object, such as "Deployment/shop-order".
func (c Change) String() string { return c.Kind + "/" + c.Name }

// Begin starts a visit. A dry one changes nothing.
func (a *Applier) Begin(owner client.Object, dry bool) *Pass {
	return &Pass{applier: a, owner: owner, dry: dry, named: map[key]bool{}}
}

// Dry says whether this visit changes nothing.
func (p *Pass) Dry() bool { return p.dry }

// Changes are what was done so far, in order.
func (p *Pass) Changes() []Change { return slices.Clone(p.changes) }

// Note adds a change that the caller made, or in a dry visit would make.
func (p *Pass) Note(verb, kind, name string) {
	p.changes = append(p.changes, Change{Verb: verb, Kind: kind, Name: name})
}

// Apply brings an object to the configuration.
func (p *Pass) Apply(ctx context.Context, configuration runtime.ApplyConfiguration) error {
	want, k, desired, err := decode(configuration)
	if err != nil {
		return err
	}
	p.named[k] = true
	live, err := p.cached(ctx, k)
	if err != nil {
		return err
	}
	known := p.applier.lookup(p.owner.GetUID(), k)
	if live != nil {
		settled, err := p.settled(k, known, want, desired, live)
		if err == nil && !settled && known.desired == "" && eager[k.kind.Kind] {
			settled, err = p.adopt(k, want, desired, live)
		}
		if err != nil || settled {
			return err
		}
	}
	if p.dry {
		return p.preview(ctx, k, want, desired, live)
	}
	if live != nil {
		if err := p.trim(ctx, k, want, live); err != nil {
			return err
		}
	}
	return p.send(ctx, k, want, desired, live)
}

// Once creates an object that is never changed afterwards: a Job, or something
// named by its content.
func (p *Pass) Once(ctx context.Context, configuration runtime.ApplyConfiguration) error {
	want, k, desired, err := decode(configuration)
	if err != nil {
		return err
	}
	p.named[k] = true
	live, err := p.cached(ctx, k)
	if err != nil || live != nil {
		return err
	}
	if p.dry {
		p.Note(Created, k.kind.Kind, k.name)
		return nil
	}
	return p.send(ctx, k, want, desired, nil)
}

// Keep names an object without touching it, so that Prune leaves it.
func (p *Pass) Keep(configuration runtime.ApplyConfiguration) error {
	_, k, _, err := decode(configuration)
	p.named[k] = true
	return err
}

// Name names an object that the caller writes itself, so that Prune leaves it.
func (p *Pass) Name(kind schema.GroupVersionKind, namespace, name string) {
	p.named[key{kind: kind, namespace: namespace, name: name}] = true
}

// settled says whether nothing has to be sent for an object that exists.
func (p *Pass) settled(k key, known entry, want *unstructured.Unstructured, desired string, live client.Object) (bool, error) {
	if known.desired != desired || known.uid != string(live.GetUID()) || (known.dry && !p.dry) {
		return false, nil
	}
	if older(live.GetResourceVersion(), known.version) {
		return true, nil // the cache has not seen our own write yet
	}
	// Others may have added it between the last look and the apply, which left it.
	if surplus, err := trimmed(want, live); err != nil || (surplus != nil && !p.dry) {
		return false, err
	}
	now, err := fingerprint(live)
	if err != nil {
		return false, err
	}
	if live.GetResourceVersion() == known.version && known.fingerprint == "" {
		known.fingerprint = now
		p.applier.remember(p.owner.GetUID(), k, known)
	}
	if known.fingerprint != now {
		return false, nil
	}
	if known.dry && known.differs {
		p.Note(Updated, k.kind.Kind, k.name)
	}
	skips.Inc()
	return true, nil
}

// eager are kinds whose objects get a new version from every apply, even one that
// changes nothing. For them a new process looks first.
var eager = map[string]bool{"PersistentVolumeClaim": true}

// adopt remembers an object as applied when all that is wanted stands in it.
func (p *Pass) adopt(k key, want *unstructured.Unstructured, desired string, live client.Object) (bool, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, fmt.Errorf("read %s %s: %w", k.kind.Kind, k.name, err)
	}
	content["apiVersion"], content["kind"] = want.GetAPIVersion(), want.GetKind()
	if !within(want.Object, content) {
		return false, nil
	}
	now, err := fingerprint(live)
	if err != nil {
		return false, err
	}
	p.applier.remember(p.owner.GetUID(), k, entry{desired: desired, uid: string(live.GetUID()), version: live.GetResourceVersion(), fingerprint: now})
	return true, nil
}

// within says whether everything in want stands in have.
func within(want, have any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := have.(map[string]any)
		for name, value := range want {
			if !ok || !within(value, object[name]) {
				return false
			}
		}
		return ok
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !within(want[i], list[i]) {
				return false
			}
		}
		return true
	default:
		return equality.Semantic.DeepEqual(want, have)
	}
}

// send applies and remembers.
func (p *Pass) send(ctx context.Context, k key, want *unstructured.Unstructured, desired string, live client.Object) error {
	answer := want.DeepCopy()
	err := p.applier.config.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(p.applier.config.FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", k.kind.Kind, k.name, err)
	}
	before := p.applier.lookup(p.owner.GetUID(), k).version
	if live != nil && !older(live.GetResourceVersion(), before) {
		before = live.GetResourceVersion()
	}
	done := entry{desired: desired, uid: string(answer.GetUID()), version: answer.GetResourceVersion()}
	if answer.GetGeneration() != 0 {
		if done.fingerprint, err = fingerprint(answer); err != nil {
			return err
		}
	}
	p.applier.remember(p.owner.GetUID(), k, done)
	switch {
	case live == nil:
		applies.WithLabelValues(k.kind.Kind, "created").Inc()
		p.Note(Created, k.kind.Kind, k.name)
	case before == answer.GetResourceVersion():
		applies.WithLabelValues(k.kind.Kind, "unchanged").Inc()
	default:
		applies.WithLabelValues(k.kind.Kind, "updated").Inc()
		p.Note(Updated, k.kind.Kind, k.name)
	}
	return nil
}

// preview asks the server what an apply would do.
func (p *Pass) preview(ctx context.Context, k key, want *unstructured.Unstructured, desired string, live client.Object) error {
	if live == nil {
		p.Note(Created, k.kind.Kind, k.name)
		return nil
	}
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(k.kind)
	if err := p.applier.config.Live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, current); err != nil {
		return fmt.Errorf("read %s %s: %w", k.kind.Kind, k.name, err)
	}
	answer := want.DeepCopy()
	err := p.applier.config.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(p.applier.config.FieldManager), client.ForceOwnership, client.DryRunAll)
	if err != nil {
		return fmt.Errorf("compare %s %s: %w", k.kind.Kind, k.name, err)
	}
	surplus, err := trimmed(want, live)
	if err != nil {
		return err
	}
	done := entry{
		desired: desired, uid: string(current.GetUID()), version: current.GetResourceVersion(), dry: true,
		differs: surplus != nil || !same(current, answer),
	}
	if current.GetGeneration() != 0 {
		if done.fingerprint, err = fingerprint(current); err != nil {
			return err
		}
	}
	p.applier.remember(p.owner.GetUID(), k, done)
	if done.differs {
		p.Note(Updated, k.kind.Kind, k.name)
	}
	return nil
}

// cached reads an object from the cache, nil when it is not there.
func (p *Pass) cached(ctx context.Context, k key) (client.Object, error) {
	live, err := p.applier.newObject(k)
	if err != nil {
		return nil, err
	}
	err = p.applier.config.Client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, live)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // nothing is an answer here, and the callers ask for it
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", k.kind.Kind, k.name, err)
	}
	return live, nil
}

// newObject is a typed object where the scheme knows the kind.
func (a *Applier) newObject(k key) (client.Object, error) {
	if !a.config.Client.Scheme().Recognizes(k.kind) {
		foreign := &unstructured.Unstructured{}
		foreign.SetGroupVersionKind(k.kind)
		return foreign, nil
	}
	typed, err := a.config.Client.Scheme().New(k.kind)
	if err != nil {
		return nil, fmt.Errorf("make a %s: %w", k.kind.Kind, err)
	}
	object, ok := typed.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", k.kind.Kind)
	}
	return object, nil
}

// decode turns a typed configuration into what is sent, and names and hashes it.
func decode(configuration runtime.ApplyConfiguration) (*unstructured.Unstructured, key, string, error) {
	data, err := json.Marshal(configuration)
	if err != nil {
		return nil, key{}, "", fmt.Errorf("encode an object: %w", err)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &object.Object); err != nil {
		return nil, key{}, "", fmt.Errorf("encode an object: %w", err)
	}
	k := key{kind: object.GroupVersionKind(), namespace: object.GetNamespace(), name: object.GetName()}
	if k.kind.Kind == "" || k.name == "" {
		return nil, key{}, "", fmt.Errorf("an object without kind or name was desired")
	}
	return object, k, digest(data), nil
}
