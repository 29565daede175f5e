package rpc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the rate, errors and duration of every method.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) metrics {
	return metrics{
		requests: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_rpc_requests_total", Help: "Calls served, by outcome.",
		}, []string{"component", "method", "code"})),
		duration: register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_rpc_duration_seconds", Help: "Time to serve a call.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10},
		}, []string{"component", "method"})),
		inFlight: register(registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "commerce_rpc_in_flight", Help: "Calls being served now.",
		}, []string{"component"})),
	}
}

// register returns the collector that counts: a second server of the same
// process shares the first one's.
func register[C prometheus.Collector](registry prometheus.Registerer, collector C) C {
	if registry == nil {
		return collector
	}
	err := registry.Register(collector)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := known.ExistingCollector.(C); ok {
			return existing
		}
	}
	return collector
}
