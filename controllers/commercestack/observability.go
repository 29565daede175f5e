package commercestack

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// observability keeps what Prometheus reads.
func (v *visit) observability(ctx context.Context) Result {
	var outcome Outcome
	outcome.Add("apply", failed(v.pass.Apply(ctx, desired.MetricsService(v.in))))
	for _, monitor := range desired.ServiceMonitors(v.in) {
		outcome.Add("apply", v.applyForeign(ctx, monitor))
	}
	spec := v.stack.Spec.Observability
	var lacking []string
	if spec.ServiceMonitors == v1alpha1.ToggleOn && !v.in.Capabilities.ServiceMonitor {
		lacking = append(lacking, "observability.serviceMonitors is On, but the cluster has no ServiceMonitor")
	}
	if spec.Rules == v1alpha1.ToggleOn && !v.in.Capabilities.PrometheusRule {
		lacking = append(lacking, "observability.rules is On, but the cluster has no PrometheusRule")
	}
	switch {
	case outcome.Err() != nil:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionFalse, reasonFailed, outcome.Err().Error())
	case len(lacking) > 0:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionFalse, "KindMissing",
			strings.Join(lacking, "; ")+": install the Prometheus operator, or set it to Auto.")
	default:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionTrue, reasonReady, "What Prometheus reads is in place.")
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}
