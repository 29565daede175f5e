//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// TestAutoscaling puts load on the gateway until it has more pods, takes the
// load away and waits until it has fewer. The sample's data goes with it.
func TestAutoscaling(t *testing.T) {
	object := sample(t, "development.yaml")
	seconds := int32(15)
	object.Spec.Services = append(object.Spec.Services, v1alpha1.ServiceSpec{
		Name: v1alpha1.ComponentGateway,
		Autoscaling: &v1alpha1.AutoscalingSpec{
			Mode: v1alpha1.AutoscalingHPA, MinReplicas: 2, MaxReplicas: 4, TargetCPUUtilization: 50, ScaleDownStabilizationSeconds: &seconds,
		},
		Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
		}},
	})
	object.Spec.Gateway.RateLimits = map[string]v1alpha1.RateLimit{"read": "0"}
	s := apply(t, "e2e-scale", object)
	s.waitReady(3 * time.Minute)
	guest := s.shop()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				_, _ = guest.Do(ctx, http.MethodGet, "/api/v1/products?pageSize=5", nil)
			}
		})
	}
	started := time.Now()
	if err := waitFor(t.Context(), 3*time.Minute, "the gateway has more pods", func(ctx context.Context) (bool, error) {
		return replicas(ctx, s, 3, 4)
	}); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("scaled up after %.1f s of load\n", time.Since(started).Seconds())
	cancel()
	group.Wait()
	started = time.Now()
	if err := waitFor(t.Context(), 4*time.Minute, "the gateway has two pods again", func(ctx context.Context) (bool, error) {
		return replicas(ctx, s, 2, 2)
	}); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("scaled down %.1f s after the load\n", time.Since(started).Seconds())
	t.Run("deletion takes the data with it", func(t *testing.T) { //nolint:paralleltest // it ends the stack
		deletion(t, s, false)
	})
}

// TestQueueScaling has the chart serve external metrics, puts jobs that nobody works
// on into a queue until order has more workers, takes them away and waits until it
// has fewer. KUBECTL runs psql in the database's pod.
func TestQueueScaling(t *testing.T) {
	if err := helm("upgrade", release, chart, "--namespace", operatorNamespace, "--reuse-values", "--set", "externalMetrics.enabled=true", "--wait"); err != nil {
		t.Fatal(err)
	}
	object := sample(t, "development.yaml")
	seconds, few := int32(15), int32(10)
	object.Spec.Services = append(object.Spec.Services, v1alpha1.ServiceSpec{
		Name: v1alpha1.ComponentOrder,
		Workers: &v1alpha1.WorkersSpec{
			Mode: v1alpha1.WorkersSeparate, TargetQueueDepth: &few,
			// What an idle worker needs is then far below the share of CPU that would keep a second one.
			Resources:   &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}},
			Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingHPA, MinReplicas: 1, MaxReplicas: 3, ScaleDownStabilizationSeconds: &seconds},
		},
	})
	s := apply(t, "e2e-queues", object)
	s.waitReady(3 * time.Minute)
	s.until(time.Minute, "the workers follow their queues", func(stack *v1alpha1.CommerceStack) (bool, error) {
		return meta.IsStatusConditionTrue(stack.Status.Conditions, v1alpha1.ConditionAutoscalingReady), nil
	})
	workers := func(low, high int32) {
		t.Helper()
		started := time.Now()
		s.until(4*time.Minute, fmt.Sprintf("order has %d to %d workers", low, high), func(stack *v1alpha1.CommerceStack) (bool, error) {
			for _, service := range stack.Status.Services {
				if service.Name == v1alpha1.ComponentOrder {
					return service.WorkersReady >= low && service.WorkersReady <= high, fmt.Errorf("%d workers", service.WorkersReady)
				}
			}
			return false, errors.New("no order")
		})
		fmt.Printf("%d to %d workers after %.1f s\n", low, high, time.Since(started).Seconds())
	}
	workers(1, 1)
	s.psql(`INSERT INTO "order".river_job (args, kind, max_attempts, queue) SELECT '{}', 'e2e', 1, 'e2e' FROM generate_series(1, 40)`)
	workers(3, 3)
	s.psql(`DELETE FROM "order".river_job WHERE queue = 'e2e'`)
	workers(1, 1)
}

// psql runs a statement in the pod of PostgreSQL.
func (s *stack) psql(statement string) {
	s.t.Helper()
	s.inPostgres("sh", "-c", `PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") exec psql -v ON_ERROR_STOP=1 -U postgres -d commerce -c "$0"`, statement)
}

// replicas reports whether the autoscaler wants, and the gateway has, a number of pods in a range.
func replicas(ctx context.Context, s *stack, low, high int) (bool, error) {
	var hpa autoscalingv2.HorizontalPodAutoscaler
	if err := kube.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name + "-gateway"}, &hpa); err != nil {
		return false, err
	}
	pods, err := s.pods(ctx, "gateway")
	if err != nil {
		return false, err
	}
	ready := 0
	for i := range pods {
		if podReady(&pods[i]) {
			ready++
		}
	}
	if ready < low || ready > high {
		return false, fmt.Errorf("%d ready pods, the autoscaler wants %d", ready, hpa.Status.DesiredReplicas)
	}
	return true, nil
}
