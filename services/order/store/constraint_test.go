package store_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/commercestack/commercestack/ent/order/migrations"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/order"
)

// The database refuses what the code would never do, whoever tries it.
func TestDatabaseHoldsTheInvariants(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, user())
	for name, c := range map[string]struct{ statement, constraint string }{
		"total that does not add up": {"UPDATE orders SET total = total + 1", "order_amounts_fixed"},
		"amounts after the fact":     {"UPDATE orders SET subtotal = 0, total = 0", "order_amounts_fixed"},
		"a state skipped":            {"UPDATE orders SET status = 'COMPLETED'", "order_status_moves"},
		"an unknown state":           {"UPDATE orders SET status = 'LOST'", ""},
		"no owner":                   {"UPDATE orders SET user_id = NULL", "order_has_owner"},
		"negative refunds":           {"UPDATE orders SET refunded = -1", "order_not_negative"},
		"a line changed":             {"UPDATE order_lines SET quantity = 1", ""},
		"a line removed":             {"DELETE FROM order_lines", ""},
		"history rewritten":          {"UPDATE order_events SET message = ''", ""},
		"history removed":            {"DELETE FROM order_events", ""},
		"an order removed":           {"DELETE FROM orders", ""},
		"an unknown actor": {`INSERT INTO order_events (id, order_id, type, status, message, actor, dedupe_key, create_time)
			SELECT gen_random_uuid(), id, 'X', 'PENDING', '', 'ghost', 'x', now() FROM orders`, "order_event_actor_known"},
		"a line too many": {`INSERT INTO order_lines (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
			SELECT id, 2, id, '', '', 1, 0, 0, 0, 0, 0, 0 FROM orders`, "order_line_place"},
		"an order without lines": {`INSERT INTO orders (id, number, email, guest_token_hash, status, currency, line_count, subtotal, discount, tax, shipping, total, create_time, update_time, expire_time)
			VALUES (gen_random_uuid(), 1, '', 'h', 'PENDING', 'EUR', 1, 0, 0, 0, 0, 0, now(), now(), now())`, "order_lines_sum"},
		"lines that do not sum": {`WITH o AS (INSERT INTO orders (id, number, email, guest_token_hash, status, currency, line_count, subtotal, discount, tax, shipping, total, create_time, update_time, expire_time)
			VALUES (gen_random_uuid(), 1, '', 'h', 'PENDING', 'EUR', 1, 100, 0, 0, 0, 100, now(), now(), now()) RETURNING id)
			INSERT INTO order_lines (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
			SELECT id, 1, id, '', '', 1, 99, 99, 0, 0, 0, 99 FROM o`, "order_lines_sum"},
		"Trap11 a negative quantity": {`INSERT INTO order_lines (order_id, position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total)
			SELECT id, 3, id, '', '', -1, 5, -5, 0, 0, 0, -5 FROM orders`, ""},
		"a coupon used too often": {`INSERT INTO coupons (id, code, percent_off_bps, max_redemptions, redemptions, create_time)
			VALUES (gen_random_uuid(), 'X', 1, 1, 2, now())`, "coupon_redemptions_limit"},
		"a coupon in lower case": {`INSERT INTO coupons (id, code, percent_off_bps, create_time) VALUES (gen_random_uuid(), 'x', 1, now())`, "coupon_code_upper"},
		"a second open cart": {`INSERT INTO carts (id, user_id, status, create_time, update_time)
			SELECT gen_random_uuid(), user_id, 'OPEN', now(), now() FROM orders, generate_series(1, 2)`, "cart_one_open_per_user"},
		"a cart of nobody": {`INSERT INTO carts (id, status, create_time, update_time) VALUES (gen_random_uuid(), 'OPEN', now(), now())`, "cart_one_owner"},
		"two payments that paid": {`INSERT INTO order_payments (id, order_id, status, create_time, update_time)
			SELECT gen_random_uuid(), id, 'SUCCEEDED', now(), now() FROM orders, generate_series(1, 2)`, "order_payment_one_winner"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.db.Pool().Exec(t.Context(), c.statement)
			refusal, ok := errors.AsType[*pgconn.PgError](err)
			if !ok || (c.constraint != "" && refusal.ConstraintName != c.constraint) {
				t.Errorf("got %v, want %s", err, c.constraint)
			}
		})
	}
	if got := s.get(t, o.ID); got.Status != order.StatusPending || got.Total != o.Total {
		t.Errorf("the order changed: %+v", got)
	}
}

func TestDatabaseRefusesForeignWrites(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t,
		pgtest.Schema{Component: "order", Migrations: migrations.FS}, pgtest.Schema{Component: "product"})
	for _, c := range []struct{ login, statement string }{
		{"product", `INSERT INTO "order".carts (id, guest_token_hash, create_time, update_time) VALUES (gen_random_uuid(), 'h', now(), now())`},
		{"product", `SELECT * FROM "order".orders`},
		{"order", `INSERT INTO product.inbox (subscriber, event_id) VALUES ('x', gen_random_uuid())`},
		{"order", `ALTER TABLE orders DISABLE TRIGGER ALL`},
	} {
		conn, err := pgx.Connect(t.Context(), database.URL(c.login))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), `SET search_path TO "order"`)
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), c.statement)
		if refusal, ok := errors.AsType[*pgconn.PgError](err); !ok || refusal.Code != "42501" {
			t.Errorf("%s: %s: got %v", c.login, c.statement, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAPaymentBelongsToOneOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	first, second := s.place(t, caller), s.place(t, caller)
	payment := s.pay(t, first, caller)
	_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: second.ID, PaymentID: payment, Caller: caller})
	wantFault(t, err, fault.KindConflict, "PAYMENT_MISMATCH")
	s.wantStatus(t, second.ID, order.StatusPending)
}
