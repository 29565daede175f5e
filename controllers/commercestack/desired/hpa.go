package desired

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
)

// The external metrics that worker pods are scaled by, both with a selector of
// LabelInstance and LabelComponent.
const (
	// MetricQueueDepth counts what waits for the workers of a component.
	MetricQueueDepth = "commerce_queue_depth"
	// MetricQueueOldest is how many seconds the oldest of it waits.
	MetricQueueOldest = "commerce_queue_oldest_seconds"
	// ExternalMetricsAPI is the APIService of external metrics, of which a cluster has one.
	ExternalMetricsAPI = "v1beta1.external.metrics.k8s.io"
)

// hpa follows the load up at once, doubling each quarter of a minute, and down
// only when it has been low for a while, by halves. Of several metrics the one
// that asks for most pods counts.
func (g group) hpa() *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration {
	up := autoscalingv2ac.HPAScalingRules().WithStabilizationWindowSeconds(0).WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithPolicies(scaling(autoscalingv2.PercentScalingPolicy, 100, 15), scaling(autoscalingv2.PodsScalingPolicy, 4, 15))
	down := autoscalingv2ac.HPAScalingRules().WithStabilizationWindowSeconds(g.scale.Settle).WithSelectPolicy(autoscalingv2.MaxChangePolicySelect).
		WithPolicies(scaling(autoscalingv2.PercentScalingPolicy, 50, 60))
	if g.in.FreezeScaleDown {
		down = down.WithSelectPolicy(autoscalingv2.DisabledPolicySelect)
	}
	cpu := autoscalingv2ac.ResourceMetricSource().WithName(corev1.ResourceCPU).
		WithTarget(autoscalingv2ac.MetricTarget().WithType(autoscalingv2.UtilizationMetricType).WithAverageUtilization(g.scale.TargetCPU))
	spec := autoscalingv2ac.HorizontalPodAutoscalerSpec().
		WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().WithAPIVersion("apps/v1").WithKind("Deployment").WithName(g.object)).
		WithMinReplicas(g.scale.Min).WithMaxReplicas(g.scale.Max).
		WithMetrics(autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).WithResource(cpu)).
		WithBehavior(autoscalingv2ac.HorizontalPodAutoscalerBehavior().WithScaleUp(up).WithScaleDown(down))
	if g.scale.QueueDepth > 0 && g.in.Capabilities.QueueMetrics {
		spec = spec.WithMetrics(
			g.external(MetricQueueDepth, autoscalingv2ac.MetricTarget().WithType(autoscalingv2.AverageValueMetricType).
				WithAverageValue(*resource.NewQuantity(int64(g.scale.QueueDepth), resource.DecimalSI))),
			g.external(MetricQueueOldest, autoscalingv2ac.MetricTarget().WithType(autoscalingv2.ValueMetricType).
				WithValue(*resource.NewQuantity(int64(g.scale.QueueAge), resource.DecimalSI))))
	}
	return own(g.in, string(g.name), autoscalingv2ac.HorizontalPodAutoscaler(g.object, g.in.Stack.Namespace)).WithSpec(spec)
}

// external is a metric of the queues of the component.
func (g group) external(name string, target *autoscalingv2ac.MetricTargetApplyConfiguration) *autoscalingv2ac.MetricSpecApplyConfiguration {
	selector := selectorOf(map[string]string{LabelInstance: g.in.Stack.Name, LabelComponent: string(g.name)})
	return autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ExternalMetricSourceType).
		WithExternal(autoscalingv2ac.ExternalMetricSource().WithMetric(autoscalingv2ac.MetricIdentifier().WithName(name).WithSelector(selector)).WithTarget(target))
}

func scaling(kind autoscalingv2.HPAScalingPolicyType, value, period int32) *autoscalingv2ac.HPAScalingPolicyApplyConfiguration {
	return autoscalingv2ac.HPAScalingPolicy().WithType(kind).WithValue(value).WithPeriodSeconds(period)
}
