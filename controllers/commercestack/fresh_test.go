package commercestack_test

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// A cache that has not seen the operator's own write yet shows a stack that is no
// more. It is waited for: a visit would decide by it, and fail at its end.
func TestAStackThatIsBehindIsWaitedFor(t *testing.T) {
	t.Parallel()
	var writes writeLog
	var behind *v1alpha1.CommerceStack
	funcs := counting(&writes)
	funcs.Get = func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if stack, ok := o.(*v1alpha1.CommerceStack); ok && behind != nil {
			behind.DeepCopyInto(stack)
			return nil
		}
		return c.Get(ctx, k, o, opts...)
	}
	w := newWorld(t, withInterceptor(funcs))
	stack := w.create(t, w.development())
	before := w.read(t, stack)
	if _, err := w.visit(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	writes.take()
	if w.read(t, stack).ResourceVersion == before.ResourceVersion {
		t.Fatal("the first visit stored nothing")
	}
	behind = before
	result, err := w.visit(t.Context(), stack)
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("a visit of what is behind: %+v, %v", result, err)
	}
	if seen := writes.take(); len(seen) != 0 {
		t.Errorf("it wrote %v", seen)
	}
	behind = nil
	w.settle(t, stack)
	if len(writes.take()) == 0 {
		t.Error("it does not go on")
	}
}
