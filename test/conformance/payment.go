package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/test/shop"
)

var paymentCases = []Case{
	{
		Trap: 4, Name: "many-payments-of-one-order-charge-once", Needs: Needs{Admin: true, Books: true}, Run: payAtOnce,
		Rule: "However many payments of one order are asked for at once, the customer is charged once.",
	},
	{
		Trap: 5, Name: "a-losing-run-does-not-undo-the-winner", Needs: Needs{Admin: true, Books: true}, Run: losersUndoNothing,
		Rule: "Payments that come too late are refused and give back nothing of the payment that won.",
	},
	{
		Trap: 6, Name: "no-order-no-money", Needs: Needs{Admin: true, Books: true}, Run: noOrderNoMoney,
		Rule: "The order exists before the money: what cannot be paid is refused before the provider hears of it.",
	},
	{
		Trap: 6, Name: "a-declined-card-leaves-the-order-payable", Needs: Needs{Admin: true, Books: true}, Run: declineThenPay,
		Rule: "A declined card fails that payment only; another card pays the same order once.",
	},
	{
		Trap: 7, Name: "cancelling-and-paying-race", Needs: Needs{Admin: true, Books: true}, Run: cancelAgainstPay,
		Rule: "An order that ends cancelled holds no money, and one that ends confirmed is charged once.",
	},
	{
		Trap: 7, Name: "authentication-after-cancel-takes-no-money", Needs: Needs{Admin: true, Books: true}, Run: authenticateAfterCancel,
		Rule: "When the customer answers his bank after the order was cancelled, no money stays and the order stays cancelled.",
	},
	{
		Trap: 7, Name: "cancelling-a-paid-order-refunds-it-once", Needs: Needs{Admin: true, Books: true}, Run: cancelPaid,
		Rule: "Cancelling a confirmed order, many times at once, gives all its money back once and returns its pieces once.",
	},
	{
		Trap: 7, Name: "a-payment-given-up-takes-no-second-money", Needs: Needs{Admin: true, Books: true}, Run: givenUp,
		Rule: "When the customer starts again with another card and then authenticates both, the order is paid once.",
	},
	{
		Trap: 7, Name: "cancelling-and-sending-race", Needs: Needs{Admin: true, Books: true}, Run: cancelAgainstFulfill,
		Rule: "An order that is cancelled while it is handed to the carrier is either sent and paid, or cancelled and refunded.",
	},
	{
		Trap: 8, Name: "a-cheap-intent-cannot-settle-a-dear-order", Needs: Needs{Admin: true, Books: true}, Run: cheapIntent,
		Rule: "An intent of another amount or currency that claims an order does not confirm it.",
	},
	{
		Trap: 8, Name: "the-client-has-no-say-in-the-amount", Needs: Needs{Admin: true, Books: true}, Run: clientAmount,
		Rule: "The provider is asked for exactly the order's total, whatever the request says.",
	},
}

// pair makes a product and a guest's order of two pieces of it.
func (s *Session) pair(ctx context.Context, name string, price int64) (product string, b *buyer, err error) {
	if product, err = s.product(ctx, name, price, 10); err != nil {
		return "", nil, err
	}
	b, err = s.buy(ctx, line{product, 2})
	return product, b, err
}

func payAtOnce(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "paid at once", 2499)
	if err != nil {
		return err
	}
	if _, err := b.scramble(ctx, 8); err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	return errors.Join(s.Stripe.chargedOnce(ctx, b.ID, b.Total), s.stock(ctx, product, 8, 0))
}

// scramble asks for n payments at once and counts those that were taken on.
func (b *buyer) scramble(ctx context.Context, n int) (int64, error) {
	var taken atomic.Int64
	err := together(n, func(int) error {
		answer, err := b.pay(ctx, "pm_card_visa")
		if err != nil {
			return err
		}
		if answer.Status == http.StatusOK {
			taken.Add(1)
			return nil
		}
		return refusal(answer, http.StatusConflict, "PAYMENT_IN_PROGRESS", "ORDER_ALREADY_PAID")
	})
	return taken.Load(), err
}

func losersUndoNothing(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "winner", 1250)
	if err != nil {
		return err
	}
	taken, err := b.scramble(ctx, 6)
	if err != nil {
		return err
	}
	if taken != 1 {
		return fmt.Errorf("%d payments of one order were taken on at once", taken)
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	if taken, err = b.scramble(ctx, 4); err != nil {
		return err
	}
	if taken != 0 {
		return fmt.Errorf("%d payments of a paid order were taken on", taken)
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
	if err != nil {
		return err
	}
	if order.String("order", "status") != "CONFIRMED" || order.Int("order", "refunded", "amountMinor") != 0 {
		return fmt.Errorf("the paid order became %s", brief(order))
	}
	return s.Stripe.chargedOnce(ctx, b.ID, b.Total)
}

func noOrderNoMoney(ctx context.Context, s *Session) error {
	unknown := uuid.NewString()
	_, b, err := s.pair(ctx, "unpayable", 800)
	if err != nil {
		return err
	}
	body := map[string]any{"orderId": unknown, "paymentMethod": "pm_card_visa"}
	if err := mustRefuse(ctx, b.Shop, http.MethodPost, "/api/v1/billing/payments", body, http.StatusNotFound, "NOT_FOUND"); err != nil {
		return err
	}
	if err := okay(b.cancel(ctx)); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	body["orderId"] = b.ID
	err = mustRefuse(ctx, b.Shop, http.MethodPost, "/api/v1/billing/payments", body, http.StatusConflict, "ORDER_NOT_PAYABLE")
	if err != nil {
		return err
	}
	for _, order := range []string{unknown, b.ID} {
		intents, err := s.Stripe.intents(ctx, order)
		if err != nil {
			return err
		}
		if len(intents) > 0 {
			return fmt.Errorf("the provider heard of %d intents", len(intents))
		}
	}
	return nil
}

func declineThenPay(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "declined first", 3100)
	if err != nil {
		return err
	}
	declined, err := b.pay(ctx, "pm_card_chargeDeclined")
	if err != nil {
		return err
	}
	if declined.Status != http.StatusOK || declined.String("payment", "status") != "FAILED" || declined.String("payment", "failureCode") == "" {
		return fmt.Errorf("a declined card answers status %d: %s", declined.Status, brief(declined))
	}
	if err := s.stock(ctx, product, 10, 2); err != nil {
		return fmt.Errorf("after the declined card: %w", err)
	}
	if _, err := b.paid(ctx); err != nil {
		return err
	}
	return s.Stripe.chargedOnce(ctx, b.ID, b.Total)
}

func cancelAgainstPay(ctx context.Context, s *Session) error {
	const orders = 10
	product, err := s.product(ctx, "cancelled or paid", 1500, orders)
	if err != nil {
		return err
	}
	buyers := make([]*buyer, orders)
	for i := range buyers {
		if buyers[i], err = s.buy(ctx, line{product, 1}); err != nil {
			return err
		}
	}
	err = together(2*orders, func(i int) error {
		b := buyers[i/2]
		if i%2 == 0 {
			_, err := b.pay(ctx, "pm_card_visa")
			return err
		}
		time.Sleep(time.Duration(i) * 5 * time.Millisecond)
		_, err := b.cancel(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var confirmed int64
	for _, b := range buyers {
		status, err := s.settled(ctx, b)
		if err != nil {
			return err
		}
		if status == "CONFIRMED" {
			confirmed++
		}
	}
	return s.stock(ctx, product, orders-confirmed, 0)
}

// settled waits for an order to end one way or the other, with the money it should hold.
func (s *Session) settled(ctx context.Context, b *buyer) (status string, err error) {
	err = eventually(ctx, 40*time.Second, func() error {
		order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
		if err != nil {
			return err
		}
		l, err := s.Stripe.ledger(ctx, b.ID)
		if err != nil {
			return err
		}
		status = order.String("order", "status")
		switch {
		case status == "CONFIRMED" && l.charges == 1 && l.taken == b.Total && l.returned == 0:
		case status == "CANCELLED" && l.taken == l.returned && l.open == 0:
		default:
			return fmt.Errorf("order %s is %s, and the provider's books show %s", b.ID, status, l)
		}
		return nil
	})
	return status, err
}

// challenged pays with a card whose bank asks the customer back.
func (b *buyer) challenged(ctx context.Context) (*shop.Answer, error) {
	answer, err := send(ctx, b.Shop, http.MethodPost, "/api/v1/billing/payments",
		map[string]any{"orderId": b.ID, "paymentMethod": "pm_card_authenticationRequired", "returnUrl": b.URL + "/"})
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK || answer.String("payment", "status") != "PENDING" || answer.String("payment", "clientSecret") == "" {
		return nil, fmt.Errorf("a card that asks back answers status %d: %s", answer.Status, brief(answer))
	}
	return answer, nil
}

func authenticateAfterCancel(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "authenticated late", 4200)
	if err != nil {
		return err
	}
	answer, err := b.challenged(ctx)
	if err != nil {
		return err
	}
	err = together(2, func(i int) error {
		if i == 0 {
			_, err := b.cancel(ctx)
			return err
		}
		_, err := s.Stripe.authenticate(ctx, answer)
		return err
	})
	if err != nil {
		return err
	}
	// The cancellation comes first or second: in both cases the money goes back.
	if err := s.Stripe.holdsNothing(ctx, b.ID, 40*time.Second); err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CANCELLED"); err != nil {
		return err
	}
	return s.stock(ctx, product, 10, 0)
}

func cancelPaid(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "cancelled when paid", 1999)
	if err != nil {
		return err
	}
	if _, err := b.paid(ctx); err != nil {
		return err
	}
	err = together(6, func(int) error {
		answer, err := b.cancel(ctx)
		if err != nil || answer.Status == http.StatusOK {
			return err
		}
		return refusal(answer, http.StatusConflict, "ORDER_NOT_CANCELLABLE")
	})
	if err != nil {
		return err
	}
	err = s.Stripe.expect(ctx, b.ID, 30*time.Second, func(l ledger) bool {
		return l.charges == 1 && l.refunds == 1 && l.returned == b.Total
	}, "one charge and one refund of all of it")
	if err != nil {
		return err
	}
	if err := s.stock(ctx, product, 10, 0); err != nil {
		return err
	}
	return eventually(ctx, 20*time.Second, func() error {
		order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
		if err != nil {
			return err
		}
		if order.String("order", "status") != "CANCELLED" || order.Int("order", "refunded", "amountMinor") != b.Total {
			return fmt.Errorf("the order shows %s", brief(order))
		}
		return nil
	})
}

func givenUp(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "given up", 3300)
	if err != nil {
		return err
	}
	first, err := b.challenged(ctx)
	if err != nil {
		return err
	}
	second, err := b.challenged(ctx)
	if err != nil {
		return fmt.Errorf("a second try: %w", err)
	}
	err = together(2, func(i int) error {
		_, err := s.Stripe.authenticate(ctx, []*shop.Answer{first, second}[i])
		return err
	})
	if err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	return s.Stripe.expect(ctx, b.ID, 30*time.Second, func(l ledger) bool { return l.taken-l.returned == b.Total && l.open == 0 },
		fmt.Sprintf("%d kept and nothing open", b.Total))
}

func cancelAgainstFulfill(ctx context.Context, s *Session) error {
	const orders = 4
	product, err := s.product(ctx, "cancelled or sent", 1600, orders)
	if err != nil {
		return err
	}
	var sent atomic.Int64
	err = together(orders, func(int) error {
		b, err := s.buy(ctx, line{product, 1})
		if err != nil {
			return err
		}
		if _, err := b.paid(ctx); err != nil {
			return err
		}
		err = together(2, func(i int) error {
			if i == 0 {
				_, err := b.cancel(ctx)
				return err
			}
			_, err := send(ctx, s.Admin, http.MethodPost, "/api/v1/orders/"+b.ID+":fulfill", map[string]any{"trackingNumber": "T1"})
			return err
		})
		if err != nil {
			return err
		}
		order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
		if err != nil {
			return err
		}
		switch order.String("order", "status") {
		case "FULFILLED":
			sent.Add(1)
			return s.Stripe.chargedOnce(ctx, b.ID, b.Total)
		case "CANCELLED":
			return s.Stripe.holdsNothing(ctx, b.ID, 30*time.Second)
		default:
			return fmt.Errorf("the order is %s", brief(order))
		}
	})
	if err != nil {
		return err
	}
	return s.stock(ctx, product, orders-sent.Load(), 0)
}

// claim is what an intent says about itself to pass for the payment of an order.
type claim struct {
	amount   int64
	currency string
	metadata map[string]any
}

// forge makes a paid intent directly at the provider.
func (s *Session) forge(ctx context.Context, c claim) error {
	values := url.Values{
		"amount": {strconv.FormatInt(c.amount, 10)}, "currency": {c.currency}, "payment_method": {"pm_card_visa"}, "confirm": {"true"},
		"automatic_payment_methods[enabled]": {"true"}, "automatic_payment_methods[allow_redirects]": {"never"},
	}
	for name, value := range c.metadata {
		values.Set("metadata["+name+"]", fmt.Sprint(value))
	}
	_, err := s.Stripe.form(ctx, "/v1/payment_intents", values)
	return err
}

func cheapIntent(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "dear", 99900)
	if err != nil {
		return err
	}
	// A payment that waits for the customer shows what the shop writes on its intents.
	if _, err := b.challenged(ctx); err != nil {
		return err
	}
	own, err := s.Stripe.intents(ctx, b.ID)
	if err != nil {
		return err
	}
	if len(own) != 1 {
		return fmt.Errorf("%d intents for one payment", len(own))
	}
	cheap := map[string]any{}
	maps.Copy(cheap, own[0].metadata)
	cheap["amount"] = 100
	for _, c := range []claim{
		{100, own[0].currency, own[0].metadata},
		{100, own[0].currency, cheap},
		{b.Total, "usd", own[0].metadata},
		{b.Total, own[0].currency, map[string]any{"order_id": b.ID}},
	} {
		if err := s.forge(ctx, c); err != nil {
			return err
		}
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	time.Sleep(time.Second) // what was delivered is worked on
	order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
	if err != nil {
		return err
	}
	if order.String("order", "status") != "PENDING" {
		return fmt.Errorf("an intent of 1.00 made the order %s", order.String("order", "status"))
	}
	return s.stock(ctx, product, 10, 2)
}

func clientAmount(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "no say", 7777)
	if err != nil {
		return err
	}
	body := map[string]any{
		"orderId": b.ID, "paymentMethod": "pm_card_visa",
		"amount": map[string]any{"currencyCode": s.Currency, "amountMinor": "1"},
	}
	answer, err := send(ctx, b.Shop, http.MethodPost, "/api/v1/billing/payments", body)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		if err := refusal(answer, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return err
		}
		if _, err := b.paid(ctx); err != nil {
			return err
		}
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	return s.Stripe.chargedOnce(ctx, b.ID, b.Total)
}

// payment reads a payment as an administrator.
func (s *Session) payment(ctx context.Context, id string) (*shop.Answer, error) {
	return s.Admin.Must(ctx, http.MethodGet, "/api/v1/billing/payments/"+id, nil)
}
