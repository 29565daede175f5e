package postgres

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// volumeSetting is what a server of the operator tells about its volume: the
	// percentage that is free. Other servers lack it.
	volumeSetting = "commerce.volume_free"
	scrapeTimeout = 2 * time.Second
)

type retryCounter struct{ n atomic.Int64 }

func (c *retryCounter) inc() { c.n.Add(1) }

// Collector answers metrics about the pools of db: commerce_postgres_*, labelled with the schema and the server
// ("primary" or "replica").
func (db *DB) Collector() prometheus.Collector {
	labels := prometheus.Labels{"schema": db.schema}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("commerce_postgres_"+name, help, []string{"server"}, labels)
	}
	return &collector{
		db:       db,
		acquired: desc("connections_acquired", "Connections in use."),
		idle:     desc("connections_idle", "Open connections not in use."),
		limit:    desc("connections_max", "Connections the pool may open."),
		acquires: desc("acquires_total", "Connections taken from the pool."),
		waits:    desc("waits_total", "Acquires that found no idle connection."),
		waited:   desc("acquire_seconds_total", "Time spent acquiring connections."),
		canceled: desc("acquires_canceled_total", "Acquires given up because the caller's context ended."),
		retries:  desc("transaction_retries_total", "Transactions run again after a deadlock or serialization failure."),
		readOnly: desc("read_only", "1 while the server takes no writes, such as when its volume is nearly full."),
		free:     desc("volume_free_ratio", "The part of the server's volume that is free; only of a server that the operator runs."),
	}
}

type collector struct {
	db *DB

	acquired, idle, limit, acquires, waits, waited, canceled, retries, readOnly, free *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		c.acquired, c.idle, c.limit, c.acquires, c.waits, c.waited, c.canceled, c.retries, c.readOnly, c.free,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.collectPool(out, c.db.primary, "primary")
	if c.db.replica != c.db.primary {
		c.collectPool(out, c.db.replica, "replica")
	}
	out <- prometheus.MustNewConstMetric(c.retries, prometheus.CounterValue, float64(c.db.retries.n.Load()), "primary")
	c.collectServer(out)
}

// collectServer asks the primary how it fares. One that does not answer leaves the metrics out.
func (c *collector) collectServer(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var readOnly bool
	var free *string
	err := c.db.primary.QueryRow(ctx, "SELECT current_setting('transaction_read_only')::bool, current_setting($1, true)", volumeSetting).Scan(&readOnly, &free)
	if err != nil {
		return
	}
	value := 0.0
	if readOnly {
		value = 1
	}
	out <- prometheus.MustNewConstMetric(c.readOnly, prometheus.GaugeValue, value, "primary")
	if free == nil {
		return
	}
	if percent, err := strconv.ParseFloat(*free, 64); err == nil {
		out <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, percent/100, "primary")
	}
}

func (c *collector) collectPool(out chan<- prometheus.Metric, pool *pgxpool.Pool, server string) {
	stat := pool.Stat()
	gauge := func(desc *prometheus.Desc, value int32) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), server)
	}
	counter := func(desc *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, server)
	}
	gauge(c.acquired, stat.AcquiredConns())
	gauge(c.idle, stat.IdleConns())
	gauge(c.limit, stat.MaxConns())
	counter(c.acquires, float64(stat.AcquireCount()))
	counter(c.waits, float64(stat.EmptyAcquireCount()))
	counter(c.waited, stat.AcquireDuration().Seconds())
	counter(c.canceled, float64(stat.CanceledAcquireCount()))
}
