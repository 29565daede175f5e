package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

// rushStock is what there is of the product that a rush buys.
const rushStock = 1000

// rushBuyers is how many buyers order at the same time.
const rushBuyers = 6

// rush is buyers who order as fast as they can, each order under a key of its own.
type rush struct {
	product string
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu     sync.Mutex
	placed map[string]string // key → order
	tried  map[string]bool
}

// startRush lets buyers order until the rush ends or the shop fails them.
func startRush(ctx context.Context, as *shop.Shop, product string) *rush {
	ctx, cancel := context.WithCancel(ctx)
	r := &rush{product: product, cancel: cancel, placed: make(map[string]string), tried: make(map[string]bool)}
	for buyer := range rushBuyers {
		r.group.Go(func() {
			for n := 0; ctx.Err() == nil && n < rushStock/(2*rushBuyers); n++ {
				key := fmt.Sprintf("buyer-%d-%d", buyer, n)
				r.mu.Lock()
				r.tried[key] = true
				r.mu.Unlock()
				answer, err := orderOnce(context.WithoutCancel(ctx), as, key, product)
				if err != nil || answer.Status != http.StatusOK {
					return
				}
				r.mu.Lock()
				r.placed[key] = answer.String("order", "id")
				r.mu.Unlock()
			}
		})
	}
	return r
}

// placedMoreThan waits until so many orders were accepted.
func (r *rush) placedMoreThan(ctx context.Context, n int) error {
	return shop.Eventually(ctx, 20*time.Second, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.placed) > n, nil
	})
}

// end waits for the buyers, who finish what they began.
func (r *rush) end() {
	r.cancel()
	r.group.Wait()
}

// verify repeats every order: what was accepted is there, nothing is there twice,
// and the stock adds up.
func (r *rush) verify(t *testing.T, as *shop.Shop) {
	t.Helper()
	orders := make(map[string]bool)
	for key := range r.tried {
		answer, err := repeat(t.Context(), as, key, r.product)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		id := answer.String("order", "id")
		if want, ok := r.placed[key]; ok && want != id {
			t.Errorf("key %s gave order %s before and %s afterwards", key, want, id)
		}
		orders[id] = true
	}
	if len(orders) != len(r.tried) {
		t.Errorf("%d keys gave %d orders", len(r.tried), len(orders))
	}
	onHand, reserved, _, err := as.Stock(t.Context(), r.product)
	if err != nil || onHand != rushStock || reserved < int64(len(orders)) {
		t.Errorf("on hand %d, reserved %d for %d orders (%v)", onHand, reserved, len(orders), err)
	}
	if extra := reserved - int64(len(orders)); extra > rushBuyers {
		// A reservation without an order ends by itself; there is at most one for each buyer.
		t.Errorf("%d reservations have no order", extra)
	}
}

func orderOnce(ctx context.Context, s *shop.Shop, key, product string) (*shop.Answer, error) {
	return s.With("Idempotency-Key", key).Place(ctx, product, 1)
}

// repeat sends a request again until it is answered; the lease of the process
// that was killed must end first.
func repeat(ctx context.Context, s *shop.Shop, key, product string) (*shop.Answer, error) {
	var answer *shop.Answer
	err := shop.Eventually(ctx, 90*time.Second, func() (bool, error) {
		var err error
		answer, err = orderOnce(ctx, s, key, product)
		if err != nil {
			return false, err
		}
		switch answer.Status {
		case http.StatusOK:
			return true, nil
		case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return false, nil
		default:
			return false, fmt.Errorf("status %d: %s", answer.Status, answer.Raw)
		}
	})
	return answer, err
}
