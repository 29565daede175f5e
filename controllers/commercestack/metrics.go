package commercestack

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	phaseSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "commercestack_operator_phase_seconds",
		Help:    "Time that a phase of a visit took.",
		Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 5, 30},
	}, []string{"phase"})
	conditionGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commercestack_condition",
		Help: "Conditions of stacks: 1 for the status that holds, 0 for the others.",
	}, []string{"namespace", "stack", "condition", "status"})
	rollouts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commercestack_rollouts_total",
		Help: "Rollouts by how they ended: Complete, RolledBack or Failed.",
	}, []string{"namespace", "stack", "outcome"})
	rolloutSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "commercestack_rollout_seconds",
		Help:    "Duration of rollouts without the time that they waited for people.",
		Buckets: []float64{10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200},
	}, []string{"outcome"})
	secretAge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commercestack_secret_rotated_timestamp_seconds",
		Help: "When the version of a secret or certificate in use came into use.",
	}, []string{"namespace", "stack", "secret"})
	secretExpiry = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "commercestack_secret_expiry_timestamp_seconds",
		Help: "When a secret or certificate must have been replaced.",
	}, []string{"namespace", "stack", "secret"})
	rotations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commercestack_rotations_total",
		Help: "Rotations of secrets that ended, by kind and result: finished or given up.",
	}, []string{"kind", "result"})
	rotationSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "commercestack_rotation_seconds",
		Help:    "Time from the beginning of a rotation until the old version is gone, by kind.",
		Buckets: []float64{30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 172800},
	}, []string{"kind"})
)

func init() { //nolint:gochecknoinits // the registry of controller-runtime is a global that is filled this way
	metrics.Registry.MustRegister(phaseSeconds, conditionGauge, rollouts, rolloutSeconds, secretAge, secretExpiry, rotations, rotationSeconds)
}

// measure shows the status as metrics.
func (v *visit) measure() {
	namespace, stack := v.stack.Namespace, v.stack.Name
	measureBackups(client.ObjectKeyFromObject(v.stack), v.status.Backup)
	for _, condition := range v.status.Conditions {
		for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
			value := 0.0
			if condition.Status == status {
				value = 1
			}
			conditionGauge.WithLabelValues(namespace, stack, condition.Type, string(status)).Set(value)
		}
	}
	for _, secret := range v.status.Secrets {
		gaugeTime(secretAge.WithLabelValues(namespace, stack, secret.Name), secret.RotatedAt)
		gaugeTime(secretExpiry.WithLabelValues(namespace, stack, secret.Name), secret.ExpiresAt)
	}
}

func gaugeTime(gauge prometheus.Gauge, at *metav1.Time) {
	if at != nil {
		gauge.Set(float64(at.UnixNano()) / float64(time.Second))
	}
}

// forgetMetrics drops the series of a stack that is gone.
func forgetMetrics(stack types.NamespacedName) {
	labels := prometheus.Labels{"namespace": stack.Namespace, "stack": stack.Name}
	conditionGauge.DeletePartialMatch(labels)
	rollouts.DeletePartialMatch(labels)
	secretAge.DeletePartialMatch(labels)
	secretExpiry.DeletePartialMatch(labels)
	forgetBackups(stack)
}
