// Package store keeps the counters of analytics in PostgreSQL.
package store

import (
	"context"

	analyticsent "github.com/commercestack/commercestack/ent/analytics"
	"github.com/commercestack/commercestack/ent/analytics/dailymetric"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/analytics"
)

// Subscriber is the name under which counted events are remembered.
const Subscriber = "analytics.counts"

// Store implements analytics.Store.
type Store struct {
	db     *postgres.DB
	client *analyticsent.Client
}

// New returns a store over the component's schema.
func New(db *postgres.DB) *Store {
	return &Store{db: db, client: analyticsent.NewClient(analyticsent.Driver(db.Driver()))}
}

// addSQL counts an event and remembers it: one statement, one round trip, one
// transaction. An event that was counted before changes nothing. The bus settles
// the event after this commit in the same log, so what a crash undoes here is
// delivered again and nobody has to wait for the disk.
const addSQL = `WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
fresh AS (INSERT INTO inbox (subscriber, event_id) SELECT $1, $2 FROM quick ON CONFLICT DO NOTHING RETURNING event_id)
INSERT INTO daily_metric AS m (day, currency_code, registrations, orders_placed, orders_confirmed, orders_cancelled,
	revenue_minor, refunded_minor, update_time)
SELECT $3, $4, $5, $6, $7, $8, $9, $10, now() FROM fresh
ON CONFLICT (day, currency_code) DO UPDATE SET
	registrations = m.registrations + excluded.registrations, orders_placed = m.orders_placed + excluded.orders_placed,
	orders_confirmed = m.orders_confirmed + excluded.orders_confirmed, orders_cancelled = m.orders_cancelled + excluded.orders_cancelled,
	revenue_minor = m.revenue_minor + excluded.revenue_minor, refunded_minor = m.refunded_minor + excluded.refunded_minor,
	update_time = excluded.update_time`

// Add implements analytics.Store: the event's id and the counters commit together.
func (s *Store) Add(ctx context.Context, increment analytics.Increment) error {
	c := increment.Counters
	_, err := s.db.Pool().Exec(ctx, addSQL, Subscriber, increment.EventID, increment.Date(), increment.CurrencyCode,
		c.Registrations, c.OrdersPlaced, c.OrdersConfirmed, c.OrdersCancelled, c.RevenueMinor, c.RefundedMinor)
	return postgres.Fault(err)
}

// Days implements analytics.Store.
func (s *Store) Days(ctx context.Context, r analytics.Range) ([]analytics.Day, error) {
	rows, err := s.client.DailyMetric.Query().
		Where(dailymetric.DayGTE(r.Start), dailymetric.DayLTE(r.End)).
		Order(dailymetric.ByDay(), dailymetric.ByCurrencyCode()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	days := make([]analytics.Day, 0, len(rows))
	for _, row := range rows {
		days = append(days, fromRow(row))
	}
	return days, nil
}

func fromRow(row *analyticsent.DailyMetric) analytics.Day {
	return analytics.Day{
		Date: row.Day.UTC(), CurrencyCode: row.CurrencyCode,
		Counters: analytics.Counters{
			Registrations: row.Registrations, OrdersPlaced: row.OrdersPlaced, OrdersConfirmed: row.OrdersConfirmed,
			OrdersCancelled: row.OrdersCancelled, RevenueMinor: row.RevenueMinor, RefundedMinor: row.RefundedMinor,
		},
	}
}
