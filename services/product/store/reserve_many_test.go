package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/product"
)

// waiting are the statements of the test's database that wait for a lock.
func (b *bench) waiting(t testing.TB) (n int) {
	t.Helper()
	err := b.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Reservations that come while another one waits share a statement. Each has its own answer: what one of them is refused
// keeps nothing from the others, of the same product or of another.
func TestReservationsMadeTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	held, plenty, few := b.create(t, product.Product{Name: "Held"}, 1).ID, b.create(t, product.Product{Name: "Plenty"}, 100).ID, b.create(t, product.Product{Name: "Few"}, 3).ID
	draft := b.create(t, product.Product{Name: "Draft", Status: product.StatusDraft}, 9).ID
	known := uuid.New()
	if _, err := b.reserve(t.Context(), known, product.Line{ProductID: plenty, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	calls := []struct {
		order, product uuid.UUID
		quantity       int32
		refused        bool
	}{
		{uuid.New(), plenty, 2, false},
		{uuid.New(), plenty, 3, false},
		{uuid.New(), few, 3, false},
		{uuid.New(), draft, 1, true},
		{uuid.New(), uuid.New(), 1, true},
		{known, plenty, 1, false},
		{known, plenty, 2, true},
		{uuid.New(), plenty, 200, true},
	}
	lock, err := b.db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := lock.Exec(t.Context(), "SELECT FROM stock_level WHERE product_id = $1 FOR UPDATE", held); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := b.reserve(t.Context(), uuid.New(), product.Line{ProductID: held, Quantity: 1}); err != nil {
			t.Errorf("held: %v", err)
		}
	})
	for b.waiting(t) == 0 {
		time.Sleep(time.Millisecond)
	}
	statements := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		var all sync.WaitGroup
		for _, call := range calls[:3] {
			all.Go(func() {
				sold, err := b.reserve(ctx, call.order, product.Line{ProductID: call.product, Quantity: call.quantity})
				if err != nil || len(sold) != 1 || sold[0].ProductID != call.product || sold[0].Quantity != call.quantity || sold[0].UnitPrice != eur(1999) {
					t.Errorf("%d of %s: %+v, %v", call.quantity, call.product, sold, err)
				}
			})
		}
		all.Wait()
	})
	// The first to lose its patience takes whoever came by then with it.
	if statements > len(calls[:3]) {
		t.Errorf("%d statements for %d reservations", statements, len(calls[:3]))
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, call := range calls[3:] {
		group.Go(func() {
			_, err := b.reserve(t.Context(), call.order, product.Line{ProductID: call.product, Quantity: call.quantity})
			if (err != nil) != call.refused {
				t.Errorf("%d of %s: %v", call.quantity, call.product, err)
			}
		})
	}
	group.Wait()
	for id, want := range map[uuid.UUID]product.Stock{
		held: {OnHand: 1, Reserved: 1}, plenty: {OnHand: 100, Reserved: 6}, few: {OnHand: 3, Reserved: 3}, draft: {OnHand: 9},
	} {
		if got := b.stock(t, id); got != want {
			t.Errorf("stock %+v, want %+v", got, want)
		}
	}
	b.checkLedger(t)
}

// Many buyers of few products at once get what there is, and statements are fewer than buyers.
func TestTrap01BuyersServedTogetherGetNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.products(t, 3, 20)
	const buyers = 120
	var mutex sync.Mutex
	sold := map[uuid.UUID]int32{}
	statements := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		var group sync.WaitGroup
		for i := range buyers {
			group.Go(func() {
				line := product.Line{ProductID: ids[i%len(ids)], Quantity: int32(1 + i%2)}
				_, err := b.reserve(ctx, uuid.New(), line)
				if err != nil && !errors.Is(err, product.ErrOutOfStock) {
					t.Error(err)
				}
				if err == nil {
					mutex.Lock()
					sold[line.ProductID] += line.Quantity
					mutex.Unlock()
				}
			})
		}
		group.Wait()
	})
	for _, id := range ids {
		if got, want := b.stock(t, id), (product.Stock{OnHand: 20, Reserved: 20}); got != want || sold[id] != 20 {
			t.Errorf("stock %+v, sold %d", got, sold[id])
		}
	}
	if statements >= 2*buyers {
		t.Errorf("%d statements for %d buyers", statements, buyers)
	}
	b.checkLedger(t)
}

// Callers that repeat a reservation at the same time share one.
func TestTwinsAmongReservationsMadeTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.products(t, 1, 1000)[0]
	orders := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			if _, err := b.reserve(t.Context(), orders[i%len(orders)], product.Line{ProductID: id, Quantity: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got, want := b.stock(t, id), (product.Stock{OnHand: 1000, Reserved: 6}); got != want {
		t.Errorf("stock %+v, want %+v", got, want)
	}
	b.checkLedger(t)
}
