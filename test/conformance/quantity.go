package conformance

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/commercestack/commercestack/test/shop"
)

var quantityCases = []Case{
	{
		Trap: 11, Name: "a-negative-quantity-is-no-discount", Needs: Needs{Admin: true}, Run: badQuantities,
		Rule: "Negative, zero, huge, broken and missing quantities are refused in orders and carts, over REST and Connect.",
	},
	{
		Trap: 11, Name: "no-negative-price-or-coupon", Needs: Needs{Admin: true}, Run: badPrices,
		Rule: "Prices, coupons and stock corrections outside their range are refused, and no coupon makes a total negative.",
	},
	{
		Trap: 11, Name: "a-coupon-is-used-as-often-as-it-may", Needs: Needs{Admin: true}, Run: couponLimit,
		Rule: "Of 24 buyers at once, exactly as many get the discount as the coupon allows, and the others hold no goods.",
	},
	{
		Trap: 11, Name: "a-cancelled-order-returns-its-coupon-once", Needs: Needs{Admin: true}, Run: couponBack,
		Rule: "Cancelling often returns the use of a coupon once, and it can be used once more.",
	},
	{
		Trap: 11, Name: "a-coupon-for-one-use-by-a-person", Needs: Needs{Admin: true}, Run: couponPerPerson,
		Rule: "One person who orders six times at once uses a coupon once, however the address is written.",
	},
}

func badQuantities(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "quantities", 1000, 1_000_000)
	if err != nil {
		return err
	}
	cart, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	for _, quantity := range []string{"-1", "0", "-2147483648", "2147483647", "2147483648", "-4294967295", "1e30", "1.5", `"many"`, "null", "10001"} {
		order := fmt.Sprintf(`{"items":[{"productId":%q,"quantity":1},{"productId":%[1]q,"quantity":%s}],"email":"guest@example.com"}`, product, quantity)
		if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/orders", order, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("quantity %s: %w", quantity, err)
		}
		answer, err := send(ctx, s.Guest.With("Connect-Protocol-Version", "1"), http.MethodPost, "/commerce.order.v1.OrderService/PlaceOrder", order)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusBadRequest || answer.String("code") != "invalid_argument" {
			return fmt.Errorf("quantity %s by Connect: status %d: %s", quantity, answer.Status, brief(answer))
		}
		item := fmt.Sprintf(`{"productId":%q,"quantity":%s}`, product, quantity)
		if err := mustRefuse(ctx, cart.Shop, http.MethodPost, cart.path+"/items", item, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("quantity %s in a cart: %w", quantity, err)
		}
	}
	for _, lines := range [][]line{{{product, 10_000}, {product, 10_000}}, {{product, 6000}, {product, 6000}}} {
		body := map[string]any{"items": items(lines...), "email": shop.NewEmail()}
		if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/orders", body, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return err
		}
	}
	for _, body := range []map[string]any{{"email": shop.NewEmail()}, {"items": []any{}, "email": shop.NewEmail()}} {
		if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/orders", body, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return err
		}
	}
	return s.stock(ctx, product, 1_000_000, 0)
}

func badPrices(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "discounted", 500, 100)
	if err != nil {
		return err
	}
	refused := []struct {
		path string
		body map[string]any
	}{
		{"/api/v1/products", map[string]any{"name": "negative", "sku": "NEG-" + newKey(), "price": s.money(-1), "status": "ACTIVE"}},
		{"/api/v1/products", map[string]any{"name": "negative", "sku": "NEG-" + newKey(), "price": s.money(1), "stock": map[string]any{"onHand": -1}}},
		{"/api/v1/products", map[string]any{"name": "fraction", "sku": "NEG-" + newKey(), "price": map[string]any{"currencyCode": s.Currency, "amountMinor": "19.99"}}},
		{"/api/v1/products", map[string]any{"name": "no money", "sku": "NEG-" + newKey(), "price": map[string]any{"currencyCode": "XYZ", "amountMinor": "1"}}},
		{"/api/v1/products/" + product + ":adjustStock", map[string]any{"delta": 0, "reason": "none"}},
		{"/api/v1/coupons", map[string]any{"code": "NEG-" + newKey(), "percentOffBps": -1}},
		{"/api/v1/coupons", map[string]any{"code": "NEG-" + newKey(), "percentOffBps": 10_001}},
		{"/api/v1/coupons", map[string]any{"code": "NEG-" + newKey(), "amountOff": s.money(-100)}},
		{"/api/v1/coupons", map[string]any{"code": "NEG-" + newKey(), "percentOffBps": 100, "maxRedemptions": -1}},
	}
	for _, r := range refused {
		if err := mustRefuse(ctx, s.Admin, http.MethodPost, r.path, r.body, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("%v: %w", r.body, err)
		}
	}
	code, _, err := s.coupon(ctx, map[string]any{"amountOff": s.money(1_000_000)})
	if err != nil {
		return err
	}
	b, err := s.buyWith(ctx, map[string]any{"items": items(line{product, 1}), "email": shop.NewEmail(), "couponCode": code})
	if err != nil {
		return err
	}
	if err := addsUp(b.Order); err != nil {
		return err
	}
	if b.Total != 0 || b.Order.Int("order", "discount", "amountMinor") != 500 {
		return fmt.Errorf("a coupon worth more than the goods makes %s", brief(b.Order))
	}
	return nil
}

func couponLimit(ctx context.Context, s *Session) error {
	const limit, buyers = 3, 24
	product, err := s.product(ctx, "coupon", 2000, 100)
	if err != nil {
		return err
	}
	code, id, err := s.coupon(ctx, map[string]any{"percentOffBps": 5000, "maxRedemptions": limit})
	if err != nil {
		return err
	}
	used, err := s.redeem(ctx, buyers, func(int) map[string]any {
		return map[string]any{"items": items(line{product, 1}), "email": shop.NewEmail(), "couponCode": code}
	})
	if err != nil {
		return err
	}
	if used != limit {
		return fmt.Errorf("%d orders used a coupon for %d", used, limit)
	}
	if err := s.stock(ctx, product, 100, limit); err != nil {
		return err
	}
	listed, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/coupons?pageSize=100", nil)
	if err != nil {
		return err
	}
	for i := range listed.Len("coupons") {
		if listed.String("coupons", i, "id") == id && listed.Int("coupons", i, "redemptions") != limit {
			return fmt.Errorf("the coupon counts %d uses", listed.Int("coupons", i, "redemptions"))
		}
	}
	return nil
}

// redeem places orders with a coupon at once and counts those that got their discount.
func (s *Session) redeem(ctx context.Context, n int, body func(i int) map[string]any) (int64, error) {
	var used atomic.Int64
	err := together(n, func(i int) error {
		answer, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/orders", body(i))
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK {
			return refusal(answer, http.StatusConflict, "COUPON_USED_UP")
		}
		if answer.Int("order", "discount", "amountMinor") == 0 {
			return fmt.Errorf("an order was taken without its discount: %s", brief(answer))
		}
		used.Add(1)
		return nil
	})
	return used.Load(), err
}

func couponPerPerson(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "coupon once", 2000, 100)
	if err != nil {
		return err
	}
	code, _, err := s.coupon(ctx, map[string]any{"percentOffBps": 1000, "maxRedemptionsPerCustomer": 1})
	if err != nil {
		return err
	}
	email := shop.NewEmail()
	written := []string{email, "P" + email[1:], email, email, "PERSON" + email[len("person"):], email}
	used, err := s.redeem(ctx, len(written), func(i int) map[string]any {
		return map[string]any{"items": items(line{product, 1}), "email": written[i], "couponCode": code}
	})
	if err != nil {
		return err
	}
	if used != 1 {
		return fmt.Errorf("one person used a coupon %d times", used)
	}
	return s.stock(ctx, product, 100, 1)
}

func couponBack(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "coupon back", 2000, 100)
	if err != nil {
		return err
	}
	code, _, err := s.coupon(ctx, map[string]any{"percentOffBps": 5000, "maxRedemptions": 1})
	if err != nil {
		return err
	}
	b, err := s.buyWith(ctx, map[string]any{"items": items(line{product, 1}), "email": shop.NewEmail(), "couponCode": code})
	if err != nil {
		return err
	}
	err = together(6, func(int) error {
		_, err := b.cancel(ctx)
		return err
	})
	if err != nil {
		return err
	}
	used, err := s.redeem(ctx, 6, func(int) map[string]any {
		return map[string]any{"items": items(line{product, 1}), "email": shop.NewEmail(), "couponCode": code}
	})
	if err != nil {
		return err
	}
	if used != 1 {
		return fmt.Errorf("after six cancellations the coupon for one use was used %d times", used)
	}
	return s.stock(ctx, product, 100, 1)
}
