//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// traffic is a steady stream of readers and buyers that remembers every order
// the shop said yes to.
type traffic struct {
	guest   *shop.Shop
	product string
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu       sync.Mutex
	requests int
	failures []string
	// outcomes counts what was no success, by status and code.
	outcomes map[string]int
	// last is when a request failed last, slowest the longest that one took.
	last    time.Time
	slowest time.Duration
	orders  []bought
}

// What became of requests that failed.
const (
	noAnswer    = "no answer"
	unavailable = "503 UNAVAILABLE"
	inProgress  = "409 IDEMPOTENCY_IN_PROGRESS"
)

// bought is an order that the shop accepted.
type bought struct {
	id, guestToken string
	paid           bool
}

// startTraffic runs buyers and readers of a new product until stop.
func startTraffic(t *testing.T, guest, admin *shop.Shop, name string, buyers, readers int) *traffic {
	t.Helper()
	product, err := admin.NewProduct(t.Context(), name, "EUR", 1500, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	flow := &traffic{guest: guest, product: product, cancel: cancel, outcomes: map[string]int{}}
	t.Cleanup(flow.stop)
	for range buyers {
		flow.group.Go(func() { flow.loop(ctx, 150*time.Millisecond, flow.buy) })
	}
	for range readers {
		flow.group.Go(func() { flow.loop(ctx, 40*time.Millisecond, flow.read) })
	}
	return flow
}

func (f *traffic) stop() {
	f.cancel()
	f.group.Wait()
}

func (f *traffic) loop(ctx context.Context, pause time.Duration, step func(context.Context)) {
	for ctx.Err() == nil {
		// A request that has begun is finished, so that stopping looks like no failure.
		step(context.WithoutCancel(ctx))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (f *traffic) read(ctx context.Context) {
	started := time.Now()
	answer, err := f.guest.Do(ctx, http.MethodGet, "/api/v1/products/"+f.product, nil)
	f.count("read", started, answer, err)
}

// buy places an order under one key, as often as it takes to learn what became
// of it, and pays it.
func (f *traffic) buy(ctx context.Context) {
	email := shop.NewEmail()
	body := map[string]any{"items": []any{map[string]any{"productId": f.product, "quantity": 1}}, "email": email}
	placed := f.repeat(ctx, "place", f.guest.With("Idempotency-Key", email), "/api/v1/orders", body)
	if placed == nil {
		return
	}
	order := bought{id: placed.String("order", "id"), guestToken: placed.String("guestToken")}
	f.mu.Lock()
	f.orders = append(f.orders, order)
	at := len(f.orders) - 1
	f.mu.Unlock()
	customer := f.guest.AsGuest(order.guestToken).With("Idempotency-Key", "pay-"+email)
	if f.repeat(ctx, "pay", customer, "/api/v1/billing/payments", map[string]any{"orderId": order.id, "paymentMethod": "pm_card_visa"}) == nil {
		return
	}
	f.mu.Lock()
	f.orders[at].paid = true
	f.mu.Unlock()
}

// repeat sends a request under its idempotency key until it is answered. Only
// the first try counts as a request; every try that fails is noted.
func (f *traffic) repeat(ctx context.Context, what string, as *shop.Shop, path string, body any) *shop.Answer {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(300 * time.Millisecond) {
		started := time.Now()
		answer, err := as.Do(ctx, http.MethodPost, path, body)
		f.count(what, started, answer, err)
		if err == nil && answer.Status < http.StatusMultipleChoices {
			return answer
		}
		if err == nil && answer.Status < http.StatusInternalServerError && answer.Status != http.StatusTooManyRequests &&
			answer.Code() != "IDEMPOTENCY_IN_PROGRESS" {
			return nil
		}
	}
	return nil
}

func (f *traffic) count(what string, started time.Time, answer *shop.Answer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	took := time.Since(started)
	f.slowest = max(f.slowest, took)
	var outcome string
	switch {
	case err != nil:
		outcome = err.Error()
		f.outcomes[noAnswer]++
	case answer.Status >= http.StatusBadRequest:
		outcome = fmt.Sprintf("%d %s", answer.Status, answer.Raw)
		f.outcomes[fmt.Sprintf("%d %s", answer.Status, answer.Code())]++
	default:
		return
	}
	f.last = time.Now()
	f.failures = append(f.failures, fmt.Sprintf("%s %s after %s: %s", f.last.Format("15:04:05.000"), what, took.Round(time.Millisecond), outcome))
}

// story is what became of the requests so far, by status, and when the last one failed.
func (f *traffic) story() (text string, last time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%d requests, %d orders, %d failed and were repeated %v, slowest %s",
		f.requests, len(f.orders), len(f.failures), f.outcomes, f.slowest.Round(time.Millisecond)), f.last
}

// counts returns requests, failures and accepted orders so far.
func (f *traffic) counts() (requests, failures, orders int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests, len(f.failures), len(f.orders)
}

// firstOrder is the order that was accepted first.
func (f *traffic) firstOrder() bought {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orders[0]
}

// firstFailures shows some failures.
func (f *traffic) firstFailures(most int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.failures[:min(most, len(f.failures))], "\n")
}

// verify checks that every accepted order is there and every paid one is confirmed.
func (f *traffic) verify(t *testing.T) {
	t.Helper()
	confirmed := 0
	for _, order := range f.orders {
		customer := f.guest.AsGuest(order.guestToken)
		if !order.paid {
			if _, err := customer.Must(t.Context(), http.MethodGet, "/api/v1/orders/"+order.id, nil); err != nil {
				t.Errorf("an accepted order is lost: %v", err)
			}
			continue
		}
		if _, err := customer.WaitOrder(t.Context(), order.id, "CONFIRMED"); err != nil {
			t.Errorf("a paid order is not confirmed: %v", err)
		}
		confirmed++
	}
	if confirmed == 0 {
		t.Error(errors.New("nobody bought anything"))
	}
}

// noFailures prints the counters of a stretch of traffic, of which none may have failed.
func noFailures(t *testing.T, what string, flow *traffic) {
	t.Helper()
	requests, failures, orders := flow.counts()
	fmt.Printf("%s: %d requests, %d orders, %d failed\n", what, requests, orders, failures)
	if failures > 0 {
		t.Errorf("%d of %d requests failed:\n%s", failures, requests, flow.firstFailures(5))
	}
}
