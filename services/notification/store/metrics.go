package store

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/postgres"
)

// collector reads the state of the queue when Prometheus asks.
type collector struct {
	db     *postgres.DB
	mails  *prometheus.Desc
	oldest *prometheus.Desc
}

// NewCollector returns the metrics of the mail queue.
func NewCollector(db *postgres.DB) prometheus.Collector {
	return &collector{
		db:     db,
		mails:  prometheus.NewDesc("commerce_mails", "Mails that wait (QUEUED) or were given up (DEAD).", []string{"status"}, nil),
		oldest: prometheus.NewDesc("commerce_mail_oldest_due_seconds", "How long the oldest due mail has waited, in seconds.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.mails
	out <- c.oldest
}

const collectTimeout = 2 * time.Second

// Collect implements prometheus.Collector. While the database does not answer there is no figure, rather than a wrong one.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var queued, dead int64
	var oldest float64
	err := c.db.Pool().QueryRow(ctx, `SELECT count(*) FILTER (WHERE status = 'QUEUED'), count(*) FILTER (WHERE status = 'DEAD'),
		COALESCE(extract(epoch FROM now() - min(next_attempt_time) FILTER (WHERE status = 'QUEUED' AND next_attempt_time <= now())), 0)::float8
		FROM mail WHERE status IN ('QUEUED', 'DEAD')`).Scan(&queued, &dead, &oldest)
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstMetric(c.mails, prometheus.GaugeValue, float64(queued), "QUEUED")
	out <- prometheus.MustNewConstMetric(c.mails, prometheus.GaugeValue, float64(dead), "DEAD")
	out <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest)
}
