package postgresbus

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const scrapeTimeout = 2 * time.Second

// metrics of one component's end of the bus. Depths are counted by the
// database when they are scraped, so they hold for all replicas together.
type metrics struct {
	bus       *Bus
	published prometheus.Counter
	outcomes  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec

	waiting, dead, oldest *prometheus.Desc
}

func newMetrics(b *Bus) *metrics {
	labels := prometheus.Labels{"component": b.config.DB.Schema()}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("commerce_bus_"+name, help, []string{"subscription"}, labels)
	}
	return &metrics{
		bus: b,
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commerce_bus_published_total", Help: "Events handed to the bus, repeated ones included.", ConstLabels: labels,
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_bus_deliveries_total", Help: "Deliveries by outcome: done, retry, dead or release.", ConstLabels: labels,
		}, []string{"subscription", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_bus_handling_seconds", Help: "Time a handler took for an event.", ConstLabels: labels,
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"subscription"}),
		waiting: desc("waiting", "Deliveries not handled yet."),
		dead:    desc("dead", "Deliveries given up on."),
		oldest:  desc("oldest_seconds", "Age of the oldest delivery not handled yet."),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.published.Describe(out)
	m.outcomes.Describe(out)
	m.seconds.Describe(out)
	out <- m.waiting
	out <- m.dead
	out <- m.oldest
}

// Collect implements prometheus.Collector. A database that does not answer leaves the depths out.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.published.Collect(out)
	m.outcomes.Collect(out)
	m.seconds.Collect(out)
	m.bus.mutex.Lock()
	names := slices.Collect(maps.Keys(m.bus.lanes))
	m.bus.mutex.Unlock()
	if len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	rows, err := m.bus.config.DB.Pool().Query(ctx, "SELECT stats_subscription, waiting, dead_letters, oldest_seconds FROM bus.stats($1)", names)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var waiting, dead, oldest float64
		if rows.Scan(&name, &waiting, &dead, &oldest) != nil {
			return
		}
		out <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, waiting, name)
		out <- prometheus.MustNewConstMetric(m.dead, prometheus.GaugeValue, dead, name)
		out <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, oldest, name)
	}
}
