package module

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/services/billing"
)

// meter exports what happens to money.
type meter struct {
	payments, refunds, alarms, calls *prometheus.CounterVec
	latency                          *prometheus.HistogramVec
}

func newMeter(registry prometheus.Registerer) (*meter, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &meter{
		payments: counter("commerce_payments_total", "Payments by the state they reached.", "status"),
		refunds:  counter("commerce_refunds_total", "Refunds by the state they reached.", "status"),
		alarms:   counter("commerce_billing_alarms_total", "Money that a person has to look after.", "kind"),
		calls:    counter("commerce_payment_provider_calls_total", "Tries of calls to the payment provider.", "operation", "outcome"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_payment_provider_call_seconds", Help: "Duration of tries of calls to the payment provider.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"operation"}),
	}
	if registry == nil {
		return m, nil
	}
	return m, errors.Join(registry.Register(m.payments), registry.Register(m.refunds), registry.Register(m.alarms),
		registry.Register(m.calls), registry.Register(m.latency))
}

// Moved implements billing.Meter.
func (m *meter) Moved(status billing.Status) { m.payments.WithLabelValues(string(status)).Inc() }

// Refunded implements billing.Meter.
func (m *meter) Refunded(status billing.RefundStatus) {
	m.refunds.WithLabelValues(string(status)).Inc()
}

// Alarm implements billing.Meter.
func (m *meter) Alarm(kind string) { m.alarms.WithLabelValues(kind).Inc() }

func (m *meter) called(operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(operation, outcome).Inc()
	m.latency.WithLabelValues(operation).Observe(took.Seconds())
}
