package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/product/migrations"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bench is a store with a service on a database of its own.
type bench struct {
	db      *postgres.DB
	store   *store.Store
	service *product.Service
	now     *time.Time
}

type noPictures struct{}

func (noPictures) Put(context.Context, []byte) (product.Picture, error) {
	return product.Picture{Key: "k", ThumbnailKey: "t", Width: 2, Height: 1}, nil
}

func newBench(t testing.TB) *bench {
	t.Helper()
	db := pgtest.New(t, "product", migrations.FS)
	st := store.New(db, "EUR")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := &bench{db: db, store: st, now: &now}
	service, err := product.New(product.Config{
		Store: st, Pictures: noPictures{}, Currency: "EUR", Now: func() time.Time { return *b.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.service = service
	return b
}

func (b *bench) create(t testing.TB, p product.Product, onHand int32) product.Product {
	t.Helper()
	if p.Price.CurrencyCode == "" {
		p.Price = eur(1999)
	}
	made, err := b.service.Create(t.Context(), product.CreateInput{ID: uuid.Must(uuid.NewV7()), Product: p, OnHand: onHand})
	if err != nil {
		t.Fatalf("create %q: %v", p.Name, err)
	}
	return made
}

func (b *bench) products(t testing.TB, n int, onHand int32) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = b.create(t, product.Product{Name: fmt.Sprintf("Thing %d", i)}, onHand).ID
	}
	return ids
}

func (b *bench) reserve(ctx context.Context, order uuid.UUID, lines ...product.Line) ([]product.Sold, error) {
	sold, _, err := b.service.Reserve(ctx, product.ReserveInput{OrderID: order, Lines: lines, ExpireTime: b.now.Add(time.Hour)})
	return sold, err
}

func (b *bench) stock(t testing.TB, id uuid.UUID) product.Stock {
	t.Helper()
	p, err := b.store.ProductByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p.Stock
}

// checkLedger compares every stock level with the sums of its ledger.
func (b *bench) checkLedger(t testing.TB) {
	t.Helper()
	var wrong int
	err := b.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM stock_level s LEFT JOIN LATERAL (
		SELECT coalesce(sum(on_hand_delta), 0) AS h, coalesce(sum(reserved_delta), 0) AS r FROM stock_entry e
		WHERE e.product_id = s.product_id) l ON true WHERE (s.on_hand, s.reserved) IS DISTINCT FROM (l.h, l.r)`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d stock levels differ from their ledger (%v)", wrong, err)
	}
}

func eur(minor int64) money.Money { return money.Money{CurrencyCode: "EUR", AmountMinor: minor} }

func usd(minor int64) money.Money { return money.Money{CurrencyCode: "USD", AmountMinor: minor} }
