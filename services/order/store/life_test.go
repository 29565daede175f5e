package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/order"
)

// Whatever happens to an order in whatever sequence, goods and money end where
// its state says: sold and kept, or given back.
func TestAnyLifeKeepsGoodsAndMoneyTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	rapid.Check(t, func(rt *rapid.T) {
		caller, admin := user(), order.Caller{UserID: newID(), Admin: true}
		o := s.place(t, caller)
		payments := []uuid.UUID{newID(), newID()}
		arrived := map[uuid.UUID]bool{}
		last := order.StatusPending
		payment := func() uuid.UUID { return rapid.SampledFrom(payments).Draw(rt, "payment") }
		acts := map[string]func() error{
			"begin": func() error {
				_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: payment(), Caller: caller})
				return err
			},
			"settle": func() error {
				p := payment()
				arrived[p] = true
				return s.Settle(t.Context(), order.SettleInput{EventID: newID(), OrderID: o.ID, PaymentID: p, Amount: o.Money(o.Total)})
			},
			"fail": func() error {
				return s.Fail(t.Context(), order.FailInput{EventID: newID(), OrderID: o.ID, PaymentID: payment()})
			},
			"cancel": func() error {
				_, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller})
				return err
			},
			"fulfill": func() error {
				_, err := s.Fulfill(t.Context(), order.MoveInput{OrderID: o.ID, Caller: admin})
				return err
			},
			"complete": func() error {
				_, err := s.Complete(t.Context(), order.MoveInput{OrderID: o.ID, Caller: admin})
				return err
			},
			"wait":   func() error { s.clock.advance(20 * time.Minute); return nil },
			"expire": func() error { _, err := s.Expire(t.Context()); return err },
			"release": func() error { // the errands are run
				if s.errands(t, "order_release_stock", o.ID) > 0 {
					return s.stock.Release(t.Context(), o.ID, "")
				}
				return nil
			},
		}
		names := []string{"begin", "settle", "settle", "fail", "cancel", "fulfill", "complete", "wait", "expire", "release"}
		for range rapid.IntRange(1, 10).Draw(rt, "acts") {
			name := rapid.SampledFrom(names).Draw(rt, "act")
			if err := acts[name](); err != nil && (fault.From(err) == nil || fault.From(err).Kind != fault.KindConflict) {
				rt.Fatalf("%s: %v", name, err)
			}
			now := s.get(t, o.ID).Status
			if now != last && !last.CanBecome(now) {
				rt.Fatalf("%s moved it from %s to %s", name, last, now)
			}
			last = now
		}
		_ = acts["release"]()
		confirmed := s.events(t, "ORDER_CONFIRMED", o.ID)
		switch {
		case confirmed > 1:
			rt.Errorf("confirmed %d times", confirmed)
		case last.Paid() && (confirmed != 1 || s.stock.state(o.ID) != "sold" || s.errands(t, "order_refund", o.ID) != 0):
			rt.Errorf("%s: confirmed %d times, goods %s, %d refunds", last, confirmed, s.stock.state(o.ID), s.errands(t, "order_refund", o.ID))
		case last.Undone() && s.stock.state(o.ID) != "released":
			rt.Errorf("%s, but goods are %s", last, s.stock.state(o.ID))
		case last.Undone() && len(arrived) > 0 && s.errands(t, "order_refund", o.ID) == 0:
			rt.Errorf("%s, and money stays", last)
		case last == order.StatusPending && (len(arrived) > 0 || s.stock.state(o.ID) != "held"):
			rt.Errorf("still %s after %d payments, goods %s", last, len(arrived), s.stock.state(o.ID))
		}
	})
}
