package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var webhookCases = []Case{
	{
		Trap: 4, Name: "webhook-and-return-race", Needs: Needs{Admin: true, Faults: true}, Run: webhookRace,
		Rule: "The provider's news, sent four times, and the customer's return book the payment once: one charge, one invoice, the pieces sold once.",
	},
	{
		Trap: 15, Name: "events-out-of-order-and-late", Needs: Needs{Admin: true, Faults: true}, Run: outOfOrder,
		Rule: "Events that come newest first and late leave the payment as the provider has it.",
	},
	{
		Trap: 16, Name: "an-event-is-taken-in-once", Needs: Needs{Admin: true, Books: true}, Run: resend,
		Rule: "Every event of a paid and refunded order, sent three times more, changes nothing.",
	},
	{
		Trap: 16, Name: "forged-events-change-nothing", Needs: Needs{Admin: true, Books: true}, Run: forgedEvents,
		Rule: "An event without the provider's signature is refused and changes nothing.",
	},
}

// documents counts the invoices and credit notes of an order.
func (s *Session) documents(ctx context.Context, orderID string) (invoices, credits int, err error) {
	answer, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/billing/invoices"+shop.Query("all", "true", "orderId", orderID, "pageSize", "100"), nil)
	if err != nil {
		return 0, 0, err
	}
	for i := range answer.Len("invoices") {
		if answer.String("invoices", i, "kind") == "CREDIT_NOTE" {
			credits++
		} else {
			invoices++
		}
	}
	return invoices, credits, nil
}

// documented waits for one invoice and this many credit notes.
func (s *Session) documented(ctx context.Context, orderID string, credits int) error {
	return eventually(ctx, 20*time.Second, func() error {
		gotInvoices, gotCredits, err := s.documents(ctx, orderID)
		if err == nil && (gotInvoices != 1 || gotCredits != credits) {
			err = fmt.Errorf("%d invoices and %d credit notes, want 1 and %d", gotInvoices, gotCredits, credits)
		}
		return err
	})
}

func webhookRace(ctx context.Context, s *Session) error {
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"duplicates": 3}}); err != nil {
		return err
	}
	product, err := s.product(ctx, "raced", 1111, 20)
	if err != nil {
		return err
	}
	const orders = 6
	buyers := make([]*buyer, orders)
	err = together(orders, func(i int) error {
		var err error
		if buyers[i], err = s.buy(ctx, line{product, 1}); err != nil {
			return err
		}
		_, err = buyers[i].paid(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	for _, b := range buyers {
		steps, err := b.steps(ctx)
		if err != nil {
			return err
		}
		if steps["CONFIRMED"] != 1 || steps["PAYMENT_REJECTED"] != 0 {
			return fmt.Errorf("the history has %v", steps)
		}
		if err := errors.Join(s.Stripe.chargedOnce(ctx, b.ID, b.Total), s.documented(ctx, b.ID, 0)); err != nil {
			return err
		}
	}
	return s.stock(ctx, product, 20-orders, 0)
}

func outOfOrder(ctx context.Context, s *Session) error {
	late := map[string]any{"webhooks": map[string]any{"reorder": true, "delay_ms": 1500, "duplicates": 1}}
	if err := s.Stripe.Set(ctx, late); err != nil {
		return err
	}
	product, b, err := s.pair(ctx, "out of order", 2750)
	if err != nil {
		return err
	}
	// A decline, a success and a refund within the delay: their events arrive mixed.
	if err := okay(b.pay(ctx, "pm_card_chargeDeclined")); err != nil {
		return fmt.Errorf("pay: %w", err)
	}
	id, err := b.paid(ctx)
	if err != nil {
		return err
	}
	part := map[string]any{"amount": map[string]any{"currencyCode": s.Currency, "amountMinor": "1000"}, "reason": "conformance"}
	if _, err := s.Admin.Must(ctx, http.MethodPost, "/api/v1/billing/payments/"+id+":refund", part); err != nil {
		return err
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	time.Sleep(time.Second) // what was delivered is worked on
	payment, err := s.payment(ctx, id)
	if err != nil {
		return err
	}
	if payment.String("payment", "status") != "PARTIALLY_REFUNDED" || payment.Int("payment", "refunded", "amountMinor") != 1000 {
		return fmt.Errorf("the payment shows %s", brief(payment))
	}
	if err := b.confirmed(ctx)(); err != nil {
		return err
	}
	return s.stock(ctx, product, 8, 0)
}

func resend(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "sent again", 3050)
	if err != nil {
		return err
	}
	id, err := b.paid(ctx)
	if err != nil {
		return err
	}
	if err := s.documented(ctx, b.ID, 0); err != nil {
		return err
	}
	if _, err := s.Admin.Must(ctx, http.MethodPost, "/api/v1/billing/payments/"+id+":refund", map[string]any{"reason": "conformance"}); err != nil {
		return err
	}
	if err := s.documented(ctx, b.ID, 1); err != nil {
		return err
	}
	n, err := s.Stripe.resend(ctx, b.ID, 3)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("the provider has no events of a paid and refunded order")
	}
	time.Sleep(time.Second) // what was delivered is worked on
	payment, err := s.payment(ctx, id)
	if err != nil {
		return err
	}
	if payment.String("payment", "status") != "REFUNDED" || payment.Int("payment", "refunded", "amountMinor") != b.Total {
		return fmt.Errorf("the payment shows %s", brief(payment))
	}
	steps, err := b.steps(ctx)
	if err != nil {
		return err
	}
	if steps["CONFIRMED"] != 1 || steps["REFUNDED"] != 1 {
		return fmt.Errorf("the history has %v", steps)
	}
	return errors.Join(s.documented(ctx, b.ID, 1), s.stock(ctx, product, 8, 0))
}

func forgedEvents(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "forged", 8800)
	if err != nil {
		return err
	}
	answer, err := b.challenged(ctx)
	if err != nil {
		return err
	}
	event := fmt.Sprintf(`{"id":"evt_forged_%d","object":"event","type":"payment_intent.succeeded","api_version":"2023-10-16","created":%d,"data":{"object":`+
		`{"id":%q,"object":"payment_intent","status":"succeeded","amount":%d,"amount_received":%[4]d,"currency":"eur","metadata":{"order_id":%q}}}}`,
		time.Now().UnixNano(), time.Now().Unix(), answer.String("payment", "providerReference"), b.Total, b.ID)
	signatures := map[string]string{
		"none": "", "nonsense": "nonsense", "zeros": fmt.Sprintf("t=%d,v1=%064d", time.Now().Unix(), 0), "no signature": fmt.Sprintf("t=%d", time.Now().Unix()),
		"empty signature": fmt.Sprintf("t=%d,v1=", time.Now().Unix()),
	}
	for name, signature := range signatures {
		caller := s.Guest
		if signature != "" {
			caller = caller.With("Stripe-Signature", signature)
		}
		if err := mustRefuse(ctx, caller, http.MethodPost, "/api/v1/billing/webhooks/stripe", event, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return fmt.Errorf("signature %s: %w", name, err)
		}
	}
	order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
	if err != nil {
		return err
	}
	if order.String("order", "status") != "PENDING" {
		return fmt.Errorf("a forged event made the order %s", order.String("order", "status"))
	}
	return nil
}
