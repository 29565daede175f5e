package conformance

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/test/shop"
)

var moneyCases = []Case{
	{
		Trap: 10, Name: "totals-add-up-to-the-cent", Needs: Needs{Admin: true}, Run: totals,
		Rule: "For adversarial prices, quantities, coupons and taxes: lines add up to the order, and all amounts are whole minor units.",
	},
	{
		Trap: 10, Name: "what-is-charged-is-the-total", Needs: Needs{Admin: true, Books: true}, Run: chargedTotal,
		Rule: "Order, payment, provider and invoice name the same amount.",
	},
	{
		Trap: 10, Name: "currencies-keep-their-exponent", Needs: Needs{Admin: true, Books: true}, Run: exponent,
		Rule: "1500 minor units are 1500 in the order and at the provider, in whatever currency, and two currencies are never added up.",
	},
}

// minor reads an amount and wants it to be a whole number of minor units.
func minor(a *shop.Answer, path ...any) (int64, error) {
	switch value := a.Get(append(path, "amountMinor")...).(type) {
	case nil: // protobuf JSON leaves out 0
		return 0, nil
	case string:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != value {
			return 0, fmt.Errorf("amount %v is %q, not a whole number", path, value)
		}
		return n, nil
	default:
		return 0, fmt.Errorf("amount %v is %v, want int64 as text", path, value)
	}
}

// sums are the amounts of a line or of an order.
type sums struct{ subtotal, discount, tax, shipping, total int64 }

func readSums(a *shop.Answer, path ...any) (s sums, err error) {
	for name, into := range map[string]*int64{"subtotal": &s.subtotal, "discount": &s.discount, "tax": &s.tax, "shipping": &s.shipping, "total": &s.total} {
		if *into, err = minor(a, append(slices.Clip(path), name)...); err != nil {
			return s, err
		}
		if *into < 0 {
			return s, fmt.Errorf("%v %s is %d", path, name, *into)
		}
	}
	if s.subtotal-s.discount+s.tax+s.shipping != s.total {
		return s, fmt.Errorf("%v: %d − %d + %d + %d is not %d", path, s.subtotal, s.discount, s.tax, s.shipping, s.total)
	}
	return s, nil
}

// addsUp checks every sum of an order that the answer holds at "order".
func addsUp(a *shop.Answer) error {
	order, err := readSums(a, "order")
	if err != nil {
		return err
	}
	var all sums
	for i := range a.Len("order", "items") {
		l, err := readSums(a, "order", "items", i)
		if err != nil {
			return err
		}
		unit, err := minor(a, "order", "items", i, "unitPrice")
		if err != nil {
			return err
		}
		if quantity := a.Int("order", "items", i, "quantity"); unit*quantity != l.subtotal {
			return fmt.Errorf("line %d: %d × %d is not %d", i, quantity, unit, l.subtotal)
		}
		all.subtotal, all.discount, all.tax, all.total = all.subtotal+l.subtotal, all.discount+l.discount, all.tax+l.tax, all.total+l.total
	}
	if all.subtotal != order.subtotal || all.discount != order.discount || all.tax != order.tax || all.total+order.shipping != order.total {
		return fmt.Errorf("the lines sum to %+v, the order says %+v", all, order)
	}
	return nil
}

// article is a product for sums.
type article struct {
	price int64
	class string
}

// articles have prices at which roundings go wrong.
var articles = []article{
	{1, "standard"}, {3, "reduced"}, {33, "standard"}, {99, "exempt"}, {105, "standard"}, {333, "reduced"}, {1999, "standard"}, {9_999_999, "standard"},
}

func (s *Session) articles(ctx context.Context) ([]string, error) {
	ids := make([]string, len(articles))
	for i, a := range articles {
		answer, err := s.Admin.Must(ctx, http.MethodPost, "/api/v1/products", map[string]any{
			"name": "Conformance sums", "sku": "SUMS-" + newKey(), "taxClass": a.class, "weightGrams": 250, "status": "ACTIVE",
			"price": s.money(a.price), "stock": map[string]any{"onHand": 1_000_000},
		})
		if err != nil {
			return nil, err
		}
		ids[i] = answer.String("product", "id")
	}
	return ids, nil
}

func (s *Session) money(minor int64) map[string]any {
	return map[string]any{"currencyCode": s.Currency, "amountMinor": strconv.FormatInt(minor, 10)}
}

// coupon makes a coupon with these fields and returns its code and id.
func (s *Session) coupon(ctx context.Context, fields map[string]any) (code, id string, err error) {
	code = strings.ToUpper("CONF-" + newKey())
	body := map[string]any{"code": code}
	maps.Copy(body, fields)
	answer, err := s.Admin.Must(ctx, http.MethodPost, "/api/v1/coupons", body)
	if err != nil {
		return "", "", err
	}
	return code, answer.String("coupon", "id"), nil
}

var germany = map[string]any{"recipient": "Pat Example", "line1": "Hauptstraße 1", "city": "Berlin", "postalCode": "10115", "countryCode": "DE"}

func totals(ctx context.Context, s *Session) error {
	ids, err := s.articles(ctx)
	if err != nil {
		return err
	}
	codes := []string{""}
	for _, fields := range []map[string]any{
		{"percentOffBps": 333}, {"percentOffBps": 1250}, {"percentOffBps": 9999}, {"amountOff": s.money(1)}, {"amountOff": s.money(100)}, {"amountOff": s.money(99_999_999)},
	} {
		code, _, err := s.coupon(ctx, fields)
		if err != nil {
			return err
		}
		codes = append(codes, code)
	}
	const orders = 60
	random := rand.New(rand.NewPCG(10, 14818))
	bodies := make([]map[string]any, orders)
	for i := range bodies {
		var lines []line
		for _, at := range random.Perm(len(ids))[:1+random.IntN(len(ids))] {
			lines = append(lines, line{ids[at], []int{1, 2, 3, 7, 9, 11, 13, 97}[random.IntN(8)]})
		}
		bodies[i] = map[string]any{"items": items(lines...), "email": shop.NewEmail(), "couponCode": codes[i%len(codes)]}
		if i%3 > 0 {
			bodies[i]["shippingAddress"] = germany
		}
	}
	return together(orders/4, func(worker int) error {
		for _, body := range bodies[worker*4 : worker*4+4] {
			b, err := s.buyWith(ctx, body)
			if err != nil {
				return err
			}
			if err := addsUp(b.Order); err != nil {
				return fmt.Errorf("order %s with coupon %q: %w", b.Order.String("order", "number"), body["couponCode"], err)
			}
			kept, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
			if err != nil {
				return err
			}
			if err := addsUp(kept); err != nil {
				return fmt.Errorf("the kept order: %w", err)
			}
			if kept.Int("order", "total", "amountMinor") != b.Total {
				return fmt.Errorf("the kept order differs from the placed one: %s", brief(kept))
			}
		}
		return nil
	})
}

func chargedTotal(ctx context.Context, s *Session) error {
	ids, err := s.articles(ctx)
	if err != nil {
		return err
	}
	code, _, err := s.coupon(ctx, map[string]any{"percentOffBps": 333})
	if err != nil {
		return err
	}
	b, err := s.buyWith(ctx, map[string]any{
		"items": items(line{ids[2], 7}, line{ids[4], 3}, line{ids[5], 11}), "email": shop.NewEmail(), "couponCode": code, "shippingAddress": germany,
	})
	if err != nil {
		return err
	}
	payment, err := b.paid(ctx)
	if err != nil {
		return err
	}
	if err := s.Stripe.chargedOnce(ctx, b.ID, b.Total); err != nil {
		return err
	}
	kept, err := s.payment(ctx, payment)
	if err != nil {
		return err
	}
	if kept.Int("payment", "amount", "amountMinor") != b.Total {
		return fmt.Errorf("the payment is of %s, the order of %d", brief(kept), b.Total)
	}
	if err := s.documented(ctx, b.ID, 0); err != nil {
		return err
	}
	invoice, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/billing/invoices"+shop.Query("all", "true", "orderId", b.ID), nil)
	if err != nil {
		return err
	}
	document, err := readSums(invoice, "invoices", 0)
	if err != nil {
		return err
	}
	if document.total != b.Total {
		return fmt.Errorf("the invoice is of %d, the order of %d", document.total, b.Total)
	}
	return nil
}

func exponent(ctx context.Context, s *Session) error {
	other := "JPY"
	if s.Currency == other {
		other = "EUR"
	}
	product, err := s.product(ctx, "exponent", 1500, 10)
	if err != nil {
		return err
	}
	if err := s.otherCurrency(ctx, other, product); err != nil {
		return err
	}
	b, err := s.buy(ctx, line{product, 3})
	if err != nil {
		return err
	}
	if err := addsUp(b.Order); err != nil {
		return err
	}
	if b.Order.String("order", "total", "currencyCode") != s.Currency || b.Order.Int("order", "subtotal", "amountMinor") != 4500 {
		return fmt.Errorf("3 × 1500 %s are %s", s.Currency, brief(b.Order))
	}
	if _, err := b.paid(ctx); err != nil {
		return err
	}
	intents, err := s.Stripe.intents(ctx, b.ID)
	if err != nil {
		return err
	}
	if len(intents) != 1 || intents[0].currency != strings.ToLower(s.Currency) || intents[0].received != b.Total {
		return fmt.Errorf("the provider took %+v for %d %s", intents, b.Total, s.Currency)
	}
	return nil
}

// otherCurrency wants products of another currency to be refused, or to be sold apart.
func (s *Session) otherCurrency(ctx context.Context, currency, ours string) error {
	answer, err := send(ctx, s.Admin, http.MethodPost, "/api/v1/products", map[string]any{
		"name": "Conformance foreign", "sku": "FOREIGN-" + newKey(), "status": "ACTIVE", "stock": map[string]any{"onHand": 10},
		"price": map[string]any{"currencyCode": currency, "amountMinor": "1500"},
	})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return refusal(answer, http.StatusBadRequest, "INVALID_INPUT")
	}
	foreign := answer.String("product", "id")
	mixed := map[string]any{"items": items(line{foreign, 1}, line{ours, 1}), "email": shop.NewEmail()}
	if err := mustRefuse(ctx, s.Guest, http.MethodPost, "/api/v1/orders", mixed, http.StatusConflict, "CURRENCY_MIX"); err != nil {
		return err
	}
	return s.stock(ctx, foreign, 10, 0)
}
