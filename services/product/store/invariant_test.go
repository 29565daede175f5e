package store_test

import (
	"testing"

	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/store"
)

func TestStockThatContradictsItsLedgerIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 3 {
		b.create(t, product.Product{Name: "Mug", Status: product.StatusActive}, 5)
	}
	audit := store.NewStockAudit(b.db)
	expect := func(when string, want int64) {
		t.Helper()
		if got, err := audit.Violations(t.Context()); err != nil || got != want {
			t.Errorf("%s: %d violations (%v), want %d", when, got, err, want)
		}
	}
	expect("untouched", 0)
	change := func(statement string) {
		t.Helper()
		if _, err := b.db.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	change("UPDATE stock_level SET on_hand = on_hand + 1 WHERE product_id = (SELECT product_id FROM stock_level ORDER BY product_id DESC LIMIT 1)")
	expect("a piece from nowhere", 1)
	change("UPDATE stock_level SET reserved = 1 WHERE product_id = (SELECT product_id FROM stock_level ORDER BY product_id LIMIT 1)")
	expect("and a reservation of nobody", 2)
	change("UPDATE stock_level SET on_hand = 5, reserved = 0")
	expect("repaired", 0)
	b.db.Close()
	if _, err := audit.Violations(t.Context()); err == nil {
		t.Error("without a database all is well")
	}
}
