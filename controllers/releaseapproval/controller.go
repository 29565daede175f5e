package releaseapproval

import (
	"context"
	"fmt"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Reconciler deletes approvals that ended long ago.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Clock is the time.
	Clock clock.PassiveClock
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("releaseapproval").
		For(&v1alpha1.ReleaseApproval{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("build the controller of ReleaseApproval: %w", err)
	}
	return nil
}

// Reconcile looks at one approval.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	approval := &v1alpha1.ReleaseApproval{}
	if err := r.Client.Get(ctx, request.NamespacedName, approval); err != nil || approval.DeletionTimestamp != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	stack := &v1alpha1.CommerceStack{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: approval.Namespace, Name: approval.Spec.Stack}, stack)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("read the stack: %w", err)
	}
	if err != nil {
		stack = nil
	}
	now := r.Clock.Now()
	if at := DeleteAt(approval, stack, now); now.Before(at) {
		return ctrl.Result{RequeueAfter: at.Sub(now)}, nil
	}
	log.FromContext(ctx).Info("delete an approval that ended long ago", "stack", approval.Spec.Stack, "revision", approval.Spec.Revision, "by", approval.Spec.By)
	if err := r.Client.Delete(ctx, approval, client.Preconditions{UID: &approval.UID}); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("delete the approval: %w", err)
	}
	return ctrl.Result{}, nil
}
