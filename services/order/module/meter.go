package module

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/services/order"
)

// meter exports what happens to orders.
type meter struct {
	moves    *prometheus.CounterVec
	failures *prometheus.CounterVec
}

func newMeter(registry prometheus.Registerer) (*meter, error) {
	m := &meter{
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_order_transitions_total", Help: "Orders by change of state; from is empty for new ones.",
		}, []string{"from", "to"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_order_saga_failures_total", Help: "Steps of the order saga that failed or were refused.",
		}, []string{"step"}),
	}
	if registry == nil {
		return m, nil
	}
	return m, errors.Join(registry.Register(m.moves), registry.Register(m.failures))
}

// Moved implements order.Meter.
func (m *meter) Moved(from, to order.Status) { m.moves.WithLabelValues(string(from), string(to)).Inc() }

// Failed implements order.Meter.
func (m *meter) Failed(step string) { m.failures.WithLabelValues(step).Inc() }
