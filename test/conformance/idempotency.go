package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/test/shop"
)

var idempotencyCases = []Case{
	{
		Trap: 14, Name: "twins-with-one-key-make-one-order", Needs: Needs{Admin: true}, Run: twins,
		Rule: "Sixteen requests at once under one Idempotency-Key, over REST and Connect, make one order; the later ones get its answer.",
	},
	{
		Trap: 14, Name: "a-key-with-other-parameters-is-refused", Needs: Needs{Admin: true}, Run: keyReused,
		Rule: "A key that was used for something else is an error, not the old answer and not a second order.",
	},
	{
		Trap: 14, Name: "a-failure-is-not-remembered", Needs: Needs{Admin: true}, Run: failureNotKept,
		Rule: "A request that failed can be repeated under its key once the cause is gone.",
	},
	{
		Trap: 14, Name: "keys-of-others-do-not-collide", Needs: Needs{Admin: true, Development: true}, Run: keyScope,
		Rule: "Another person's request with the same key is another request, and gets nothing of the first.",
	},
	{
		Trap: 14, Name: "twins-count-once-everywhere", Needs: Needs{Admin: true}, Run: otherTwins,
		Rule: "A delivery booked into the stock and pieces put into a cart eight times under one key count once.",
	},
	{
		Trap: 14, Name: "payment-twins-charge-once", Needs: Needs{Admin: true, Books: true}, Run: paymentTwins,
		Rule: "One payment asked for eight times under one key is one payment and one charge.",
	},
}

func newKey() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

func twins(ctx context.Context, s *Session) error {
	const n = 16
	product, err := s.product(ctx, "twins", 1000, 100)
	if err != nil {
		return err
	}
	keyed := s.Guest.With("Idempotency-Key", newKey())
	body := map[string]any{"items": items(line{product, 3}), "email": shop.NewEmail()}
	var mu sync.Mutex
	ids := make(map[string]int)
	err = together(n, func(i int) error {
		path, caller := "/api/v1/orders", keyed
		if i%2 == 1 {
			path, caller = "/commerce.order.v1.OrderService/PlaceOrder", keyed.With("Connect-Protocol-Version", "1")
		}
		answer, err := send(ctx, caller, http.MethodPost, path, body)
		if err != nil {
			return err
		}
		switch {
		case answer.Status == http.StatusOK:
		case i%2 == 1 && answer.String("code") == "failed_precondition":
			return nil
		default:
			return refusal(answer, http.StatusConflict, "IDEMPOTENCY_IN_PROGRESS")
		}
		mu.Lock()
		defer mu.Unlock()
		ids[answer.String("order", "id")]++
		return nil
	})
	if err != nil {
		return err
	}
	again, err := send(ctx, keyed, http.MethodPost, "/api/v1/orders", body)
	if err != nil {
		return err
	}
	if again.Status != http.StatusOK || again.String("guestToken") == "" || again.Header.Get("Idempotent-Replayed") != "true" {
		return fmt.Errorf("the repetition answers status %d, Idempotent-Replayed %q: %s", again.Status, again.Header.Get("Idempotent-Replayed"), brief(again))
	}
	ids[again.String("order", "id")]++
	if len(ids) != 1 {
		return fmt.Errorf("%d orders for one key", len(ids))
	}
	return s.stock(ctx, product, 100, 3)
}

func keyReused(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "key reused", 1000, 100)
	if err != nil {
		return err
	}
	keyed := s.Guest.With("Idempotency-Key", newKey())
	body := map[string]any{"items": items(line{product, 1}), "email": "key@example.com"}
	first, err := send(ctx, keyed, http.MethodPost, "/api/v1/orders", body)
	if err := okay(first, err); err != nil {
		return err
	}
	for name, other := range map[string]map[string]any{
		"quantity": {"items": items(line{product, 2}), "email": "key@example.com"},
		"address":  {"items": items(line{product, 1}), "email": "other@example.com"},
	} {
		if err := mustRefuse(ctx, keyed, http.MethodPost, "/api/v1/orders", other, http.StatusConflict, "IDEMPOTENCY_KEY_REUSED"); err != nil {
			return fmt.Errorf("other %s: %w", name, err)
		}
	}
	for name, key := range map[string]string{"too long": strings.Repeat("k", 300), "with control characters": "a\tb"} {
		bad := s.Guest.With("Idempotency-Key", key)
		if err := mustRefuse(ctx, bad, http.MethodPost, "/api/v1/orders", body, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("a key %s: %w", name, err)
		}
	}
	return s.stock(ctx, product, 100, 1)
}

func failureNotKept(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "failed first", 1000, 1)
	if err != nil {
		return err
	}
	keyed := s.Guest.With("Idempotency-Key", newKey())
	body := map[string]any{"items": items(line{product, 2}), "email": shop.NewEmail()}
	if err := mustRefuse(ctx, keyed, http.MethodPost, "/api/v1/orders", body, http.StatusConflict, "OUT_OF_STOCK"); err != nil {
		return err
	}
	if _, err := s.Admin.Must(ctx, http.MethodPost, "/api/v1/products/"+product+":adjustStock", map[string]any{"delta": 5, "reason": "delivery"}); err != nil {
		return err
	}
	err = eventually(ctx, 10*time.Second, func() error { return okay(send(ctx, keyed, http.MethodPost, "/api/v1/orders", body)) })
	if err != nil {
		return err
	}
	return s.stock(ctx, product, 6, 2)
}

func keyScope(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "key of another", 1000, 100)
	if err != nil {
		return err
	}
	key := newKey()
	body := map[string]any{"items": items(line{product, 1})}
	ids := make(map[string]bool)
	for range 2 {
		person, err := s.person(ctx)
		if err != nil {
			return err
		}
		answer, err := send(ctx, person.With("Idempotency-Key", key), http.MethodPost, "/api/v1/orders", body)
		if err := okay(answer, err); err != nil {
			return err
		}
		if answer.String("order", "email") != person.Email {
			return fmt.Errorf("the answer shows an order of %q", answer.String("order", "email"))
		}
		ids[answer.String("order", "id")] = true
	}
	if len(ids) != 2 {
		return errors.New("two people share an order because they share a key")
	}
	return s.stock(ctx, product, 100, 2)
}

func paymentTwins(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "payment twins", 1450)
	if err != nil {
		return err
	}
	keyed := b.With("Idempotency-Key", newKey())
	body := map[string]any{"orderId": b.ID, "paymentMethod": "pm_card_visa"}
	var mu sync.Mutex
	ids := make(map[string]bool)
	err = together(8, func(int) error {
		answer, err := send(ctx, keyed, http.MethodPost, "/api/v1/billing/payments", body)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK {
			return refusal(answer, http.StatusConflict, "IDEMPOTENCY_IN_PROGRESS")
		}
		mu.Lock()
		defer mu.Unlock()
		ids[answer.String("payment", "id")] = true
		return nil
	})
	if err != nil {
		return err
	}
	again, err := send(ctx, keyed, http.MethodPost, "/api/v1/billing/payments", body)
	if err := okay(again, err); err != nil {
		return fmt.Errorf("the repetition after the payment: %w", err)
	}
	ids[again.String("payment", "id")] = true
	if len(ids) != 1 {
		return fmt.Errorf("%d payments for one key", len(ids))
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	return s.Stripe.chargedOnce(ctx, b.ID, b.Total)
}

func otherTwins(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "other twins", 1000, 10)
	if err != nil {
		return err
	}
	cart, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	delivery, pieces := s.Admin.With("Idempotency-Key", newKey()), cart.With("Idempotency-Key", newKey())
	once := func(answer *shop.Answer, err error) error {
		if err != nil || answer.Status == http.StatusOK {
			return err
		}
		return refusal(answer, http.StatusConflict, "IDEMPOTENCY_IN_PROGRESS")
	}
	err = together(16, func(i int) error {
		if i%2 == 0 {
			return once(send(ctx, delivery, http.MethodPost, "/api/v1/products/"+product+":adjustStock", map[string]any{"delta": 5, "reason": "delivery"}))
		}
		return once(send(ctx, pieces, http.MethodPost, cart.path+"/items", map[string]any{"productId": product, "quantity": 2}))
	})
	if err != nil {
		return err
	}
	return errors.Join(s.stock(ctx, product, 15, 0), cart.holds(ctx, product, 2))
}
