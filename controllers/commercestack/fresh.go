package commercestack

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// catchUp is how long the cache is given to see what was written.
const catchUp = 50 * time.Millisecond

// written are the versions of stacks that this process has written. A visit of an
// older one would decide by what is over, and its status could not be stored.
type written struct {
	mu       sync.Mutex
	versions map[types.UID]string
}

// note remembers what was written.
func (w *written) note(stack *v1alpha1.CommerceStack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.versions == nil {
		w.versions = map[types.UID]string{}
	}
	w.versions[stack.UID] = stack.ResourceVersion
}

// forget drops a stack that is gone.
func (w *written) forget(stack types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.versions, stack)
}

// newer says whether a stack was written since the version that was read.
func (w *written) newer(stack *v1alpha1.CommerceStack) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	order, err := resourceversion.CompareResourceVersion(stack.ResourceVersion, w.versions[stack.UID])
	return err == nil && order < 0
}
