// Package store keeps the counters of analytics in PostgreSQL.
package store

import (
	"context"
	"time"

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

// addSQL counts events and remembers them: one statement, one round trip, one
// transaction. An event that was counted before, or earlier in the arrays,
// changes nothing. Ids and rows are taken in order, so that two that add the
// same do not wait for each other. The bus settles the events after this commit
// in the same log, so what a crash undoes here is delivered again and nobody has
// to wait for the disk.
const addSQL = `WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
added AS (
	SELECT DISTINCT ON (event_id) a.*
	FROM quick, unnest($2::uuid[], $3::date[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
		AS a (event_id, day, currency_code, registrations, orders_placed, orders_confirmed, orders_cancelled, revenue_minor, refunded_minor)
	ORDER BY event_id
),
fresh AS (INSERT INTO inbox (subscriber, event_id) SELECT $1, event_id FROM added ON CONFLICT DO NOTHING RETURNING event_id)
INSERT INTO daily_metric AS m (day, currency_code, registrations, orders_placed, orders_confirmed, orders_cancelled,
	revenue_minor, refunded_minor, update_time)
SELECT day, currency_code, sum(registrations), sum(orders_placed), sum(orders_confirmed), sum(orders_cancelled),
	sum(revenue_minor), sum(refunded_minor), now()
FROM added JOIN fresh USING (event_id) GROUP BY day, currency_code ORDER BY day, currency_code
ON CONFLICT (day, currency_code) DO UPDATE SET
	registrations = m.registrations + excluded.registrations, orders_placed = m.orders_placed + excluded.orders_placed,
	orders_confirmed = m.orders_confirmed + excluded.orders_confirmed, orders_cancelled = m.orders_cancelled + excluded.orders_cancelled,
	revenue_minor = m.revenue_minor + excluded.revenue_minor, refunded_minor = m.refunded_minor + excluded.refunded_minor,
	update_time = excluded.update_time`

// Add implements analytics.Store: the events' ids and the counters commit together.
func (s *Store) Add(ctx context.Context, increments ...analytics.Increment) error {
	if len(increments) == 0 {
		return nil
	}
	var ids, currencies []string
	var days []time.Time
	var counts [6][]int64
	for _, increment := range increments {
		ids, days, currencies = append(ids, increment.EventID), append(days, increment.Date()), append(currencies, increment.CurrencyCode)
		c := increment.Counters
		for i, n := range []int64{
			c.Registrations, c.OrdersPlaced, c.OrdersConfirmed, c.OrdersCancelled, c.RevenueMinor, c.RefundedMinor,
		} {
			counts[i] = append(counts[i], n)
		}
	}
	_, err := s.db.Pool().Exec(ctx, addSQL, Subscriber, ids, days, currencies, counts[0], counts[1], counts[2], counts[3], counts[4], counts[5])
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
