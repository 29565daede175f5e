package commercestack

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// referencesIndex finds the stacks that name a Secret.
const referencesIndex = "spec.secretRefs"

// Options of the controller.
type Options struct {
	// Concurrency is how many stacks are visited at a time.
	Concurrency int
	// References is a cache of the metadata of Secrets that the operator does not
	// own: the manager's own cache holds only what it does own.
	References cache.Cache
}

// SetupWithManager registers the reconciler and everything that wakes it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.CommerceStack{}, referencesIndex, func(o client.Object) []string {
		var names []string
		if stack, ok := o.(*v1alpha1.CommerceStack); ok {
			for _, ref := range references(&stack.Spec) {
				names = append(names, ref.name)
			}
		}
		return names
	})
	if err != nil {
		return fmt.Errorf("index the references of stacks: %w", err)
	}
	byLabel := handler.EnqueueRequestsFromMapFunc(stackOf)
	secrets := &metav1.PartialObjectMetadata{}
	secrets.SetGroupVersionKind(kindSecret)
	definition, service := &metav1.PartialObjectMetadata{}, &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(kindDefinition)
	service.SetGroupVersionKind(kindAPIService)
	built, err := ctrl.NewControllerManagedBy(mgr).Named("commercestack").
		For(&v1alpha1.CommerceStack{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Owns(&appsv1.Deployment{}).
		Owns(&appsv1.StatefulSet{}).
		Owns(&batchv1.Job{}).
		Owns(&appsv1.ControllerRevision{}, builder.WithPredicates(ours)).
		Owns(&corev1.Service{}, builder.WithPredicates(ours)).
		Owns(&corev1.ServiceAccount{}, builder.WithPredicates(ours)).
		Owns(&corev1.ConfigMap{}, builder.WithPredicates(ours)).
		Owns(&autoscalingv2.HorizontalPodAutoscaler{}, builder.WithPredicates(ours)).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(ours)).
		Owns(&networkingv1.NetworkPolicy{}, builder.WithPredicates(ours)).
		Owns(&networkingv1.Ingress{}, builder.WithPredicates(ours)).
		// The vault and the volumes may have no owner; labels say whose they are.
		Watches(&corev1.Secret{}, byLabel).
		Watches(&corev1.PersistentVolumeClaim{}, byLabel, builder.WithPredicates(ours)).
		Watches(&corev1.Pod{}, byLabel, builder.WithPredicates(troubled)).
		Owns(&batchv1.CronJob{}, builder.WithPredicates(ours)).
		// Jobs of CronJobs, and of people, are not owned by the stack.
		Watches(&batchv1.Job{}, byLabel, builder.WithPredicates(ofBackups)).
		Watches(&v1alpha1.SaleEvent{}, handler.EnqueueRequestsFromMapFunc(stackOfSale), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ReleaseApproval{}, handler.EnqueueRequestsFromMapFunc(stackOfApproval), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(definition, handler.EnqueueRequestsFromMapFunc(r.allStacks), builder.WithPredicates(foreignDefinition)).
		Watches(service, handler.EnqueueRequestsFromMapFunc(r.allStacks), builder.WithPredicates(labelChanged)).
		WatchesRawSource(source.Kind(options.References, secrets, handler.TypedEnqueueRequestsFromMapFunc(
			func(ctx context.Context, secret *metav1.PartialObjectMetadata) []reconcile.Request {
				return r.referring(ctx, secret)
			}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: options.Concurrency, ReconciliationTimeout: visitTimeout}).
		Build(r)
	if err != nil {
		return fmt.Errorf("build the controller: %w", err)
	}
	r.foreign.watch = (&foreignWatches{controller: built, cache: mgr.GetCache(), started: map[schema.GroupVersionKind]*foreignWatch{}}).ensure
	return nil
}

// stackOf is the stack whose label an object carries.
func stackOf(_ context.Context, object client.Object) []reconcile.Request {
	stack := object.GetLabels()[desired.LabelInstance]
	if stack == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: stack}}}
}

// allStacks are visited when a kind of others appears or goes.
func (r *Reconciler) allStacks(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.stacks(ctx)
}

// referring are the stacks that name a Secret.
func (r *Reconciler) referring(ctx context.Context, secret client.Object) []reconcile.Request {
	return r.stacks(ctx, client.InNamespace(secret.GetNamespace()), client.MatchingFields{referencesIndex: secret.GetName()})
}

func (r *Reconciler) stacks(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	list := &v1alpha1.CommerceStackList{}
	if err := r.Client.List(ctx, list, options...); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// foreignWatches starts watches of kinds of others once they are there, and ends
// them when they go: an informer of a kind that is gone complains for ever.
type foreignWatches struct {
	controller controller.Controller
	cache      cache.Cache
	mu         sync.Mutex
	started    map[schema.GroupVersionKind]*foreignWatch
}

// watchPatience is how long a watch may take to begin. One that takes longer, for
// want of a right, is left to the slow visits.
const watchPatience = time.Minute

// foreignWatch is the watch of one kind.
type foreignWatch struct {
	begun atomic.Bool
	since time.Time
	stop  context.CancelFunc
}

// ensure has a kind watched while it is there, and says whether its changes are seen.
func (f *foreignWatches) ensure(kind schema.GroupVersionKind, present bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	watch := f.started[kind]
	if (watch != nil) == present {
		return watch == nil || watch.begun.Load() || time.Since(watch.since) > watchPatience
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if !present {
		if f.cache.RemoveInformer(context.Background(), object) == nil {
			watch.stop()
			delete(f.started, kind)
		}
		return true
	}
	kindSource := source.Kind[client.Object](f.cache, object, handler.EnqueueRequestsFromMapFunc(stackOf))
	if f.controller.Watch(kindSource) != nil {
		return false
	}
	ctx, stop := context.WithCancel(context.Background())
	watch = &foreignWatch{since: time.Now(), stop: stop}
	f.started[kind] = watch
	go func() {
		if err := kindSource.WaitForSync(ctx); err == nil && ctx.Err() == nil {
			watch.begun.Store(true)
		}
	}()
	return false
}

// foreignDefinition lets definitions of kinds through that the operator uses.
var foreignDefinition = predicate.NewPredicateFuncs(func(object client.Object) bool {
	_, ok := definitions[object.GetName()]
	return ok
})

// labelChanged lets an APIService through that comes, goes or becomes another's:
// its status, which changes with its pods, wakes nobody.
var labelChanged = predicate.LabelChangedPredicate{}

// sortedKinds are the kinds of others, in a fixed order.
func sortedKinds() []schema.GroupVersionKind {
	kinds := make([]schema.GroupVersionKind, 0, len(definitions))
	for _, kind := range definitions {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int {
		if a.Group+a.Kind < b.Group+b.Kind {
			return -1
		}
		return 1
	})
	return kinds
}
