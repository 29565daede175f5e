package desired

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

func TestScale(t *testing.T) {
	t.Parallel()
	autoscaled := Scale{Autoscaled: true, Min: 2, Max: 10, TargetCPU: 60, Settle: 300}
	workers := autoscaled
	workers.QueueDepth, workers.QueueAge = 100, 30
	patient := workers
	patient.QueueDepth, patient.QueueAge = 7, 600
	for name, c := range map[string]struct {
		spec      string
		component v1alpha1.ComponentName
		api       Scale
		workers   *Scale
	}{
		"development runs one pod, which works too": {
			spec: developmentSpec, component: "order", api: Scale{Min: 1, Max: 1},
		},
		"staging scales both": {
			spec: stagingSpec, component: "order", api: autoscaled, workers: &workers,
		},
		"production scales both": {
			spec: productionSpec, component: "billing", api: autoscaled, workers: &workers,
		},
		"the gateway has no queues": {
			spec: productionSpec, component: "gateway", api: autoscaled,
		},
		"development scales when it is told to": {
			spec: developmentSpec + "  services: [{name: order, autoscaling: {minReplicas: 1, maxReplicas: 3}}]\n", component: "order",
			api: Scale{Autoscaled: true, Min: 1, Max: 3, TargetCPU: 60, Settle: 300},
		},
		"development has workers when it is told to": {
			spec: developmentSpec + "  services: [{name: order, workers: {}}]\n", component: "order", api: Scale{Min: 1, Max: 1}, workers: &Scale{Min: 1, Max: 1},
		},
		"everything can be said": {
			spec: productionSpec + "  services: [{name: order, autoscaling: {minReplicas: 3, maxReplicas: 4, targetCPUUtilization: 55, scaleDownStabilizationSeconds: 0}," +
				" workers: {autoscaling: {mode: \"Off\"}, replicas: 5}}]\n",
			component: "order",
			api:       Scale{Autoscaled: true, Min: 3, Max: 4, TargetCPU: 55},
			workers:   &Scale{Min: 5, Max: 5},
		},
		"off without a number is two": {
			spec: productionSpec + "  services: [{name: order, autoscaling: {mode: \"Off\"}}]\n", component: "order", api: Scale{Min: 2, Max: 2}, workers: &workers,
		},
		"queues may be longer": {
			spec: stagingSpec + "  services: [{name: order, workers: {targetQueueDepth: 7, targetQueueAgeSeconds: 600}}]\n", component: "order", api: autoscaled, workers: &patient,
		},
		"none at all": {
			spec: stagingSpec + "  services: [{name: order, autoscaling: {mode: \"Off\"}, replicas: 0, workers: {mode: Shared}}]\n", component: "order", api: Scale{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, c.spec)
			if got := APIScale(in, c.component); got != c.api {
				t.Errorf("APIScale = %+v, want %+v", got, c.api)
			}
			got, ok := WorkerScale(in, c.component)
			if ok != (c.workers != nil) || (ok && got != *c.workers) {
				t.Errorf("WorkerScale = %+v, %v, want %+v", got, ok, c.workers)
			}
		})
	}
}

func TestReplicasAreNotAppliedUnderAnAutoscaler(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, productionSpec+"  services: [{name: order, autoscaling: {mode: \"Off\"}, replicas: 4}]\n")
	order, err := ForComponent(in, "order")
	if err != nil {
		t.Fatal(err)
	}
	if order.HPA != nil || order.Deployment.Spec.Replicas == nil || *order.Deployment.Spec.Replicas != 4 {
		t.Errorf("the API pods of order: HPA %v, replicas %v; want none and 4", order.HPA, order.Deployment.Spec.Replicas)
	}
	if order.WorkerHPA == nil || order.Worker.Spec.Replicas != nil {
		t.Errorf("the workers of order: HPA %v, replicas %v; want one and none", order.WorkerHPA, order.Worker.Spec.Replicas)
	}
	if len(order.InitialReplicas) != 1 || *order.InitialReplicas[0].GetName() != "shop-order-worker" || *order.InitialReplicas[0].Spec.Replicas != 2 {
		t.Errorf("InitialReplicas = %+v, want those of the workers: 2", order.InitialReplicas)
	}
	if initial := order.InitialReplicas[0]; initial.Labels != nil || initial.Spec.Selector != nil || initial.Spec.Template != nil {
		t.Errorf("InitialReplicas carries more than replicas: %+v", initial)
	}
}

func TestPoolsFitTheServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		size int32
		fits bool
	}{
		"development":               {developmentSpec, 6, true},
		"production":                {productionSpec, 3, true},
		"a larger server":           {productionSpec + "  postgres: {parameters: {max_connections: \"2000\"}}\n", 8, true},
		"a server that is too slim": {productionSpec + "  postgres: {parameters: {max_connections: \"100\"}}\n", 2, false},
		"more pods": {
			productionSpec + "  services: [{name: order, autoscaling: {maxReplicas: 100}}]\n", 2, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, c.spec)
			size, fits := pool(in, "order")
			if size != c.size || fits != c.fits {
				t.Errorf("pool = %d, %v, want %d, %v", size, fits, c.size, c.fits)
			}
			var all int32
			for _, component := range DataComponents() {
				size, _ := pool(in, component)
				api := APIScale(in, component).Max
				pods := surged(api) + CanaryPods(50, 0, api)
				if workers, ok := WorkerScale(in, component); ok {
					pods += surged(workers.Max)
				}
				all += pods * (size + listeners)
			}
			if c.fits && all > maxConnections(in)-reservedConnections {
				t.Errorf("all pods together take %d connections of %d", all, maxConnections(in))
			}
		})
	}
	t.Run("steps of a canary are no part of a pod", func(t *testing.T) {
		t.Parallel()
		in := givenSpec(t, productionSpec)
		before, _ := pool(in, "order")
		in.Stack.Spec.Rollout.Strategy = v1alpha1.RolloutCanary
		in.Stack.Spec.Rollout.Steps = []v1alpha1.RolloutStep{{Weight: ptr.To[int32](99)}}
		if after, _ := pool(in, "order"); before != after {
			t.Errorf("the pool went from %d to %d", before, after)
		}
	})
	t.Run("pods of an older revision stay as they are", func(t *testing.T) {
		t.Parallel()
		in := atRevision(givenSpec(t, productionSpec), 2)
		if size, _ := pool(in, "order"); size != 3 || maxConnections(in) != 800 {
			t.Errorf("pool = %d of %d", size, maxConnections(in))
		}
	})
	t.Run("a component that scales does not restart another", func(t *testing.T) {
		t.Parallel()
		before, _ := pool(givenSpec(t, productionSpec), "user")
		after, _ := pool(givenSpec(t, productionSpec+"  services: [{name: order, autoscaling: {maxReplicas: 5}}]\n"), "user")
		if before != after {
			t.Errorf("the pool of user went from %d to %d because order scales", before, after)
		}
	})
}

// Whatever is admitted, an update of every component at its largest, beside a
// canary of each at any step, leaves the server its reserve.
func TestCanariesNeverExhaustTheServer(t *testing.T) {
	t.Parallel()
	admitted := 0
	rapid.Check(t, func(t *rapid.T) {
		in := newInput(&v1alpha1.CommerceStack{})
		in.Stack.Name, in.PostgresMode = "shop", v1alpha1.DataStatefulSet
		spec := &in.Stack.Spec
		spec.Environment = rapid.SampledFrom([]v1alpha1.Environment{"Development", "Staging", "Production"}).Draw(t, "environment")
		spec.Postgres.Parameters = map[string]string{"max_connections": fmt.Sprint(rapid.IntRange(100, 6000).Draw(t, "connections"))}
		most := rapid.SampledFrom([]int32{5, 20, 100}).Draw(t, "size")
		scaling := func(label string) *v1alpha1.AutoscalingSpec {
			return &v1alpha1.AutoscalingSpec{MinReplicas: 1, MaxReplicas: rapid.Int32Range(1, most).Draw(t, label)}
		}
		for _, name := range DataComponents() {
			spec.Services = append(spec.Services, v1alpha1.ServiceSpec{Name: name, Autoscaling: scaling("max of " + string(name))})
			if rapid.Bool().Draw(t, "workers") {
				spec.Services[len(spec.Services)-1].Workers = &v1alpha1.WorkersSpec{Autoscaling: scaling("workers of " + string(name))}
			}
		}
		spec.Rollout.Strategy = v1alpha1.RolloutCanary
		steps := []v1alpha1.RolloutStep{{Weight: ptr.To[int32](5)}, {Weight: ptr.To[int32](25)}, {Weight: ptr.To[int32](50)}}
		if rapid.Bool().Draw(t, "own steps") {
			steps = []v1alpha1.RolloutStep{{Weight: ptr.To(rapid.Int32Range(1, 99).Draw(t, "weight"))}, {Pods: ptr.To(rapid.Int32Range(1, 100).Draw(t, "pods"))}}
			spec.Rollout.Steps = steps
		}
		if len(ValidateScale(in)) > 0 {
			return
		}
		admitted++
		for _, step := range steps {
			var taken int32
			for _, name := range DataComponents() {
				size, _ := pool(in, name)
				api := APIScale(in, name).Max
				pods := surged(api) + CanaryPods(ptr.Deref(step.Weight, 0), ptr.Deref(step.Pods, 0), api)
				if workers, ok := WorkerScale(in, name); ok {
					pods += surged(workers.Max)
				}
				taken += pods * (size + listeners)
			}
			if taken > maxConnections(in)-reservedConnections {
				t.Fatalf("the pods take %d of %d connections beside a canary of %s", taken, maxConnections(in), canaryOf(step))
			}
		}
	})
	if admitted < 10 {
		t.Errorf("only %d specs were admitted: the test proves nothing", admitted)
	}
}

func TestStepsThatDoNotFitAreNamed(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, productionSpec+"  services: [{name: order, autoscaling: {maxReplicas: 14}}]\n")
	in.Stack.Spec.Rollout.Strategy = v1alpha1.RolloutCanary
	in.Stack.Spec.Rollout.Steps = []v1alpha1.RolloutStep{{Weight: ptr.To[int32](5)}, {Pods: ptr.To[int32](100)}}
	invalid := ValidateScale(in)
	if len(invalid) != 1 || invalid[0].Field != "spec.rollout.steps[1]" || !strings.Contains(invalid[0].Error(), "pods: 100") || !strings.Contains(invalid[0].Error(), "max_connections") {
		t.Errorf("it says %v", invalid)
	}
	in.Stack.Spec.Rollout.Strategy = v1alpha1.RolloutRollingUpdate
	if invalid := ValidateScale(in); len(invalid) > 0 {
		t.Errorf("without canaries it says %v", invalid)
	}
}
