package store

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/postgres"
)

// collector reads what waits when Prometheus asks.
type collector struct {
	db      *postgres.DB
	waiting *prometheus.Desc
	overdue *prometheus.Desc
	unknown *prometheus.Desc
}

// NewCollector returns the metrics of what billing has not finished.
func NewCollector(db *postgres.DB) prometheus.Collector {
	return &collector{
		db:      db,
		waiting: prometheus.NewDesc("commerce_billing_queue_depth", "Rows that are looked at again, by queue.", []string{"queue"}, nil),
		overdue: prometheus.NewDesc("commerce_billing_queue_overdue_seconds", "How long the oldest due row has waited, by queue.", []string{"queue"}, nil),
		unknown: prometheus.NewDesc("commerce_payment_unknown_oldest_seconds", "Age of the oldest payment whose outcome is not known, 0 without one.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.waiting
	out <- c.overdue
	out <- c.unknown
}

const (
	collectTimeout = 2 * time.Second
	queueSQL       = `SELECT queue, count(*), COALESCE(extract(epoch FROM now() - min(at) FILTER (WHERE at <= now())), 0)::float8 FROM (
		SELECT 'payment' AS queue, next_poll_time AS at FROM payment WHERE next_poll_time IS NOT NULL
		UNION ALL SELECT 'refund', next_poll_time FROM refund WHERE next_poll_time IS NOT NULL
		UNION ALL SELECT 'refund_order', next_poll_time FROM refund_order WHERE next_poll_time IS NOT NULL
		UNION ALL SELECT 'webhook_event', next_poll_time FROM webhook_event WHERE next_poll_time IS NOT NULL) AS open GROUP BY queue`
	unknownSQL = `SELECT COALESCE(extract(epoch FROM now() - min(create_time)), 0)::float8 FROM payment
		WHERE status = 'UNKNOWN' AND next_poll_time IS NOT NULL`
)

// Collect implements prometheus.Collector. While the database does not answer
// there is no figure, rather than a wrong one.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	rows, err := c.db.Pool().Query(ctx, queueSQL)
	if err != nil {
		return
	}
	defer rows.Close()
	type figures struct{ depth, overdue float64 }
	found := map[string]figures{"payment": {}, "refund": {}, "refund_order": {}, "webhook_event": {}}
	for rows.Next() {
		var queue string
		var f figures
		if err := rows.Scan(&queue, &f.depth, &f.overdue); err != nil {
			return
		}
		found[queue] = f
	}
	if rows.Err() != nil {
		return
	}
	for queue, f := range found {
		out <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, f.depth, queue)
		out <- prometheus.MustNewConstMetric(c.overdue, prometheus.GaugeValue, f.overdue, queue)
	}
	var oldest float64
	if err := c.db.Pool().QueryRow(ctx, unknownSQL).Scan(&oldest); err == nil {
		out <- prometheus.MustNewConstMetric(c.unknown, prometheus.GaugeValue, oldest)
	}
}
