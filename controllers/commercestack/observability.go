package commercestack

import (
	"context"

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
	demanded := v.stack.Spec.Observability.ServiceMonitors == v1alpha1.ToggleOn
	switch {
	case outcome.Err() != nil:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionFalse, reasonFailed, outcome.Err().Error())
	case demanded && !v.in.Capabilities.ServiceMonitor:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionFalse, "KindMissing",
			"observability.serviceMonitors is On, but the cluster has no ServiceMonitor: install the Prometheus operator, or set it to Auto.")
	default:
		v.set(v1alpha1.ConditionObservabilityReady, metav1.ConditionTrue, reasonReady, "What Prometheus reads is in place.")
	}
	return Result{Err: outcome.Err(), RequeueAfter: outcome.requeue}
}
