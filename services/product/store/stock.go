package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

// Reserve reserves all lines or none: one statement, one round trip, one transaction.
func (s *Store) Reserve(
	ctx context.Context, order uuid.UUID, demand []product.Line, expire, now time.Time,
) ([]product.ReserveOutcome, error) {
	ids, quantities := make([]uuid.UUID, len(demand)), make([]int32, len(demand))
	for i, line := range demand {
		ids[i], quantities[i] = line.ProductID, line.Quantity
	}
	rows, err := s.db.Pool().Query(ctx, `SELECT outcome, product_id, sku, name, currency_code, price_minor, tax_class,
		weight_grams, quantity, available, expire_time FROM reserve_stock($1, $2, $3, $4, $5)`,
		order, ids, quantities, expire, now)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	outcomes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (product.ReserveOutcome, error) {
		var o product.ReserveOutcome
		var id *uuid.UUID
		err := row.Scan(&o.Result, &id, &o.Sold.SKU, &o.Sold.Name, &o.Sold.UnitPrice.CurrencyCode,
			&o.Sold.UnitPrice.AmountMinor, &o.Sold.TaxClass, &o.Sold.WeightGrams, &o.Sold.Quantity, &o.Available, &o.ExpireTime)
		if id != nil {
			o.Sold.ProductID = *id
		}
		o.ExpireTime = o.ExpireTime.UTC()
		return o, err
	})
	return outcomes, postgres.Fault(err)
}

// Extend moves the expiry of a live reservation later.
func (s *Store) Extend(ctx context.Context, order uuid.UUID, expire time.Time) (product.ReservationState, time.Time, error) {
	var state product.ReservationState
	var at time.Time
	err := s.db.Pool().QueryRow(ctx, `SELECT outcome, expire_time FROM extend_reservation($1, $2)`, order, expire).
		Scan(&state, &at)
	return state, at.UTC(), postgres.Fault(err)
}

// Commit sells a live reservation.
func (s *Store) Commit(ctx context.Context, order uuid.UUID, now time.Time) (product.ReservationState, error) {
	var state product.ReservationState
	err := s.db.Pool().QueryRow(ctx, `SELECT commit_reservation($1, $2)`, order, now).Scan(&state)
	return state, postgres.Fault(err)
}

// Release gives the pieces of a reservation back.
func (s *Store) Release(
	ctx context.Context, order uuid.UUID, reason string, now time.Time,
) (product.ReservationState, error) {
	var state product.ReservationState
	err := s.db.Pool().QueryRow(ctx, `SELECT release_reservation($1, $2, $3)`, order, reason, now).Scan(&state)
	return state, postgres.Fault(err)
}

// Expire ends up to limit overdue reservations.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	var n int
	err := s.db.Pool().QueryRow(ctx, `SELECT expire_reservations($1, $2)`, now, limit).Scan(&n)
	return n, postgres.Fault(err)
}

// Changes returns the catalog's version and the products whose ledger grew since the time, in one query. Ledger ids
// sort by time, so the newest rows are the end of the primary key.
func (s *Store) Changes(ctx context.Context, since time.Time) (version int64, products []uuid.UUID, err error) {
	var first uuid.UUID
	millis := since.UnixMilli()
	for i := 5; i >= 0; i-- {
		first[i] = byte(millis)
		millis >>= 8
	}
	err = s.db.Pool().QueryRow(ctx, `SELECT version, ARRAY(SELECT DISTINCT product_id FROM stock_entry WHERE id >= $1)
		FROM catalog_state WHERE id = 1`, first).Scan(&version, &products)
	return version, products, postgres.Fault(err)
}
