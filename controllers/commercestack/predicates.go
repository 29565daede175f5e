package commercestack

import (
	"maps"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// ours lets updates through that change what the operator applied: status alone,
// which an autoscaler writes every quarter of a minute, wakes nobody.
var ours = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
	old, now := e.ObjectOld, e.ObjectNew
	if !maps.Equal(old.GetLabels(), now.GetLabels()) || !maps.Equal(old.GetAnnotations(), now.GetAnnotations()) ||
		!equality.Semantic.DeepEqual(old.GetOwnerReferences(), now.GetOwnerReferences()) || now.GetDeletionTimestamp() != nil {
		return true
	}
	return specChanged(old, now)
}}

func specChanged(old, now client.Object) bool {
	if now.GetGeneration() != 0 {
		return old.GetGeneration() != now.GetGeneration()
	}
	before, ok := old.(*autoscalingv2.HorizontalPodAutoscaler)
	after, ok2 := now.(*autoscalingv2.HorizontalPodAutoscaler)
	if ok && ok2 {
		return !equality.Semantic.DeepEqual(before.Spec, after.Spec)
	}
	return old.GetResourceVersion() != now.GetResourceVersion()
}

// troubled lets a pod through when what it waits for changes; that it became
// ready is told by its Deployment.
var troubled = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		old, ok := e.ObjectOld.(*corev1.Pod)
		now, ok2 := e.ObjectNew.(*corev1.Pod)
		if !ok || !ok2 {
			return false
		}
		before, _ := trouble(old)
		after, _ := trouble(now)
		return before != after
	},
}
