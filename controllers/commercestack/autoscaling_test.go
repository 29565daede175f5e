package commercestack_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// playAdapter plays the cluster's external metrics API: of nobody, or with labels.
func playAdapter(serves *atomic.Pointer[map[string]string]) option {
	return withInterceptor(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			service, ok := object.(*metav1.PartialObjectMetadata)
			if !ok || key.Name != desired.ExternalMetricsAPI {
				return c.Get(ctx, key, object, options...)
			}
			labels := serves.Load()
			if labels == nil {
				return errors.NewNotFound(schema.GroupResource{Resource: "apiservices"}, key.Name)
			}
			service.Name, service.Labels = key.Name, *labels
			return nil
		},
	})
}

// scalers are the autoscalers of the workers of order.
func (w *world) scalers(t *testing.T) (hpa *autoscalingv2.HorizontalPodAutoscaler, scaled *unstructured.Unstructured) {
	t.Helper()
	hpa, scaled = &autoscalingv2.HorizontalPodAutoscaler{}, &unstructured.Unstructured{}
	scaled.SetGroupVersionKind(schema.GroupVersionKind{Group: "keda.sh", Version: "v1alpha1", Kind: "ScaledObject"})
	if w.gone(t, hpa, "shop-order-worker") {
		hpa = nil
	}
	if w.gone(t, scaled, "shop-order-worker") {
		scaled = nil
	}
	if hpa != nil && scaled != nil && scaled.GetDeletionTimestamp() == nil {
		t.Fatal("the workers have two autoscalers, which fight over the number of pods")
	}
	return hpa, scaled
}

// Workers have one autoscaler at any moment, and each takes the number of pods
// over as it stands.
func TestWorkersFollowTheirQueues(t *testing.T) {
	t.Parallel()
	var serves atomic.Pointer[map[string]string]
	w := newWorld(t, playAdapter(&serves))
	stack := w.install(t, w.production(t))
	worker := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-order-worker"}}
	w.edit(t, worker, func() { *worker.Spec.Replicas = 6 }) // as an autoscaler does
	unscaled := func() {
		t.Helper()
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(worker), worker); err != nil || *worker.Spec.Replicas != 6 {
			t.Fatalf("the workers have %d pods, %v, want 6", *worker.Spec.Replicas, err)
		}
	}
	lacks := func(want string) {
		t.Helper()
		if c := condition(t, stack, v1alpha1.ConditionAutoscalingReady); !strings.Contains(c.Message, want) || (c.Status == metav1.ConditionTrue) != (want == "") {
			t.Fatalf("AutoscalingReady is %s: %s", c.Status, c.Message)
		}
	}
	metrics := func(want int) {
		t.Helper()
		if hpa, _ := w.scalers(t); hpa == nil || len(hpa.Spec.Metrics) != want {
			t.Fatalf("the HPA is %+v, want %d metrics", hpa, want)
		}
	}
	metrics(1)
	lacks("externalMetrics.enabled")

	serves.Store(&map[string]string{"app": "keda"})
	stack = w.settle(t, stack)
	metrics(1) // somebody else's knows no queues

	serves.Store(&map[string]string{desired.LabelPartOf: desired.AppName})
	stack = w.settle(t, stack)
	metrics(3)
	lacks("")
	unscaled()

	w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.WorkerAutoscaler = v1alpha1.WorkerAutoscalerKEDA })
	for range 4 { // the first visit takes the HPA away
		if _, err := w.visit(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		w.scalers(t)
	}
	stack = w.ready(t, stack)
	hpa, scaled := w.scalers(t)
	if hpa != nil || scaled == nil {
		t.Fatalf("with KEDA the HPA is %v and the ScaledObject %v", hpa, scaled)
	}
	lacks("")
	unscaled()

	// KEDA holds the ScaledObject until it cleaned up.
	w.edit(t, scaled, func() { scaled.SetFinalizers([]string{"finalizer.keda.sh"}) })
	w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.WorkerAutoscaler = v1alpha1.WorkerAutoscalerHPA })
	for range 3 {
		if _, err := w.visit(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		if hpa, _ := w.scalers(t); hpa != nil {
			t.Fatal("there is an HPA before KEDA let go")
		}
	}
	w.edit(t, scaled, func() { scaled.SetFinalizers(nil) })
	stack = w.ready(t, stack)
	if _, scaled = w.scalers(t); scaled != nil {
		t.Error("the ScaledObject is still there")
	}
	metrics(3)
	unscaled()
}
