package apply

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Config is what an Applier needs.
type Config struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// FieldManager owns every field that is applied.
	FieldManager string
	// InitialManager owns fields that are given once and then belong to others.
	InitialManager string
}

// Applier applies objects for many owners.
type Applier struct {
	config Config
	mu     sync.Mutex
	owners map[types.UID]map[key]entry
}

// key names an object.
type key struct {
	kind            schema.GroupVersionKind
	namespace, name string
}

// entry is what is known about an object after it was applied.
type entry struct {
	desired     string
	uid         string
	version     string // resource version at that time
	fingerprint string // empty until it was read back
	settled     string // resource version in which it was last found to be as it should
	dry         bool   // it was a dry run
	differs     bool   // the dry run changed something
}

// New returns an Applier that remembers nothing.
func New(config Config) *Applier {
	return &Applier{config: config, owners: map[types.UID]map[key]entry{}}
}

// Forget drops what is remembered for an owner that is gone.
func (a *Applier) Forget(owner types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.owners, owner)
}

func (a *Applier) lookup(owner types.UID, k key) entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owners[owner][k]
}

func (a *Applier) remember(owner types.UID, k key, e entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.owners[owner] == nil {
		a.owners[owner] = map[key]entry{}
	}
	a.owners[owner][k] = e
}

func (a *Applier) drop(owner types.UID, k key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.owners[owner], k)
}
