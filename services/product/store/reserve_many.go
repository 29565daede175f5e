package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

const (
	// reserveTogether is how many reservations one statement makes at most.
	reserveTogether = 32
	// reserveWithin bounds the statement, whose callers may have left.
	reserveWithin = 20 * time.Second
)

// reserveMany is reserveOne for orders that come at the same time: most of a statement's price is to be set up, planned
// and committed. Stock is locked in the order of products, as reserve_stock does. A product that has not the pieces for
// all of them is left alone, and so are those orders: they are asked for one by one.
const reserveMany = `WITH asked AS MATERIALIZED (
	SELECT u.order_id, u.product_id, u.quantity, u.expire_time, u.create_time, u.entry_id FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::timestamptz[], $6::uuid[])
		AS u (order_id, product_id, quantity, expire_time, create_time, entry_id)
	WHERE NOT EXISTS (SELECT FROM reservation r WHERE r.order_id = u.order_id)
), wanted AS MATERIALIZED (
	SELECT product_id, sum(quantity)::integer AS quantity FROM asked GROUP BY product_id
), locked AS MATERIALIZED (
	SELECT s.product_id FROM stock_level s WHERE s.product_id IN (SELECT product_id FROM wanted)
	ORDER BY s.product_id FOR NO KEY UPDATE
), moved AS (
	UPDATE stock_level s SET reserved = s.reserved + w.quantity
	FROM locked l JOIN wanted w USING (product_id) JOIN product p ON p.id = l.product_id
	WHERE s.product_id = l.product_id AND s.on_hand - s.reserved >= w.quantity AND p.delete_time IS NULL AND p.status = 'ACTIVE'
	RETURNING p.id, p.sku, p.name, p.currency_code, p.price_minor, p.tax_class, p.weight_grams
), opened AS (
	INSERT INTO reservation (order_id, state, expire_time, create_time)
	SELECT a.order_id, 'ACTIVE', a.expire_time, a.create_time FROM asked a JOIN moved m ON m.id = a.product_id
), written AS (
	INSERT INTO stock_entry (id, product_id, kind, on_hand_delta, reserved_delta, reason, order_id, create_time)
	SELECT a.entry_id, m.id, 'RESERVED', 0, a.quantity, '', a.order_id, a.create_time FROM asked a JOIN moved m ON m.id = a.product_id
), lines AS (
	INSERT INTO reservation_line (order_id, product_id, quantity, sku, name, currency_code, price_minor, tax_class, weight_grams)
	SELECT a.order_id, m.id, a.quantity, m.sku, m.name, m.currency_code, m.price_minor, m.tax_class, m.weight_grams
	FROM asked a JOIN moved m ON m.id = a.product_id
)
SELECT a.order_id, m.sku, m.name, m.currency_code, m.price_minor, m.tax_class, m.weight_grams, set_config('synchronous_commit', 'off', true)
FROM asked a JOIN moved m ON m.id = a.product_id`

// reserving is what one order wants of one product.
type reserving struct {
	order       uuid.UUID
	line        product.Line
	expire, now time.Time
}

// reserved is false when reserve_stock must look.
type reserved struct {
	outcome product.ReserveOutcome
	done    bool
}

func (r reserving) outcome() product.ReserveOutcome {
	o := product.ReserveOutcome{Result: product.ReserveDone, ExpireTime: r.expire.UTC()}
	o.Sold.ProductID, o.Sold.Quantity = r.line.ProductID, r.line.Quantity
	return o
}

// reserveMany makes the reservations that nothing is in the way of.
func (s *Store) reserveMany(ctx context.Context, calls []reserving) ([]reserved, error) {
	ctx, cancel := context.WithTimeout(ctx, reserveWithin)
	defer cancel()
	if len(calls) == 1 {
		outcome, done, err := s.reserveOne(ctx, calls[0])
		return []reserved{{outcome, done}}, err
	}
	n := len(calls)
	orders, products, entries := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	quantities, expiring, created := make([]int32, n), make([]time.Time, n), make([]time.Time, n)
	place := make(map[uuid.UUID]int, n)
	for i, c := range calls {
		orders[i], products[i], quantities[i] = c.order, c.line.ProductID, c.line.Quantity
		expiring[i], created[i], entries[i] = c.expire, c.now, ledgerID(c.now)
		place[c.order] = i
	}
	answers := make([]reserved, n)
	rows, err := s.db.Pool().Query(ctx, reserveMany, orders, products, quantities, expiring, created, entries)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	var order uuid.UUID
	var sold product.Sold
	_, err = pgx.ForEachRow(rows, []any{
		&order, &sold.SKU, &sold.Name, &sold.UnitPrice.CurrencyCode, &sold.UnitPrice.AmountMinor, &sold.TaxClass, &sold.WeightGrams, nil,
	}, func() error {
		i := place[order]
		sold.ProductID, sold.Quantity = calls[i].line.ProductID, calls[i].line.Quantity
		answers[i] = reserved{calls[i].outcome(), true}
		answers[i].outcome.Sold = sold
		return nil
	})
	return answers, postgres.Fault(err)
}
