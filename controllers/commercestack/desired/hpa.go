package desired

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
)

// hpa follows the load up at once, doubling each quarter of a minute, and down
// only when it has been low for a while, by halves.
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
	return own(g.in, string(g.name), autoscalingv2ac.HorizontalPodAutoscaler(g.object, g.in.Stack.Namespace)).
		WithSpec(autoscalingv2ac.HorizontalPodAutoscalerSpec().
			WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().WithAPIVersion("apps/v1").WithKind("Deployment").WithName(g.object)).
			WithMinReplicas(g.scale.Min).WithMaxReplicas(g.scale.Max).
			WithMetrics(autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).WithResource(cpu)).
			WithBehavior(autoscalingv2ac.HorizontalPodAutoscalerBehavior().WithScaleUp(up).WithScaleDown(down)))
}

func scaling(kind autoscalingv2.HPAScalingPolicyType, value, period int32) *autoscalingv2ac.HPAScalingPolicyApplyConfiguration {
	return autoscalingv2ac.HPAScalingPolicy().WithType(kind).WithValue(value).WithPeriodSeconds(period)
}
