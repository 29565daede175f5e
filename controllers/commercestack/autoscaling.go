package commercestack

import (
	"context"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// scalerPoll is how often a visit looks whether the autoscaler before is gone.
const scalerPoll = 2 * time.Second

// scaledObject has KEDA scale the workers, once the autoscaler before is gone.
func (v *visit) scaledObject(ctx context.Context, object *unstructured.Unstructured, waits bool) Result {
	if waits {
		v.pass.Name(kindScaledObject, object.GetNamespace(), object.GetName())
		return Result{}
	}
	if result, there := v.otherScales(ctx, &autoscalingv2.HorizontalPodAutoscaler{}, object.GetName()); there {
		return result
	}
	return v.applyForeign(ctx, object)
}

// otherScales reports whether the workers have an autoscaler of the other kind
// still: two would fight over the number of pods, and KEDA refuses it. Since it is
// not desired any more, it is pruned at the end of the visit.
func (v *visit) otherScales(ctx context.Context, other client.Object, name string) (Result, bool) {
	if v.pass.Dry() {
		return Result{}, false
	}
	err := v.Client.Get(ctx, v.key(name), other)
	switch {
	case missing(err):
		return Result{}, false
	case err != nil:
		return failed(fmt.Errorf("read the autoscaler %s: %w", name, err)), true
	}
	return after(scalerPoll), true
}

// scaledObjectRemains is otherScales of a ScaledObject.
func (v *visit) scaledObjectRemains(ctx context.Context, name string) (Result, bool) {
	if !v.in.Capabilities.KEDA {
		return Result{}, false // it went with its kind
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kindScaledObject)
	return v.otherScales(ctx, object, name)
}

// noteAutoscaling says whether workers follow their queues.
func (v *visit) noteAutoscaling() {
	if lacking, ok := desired.QueueScaling(v.in); !ok {
		v.set(v1alpha1.ConditionAutoscalingReady, metav1.ConditionFalse, "QueueMetricsMissing", "Workers scale by CPU alone: "+lacking+".")
		return
	}
	v.set(v1alpha1.ConditionAutoscalingReady, metav1.ConditionTrue, reasonReady, "")
}
