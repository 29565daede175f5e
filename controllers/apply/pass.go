package apply

import (
	"context"
	"fmt"
	"slices"

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
	want, err := decode(configuration)
	if err != nil {
		return err
	}
	live, err := p.cached(ctx, want.key)
	if err != nil {
		return err
	}
	return p.bring(ctx, want, live)
}

// bring brings the live object, nil where there is none, to what is wanted.
func (p *Pass) bring(ctx context.Context, want *wanted, live client.Object) error {
	p.named[want.key] = true
	known := p.applier.lookup(p.owner.GetUID(), want.key)
	if live != nil {
		settled, err := p.settled(known, want, live)
		if err == nil && !settled && known.desired == "" {
			settled, err = p.adopt(ctx, want, live)
		}
		if err != nil || settled {
			return err
		}
	}
	if p.dry {
		return p.preview(ctx, want, live)
	}
	if live != nil {
		if err := p.trim(ctx, want, live); err != nil {
			return err
		}
	}
	return p.send(ctx, want, live)
}

// Once creates an object that is never changed afterwards: a Job, or something
// named by its content.
func (p *Pass) Once(ctx context.Context, configuration runtime.ApplyConfiguration) error {
	want, err := decode(configuration)
	if err != nil {
		return err
	}
	p.named[want.key] = true
	live, err := p.cached(ctx, want.key)
	if err != nil || live != nil {
		return err
	}
	if p.dry {
		p.Note(Created, want.kind.Kind, want.name)
		return nil
	}
	return p.send(ctx, want, nil)
}

// Keep names an object without touching it, so that Prune leaves it.
func (p *Pass) Keep(configuration runtime.ApplyConfiguration) error {
	want, err := decode(configuration)
	if err != nil {
		return err
	}
	p.named[want.key] = true
	return nil
}

// Name names an object that the caller writes itself, so that Prune leaves it.
func (p *Pass) Name(kind schema.GroupVersionKind, namespace, name string) {
	p.named[key{kind: kind, namespace: namespace, name: name}] = true
}

// settled says whether nothing has to be sent for an object that exists.
func (p *Pass) settled(known entry, want *wanted, live client.Object) (bool, error) {
	if known.desired != want.digest || known.uid != string(live.GetUID()) || (known.dry && !p.dry) {
		return false, nil
	}
	if older(live.GetResourceVersion(), known.version) {
		return true, nil // the cache has not seen our own write yet
	}
	if known.settled == "" || known.settled != live.GetResourceVersion() {
		if unchanged, err := p.unchanged(known, want, live); err != nil || !unchanged {
			return false, err
		}
	}
	if known.dry && known.differs {
		p.Note(Updated, want.kind.Kind, want.name)
	}
	skips.Inc()
	return true, nil
}

// unchanged says whether nobody changed an object since it was applied, and
// remembers in which version it was looked at.
func (p *Pass) unchanged(known entry, want *wanted, live client.Object) (bool, error) {
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
	}
	if known.fingerprint != now {
		return false, nil
	}
	known.settled = live.GetResourceVersion()
	p.applier.remember(p.owner.GetUID(), want.key, known)
	return true, nil
}

// adopt takes an object as applied when another process applied it: it has the
// digest of what is wanted, and all that is wanted stands in it. A cache may have
// no room for all of it; then the server is asked.
func (p *Pass) adopt(ctx context.Context, want *wanted, live client.Object) (bool, error) {
	if live.GetAnnotations()[AnnotationApplied] != want.digest {
		return false, nil
	}
	if surplus, err := trimmed(want, live); err != nil || surplus != nil {
		return false, err
	}
	stands, err := want.standsIn(live)
	if err == nil && !stands {
		stands, err = p.standsInServer(ctx, want, live.GetResourceVersion())
	}
	if err != nil || !stands {
		return false, err
	}
	now, err := fingerprint(live)
	if err != nil {
		return false, err
	}
	p.applier.remember(p.owner.GetUID(), want.key, entry{
		desired: want.digest, uid: string(live.GetUID()), version: live.GetResourceVersion(), fingerprint: now,
	})
	skips.Inc()
	return true, nil
}

// standsInServer says whether all that is wanted stands in a version of the object that the server still has.
func (p *Pass) standsInServer(ctx context.Context, want *wanted, version string) (bool, error) {
	current, err := p.current(ctx, want.key)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil || current.GetResourceVersion() != version {
		return false, err
	}
	return want.standsIn(current)
}

// send applies and remembers.
func (p *Pass) send(ctx context.Context, want *wanted, live client.Object) error {
	answer, err := want.signed()
	if err != nil {
		return err
	}
	err = p.applier.config.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(p.applier.config.FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", want.kind.Kind, want.name, err)
	}
	before := p.applier.lookup(p.owner.GetUID(), want.key).version
	if live != nil && !older(live.GetResourceVersion(), before) {
		before = live.GetResourceVersion()
	}
	done := entry{desired: want.digest, uid: string(answer.GetUID()), version: answer.GetResourceVersion()}
	if answer.GetGeneration() != 0 {
		if done.fingerprint, err = fingerprint(answer); err != nil {
			return err
		}
	}
	p.applier.remember(p.owner.GetUID(), want.key, done)
	switch {
	case live == nil:
		applies.WithLabelValues(want.kind.Kind, "created").Inc()
		p.Note(Created, want.kind.Kind, want.name)
	case before == answer.GetResourceVersion():
		applies.WithLabelValues(want.kind.Kind, "unchanged").Inc()
	default:
		applies.WithLabelValues(want.kind.Kind, "updated").Inc()
		p.Note(Updated, want.kind.Kind, want.name)
	}
	return nil
}

// preview asks the server what an apply would do.
func (p *Pass) preview(ctx context.Context, want *wanted, live client.Object) error {
	if live == nil {
		p.Note(Created, want.kind.Kind, want.name)
		return nil
	}
	current, err := p.current(ctx, want.key)
	if err != nil {
		return err
	}
	answer, err := want.signed()
	if err != nil {
		return err
	}
	err = p.applier.config.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(p.applier.config.FieldManager), client.ForceOwnership, client.DryRunAll)
	if err != nil {
		return fmt.Errorf("compare %s %s: %w", want.kind.Kind, want.name, err)
	}
	surplus, err := trimmed(want, live)
	if err != nil {
		return err
	}
	done := entry{
		desired: want.digest, uid: string(current.GetUID()), version: current.GetResourceVersion(), dry: true,
		differs: surplus != nil || !same(current, answer),
	}
	if current.GetGeneration() != 0 {
		if done.fingerprint, err = fingerprint(current); err != nil {
			return err
		}
	}
	p.applier.remember(p.owner.GetUID(), want.key, done)
	if done.differs {
		p.Note(Updated, want.kind.Kind, want.name)
	}
	return nil
}

// current reads an object past the cache.
func (p *Pass) current(ctx context.Context, k key) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(k.kind)
	if err := p.applier.config.Live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, object); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", k.kind.Kind, k.name, err)
	}
	return object, nil
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
