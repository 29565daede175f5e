package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

// reserveOne reserves pieces of one product, which is what most calls ask for, when nothing is in the way. There is no
// order of locks to keep and nothing to undo: no row comes back unless the product is on sale, has the pieces and the
// order holds no reservation, and a twin that opened it meanwhile makes the whole statement fail. Why it did not work is
// for reserve_stock to say. It costs half of that one.
//
// The order that is placed next flushes this commit with its own, see reserve_stock.
const reserveOne = `WITH moved AS (
	UPDATE stock_level s SET reserved = s.reserved + $3::integer
	FROM product p
	WHERE s.product_id = $2 AND s.on_hand - s.reserved >= $3::integer
		AND p.id = $2 AND p.delete_time IS NULL AND p.status = 'ACTIVE'
		AND NOT EXISTS (SELECT FROM reservation r WHERE r.order_id = $1)
	RETURNING p.id, p.sku, p.name, p.currency_code, p.price_minor, p.tax_class, p.weight_grams
), opened AS (
	INSERT INTO reservation (order_id, state, expire_time, create_time) SELECT $1, 'ACTIVE', $4, $5 FROM moved
), written AS (
	INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, order_id, create_time)
	SELECT $6, m.id, 'RESERVED', 0, $3::integer, '', $1, $5 FROM moved m
), lines AS (
	INSERT INTO reservation_line (order_id, product_id, quantity, sku, name, currency_code, price_minor, tax_class, weight_grams)
	SELECT $1, m.id, $3::integer, m.sku, m.name, m.currency_code, m.price_minor, m.tax_class, m.weight_grams FROM moved m
)
SELECT m.sku, m.name, m.currency_code, m.price_minor, m.tax_class, m.weight_grams, set_config('synchronous_commit', 'off', true)
FROM moved m`

const reserveAll = `SELECT outcome, product_id, sku, name, currency_code, price_minor, tax_class,
	weight_grams, quantity, available, expire_time FROM reserve_stock($1, $2, $3, $4, $5)`

// Reserve reserves all lines or none in one transaction, and one round trip unless a line is refused.
func (s *Store) Reserve(
	ctx context.Context, order uuid.UUID, demand []product.Line, expire, now time.Time,
) ([]product.ReserveOutcome, error) {
	if len(demand) == 1 {
		one, err := s.reservings.Do(ctx, reserving{order, demand[0], expire, now})
		if err != nil {
			return nil, postgres.Fault(err)
		}
		if one.done {
			return []product.ReserveOutcome{one.outcome}, nil
		}
	}
	ids, quantities := make([]uuid.UUID, len(demand)), make([]int32, len(demand))
	for i, line := range demand {
		ids[i], quantities[i] = line.ProductID, line.Quantity
	}
	rows, err := s.db.Pool().Query(ctx, reserveAll, order, ids, quantities, expire, now)
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

// reserveOne is false when reserve_stock must look.
func (s *Store) reserveOne(ctx context.Context, r reserving) (product.ReserveOutcome, bool, error) {
	o := r.outcome()
	err := s.db.Pool().QueryRow(ctx, reserveOne, r.order, r.line.ProductID, r.line.Quantity, r.expire, r.now, ledgerID(r.now)).
		Scan(&o.Sold.SKU, &o.Sold.Name, &o.Sold.UnitPrice.CurrencyCode, &o.Sold.UnitPrice.AmountMinor,
			&o.Sold.TaxClass, &o.Sold.WeightGrams, nil)
	if errors.Is(err, pgx.ErrNoRows) || postgres.IsUnique(err, "reservation_pkey") {
		return product.ReserveOutcome{}, false, nil
	}
	return o, err == nil, err
}

// ledgerID is a UUIDv7 of the given time, as the database's ledger_id makes them: the cache asks for what is newer.
func ledgerID(at time.Time) uuid.UUID {
	id := uuid.New()
	timeBits(&id, at)
	id[6] = id[6]&0x0f | 0x70
	return id
}

// timeBits sets the first 48 bits to the time in milliseconds.
func timeBits(id *uuid.UUID, at time.Time) {
	millis := at.UnixMilli()
	for i := 5; i >= 0; i-- {
		id[i] = byte(millis)
		millis >>= 8
	}
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
	timeBits(&first, since)
	err = s.db.Pool().QueryRow(ctx, `SELECT version, ARRAY(SELECT DISTINCT product_id FROM stock_entry WHERE id >= $1)
		FROM catalog_state WHERE id = 1`, first).Scan(&version, &products)
	return version, products, postgres.Fault(err)
}
