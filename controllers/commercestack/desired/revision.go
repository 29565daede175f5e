package desired

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// Snapshot is what a revision is rendered from again: the parts of a spec that
// decide pods and migrations. Versions of secrets and numbers of pods are those
// of the moment, whatever revision runs.
type Snapshot struct {
	// RenderRevision of the pod templates.
	RenderRevision int32 `json:"renderRevision"`
	// Platform is the repository of the platform's image, without a tag.
	Platform string `json:"platform"`
	// Spec without what is not part of a revision.
	Spec v1alpha1.CommerceStackSpec `json:"spec"`
}

// SnapshotOf takes a snapshot of an input.
func SnapshotOf(in Input) Snapshot {
	spec := *in.Stack.Spec.DeepCopy()
	ephemeral(&spec, &v1alpha1.CommerceStackSpec{})
	return Snapshot{RenderRevision: in.RenderRevision, Platform: in.Images.Platform, Spec: spec}
}

// ephemeral takes from another spec what follows it at once, whatever revision runs.
func ephemeral(spec, from *v1alpha1.CommerceStackSpec) {
	spec.ReconcilePolicy, spec.DeletionPolicy, spec.RenderRevision = from.ReconcilePolicy, from.DeletionPolicy, from.RenderRevision
	spec.DemoCatalog, spec.Migrations, spec.Rollout = from.DemoCatalog, from.Migrations, from.Rollout
	spec.Secrets, spec.NetworkPolicy, spec.Backup = from.Secrets, from.NetworkPolicy, from.Backup
	spec.WorkerAutoscaler = from.WorkerAutoscaler
}

// Restore is the input that renders a revision in the stack as it is now. Names
// of Secrets are those of in.
func (s Snapshot) Restore(in Input) Input {
	stack := in.Stack.DeepCopy()
	stack.Spec = *s.Spec.DeepCopy()
	ephemeral(&stack.Spec, &in.Stack.Spec)
	out := in
	out.Stack, out.Current = stack, in.Stack
	out.RenderRevision, out.Images.Platform = s.RenderRevision, s.Platform
	return out
}

// RevisionOf names the revision of an input. Two inputs of one revision have the
// same pod templates but for the names of Secrets, and migrate to the same. The
// error is a patch that cannot be applied.
func RevisionOf(in Input) (string, error) {
	in.Secrets = Secrets{}
	r := rollout.Revision{
		Version: in.Stack.Spec.Version, Images: map[string]string{}, Configs: map[string]string{}, Migrations: Hash(PlatformImage(in, "")),
	}
	for _, name := range Components() {
		component, err := ForComponent(in, name)
		if err != nil {
			return "", err
		}
		var templates []any
		templates = append(templates, component.Deployment.Spec.Template)
		if component.Worker != nil {
			templates = append(templates, component.Worker.Spec.Template)
		}
		hash, err := hashes.of(templates)
		if err != nil {
			return "", fmt.Errorf("hash the pods of %s: %w", name, err)
		}
		r.Images[string(name)], r.Configs[string(name)] = PlatformImage(in, name), hash
	}
	return r.Hash(), nil
}

// hashes are known by what was hashed: at every visit of every stack the pods are
// those of the visit before.
var hashes = memo{known: map[[sha256.Size]byte]string{}}

// memory bounds how many hashes are known: those of some thousand stacks.
const memory = 1 << 15

// memo remembers the hashes of values by their JSON.
type memo struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]string
}

// of is the hash of a value, which does not depend on the order of a type's fields.
func (m *memo) of(value any) (string, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	m.mu.Lock()
	known, ok := m.known[sum]
	m.mu.Unlock()
	if ok {
		return known, nil
	}
	plain, err := canonical(content)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.known) >= memory {
		clear(m.known)
	}
	m.known[sum] = Hash(plain)
	return m.known[sum], nil
}

// canonical is JSON with its fields in the order of their names.
func canonical(content []byte) (string, error) {
	var plain any
	if err := json.Unmarshal(content, &plain); err != nil {
		return "", err
	}
	content, err := json.Marshal(plain)
	return string(content), err
}
