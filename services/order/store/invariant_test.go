package store_test

import (
	"testing"

	"github.com/commercestack/commercestack/ent/order/migrations"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/order/store"
)

func TestOrdersThatNobodySettlesAreFound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", migrations.FS)
	expect := func(when string, want int64) {
		t.Helper()
		if got, err := store.Unsettled(t.Context(), db); err != nil || got != want {
			t.Errorf("%s: %d violations (%v), want %d", when, got, err, want)
		}
	}
	place := func(status, expired string) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), `WITH placed AS (
			INSERT INTO orders (id, number, user_id, email, status, currency, line_count, subtotal, discount, tax, shipping, total, create_time, update_time, expire_time)
			VALUES (gen_random_uuid(), nextval('order_number_seq'), gen_random_uuid(), 'x', $1, 'EUR', 1, 100, 0, 0, 0, 100, now(), now(), now() - $2::interval)
			RETURNING id)
			INSERT INTO order_lines (position, product_id, sku, name, quantity, unit_price, subtotal, discount, tax_bps, tax, total, order_id)
			SELECT 1, gen_random_uuid(), '', 'x', 1, 100, 100, 0, 0, 0, 100, id FROM placed`, status, expired); err != nil {
			t.Fatal(err)
		}
	}
	expect("an empty shop", 0)
	place("PENDING", "-15 minutes")
	place("PENDING", "1 minute")
	place("CONFIRMED", "1 day")
	expect("orders in time", 0)
	place("PENDING", "11 minutes")
	expect("one that nobody settled", 1)
	if _, err := db.Pool().Exec(t.Context(), "UPDATE orders SET payment_hold_until = now() + interval '1 minute' WHERE status = 'PENDING'"); err != nil {
		t.Fatal(err)
	}
	expect("a payment holds it", 0)
	db.Close()
	if _, err := store.Unsettled(t.Context(), db); err == nil {
		t.Error("without a database all is well")
	}
}
