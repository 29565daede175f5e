package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

const (
	// placeTogether is how many orders one statement writes at most.
	placeTogether = 32
	// placeWithin bounds the statement, whose callers may have left.
	placeWithin = 20 * time.Second
)

// placeOrders is placeOrder for orders of neither cart nor coupon that come at the same time. Most of a statement's
// price is to be set up, checked and committed, so four orders together cost less than two alone. They are written in
// the order of their ids, so that two statements with the same orders do not wait for each other.
const placeOrders = `WITH o AS (
	INSERT INTO orders (id, number, user_id, email, guest_token_hash, status, currency, line_count, subtotal, discount,
		tax, shipping, total, shipping_address, coupon_code, create_time, update_time, expire_time)
	SELECT u.id, nextval('order_number_seq'), u.user_id, u.email, u.guest_token_hash, 'PENDING', u.currency, u.line_count, u.subtotal, u.discount,
		u.tax, u.shipping, u.total, u.address::jsonb, '', u.create_time, u.create_time, u.expire_time
	FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::bigint[], $8::bigint[],
		$9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[], $14::timestamptz[])
		AS u (id, user_id, email, guest_token_hash, currency, line_count, subtotal, discount,
		tax, shipping, total, address, create_time, expire_time)
	ORDER BY u.id
	ON CONFLICT (id) DO NOTHING
	RETURNING id, number
), l AS (
	INSERT INTO order_lines (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
	SELECT o.id, u.position, u.product_id, u.sku, u.name, u.quantity, u.unit_price, u.subtotal, u.discount, u.tax_bps, u.tax, u.total
	FROM unnest($15::uuid[], $16::int2[], $17::uuid[], $18::text[], $19::text[], $20::int[], $21::bigint[], $22::bigint[], $23::bigint[],
		$24::int[], $25::bigint[], $26::bigint[])
		AS u (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
	JOIN o ON o.id = u.order_id
), e AS (
	INSERT INTO order_events (id, order_id, type, status, message, actor, dedupe_key, create_time)
	SELECT u.id, o.id, u.type, 'PENDING', u.message, u.actor, u.dedupe_key, u.create_time
	FROM unnest($1::uuid[], $27::uuid[], $28::text[], $29::text[], $30::text[], $31::text[], $13::timestamptz[])
		AS u (order_id, id, type, message, actor, dedupe_key, create_time)
	JOIN o ON o.id = u.order_id
), x AS (
	INSERT INTO outbox (id, event_type, subject, payload)
	SELECT u.id, u.event_type, u.subject, jsonb_set(u.payload::jsonb, '{order,number}', to_jsonb(o.number::text))
	FROM unnest($1::uuid[], $32::uuid[], $33::text[], $34::text[], $35::text[]) AS u (order_id, id, event_type, subject, payload)
	JOIN o ON o.id = u.order_id
)
SELECT id, number FROM o`

// placing is an order with its event, as it is written.
type placing struct {
	order.Placement

	event outbox.Row
}

// placeMany writes orders and answers their numbers, 0 for one that existed.
func (s *Store) placeMany(ctx context.Context, placings []placing) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, placeWithin)
	defer cancel()
	if len(placings) == 1 {
		number, err := s.placeOne(ctx, placings[0])
		return []int64{number}, err
	}
	args, err := manyArgs(placings)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Pool().Query(ctx, placeOrders, args...)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	defer rows.Close()
	numbers := make(map[uuid.UUID]int64, len(placings))
	for rows.Next() {
		var id uuid.UUID
		var number int64
		if err := rows.Scan(&id, &number); err != nil {
			return nil, err
		}
		numbers[id] = number
	}
	if err := rows.Err(); err != nil {
		return nil, postgres.Fault(err)
	}
	outbox.Wake(s.db)
	answers := make([]int64, len(placings))
	for i, p := range placings {
		answers[i] = numbers[p.Order.ID]
	}
	return answers, nil
}

// manyArgs are the columns of all orders, lines, steps and events.
func manyArgs(placings []placing) ([]any, error) {
	var (
		ids, stepIDs                                   []uuid.UUID
		users                                          []*uuid.UUID
		emails, currencies                             []string
		hashes, addresses                              []*string
		counts                                         []int16
		subtotals, discounts, taxes, shippings, totals []int64
		created, expiring                              []time.Time
		types, messages, actors, keys                  []string
		eventIDs, eventTypes, subjects, payloads       []string
		lines                                          []order.Line
		lineOrders                                     []uuid.UUID
		positions                                      []int16
	)
	seen := make(map[uuid.UUID]bool, len(placings))
	for _, p := range placings {
		o := p.Order
		if seen[o.ID] {
			// Only one of them creates it, so each runs alone.
			return nil, fmt.Errorf("order: %s is placed twice at the same time", o.ID)
		}
		seen[o.ID] = true
		address, err := toAddress(o.ShippingAddress)
		if err != nil {
			return nil, err
		}
		ids, users, emails, hashes = append(ids, o.ID), append(users, pointer(o.UserID)), append(emails, o.Email), append(hashes, pointer(o.GuestTokenHash))
		currencies, counts, addresses = append(currencies, o.Currency), append(counts, int16(len(o.Lines))), append(addresses, textPointer(address))
		subtotals, discounts, taxes = append(subtotals, o.Subtotal), append(discounts, o.Discount), append(taxes, o.Tax)
		shippings, totals = append(shippings, o.Shipping), append(totals, o.Total)
		created, expiring = append(created, o.CreateTime), append(expiring, o.ExpireTime)
		for i, line := range o.Lines {
			lines, lineOrders, positions = append(lines, line), append(lineOrders, o.ID), append(positions, int16(i+1))
		}
		stepIDs, types, messages = append(stepIDs, p.Step.ID), append(types, string(p.Step.Type)), append(messages, p.Step.Message)
		actors, keys = append(actors, p.Step.Actor), append(keys, p.Step.Key)
		eventIDs, eventTypes = append(eventIDs, p.event.ID), append(eventTypes, p.event.Type)
		subjects, payloads = append(subjects, p.event.Subject), append(payloads, p.event.Payload)
	}
	l := newColumns(lines)
	return []any{
		ids, users, emails, hashes, currencies, counts, subtotals, discounts, taxes, shippings, totals, addresses, created, expiring,
		lineOrders, positions, l.products, l.skus, l.names, l.quantities, l.prices, l.subtotals, l.discounts, l.rates, l.taxes, l.totals,
		stepIDs, types, messages, actors, keys, eventIDs, eventTypes, subjects, payloads,
	}, nil
}

// pointer is nil for the zero value.
func pointer[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func textPointer(value any) *string {
	text, ok := value.(string)
	if !ok {
		return nil
	}
	return &text
}
