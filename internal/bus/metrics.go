package bus

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const scrapeTimeout = 2 * time.Second

// Depth is how a subscription stands, all replicas together.
type Depth struct {
	// Subscription is its name.
	Subscription string
	// Waiting deliveries, and those given up on.
	Waiting, Dead float64
	// OldestSeconds is the age of the oldest waiting delivery, negative when the bus cannot tell.
	OldestSeconds float64
}

// Metrics are commerce_bus_* of one component's end of a bus. Depths are asked
// for when they are scraped.
type Metrics struct {
	// Published counts events handed over, repeated ones included.
	Published prometheus.Counter

	outcomes *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	depths   func(ctx context.Context) ([]Depth, error)

	waiting, dead, oldest *prometheus.Desc
}

// NewMetrics returns the metrics of a component's end; depths answers for its subscriptions.
func NewMetrics(component string, depths func(ctx context.Context) ([]Depth, error)) *Metrics {
	labels := prometheus.Labels{"component": component}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("commerce_bus_"+name, help, []string{"subscription"}, labels)
	}
	return &Metrics{
		depths: depths,
		Published: prometheus.NewCounter(prometheus.CounterOpts{
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

// Settled counts the end of a delivery.
func (m *Metrics) Settled(subscription, outcome string) {
	m.outcomes.WithLabelValues(subscription, outcome).Inc()
}

// Handled records how long a handler took.
func (m *Metrics) Handled(subscription string, d time.Duration) {
	m.seconds.WithLabelValues(subscription).Observe(d.Seconds())
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	m.Published.Describe(out)
	m.outcomes.Describe(out)
	m.seconds.Describe(out)
	out <- m.waiting
	out <- m.dead
	out <- m.oldest
}

// Collect implements prometheus.Collector. A bus that does not answer leaves the depths out.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.Published.Collect(out)
	m.outcomes.Collect(out)
	m.seconds.Collect(out)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	depths, err := m.depths(ctx)
	if err != nil {
		return
	}
	for _, d := range depths {
		out <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, d.Waiting, d.Subscription)
		out <- prometheus.MustNewConstMetric(m.dead, prometheus.GaugeValue, d.Dead, d.Subscription)
		if d.OldestSeconds >= 0 {
			out <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, d.OldestSeconds, d.Subscription)
		}
	}
}
