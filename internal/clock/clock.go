// Package clock is the time that the processes of a platform agree on: the
// database's. Moments that decide about money and stock, such as when an unpaid
// order ends, are compared by one process with what another one wrote. A node
// whose clock is wrong, or is stepped, must not end the orders of the others
// early, nor give its own orders an end that is over already.
package clock

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// every is how often the database is asked.
	every = 15 * time.Second
	// within bounds one question. An answer that takes longer says too little.
	within = time.Second
	// noticed is the difference that is logged.
	noticed = time.Second
)

// Database is what a clock follows.
type Database interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Clock is safe for concurrent use. Until it has followed a database it is the
// clock of the process.
type Clock struct {
	wall   func() time.Time
	logger *slog.Logger
	offset prometheus.Gauge
	last   atomic.Pointer[reading]
}

// reading is what the database's clock said at a moment of the process. Between
// readings the time goes on by the monotonic clock, which nobody steps.
type reading struct{ local, database time.Time }

// New returns a clock that goes on by wall, which is time.Now outside of tests.
func New(wall func() time.Time, logger *slog.Logger) *Clock {
	return &Clock{wall: wall, logger: logger, offset: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "commerce_clock_offset_seconds",
		Help: "How far the clock of the process is ahead of the database's.",
	})}
}

// Collector exports how far the clock of the process is ahead of the database's, in seconds.
func (c *Clock) Collector() prometheus.Collector { return c.offset }

// Now is the database's time in UTC.
func (c *Clock) Now() time.Time {
	now := c.wall()
	r := c.last.Load()
	if r == nil {
		return now.UTC()
	}
	return r.database.Add(now.Sub(r.local))
}

// Follow asks the database for its time once. Without an answer in a second the clock goes on as before.
func (c *Clock) Follow(ctx context.Context, db Database) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := c.wall()
	var database time.Time
	if err := db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&database); err != nil {
		return err
	}
	answered := c.wall()
	half := answered.Sub(asked) / 2
	r := &reading{local: asked.Add(half), database: database.UTC()}
	// The wall clock's reading alone, as people and programs that ask it see it.
	ahead := r.local.Round(0).Sub(r.database)
	c.offset.Set(ahead.Seconds())
	if old := c.last.Load(); old != nil {
		// What the way to the database explains is no difference: the time shall not jump to and fro with it.
		moved := r.database.Sub(old.database.Add(r.local.Sub(old.local)))
		if moved.Abs() <= half {
			return nil
		}
		if moved.Abs() >= noticed {
			c.logger.WarnContext(ctx, "the database's clock was stepped, or this process stood still", "seconds", moved.Seconds())
		}
	} else if ahead.Abs() >= noticed {
		c.logger.WarnContext(ctx, "the clock of this process differs from the database's, which counts", "ahead_seconds", math.Round(ahead.Seconds()))
	}
	c.last.Store(r)
	return nil
}

// Run follows the database until the context ends.
func (c *Clock) Run(ctx context.Context, db Database) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			// A database that is away is told of elsewhere.
			_ = c.Follow(ctx, db)
		}
	}
}
