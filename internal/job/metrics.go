package job

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/postgres"
)

const scrapeTimeout = 2 * time.Second

type metrics struct {
	db      *postgres.DB
	seconds *prometheus.HistogramVec
	depth   *prometheus.Desc
	oldest  *prometheus.Desc
}

func newMetrics(db *postgres.DB) *metrics {
	labels := prometheus.Labels{"schema": db.Schema()}
	return &metrics{
		db: db,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_job_seconds", Help: "Duration of attempts by outcome: ok, error or panic.", ConstLabels: labels,
			Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"kind", "outcome"}),
		depth: prometheus.NewDesc("commerce_job_depth",
			"Jobs by state; discarded ones were given up on.", []string{"queue", "state"}, labels),
		oldest: prometheus.NewDesc("commerce_job_oldest_seconds", "How long the oldest due job waits.", nil, labels),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.seconds.Describe(out)
	out <- m.depth
	out <- m.oldest
}

// Collect implements prometheus.Collector. A database that does not answer leaves the depths out.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.seconds.Collect(out)
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	rows, err := m.db.Pool().Query(ctx, `SELECT queue, state::text, count(*),
			coalesce(max(extract(epoch FROM now() - scheduled_at)) FILTER (WHERE state = 'available'), 0)
		FROM river_job WHERE state IN ('available', 'discarded', 'pending', 'retryable', 'running', 'scheduled') GROUP BY queue, state`)
	if err != nil {
		return
	}
	defer rows.Close()
	var longest float64
	for rows.Next() {
		var queue, state string
		var count, age float64
		if rows.Scan(&queue, &state, &count, &age) != nil {
			return
		}
		longest = max(longest, age)
		out <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, count, queue, state)
	}
	if rows.Err() == nil {
		out <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, longest)
	}
}
