package apply

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	applies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commercestack_operator_applies_total",
		Help: "Server-side applies that were sent, by whether they changed the object.",
	}, []string{"kind", "result"})
	skips = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "commercestack_operator_apply_skips_total",
		Help: "Objects that were not sent because nothing changed.",
	})
	deletes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commercestack_operator_deletes_total",
		Help: "Objects that were deleted because they are no longer desired.",
	}, []string{"kind"})
)

func init() { //nolint:gochecknoinits // the registry of controller-runtime is a global that is filled this way
	metrics.Registry.MustRegister(applies, skips, deletes)
}
