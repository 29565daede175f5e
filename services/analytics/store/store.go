// Package store keeps the counters of analytics in PostgreSQL.
package store

import (
	"context"

	"entgo.io/ent/dialect/sql"

	analyticsent "github.com/commercestack/commercestack/ent/analytics"
	"github.com/commercestack/commercestack/ent/analytics/dailymetric"
	"github.com/commercestack/commercestack/internal/inbox"
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

// Add implements analytics.Store: the inbox row and the counters commit together.
func (s *Store) Add(ctx context.Context, increment analytics.Increment) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		// The bus settles the event after this commit in the same log: what a crash
		// undoes here is delivered again, so nobody has to wait for the disk.
		if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
			return err
		}
		fresh, err := inbox.Once(ctx, tx, Subscriber, increment.EventID)
		if err != nil || !fresh {
			return err
		}
		client := analyticsent.NewClient(analyticsent.Driver(tx.Driver()))
		c := increment.Counters
		return client.DailyMetric.Create().
			SetDay(increment.Date()).SetCurrencyCode(increment.CurrencyCode).
			SetRegistrations(c.Registrations).SetOrdersPlaced(c.OrdersPlaced).
			SetOrdersConfirmed(c.OrdersConfirmed).SetOrdersCancelled(c.OrdersCancelled).
			SetRevenueMinor(c.RevenueMinor).SetRefundedMinor(c.RefundedMinor).
			OnConflict(sql.ConflictColumns(dailymetric.FieldDay, dailymetric.FieldCurrencyCode)).
			Update(func(u *analyticsent.DailyMetricUpsert) {
				u.AddRegistrations(c.Registrations).AddOrdersPlaced(c.OrdersPlaced).
					AddOrdersConfirmed(c.OrdersConfirmed).AddOrdersCancelled(c.OrdersCancelled).
					AddRevenueMinor(c.RevenueMinor).AddRefundedMinor(c.RefundedMinor).UpdateUpdateTime()
			}).Exec(ctx)
	})
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
