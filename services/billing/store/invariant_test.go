package store_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/billing/migrations"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/billing/store"
)

func TestMoneyWithoutAnOrderIsFound(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "billing", migrations.FS)
	exec := func(statement string, arguments ...any) {
		t.Helper()
		if _, err := db.Pool().Exec(t.Context(), statement, arguments...); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, want int64) {
		t.Helper()
		if got, err := store.Unreconciled(t.Context(), db); err != nil || got != want {
			t.Errorf("%s: %d violations (%v), want %d", when, got, err, want)
		}
	}
	pay := func(status, age string) (payment, order uuid.UUID) {
		t.Helper()
		payment, order = uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		exec(`INSERT INTO payment (id, order_id, order_number, amount, currency_code, status, create_time, update_time)
			VALUES ($1, $2, '1', 100, 'EUR', $3, now() - $4::interval, now() - $4::interval)`, payment, order, status, age)
		return payment, order
	}
	expect("an empty shop", 0)
	pay("SUCCEEDED", "1 minute")
	pay("FAILED", "1 hour")
	expect("a fresh payment", 0)
	payment, _ := pay("SUCCEEDED", "1 hour")
	expect("an hour without an order", 1)
	refund := uuid.Must(uuid.NewV7())
	exec(`INSERT INTO refund (id, payment_id, order_id, amount, currency_code, reason, status, create_time, update_time)
		SELECT $1, id, order_id, 100, 'EUR', 'x', 'PENDING', now(), now() FROM payment WHERE id = $2`, refund, payment)
	expect("it is on its way back", 0)
	exec("UPDATE refund SET status = 'FAILED' WHERE id = $1", refund)
	expect("it did not get there", 1)
	_, order := pay("SUCCEEDED", "1 hour")
	expect("another one", 2)
	exec(`INSERT INTO invoice (id, number, kind, order_id, order_number, currency_code, subtotal, discount, tax, shipping, total, lines, create_time)
		VALUES (gen_random_uuid(), '1', 'INVOICE', $1, '1', 'EUR', 100, 0, 0, 0, 100, '[]', now())`, order)
	expect("its order was confirmed", 1)
	unknown, _ := pay("UNKNOWN", "1 hour")
	exec("UPDATE payment SET next_poll_time = now() - interval '11 minutes' WHERE id = $1", unknown)
	expect("nobody asks for an outcome", 2)
	db.Close()
	if _, err := store.Unreconciled(t.Context(), db); err == nil {
		t.Error("without a database all is well")
	}
}
