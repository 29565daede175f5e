package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/product"
)

func TestTrap01SixtyFourBuyersTenPieces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(t, product.Product{Name: "Last lamp"}, 10).ID
	var sold, short, other atomic.Int32
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			_, err := b.reserve(t.Context(), uuid.New(), product.Line{ProductID: id, Quantity: 1})
			switch {
			case err == nil:
				sold.Add(1)
			case errors.Is(err, product.ErrOutOfStock):
				short.Add(1)
			default:
				other.Add(1)
				t.Error(err)
			}
		})
	}
	group.Wait()
	if sold.Load() != 10 || short.Load() != 54 || other.Load() != 0 {
		t.Errorf("sold %d, short %d, other %d; want 10, 54, 0", sold.Load(), short.Load(), other.Load())
	}
	if got, want := b.stock(t, id), (product.Stock{OnHand: 10, Reserved: 10}); got != want {
		t.Errorf("stock %+v, want %+v", got, want)
	}
	b.checkLedger(t)
}

func TestTrap01LinesInAnyOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.products(t, 6, 100_000)
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 30 {
				order := uuid.New()
				var lines []product.Line
				for _, i := range random.Perm(len(ids)) {
					lines = append(lines, product.Line{ProductID: ids[i], Quantity: 1})
				}
				if _, err := b.reserve(t.Context(), order, lines...); err != nil {
					t.Errorf("reserve: %v", err)
					return
				}
				var err error
				if random.IntN(2) == 0 {
					err = b.service.Commit(t.Context(), order)
				} else {
					err = b.service.Release(t.Context(), order, "")
				}
				if err != nil {
					t.Errorf("end: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	b.checkLedger(t)
}

func TestTrap02SharedItemLinesAreSummed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(t, product.Product{Name: "Chair"}, 10).ID
	_, err := b.reserve(t.Context(), uuid.New(),
		product.Line{ProductID: id, Quantity: 6}, product.Line{ProductID: id, Quantity: 6})
	if !errors.Is(err, product.ErrOutOfStock) {
		t.Fatalf("two lines of 6 out of 10: %v, want out of stock", err)
	}
	f := fault.From(err)
	if f.Metadata["productId"] != id.String() || f.Metadata["available"] != "10" || f.Field != "items[0].quantity" {
		t.Errorf("fault %+v does not name the product and what is available", f)
	}
	sold, err := b.reserve(t.Context(), uuid.New(),
		product.Line{ProductID: id, Quantity: 4}, product.Line{ProductID: id, Quantity: 6})
	if err != nil || len(sold) != 1 || sold[0].Quantity != 10 {
		t.Fatalf("4 and 6 out of 10: %+v, %v", sold, err)
	}
}

func TestTrap03DatabaseRefusesOverselling(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(t, product.Product{Name: "Table"}, 3).ID
	for name, sql := range map[string]string{
		"reserved above on hand": `UPDATE stock_level SET reserved = 4 WHERE product_id = $1`,
		"negative reserved":      `UPDATE stock_level SET reserved = -1 WHERE product_id = $1`,
		"ledger rewritten":       `UPDATE stock_entry SET on_hand_delta = 9 WHERE product_id = $1`,
		"ledger deleted":         `DELETE FROM stock_entry WHERE product_id = $1`,
		"negative price":         `UPDATE product SET price_minor = -1 WHERE id = $1`,
	} {
		if _, err := b.db.Pool().Exec(t.Context(), sql, id); err == nil {
			t.Errorf("%s: the database let it pass", name)
		}
	}
	if got, want := b.stock(t, id), (product.Stock{OnHand: 3}); got != want {
		t.Errorf("stock %+v, want %+v", got, want)
	}
}

func TestReserveIsIdempotent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.products(t, 2, 5)
	order := uuid.New()
	lines := []product.Line{{ProductID: ids[0], Quantity: 5}, {ProductID: ids[1], Quantity: 1}}
	first, err := b.reserve(t.Context(), order, lines...)
	if err != nil {
		t.Fatal(err)
	}
	// A new price does not change what the order was told.
	if _, err := b.db.Pool().Exec(t.Context(), `UPDATE product SET price_minor = 1, name = 'New'`); err != nil {
		t.Fatal(err)
	}
	again, err := b.reserve(t.Context(), order, lines[1], lines[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same call answers otherwise (-first +again):\n%s", diff)
	}
	if _, err := b.reserve(t.Context(), order, lines[0]); !errors.Is(err, product.ErrReservationMismatch) {
		t.Errorf("other lines: %v, want mismatch", err)
	}
	if got := b.stock(t, ids[0]); got.Reserved != 5 {
		t.Errorf("reserved %d, want 5", got.Reserved)
	}
	b.checkLedger(t)
}

func TestReserveTwinsShareOneReservation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(t, product.Product{Name: "Rug"}, 1).ID
	for range 20 {
		order := uuid.New()
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if _, err := b.reserve(t.Context(), order, product.Line{ProductID: id, Quantity: 1}); err != nil {
					t.Errorf("a twin of the buyer of the last piece failed: %v", err)
				}
			})
		}
		group.Wait()
		if err := b.service.Release(t.Context(), order, "next round"); err != nil {
			t.Fatal(err)
		}
	}
	b.checkLedger(t)
}

func TestReserveRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.create(t, product.Product{Name: "Good"}, 5).ID
	draft := b.create(t, product.Product{Name: "Draft", Status: product.StatusDraft}, 5).ID
	gone := b.create(t, product.Product{Name: "Gone"}, 5).ID
	if err := b.service.Delete(t.Context(), gone, ""); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]uuid.UUID{"unknown": uuid.New(), "draft": draft, "deleted": gone} {
		_, err := b.reserve(t.Context(), uuid.New(),
			product.Line{ProductID: good, Quantity: 1}, product.Line{ProductID: id, Quantity: 1})
		f := fault.From(err)
		if f == nil || f.Kind != fault.KindNotFound || f.Field != "items[1].productId" || f.Value != id.String() {
			t.Errorf("%s: %#v, want NotFound on items[1].productId", name, err)
		}
	}
	for name, input := range map[string]product.ReserveInput{
		"no lines":  {OrderID: uuid.New(), ExpireTime: b.now.Add(time.Hour)},
		"negative":  {OrderID: uuid.New(), ExpireTime: b.now.Add(time.Hour), Lines: []product.Line{{ProductID: good, Quantity: -1}}},
		"past":      {OrderID: uuid.New(), ExpireTime: *b.now, Lines: []product.Line{{ProductID: good, Quantity: 1}}},
		"for years": {OrderID: uuid.New(), ExpireTime: b.now.Add(9e15), Lines: []product.Line{{ProductID: good, Quantity: 1}}},
		"overflow": {OrderID: uuid.New(), ExpireTime: b.now.Add(time.Hour), Lines: []product.Line{
			{ProductID: good, Quantity: 2_000_000_000}, {ProductID: good, Quantity: 2_000_000_000},
		}},
	} {
		_, _, err := b.service.Reserve(t.Context(), input)
		if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput {
			t.Errorf("%s: %v, want invalid input", name, err)
		}
	}
	if got := b.stock(t, good); got.Reserved != 0 {
		t.Errorf("refused calls reserved %d pieces", got.Reserved)
	}
}

func TestReservationLife(t *testing.T) {
	t.Parallel()
	type step struct {
		do   string
		want error
	}
	lost := product.ErrReservationExpired
	for name, test := range map[string]struct {
		steps []step
		want  product.Stock
	}{
		"commit twice":           {[]step{{"reserve", nil}, {"commit", nil}, {"commit", nil}}, product.Stock{OnHand: 6}},
		"release twice":          {[]step{{"reserve", nil}, {"release", nil}, {"release", nil}}, product.Stock{OnHand: 10}},
		"commit after release":   {[]step{{"reserve", nil}, {"release", nil}, {"commit", lost}}, product.Stock{OnHand: 10}},
		"commit after expiry":    {[]step{{"reserve", nil}, {"expire", nil}, {"commit", lost}}, product.Stock{OnHand: 10}},
		"goods come back":        {[]step{{"reserve", nil}, {"commit", nil}, {"release", nil}, {"release", nil}}, product.Stock{OnHand: 10}},
		"no sale after a return": {[]step{{"reserve", nil}, {"commit", nil}, {"release", nil}, {"commit", lost}, {"reserve", lost}}, product.Stock{OnHand: 10}},
		"again after release":    {[]step{{"reserve", nil}, {"release", nil}, {"reserve", nil}, {"commit", nil}}, product.Stock{OnHand: 6}},
		"again after expiry":     {[]step{{"reserve", nil}, {"expire", nil}, {"reserve", nil}}, product.Stock{OnHand: 10, Reserved: 4}},
		"extended in time":       {[]step{{"reserve", nil}, {"extend", nil}, {"expire", nil}, {"commit", nil}}, product.Stock{OnHand: 6}},
		"extended after commit":  {[]step{{"reserve", nil}, {"commit", nil}, {"extend", nil}}, product.Stock{OnHand: 6}},
		"extended too late":      {[]step{{"reserve", nil}, {"expire", nil}, {"extend", lost}}, product.Stock{OnHand: 10}},
		"nothing to release":     {[]step{{"release", nil}}, product.Stock{OnHand: 10}},
		"nothing to commit":      {[]step{{"commit", fault.NotFound("reservation", "")}}, product.Stock{OnHand: 10}},
		"nothing to extend":      {[]step{{"extend", fault.NotFound("reservation", "")}}, product.Stock{OnHand: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.create(t, product.Product{Name: "Thing"}, 10).ID
			order := uuid.New()
			for i, s := range test.steps {
				var err error
				switch s.do {
				case "reserve":
					_, err = b.reserve(t.Context(), order, product.Line{ProductID: id, Quantity: 4})
				case "commit":
					err = b.service.Commit(t.Context(), order)
				case "release":
					err = b.service.Release(t.Context(), order, "cancelled")
				case "extend":
					_, err = b.service.Extend(t.Context(), order, b.now.Add(48*time.Hour))
				case "expire":
					*b.now = b.now.Add(2 * time.Hour)
					_, err = b.service.Expire(t.Context())
				}
				if !errors.Is(err, s.want) {
					t.Fatalf("step %d %s: %v, want %v", i, s.do, err, s.want)
				}
			}
			if got := b.stock(t, id); got != test.want {
				t.Errorf("stock %+v, want %+v", got, test.want)
			}
			b.checkLedger(t)
		})
	}
}

func TestTrap28ConcurrentSweepersExpireEachReservationOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.products(t, 3, 1000)
	const orders = 450
	for i := range orders {
		if _, err := b.reserve(t.Context(), uuid.New(), product.Line{ProductID: ids[i%3], Quantity: 2}); err != nil {
			t.Fatal(err)
		}
	}
	*b.now = b.now.Add(2 * time.Hour)
	var total atomic.Int64
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			n, err := b.service.Expire(t.Context())
			if err != nil {
				t.Error(err)
			}
			total.Add(int64(n))
		})
	}
	group.Wait()
	if total.Load() != orders {
		t.Errorf("%d reservations ended, want %d", total.Load(), orders)
	}
	var rows int
	if err := b.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM stock_entry WHERE kind = 'EXPIRED'`).Scan(&rows); err != nil || rows != orders {
		t.Errorf("%d ledger rows, want %d (%v)", rows, orders, err)
	}
	for _, id := range ids {
		if got := b.stock(t, id); got.Reserved != 0 {
			t.Errorf("%d pieces are still reserved", got.Reserved)
		}
	}
	b.checkLedger(t)
}

func TestReserveIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var lines []product.Line
	for _, id := range b.products(t, 5, 10) {
		lines = append(lines, product.Line{ProductID: id, Quantity: 1})
	}
	for _, demand := range [][]product.Line{lines, lines[:1]} {
		n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			if _, err := b.reserve(ctx, uuid.New(), demand...); err != nil {
				t.Fatal(err)
			}
		})
		if n != 1 {
			t.Errorf("%d statements for %d lines, want 1", n, len(demand))
		}
	}
}

// TestOneLineIsReservedOrLeavesNothing goes where the statement for one product gives way to the one for all.
func TestOneLineIsReservedOrLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.create(t, product.Product{Name: "Good"}, 3).ID
	draft := b.create(t, product.Product{Name: "Draft", Status: product.StatusDraft}, 3).ID
	gone := b.create(t, product.Product{Name: "Gone"}, 3).ID
	if err := b.service.Delete(t.Context(), gone, ""); err != nil {
		t.Fatal(err)
	}
	order := uuid.New()
	for _, step := range []struct {
		name     string
		order    uuid.UUID
		product  uuid.UUID
		quantity int32
		want     error
	}{
		{"too many", order, good, 4, product.ErrOutOfStock},
		{"unknown", order, uuid.New(), 1, fault.NotFound("product", "")},
		{"draft", order, draft, 1, fault.NotFound("product", "")},
		{"deleted", order, gone, 1, fault.NotFound("product", "")},
		{"after refusals", order, good, 2, nil},
		{"the same again", order, good, 2, nil},
		{"another quantity", order, good, 1, product.ErrReservationMismatch},
		{"another product", order, draft, 2, product.ErrReservationMismatch},
		{"the rest", uuid.New(), good, 1, nil},
		{"nothing left", uuid.New(), good, 1, product.ErrOutOfStock},
		{"the same when nothing is left", order, good, 2, nil},
	} {
		sold, err := b.reserve(t.Context(), step.order, product.Line{ProductID: step.product, Quantity: step.quantity})
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
		if err == nil && (len(sold) != 1 || sold[0].ProductID != good || sold[0].Quantity != step.quantity || sold[0].Name != "Good") {
			t.Errorf("%s: sold %+v", step.name, sold)
		}
	}
	for id, want := range map[uuid.UUID]product.Stock{good: {OnHand: 3, Reserved: 3}, draft: {OnHand: 3}} {
		if got := b.stock(t, id); got != want {
			t.Errorf("stock %+v, want %+v", got, want)
		}
	}
	b.checkLedger(t)
}

// TestReserveKeepsItsPlans notices a function that is replaced without its
// setting: planning for each call costs more than the reservation.
func TestReserveKeepsItsPlans(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var settings []string
	err := b.db.Pool().QueryRow(t.Context(), "SELECT proconfig FROM pg_proc WHERE oid = 'reserve_stock'::regproc").Scan(&settings)
	if err != nil || !slices.Contains(settings, "plan_cache_mode=force_generic_plan") {
		t.Errorf("reserve_stock has the settings %q (%v)", settings, err)
	}
	// The reservation's commit still waits for no disk: the order's does.
	var commit string
	err = b.db.Pool().QueryRow(t.Context(), `SELECT current_setting('synchronous_commit') FROM
		reserve_stock($1, ARRAY[$2::uuid], ARRAY[1], now() + interval '1 minute', now())`, uuid.New(), b.products(t, 1, 1)[0]).Scan(&commit)
	if err != nil || commit != "off" {
		t.Errorf("synchronous_commit is %q after a reservation (%v)", commit, err)
	}
}

func TestAdjustStock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.create(t, product.Product{Name: "Cup"}, 10).ID
	if _, err := b.reserve(t.Context(), uuid.New(), product.Line{ProductID: id, Quantity: 4}); err != nil {
		t.Fatal(err)
	}
	adjust := func(entry uuid.UUID, delta int32) (product.Stock, error) {
		return b.service.AdjustStock(t.Context(), product.Adjustment{ID: entry, ProductID: id, Delta: delta, Reason: "count"})
	}
	if _, err := adjust(uuid.New(), -7); !errors.Is(err, product.ErrStockReserved) {
		t.Errorf("below reserved: %v", err)
	}
	if _, err := adjust(uuid.New(), 1_000_000_000); fault.From(err) == nil || fault.From(err).Field != "delta" {
		t.Errorf("too many: %v", err)
	}
	entry := uuid.New()
	for range 2 { // the second is the retry after a lost answer
		got, err := adjust(entry, -6)
		if want := (product.Stock{OnHand: 4, Reserved: 4}); err != nil || got != want {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	}
	_, err := b.service.AdjustStock(t.Context(), product.Adjustment{ID: uuid.New(), ProductID: uuid.New(), Delta: 1, Reason: "x"})
	if f := fault.From(err); f == nil || f.Kind != fault.KindNotFound {
		t.Errorf("unknown product: %v", err)
	}
	entries, next, err := b.service.Entries(t.Context(), id, uuid.Nil, 2)
	if err != nil || len(entries) != 2 || next == uuid.Nil {
		t.Fatalf("ledger %+v, %v, %v", entries, next, err)
	}
	rest, next, err := b.service.Entries(t.Context(), id, next, 2)
	if err != nil || len(rest) != 1 || next != uuid.Nil {
		t.Fatalf("rest of the ledger %+v, %v, %v", rest, next, err)
	}
	b.checkLedger(t)
}

// TestStockProperty plays random calls and compares with a model that knows no database.
func TestStockProperty(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(t *rapid.T) {
		made, err := b.service.Create(context.Background(), product.CreateInput{
			ID: uuid.New(), Product: product.Product{Name: "Model", Price: eur(500)}, OnHand: 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		id := made.ID
		onHand, reserved := int32(20), int32(0)
		held := map[uuid.UUID]int32{}
		sold := map[uuid.UUID]int32{}
		pick := func(from map[uuid.UUID]int32) uuid.UUID {
			for order := range from {
				return order
			}
			return uuid.New()
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				n := rapid.Int32Range(1, 12).Draw(t, "n")
				order := uuid.New()
				_, err := b.reserve(context.Background(), order, product.Line{ProductID: id, Quantity: n})
				if fits := reserved+n <= onHand; fits != (err == nil) {
					t.Fatalf("reserve %d with %d of %d held: %v", n, reserved, onHand, err)
				} else if fits {
					held[order], reserved = n, reserved+n
				}
			},
			"commit": func(t *rapid.T) {
				order := pick(held)
				if err := b.service.Commit(context.Background(), order); (err == nil) != (held[order] > 0) {
					t.Fatal(err)
				}
				if n := held[order]; n > 0 {
					onHand, reserved, sold[order] = onHand-n, reserved-n, n
					delete(held, order)
				}
			},
			"release": func(t *rapid.T) {
				order := pick(held)
				if err := b.service.Release(context.Background(), order, ""); err != nil {
					t.Fatal(err)
				}
				reserved -= held[order]
				delete(held, order)
			},
			"return": func(t *rapid.T) {
				order := pick(sold)
				if err := b.service.Release(context.Background(), order, ""); err != nil {
					t.Fatal(err)
				}
				onHand += sold[order]
				delete(sold, order)
			},
			"": func(t *rapid.T) {
				p, err := b.store.ProductByID(context.Background(), id)
				if err != nil || p.Stock != (product.Stock{OnHand: onHand, Reserved: reserved}) {
					t.Fatalf("stock %+v (%v), want %d of which %d reserved", p.Stock, err, onHand, reserved)
				}
			},
		})
	})
	b.checkLedger(t)
}

// BenchmarkReserve measures the hottest write of the platform: two lines, eight connections.
func BenchmarkReserve(bm *testing.B) {
	for name, products := range map[string]int{"spread": 500, "hot": 2} {
		bm.Run(name, func(bm *testing.B) {
			b := newBench(bm)
			ids := make([]uuid.UUID, products)
			for i := range ids {
				ids[i] = b.create(bm, product.Product{Name: fmt.Sprintf("Thing %d", i)}, 900_000_000).ID
			}
			bm.SetParallelism(4)
			bm.ResetTimer()
			bm.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := rand.IntN(len(ids))
					_, err := b.reserve(context.Background(), uuid.New(),
						product.Line{ProductID: ids[i], Quantity: 1}, product.Line{ProductID: ids[(i+1)%len(ids)], Quantity: 2})
					if err != nil {
						bm.Error(err)
						return
					}
				}
			})
			bm.ReportMetric(float64(bm.N)/bm.Elapsed().Seconds(), "reservations/s")
		})
	}
}
