package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

// placeOrder writes an order, its lines, its first step and its event: one
// statement, so one round trip and one transaction. The number exists only
// inside it and is put into the event there. An order that exists is left alone,
// and no row comes back.
const placeOrder = `WITH o AS (
	INSERT INTO orders (id, number, user_id, email, guest_token_hash, status, currency, line_count, subtotal, discount,
		tax, shipping, total, shipping_address, coupon_id, coupon_code, create_time, update_time, expire_time)
	VALUES ($1, nextval('order_number_seq'), $2, $3, $4, 'PENDING', $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb, $13, $14, $15, $15, $16)
	ON CONFLICT (id) DO NOTHING
	RETURNING id, number
), l AS (
	INSERT INTO order_lines (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
	SELECT o.id, u.position, u.product_id, u.sku, u.name, u.quantity, u.unit_price, u.subtotal, u.discount, u.tax_bps, u.tax, u.total
	FROM o, unnest($17::uuid[], $18::text[], $19::text[], $20::int[], $21::bigint[], $22::bigint[], $23::bigint[], $24::int[], $25::bigint[], $26::bigint[])
		WITH ORDINALITY AS u (product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total, position)
), e AS (
	INSERT INTO order_events (id, order_id, type, status, message, actor, dedupe_key, create_time)
	SELECT $27, o.id, $28, 'PENDING', $29, $30, $31, $15 FROM o
), x AS (
	INSERT INTO outbox (id, event_type, subject, payload)
	SELECT $32, $33, $34, jsonb_set($35::text::jsonb, '{order,number}', to_jsonb(o.number::text)) FROM o
)
SELECT number FROM o`

// Place implements order.OrderStore.
func (s *Store) Place(ctx context.Context, p order.Placement) (int64, bool, error) {
	e, err := toEvent(order.Placed{Order: p.Order})
	if err != nil {
		return 0, false, err
	}
	row, err := outbox.NewRow(ctx, e)
	if err != nil {
		return 0, false, err
	}
	this := placing{Placement: p, event: row}
	if p.Cart == nil && p.Coupon == nil {
		number, err := s.placings.Do(ctx, this)
		return number, number != 0, postgres.Fault(err)
	}
	args, err := placeArgs(this)
	if err != nil {
		return 0, false, err
	}
	var number int64
	created := false
	err = s.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		created = false
		err := tx.QueryRowContext(ctx, placeOrder, args...).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		created = true
		if err := closeCart(ctx, tx, p); err != nil {
			return err
		}
		return redeem(ctx, tx, p)
	})
	if err != nil {
		return 0, false, err
	}
	if created {
		outbox.Wake(s.db)
	}
	return number, created, nil
}

// placeOne writes an order and answers its number, 0 when it existed.
func (s *Store) placeOne(ctx context.Context, p placing) (number int64, err error) {
	args, err := placeArgs(p)
	if err != nil {
		return 0, err
	}
	err = s.db.Pool().QueryRow(ctx, placeOrder, args...).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, postgres.Fault(err)
	}
	outbox.Wake(s.db)
	return number, nil
}

func placeArgs(p placing) ([]any, error) {
	o := p.Order
	address, err := toAddress(o.ShippingAddress)
	if err != nil {
		return nil, err
	}
	l := newColumns(o.Lines)
	return []any{
		o.ID, nullID(o.UserID), o.Email, nullText(o.GuestTokenHash), o.Currency, int16(len(o.Lines)),
		o.Subtotal, o.Discount, o.Tax, o.Shipping, o.Total, address, nullID(o.CouponID), o.CouponCode, o.CreateTime, o.ExpireTime,
		l.products, l.skus, l.names, l.quantities, l.prices, l.subtotals, l.discounts, l.rates, l.taxes, l.totals,
		p.Step.ID, string(p.Step.Type), p.Step.Message, p.Step.Actor, p.Step.Key,
		p.event.ID, p.event.Type, p.event.Subject, p.event.Payload,
	}, nil
}

// columns are lines as the arrays that unnest takes.
type columns struct {
	products                                    []uuid.UUID
	skus, names                                 []string
	quantities, rates                           []int32
	prices, subtotals, discounts, taxes, totals []int64
}

func newColumns(lines []order.Line) columns {
	n := len(lines)
	c := columns{
		products: make([]uuid.UUID, n), skus: make([]string, n), names: make([]string, n),
		quantities: make([]int32, n), rates: make([]int32, n), prices: make([]int64, n),
		subtotals: make([]int64, n), discounts: make([]int64, n), taxes: make([]int64, n), totals: make([]int64, n),
	}
	for i, line := range lines {
		c.products[i], c.skus[i], c.names[i] = line.ProductID, line.SKU, line.Name
		c.quantities[i], c.rates[i], c.prices[i] = line.Quantity, line.TaxBps, line.UnitPrice
		c.subtotals[i], c.discounts[i], c.taxes[i], c.totals[i] = line.Subtotal, line.Discount, line.Tax, line.Total
	}
	return c
}

// closeCart closes the cart that became the order, unless it changed since it was read.
func closeCart(ctx context.Context, tx *postgres.Tx, p order.Placement) error {
	if p.Cart == nil {
		return nil
	}
	result, err := tx.ExecContext(ctx, `UPDATE carts SET status = 'ORDERED', successor_id = $2, update_time = $3, version = version + 1
		WHERE id = $1 AND status = 'OPEN' AND version = $4`, p.Cart.ID, p.Order.ID, p.Order.CreateTime, p.Cart.Version)
	return changed(result, err, order.ErrCartChanged)
}

// redeem counts the use of the coupon. The conditional update takes the row, so
// that the uses of one customer are counted one after the other.
func redeem(ctx context.Context, tx *postgres.Tx, p order.Placement) error {
	if p.Coupon == nil {
		return nil
	}
	used := order.ErrCouponUsedUp.WithField("couponCode", p.Coupon.Code)
	var perCustomer int
	err := tx.QueryRowContext(ctx, `UPDATE coupons SET redemptions = redemptions + 1
		WHERE id = $1 AND NOT disabled AND (end_time IS NULL OR end_time > $2) AND (max_redemptions = 0 OR redemptions < max_redemptions)
		RETURNING max_redemptions_per_customer`, p.Coupon.ID, p.Order.CreateTime).Scan(&perCustomer)
	if errors.Is(err, sql.ErrNoRows) {
		return used
	}
	if err != nil {
		return err
	}
	hash := emailHash(p.Order.Email)
	if perCustomer > 0 {
		var uses int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM coupon_redemptions
			WHERE coupon_id = $1 AND (user_id = $2 OR email_hash = $3)`, p.Coupon.ID, nullID(p.Order.UserID), hash).Scan(&uses); err != nil {
			return err
		}
		if uses >= perCustomer {
			return used
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO coupon_redemptions (order_id, coupon_id, user_id, email_hash, create_time)
		VALUES ($1, $2, $3, $4, $5)`, p.Order.ID, p.Coupon.ID, nullID(p.Order.UserID), hash, p.Order.CreateTime)
	return err
}

// emailHash knows an address again without keeping it.
func emailHash(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return hex.EncodeToString(sum[:])
}

func nullID(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}

func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// changed turns "no row" of a conditional statement into the reason given.
func changed(result sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}

func toAddress(a *order.Address) (any, error) {
	if a == nil {
		return nil, nil //nolint:nilnil // NULL in the column
	}
	data, err := json.Marshal(toRowAddress(a))
	return string(data), err
}
