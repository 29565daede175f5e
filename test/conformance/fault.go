package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

var faultCases = []Case{
	{
		Trap: 13, Name: "a-lost-answer-is-settled-once", Needs: Needs{Admin: true, Faults: true}, Run: lostAnswers,
		Rule: "When the provider took the money and its answer was lost, the payment is not failed: it is found out and booked once.",
	},
	{
		Trap: 13, Name: "a-call-that-never-arrived-is-repeated-once", Needs: Needs{Admin: true, Faults: true}, Run: lostCalls,
		Rule: "When the provider never got the call, it is repeated, and the customer is charged once.",
	},
	{
		Trap: 13, Name: "a-provider-that-is-down-loses-no-sale", Needs: Needs{Admin: true, Faults: true}, Run: providerDown,
		Rule: "While the provider is down payments are answered within 15 s and not failed; afterwards each is charged once.",
	},
	{
		Trap: 6, Name: "unknown-money-of-a-cancelled-order-goes-back", Needs: Needs{Admin: true, Faults: true}, Run: cancelUnknown,
		Rule: "When an order is cancelled while its payment's outcome is unknown, the money that turns up goes back by itself.",
	},
	{
		Trap: 7, Name: "a-late-success-does-not-revive-an-order", Needs: Needs{Admin: true, Faults: true}, Run: lateSuccess,
		Rule: "News of a success that arrive after the cancellation refund the money and leave the order cancelled.",
	},
}

// patience is how long a payment whose answer was lost may take to be settled.
const patience = 90 * time.Second

func lostAnswers(ctx context.Context, s *Session) error {
	// Without webhooks the shop must find out by itself.
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"off": true}}); err != nil {
		return err
	}
	for _, kind := range []string{"timeout_after", "reset_after", "error_after"} {
		if err := s.survives(ctx, kind, 3); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func lostCalls(ctx context.Context, s *Session) error {
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"off": true}}); err != nil {
		return err
	}
	for _, kind := range []string{"timeout_before", "reset_before", "error_before", "rate_limit", "lock_timeout"} {
		if err := s.survives(ctx, kind, 2); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// survives pays an order while the first calls fail in one way.
func (s *Session) survives(ctx context.Context, kind string, count int) error {
	product, b, err := s.pair(ctx, kind, 1830)
	if err != nil {
		return err
	}
	if err := s.Stripe.Fault(ctx, "payment_intents.create", kind, count, 5*time.Second); err != nil {
		return err
	}
	if err := b.undecided(ctx); err != nil {
		return err
	}
	// An impatient customer tries again, and again.
	taken, err := b.scramble(ctx, 4)
	if err != nil {
		return err
	}
	if taken > 0 {
		return fmt.Errorf("%d more payments were taken on while one was open or done", taken)
	}
	if err := eventually(ctx, patience, b.confirmed(ctx)); err != nil {
		return err
	}
	return errors.Join(s.Stripe.chargedOnce(ctx, b.ID, b.Total), s.stock(ctx, product, 8, 0))
}

// undecided pays and wants any answer but a failure, in time.
func (b *buyer) undecided(ctx context.Context) error {
	started := time.Now()
	answer, err := b.pay(ctx, "pm_card_visa")
	if err != nil {
		return err
	}
	if took := time.Since(started); took > 15*time.Second {
		return fmt.Errorf("the customer waited %s for an answer", took.Round(time.Second))
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("status %d: %s", answer.Status, brief(answer))
	}
	switch answer.String("payment", "status") {
	case "SUCCEEDED", "UNKNOWN", "PENDING":
		return nil
	default:
		return fmt.Errorf("an answer that was lost made the payment %s", brief(answer))
	}
}

func (b *buyer) confirmed(ctx context.Context) func() error {
	return func() error {
		order, err := b.Must(ctx, http.MethodGet, "/api/v1/orders/"+b.ID, nil)
		if err != nil {
			return err
		}
		if status := order.String("order", "status"); status != "CONFIRMED" {
			return fmt.Errorf("order %s is %s, not CONFIRMED", b.ID, status)
		}
		return nil
	}
}

func providerDown(ctx context.Context, s *Session) error {
	const orders = 3
	product, err := s.product(ctx, "provider down", 2200, orders)
	if err != nil {
		return err
	}
	buyers := make([]*buyer, orders)
	for i := range buyers {
		if buyers[i], err = s.buy(ctx, line{product, 1}); err != nil {
			return err
		}
	}
	if err := s.Stripe.Set(ctx, map[string]any{"down": true}); err != nil {
		return err
	}
	err = together(orders, func(i int) error {
		return buyers[i].undecided(ctx)
	})
	if err != nil {
		return err
	}
	if err := s.Stripe.Set(ctx, map[string]any{"down": false}); err != nil {
		return err
	}
	for _, b := range buyers {
		if err := eventually(ctx, patience, b.confirmed(ctx)); err != nil {
			return err
		}
		if err := s.Stripe.chargedOnce(ctx, b.ID, b.Total); err != nil {
			return err
		}
	}
	return s.stock(ctx, product, 0, 0)
}

func cancelUnknown(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "unknown and cancelled", 5600)
	if err != nil {
		return err
	}
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"off": true}}); err != nil {
		return err
	}
	if err := s.Stripe.Fault(ctx, "payment_intents.create", "timeout_after", 4, 5*time.Second); err != nil {
		return err
	}
	if err := b.undecided(ctx); err != nil {
		return err
	}
	if err := okay(b.cancel(ctx)); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if err := s.Stripe.Clear(ctx); err != nil {
		return err
	}
	if err := s.Stripe.holdsNothing(ctx, b.ID, patience); err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CANCELLED"); err != nil {
		return err
	}
	return s.stock(ctx, product, 10, 0)
}

func lateSuccess(ctx context.Context, s *Session) error {
	product, b, err := s.pair(ctx, "late success", 4400)
	if err != nil {
		return err
	}
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"off": true}}); err != nil {
		return err
	}
	answer, err := b.challenged(ctx)
	if err != nil {
		return err
	}
	// The customer pays; the shop does not hear of it and cancels.
	passed, err := s.Stripe.authenticate(ctx, answer)
	if err != nil {
		return err
	}
	if passed.Status >= http.StatusBadRequest {
		return fmt.Errorf("authenticate: status %d: %s", passed.Status, brief(passed))
	}
	if err := okay(b.cancel(ctx)); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if err := s.Stripe.Clear(ctx); err != nil {
		return err
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	err = s.Stripe.expect(ctx, b.ID, patience, func(l ledger) bool { return l.charges == 1 && l.returned == b.Total && l.open == 0 },
		"one charge, all of it returned")
	if err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CANCELLED"); err != nil {
		return err
	}
	return s.stock(ctx, product, 10, 0)
}
