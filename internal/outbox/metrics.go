package outbox

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/postgres"
)

const scrapeTimeout = 2 * time.Second

// Collector answers commerce_outbox_depth (events waiting) and
// commerce_outbox_oldest_seconds (age of the oldest, 0 when there is none),
// labelled with the schema. A scrape costs one statement.
func Collector(db *postgres.DB) prometheus.Collector {
	labels := prometheus.Labels{"schema": db.Schema()}
	return &collector{
		db:     db,
		depth:  prometheus.NewDesc("commerce_outbox_depth", "Events waiting in the outbox.", nil, labels),
		oldest: prometheus.NewDesc("commerce_outbox_oldest_seconds", "Age of the oldest event in the outbox.", nil, labels),
	}
}

type collector struct {
	db            *postgres.DB
	depth, oldest *prometheus.Desc
}

// Overdue counts events that have waited for longer than age, up to a thousand.
func Overdue(ctx context.Context, db *postgres.DB, age time.Duration) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	return OverdueAt(ctx, db, age, nil)
}

// OverdueAt is Overdue as it was at a time, such as that of a backup; nil is now.
func OverdueAt(ctx context.Context, db *postgres.DB, age time.Duration, at *time.Time) (n int64, err error) {
	err = db.Pool().QueryRow(ctx,
		"SELECT count(*) FROM (SELECT FROM outbox WHERE create_time < coalesce($2, now()) - $1::interval LIMIT 1000) AS waiting", age, at).Scan(&n)
	return n, postgres.Fault(err)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.depth
	out <- c.oldest
}

// Collect implements prometheus.Collector. A database that does not answer leaves the metrics out.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var depth, oldest float64
	err := c.db.Pool().QueryRow(ctx,
		"SELECT count(*), coalesce(extract(epoch FROM now() - min(create_time)), 0) FROM outbox").Scan(&depth, &oldest)
	if err != nil {
		return // no value is better than a wrong one, and the absence alerts
	}
	out <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, depth)
	out <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest)
}
