package desired

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// needs are what a container asks for and what bounds it.
type needs struct {
	requests, limits corev1.ResourceList
}

// platformNeeds are those of a pod that runs the platform.
func platformNeeds(given *corev1.ResourceRequirements) needs {
	return needsOf(given, quantities("25m", "64Mi"), resource.MustParse("512Mi"))
}

func quantities(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// needsOf completes what was given. CPU is requested always, because the
// autoscaler measures by it, and limited only on demand; memory is both always,
// because a container without a limit takes its neighbours along.
func needsOf(given *corev1.ResourceRequirements, requests corev1.ResourceList, memoryLimit resource.Quantity) needs {
	n := needs{requests: maps.Clone(requests), limits: corev1.ResourceList{corev1.ResourceMemory: memoryLimit}}
	if given == nil {
		return n
	}
	maps.Copy(n.limits, given.Limits)
	maps.Copy(n.requests, given.Requests)
	for _, name := range slices.Sorted(maps.Keys(n.requests)) {
		limit, limited := n.limits[name]
		request := n.requests[name]
		if !limited || request.Cmp(limit) <= 0 {
			continue
		}
		// One of the two is a default, and what was given wins.
		if _, ok := given.Limits[name]; ok {
			n.requests[name] = limit
		} else {
			n.limits[name] = request
		}
	}
	return n
}

func (n needs) configuration() *corev1ac.ResourceRequirementsApplyConfiguration {
	return corev1ac.ResourceRequirements().WithRequests(n.requests).WithLimits(n.limits)
}

// memory is the limit in bytes.
func (n needs) memory() int64 {
	limit := n.limits[corev1.ResourceMemory]
	return limit.Value()
}

// goMemoryLimit leaves a tenth for what Go's runtime does not count.
func (n needs) goMemoryLimit() string { return strconv.FormatInt(n.memory()/10*9, 10) }
