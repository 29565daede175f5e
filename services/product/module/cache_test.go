package module

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/product"
)

func (b *bench) queries(t testing.TB, call func(ctx context.Context) error) int {
	t.Helper()
	return pgtest.CountQueries(as(t, guest), func(ctx context.Context) {
		if err := call(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestReadsAreCachedAndChangesSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Hot", Stock: &productv1.Stock{OnHand: 5}})
	get := func(ctx context.Context) error {
		_, err := b.products.GetProduct(ctx, &productv1.GetProductRequest{ProductId: p.GetId()})
		return err
	}
	if n := b.queries(t, get); n != 1 {
		t.Errorf("the first read costs %d queries", n)
	}
	if n := b.queries(t, get); n != 0 {
		t.Errorf("the second read costs %d queries", n)
	}
	// Many who ask at once share one query.
	other := b.create(t, &productv1.Product{Name: "Stampede"})
	n := b.queries(t, func(ctx context.Context) error {
		var group sync.WaitGroup
		failures := make([]error, 50)
		for i := range failures {
			group.Go(func() {
				_, failures[i] = b.products.GetProduct(ctx, &productv1.GetProductRequest{ProductId: other.GetId()})
			})
		}
		group.Wait()
		return errors.Join(failures...)
	})
	if n > 2 { // one, and one more for who came just after it ended
		t.Errorf("50 readers cost %d queries", n)
	}
	// What this process sells is seen at once, what another process sells within seconds.
	reserve(t, b, p.GetId(), 2)
	if got := available(t, b, p.GetId()); got != 3 {
		t.Errorf("%d available after a reservation here, want 3", got)
	}
	if _, err := b.db.Pool().Exec(t.Context(), `SELECT outcome FROM reserve_stock($1, ARRAY[$2::uuid], ARRAY[1], now() + interval '1 hour', now())`,
		uuid.New(), p.GetId()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a sale elsewhere is seen", func() bool { return available(t, b, p.GetId()) == 2 })
	// A catalog change elsewhere raises the version.
	if _, err := b.db.Pool().Exec(t.Context(), `WITH v AS (UPDATE catalog_state SET version = version + 1) UPDATE product SET name = 'New' WHERE id = $1`, p.GetId()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change elsewhere is seen", func() bool {
		got, err := b.products.GetProduct(as(t, guest), &productv1.GetProductRequest{ProductId: p.GetId()})
		return err == nil && got.GetProduct().GetName() == "New"
	})
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "commerce_cache_requests_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			counted[metric.GetLabel()[0].GetValue()+" "+metric.GetLabel()[1].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	if counted["product hit"] == 0 || counted["product miss"] == 0 {
		t.Errorf("hits and misses counted: %v", counted)
	}
}

func reserve(t testing.TB, b *bench, id string, quantity int32) string {
	t.Helper()
	order := uuid.NewString()
	_, err := b.stock.ReserveStock(as(t, guest), &productv1.ReserveStockRequest{
		OrderId: order, ExpireTime: timestamppb.New(time.Now().Add(time.Hour)),
		Lines: []*productv1.ReserveStockRequest_Line{{ProductId: id, Quantity: quantity}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return order
}

func available(t testing.TB, b *bench, id string) int32 {
	t.Helper()
	got, err := b.products.GetProduct(as(t, guest), &productv1.GetProductRequest{ProductId: id})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetProduct().GetStock().GetAvailable()
}

func TestRedisDownCostsNothingButHits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.redis.Close()
	for i := range 3 {
		p := b.create(t, &productv1.Product{Name: fmt.Sprintf("Thing %d", i)})
		for range 2 {
			start := time.Now()
			b.must(t, guest, "GET", "/api/v1/products/"+p.GetId(), "")
			b.must(t, guest, "GET", "/api/v1/products", "")
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("two reads took %s", took)
			}
		}
	}
}

func TestSecondProcessReadsWhatTheFirstPutIntoRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Shared"})
	b.must(t, guest, "GET", "/api/v1/products/"+p.GetId(), "")
	if len(b.redis.Keys()) == 0 {
		t.Fatal("nothing is in Redis")
	}
	// Rubbish under our keys is a miss, not a failure.
	for _, key := range b.redis.Keys() {
		if err := b.redis.Set(key, "rubbish"); err != nil {
			t.Fatal(err)
		}
	}
	b.create(t, &productv1.Product{Name: "Another"}) // a new version
	b.must(t, guest, "GET", "/api/v1/products/"+p.GetId(), "")
}

func TestDatabaseDownServesWhatIsKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Remembered"})
	b.must(t, guest, "GET", "/api/v1/products/"+p.GetId(), "")
	b.stop()
	b.db.Close()
	b.redis.FastForward(time.Hour)
	time.Sleep(10 * time.Millisecond)
	if got := b.call(t, guest, "GET", "/api/v1/products/"+p.GetId(), ""); got.status != http.StatusOK {
		t.Errorf("a known product answers %d %s", got.status, got.text)
	}
	if got := b.call(t, guest, "GET", "/api/v1/products/"+uuid.NewString(), ""); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("an unknown product answers %d %s", got.status, got.text)
	}
	if got := b.call(t, admin, "GET", "/api/v1/products/"+p.GetId(), ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("an administrator gets %d from the cache", got.status)
	}
}

func TestReservationsOverRPC(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config, _ *component.Env) { c.ExpireEvery = time.Second })
	p := b.create(t, &productv1.Product{Name: "Held", Stock: &productv1.Stock{OnHand: 5}})
	order := reserve(t, b, p.GetId(), 4)
	extended, err := b.stock.ExtendReservation(as(t, guest), &productv1.ExtendReservationRequest{OrderId: order, ExpireTime: timestamppb.New(time.Now().Add(2 * time.Hour))})
	if err != nil || extended.GetExpireTime().AsTime().Before(time.Now().Add(time.Hour)) {
		t.Errorf("extended to %v, %v", extended, err)
	}
	_, err = b.stock.ReserveStock(as(t, guest), &productv1.ReserveStockRequest{
		OrderId: uuid.NewString(), ExpireTime: timestamppb.New(time.Now().Add(time.Hour)),
		Lines: []*productv1.ReserveStockRequest_Line{{ProductId: p.GetId(), Quantity: 2}},
	})
	if !errors.Is(err, product.ErrOutOfStock) {
		t.Errorf("too many: %v", err)
	}
	if _, err := b.stock.CommitReservation(as(t, guest), &productv1.CommitReservationRequest{OrderId: order}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.stock.ReleaseReservation(as(t, guest), &productv1.ReleaseReservationRequest{OrderId: order, Reason: "sent back"}); err != nil {
		t.Fatal(err)
	}
	ledger := b.must(t, admin, "GET", "/api/v1/products/"+p.GetId()+"/stockEntries?pageSize=2", "")
	entries, _ := ledger.body["entries"].([]any)
	if len(entries) != 2 || ledger.at("nextPageToken") == "" {
		t.Errorf("ledger %s", ledger.text)
	}
	rest := b.must(t, admin, "GET", "/api/v1/products/"+p.GetId()+"/stockEntries?pageToken="+ledger.at("nextPageToken"), "")
	if entries, _ := rest.body["entries"].([]any); len(entries) != 2 {
		t.Errorf("rest of the ledger %s", rest.text)
	}
	// The periodic job ends what nobody paid.
	short := uuid.NewString()
	if _, err := b.stock.ReserveStock(as(t, guest), &productv1.ReserveStockRequest{
		OrderId: short, ExpireTime: timestamppb.New(time.Now().Add(300 * time.Millisecond)),
		Lines: []*productv1.ReserveStockRequest_Line{{ProductId: p.GetId(), Quantity: 5}},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reservation ends", func() bool { return available(t, b, p.GetId()) == 5 })
	if _, err := b.stock.CommitReservation(as(t, guest), &productv1.CommitReservationRequest{OrderId: short}); !errors.Is(err, product.ErrReservationExpired) {
		t.Errorf("a late commit: %v", err)
	}
}

// BenchmarkGet reads 10,000 products by id at random, as the REST transport does.
func BenchmarkGet(bm *testing.B) {
	b := newBench(bm)
	var file []byte
	file = append(file, "name,slug,sku,price,stockOnHand\n"...)
	for i := range 10_000 {
		file = append(file, fmt.Sprintf("Thing %d,thing-%d,SKU-%d,%d.00,5\n", i, i, i, i%90+1)...)
	}
	start := time.Now()
	report, err := b.products.ImportProducts(as(bm, admin), &productv1.ImportProductsRequest{Format: productv1.Format_VENDURE, Content: file})
	if err != nil || report.GetCreated() != 10_000 {
		bm.Fatal(report, err)
	}
	bm.Logf("10,000 products imported in %s", time.Since(start))
	rows, err := b.db.Pool().Query(bm.Context(), `SELECT id::text FROM product`)
	if err != nil {
		bm.Fatal(err)
	}
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			bm.Fatal(err)
		}
		ids = append(ids, id)
	}
	ctx := as(bm, guest)
	bm.Run("product", func(bm *testing.B) {
		bm.ReportAllocs()
		bm.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/products/"+ids[rand.IntN(len(ids))], nil)
				w := httptest.NewRecorder()
				if b.mux.ServeHTTP(w, r); w.Code != http.StatusOK {
					bm.Error(w.Code, w.Body)
					return
				}
			}
		})
	})
	bm.Run("list", func(bm *testing.B) {
		bm.ReportAllocs()
		bm.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/products?pageSize=20", nil)
				w := httptest.NewRecorder()
				if b.mux.ServeHTTP(w, r); w.Code != http.StatusOK {
					bm.Error(w.Code, w.Body)
					return
				}
			}
		})
	})
}
