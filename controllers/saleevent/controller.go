package saleevent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// fieldManager owns the status of events.
const fieldManager = desired.ManagedBy

// Reconciler tells in the status of an event how far it is.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Clock is the time.
	Clock clock.PassiveClock
}

// SetupWithManager registers the reconciler and what wakes it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("saleevent").
		For(&v1alpha1.SaleEvent{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.CommerceStack{}, handler.EnqueueRequestsFromMapFunc(r.eventsOf), builder.WithPredicates(podsOrSpec)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("build the controller of SaleEvent: %w", err)
	}
	return nil
}

// podsOrSpec lets changes of a stack through that its events tell about.
var podsOrSpec = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	old, ok := e.ObjectOld.(*v1alpha1.CommerceStack)
	now, ok2 := e.ObjectNew.(*v1alpha1.CommerceStack)
	return ok && ok2 && (old.Generation != now.Generation || !equality.Semantic.DeepEqual(old.Status.Services, now.Status.Services) ||
		!slices.Equal(old.Status.Sales, now.Status.Sales))
}}

// eventsOf are the events of a stack.
func (r *Reconciler) eventsOf(ctx context.Context, stack client.Object) []reconcile.Request {
	events := &v1alpha1.SaleEventList{}
	if err := r.Client.List(ctx, events, client.InNamespace(stack.GetNamespace())); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range events.Items {
		if events.Items[i].Spec.StackRef.Name == stack.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&events.Items[i])})
		}
	}
	return requests
}

// Reconcile looks at one event.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	found := &v1alpha1.SaleEvent{}
	if err := r.Client.Get(ctx, request.NamespacedName, found); err != nil || found.DeletionTimestamp != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	stack := &v1alpha1.CommerceStack{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: found.Namespace, Name: found.Spec.StackRef.Name}, stack)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("read the stack: %w", err)
	}
	if err != nil {
		stack = nil
	}
	now := r.Clock.Now()
	changed := found.DeepCopy()
	changed.Status = status(found, stack, now)
	if !equality.Semantic.DeepEqual(found.Status, changed.Status) {
		patch := client.MergeFromWithOptions(found, client.MergeFromWithOptimisticLock{})
		if err := r.Client.Status().Patch(ctx, changed, patch, client.FieldOwner(fieldManager)); err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
	}
	next, ok := Next(&found.Spec, now)
	if !ok {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(next.Sub(now), time.Second)}, nil
}

// status is what there is to say about an event; a nil stack is not there.
func status(of *v1alpha1.SaleEvent, stack *v1alpha1.CommerceStack, now time.Time) v1alpha1.SaleEventStatus {
	said := *of.Status.DeepCopy()
	said.ObservedGeneration, said.Phase = of.Generation, Phase(&of.Spec, now)
	set := func(condition string, value metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&said.Conditions, metav1.Condition{
			Type: condition, Status: value, Reason: reason, Message: message, ObservedGeneration: of.Generation,
			LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		})
	}
	switch {
	case stack == nil:
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "StackMissing", "There is no CommerceStack "+of.Spec.StackRef.Name+" in this namespace.")
	case stack.Spec.ReconcilePolicy != "" && stack.Spec.ReconcilePolicy != v1alpha1.ReconcileManaged:
		set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "StackNotManaged", "The stack is "+string(stack.Spec.ReconcilePolicy)+": nothing about it is changed.")
	default:
		if refusal := Refusal(inputOf(stack), Whole(of)); refusal != "" {
			set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "DoesNotFit", refusal)
			break
		}
		set(v1alpha1.ConditionAccepted, metav1.ConditionTrue, "Accepted", "The stack can be what the event asks for.")
	}
	running := said.Phase == v1alpha1.SalePreScaling || said.Phase == v1alpha1.SaleActive
	switch lacking := lackingPods(of, stack); {
	case !running:
		set(v1alpha1.ConditionScaled, metav1.ConditionUnknown, said.Phase, "The event does not run.")
	case lacking != "":
		set(v1alpha1.ConditionScaled, metav1.ConditionFalse, "Scaling", lacking)
	default:
		set(v1alpha1.ConditionScaled, metav1.ConditionTrue, "Scaled", "Every component has the pods that the event asks for.")
	}
	return said
}

// Whole is the overlay of one event at its height.
func Whole(of *v1alpha1.SaleEvent) Overlay {
	alone := of.DeepCopy()
	alone.DeletionTimestamp = nil
	overlay, _ := Plan([]v1alpha1.SaleEvent{*alone}, of.Spec.StackRef.Name, of.Spec.Start.Time)
	return overlay
}

// inputOf is as much of a stack's input as scales depend on.
func inputOf(stack *v1alpha1.CommerceStack) desired.Input {
	return desired.Input{
		Stack: stack, RenderRevision: cmp.Or(stack.Status.RenderRevision, desired.CurrentRenderRevision), PostgresMode: stack.Status.PostgresMode,
	}
}

// lackingPods names the first component with too few pods.
func lackingPods(of *v1alpha1.SaleEvent, stack *v1alpha1.CommerceStack) string {
	if stack == nil {
		return "There is no stack."
	}
	for _, wanted := range of.Spec.Services {
		ready := int32(0)
		for _, service := range stack.Status.Services {
			if service.Name == wanted.Name {
				ready = service.Ready
			}
		}
		if ready < wanted.MinReplicas {
			return fmt.Sprintf("%d of %d pods of %s are ready.", ready, wanted.MinReplicas, wanted.Name)
		}
	}
	return ""
}
