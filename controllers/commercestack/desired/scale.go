package desired

import (
	"cmp"

	"k8s.io/utils/ptr"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	defaultMin       int32 = 2
	defaultMax       int32 = 10
	defaultTargetCPU int32 = 60
	defaultSettle    int32 = 300

	defaultQueueDepth int32 = 100
	defaultQueueAge   int32 = 30
)

// Scale says how many pods there are. Without autoscaling Min and Max are the number.
type Scale struct {
	Autoscaled bool
	Min, Max   int32
	TargetCPU  int32
	// Settle is how many seconds the load must have been lower before pods are taken away.
	Settle int32
	// QueueDepth is how many things may wait for each worker pod, QueueAge how many
	// seconds the oldest; zero where pods have no queues.
	QueueDepth, QueueAge int32
}

// APIScale says how many pods serve a component.
func APIScale(in Input, name v1alpha1.ComponentName) Scale {
	spec, _ := service(in, name)
	return scaleOf(in, spec.Autoscaling, spec.Replicas)
}

// WorkerScale says how many pods work on the queues of a component; ok is false
// when its API pods do, or when it has no queues.
func WorkerScale(in Input, name v1alpha1.ComponentName) (scale Scale, ok bool) {
	if !HasData(name) {
		return Scale{}, false
	}
	spec, _ := service(in, name)
	workers := spec.Workers
	switch {
	case workers == nil && development(in):
		return Scale{}, false
	case workers == nil:
		workers = &v1alpha1.WorkersSpec{}
	case workers.Mode == v1alpha1.WorkersShared:
		return Scale{}, false
	}
	scale = scaleOf(in, workers.Autoscaling, workers.Replicas)
	if scale.Autoscaled {
		scale.QueueDepth, scale.QueueAge = defaultQueueDepth, defaultQueueAge
		if workers.TargetQueueDepth != nil {
			scale.QueueDepth = *workers.TargetQueueDepth
		}
		if workers.TargetQueueAgeSeconds != nil {
			scale.QueueAge = *workers.TargetQueueAgeSeconds
		}
	}
	return scale, true
}

func scaleOf(in Input, autoscaling *v1alpha1.AutoscalingSpec, replicas *int32) Scale {
	if autoscaling == nil && development(in) {
		return Scale{Min: 1, Max: 1}
	}
	if autoscaling == nil {
		autoscaling = &v1alpha1.AutoscalingSpec{}
	}
	if autoscaling.Mode == v1alpha1.AutoscalingOff {
		number := defaultMin
		if development(in) {
			number = 1
		}
		if replicas != nil {
			number = *replicas
		}
		return Scale{Min: number, Max: number}
	}
	scale := Scale{
		Autoscaled: true, Min: cmp.Or(autoscaling.MinReplicas, defaultMin), Max: cmp.Or(autoscaling.MaxReplicas, defaultMax),
		TargetCPU: cmp.Or(autoscaling.TargetCPUUtilization, defaultTargetCPU), Settle: defaultSettle,
	}
	if autoscaling.ScaleDownStabilizationSeconds != nil {
		scale.Settle = *autoscaling.ScaleDownStabilizationSeconds
	}
	return scale
}

const (
	defaultConnections            = 1000
	defaultConnectionsDevelopment = 200
	// defaultConnectionsUncounted is the number before canaries were counted, and
	// what an External server is believed to have.
	defaultConnectionsUncounted = 800
	// reservedConnections are for migrations, the simulator, backups and a person with psql.
	reservedConnections = 40
	// listeners of one pod wait for notifications outside its pool.
	listeners = 1
	// A pool of fewer connections than minPool cannot serve and listen at once;
	// one of more than maxPool gains nothing, because a pod has few cores.
	minPool = 2
	maxPool = 8
)

// pool is the number of connections of each pod of a component. Every component
// has an equal share of the server's connections, so that one that scales
// neither takes those of another nor restarts it. fits is false when even the
// smallest pool is too large.
func pool(in Input, name v1alpha1.ComponentName) (size int32, fits bool) {
	share := (maxConnections(in) - reservedConnections) / int32(len(DataComponents()))
	size = share/max(podsAtMost(in, name, reservedWeight, 0), 1) - listeners
	return min(max(size, minPool), maxPool), size >= minPool
}

// reservedWeight is the canary that every pool leaves room for: the largest of
// the steps that are the default. The steps of a spec are no part of a revision,
// so they cannot decide how its pods are made; those that need more are refused
// unless there is room.
const reservedWeight = 50

// podsAtMost is how many pods of a component exist during an update beside a
// canary of a step.
func podsAtMost(in Input, name v1alpha1.ComponentName, weight, canary int32) int32 {
	api := APIScale(in, name).Max
	pods := surged(api)
	if in.RenderRevision >= canariesRevision {
		pods += CanaryPods(weight, canary, api)
	}
	if workers, ok := WorkerScale(in, name); ok {
		pods += surged(workers.Max)
	}
	return pods
}

// CanaryPods is how many pods the canary of a component has in a step of a weight
// or of a number of pods, beside a number of its own.
func CanaryPods(weight, pods, stable int32) int32 {
	if pods > 0 {
		return pods
	}
	return max((weight*stable+99)/100, 1)
}

// canaryFits says whether a step's canary of a component leaves the other
// components their share.
func canaryFits(in Input, name v1alpha1.ComponentName, step v1alpha1.RolloutStep) bool {
	size, _ := pool(in, name)
	pods := podsAtMost(in, name, ptr.Deref(step.Weight, 0), ptr.Deref(step.Pods, 0))
	return pods*(size+listeners) <= (maxConnections(in)-reservedConnections)/int32(len(DataComponents()))
}

// surged is how many pods exist during a rolling update.
func surged(pods int32) int32 { return pods + (pods+3)/4 }
