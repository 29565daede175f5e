package commercestack

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/saleevent"
)

// sales finds out what running SaleEvents change, and asks to look again when
// that changes. Events that the stack cannot carry out change nothing.
func (v *visit) sales(ctx context.Context) Result {
	events := &v1alpha1.SaleEventList{}
	if err := v.Client.List(ctx, events, client.InNamespace(v.stack.Namespace)); err != nil {
		return failed(fmt.Errorf("list SaleEvents: %w", err))
	}
	fitting := events.Items[:0:0]
	for i := range events.Items {
		if event := &events.Items[i]; event.Spec.StackRef.Name == v.stack.Name && saleevent.Refusal(v.in, saleevent.Whole(event)) == "" {
			fitting = append(fitting, *event)
		}
	}
	before := v.status.Sales
	overlay, next := saleevent.Plan(fitting, v.stack.Name, v.now)
	v.sale, v.status.Sales = overlay, overlay.Events
	if len(overlay.Events) > 0 && len(before) == 0 {
		v.tellf("SaleBegan", "Sale", "Pods and limits are those of %v.", overlay.Events)
	}
	if len(overlay.Events) == 0 && len(before) > 0 {
		v.tellf("SaleEnded", "Sale", "Pods and limits are those of the spec again.")
	}
	if next.IsZero() {
		return Result{}
	}
	return v.wakeAt(next)
}

// onSale is the input with which components are rendered. It is never that of a
// revision: a sale is no rollout.
func (v *visit) onSale(in desired.Input) desired.Input { return v.sale.Apply(in) }

// stackOfSale is the stack of an event.
func stackOfSale(_ context.Context, object client.Object) []reconcile.Request {
	event, ok := object.(*v1alpha1.SaleEvent)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: event.Namespace, Name: event.Spec.StackRef.Name}}}
}
