package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var refundCases = []Case{
	{
		Trap: 9, Name: "a-refund-asked-for-often-is-made-once", Needs: Needs{Admin: true, Books: true}, Run: refundOften,
		Rule: "Eight refunds of everything at once give everything back once.",
	},
	{
		Trap: 9, Name: "parts-never-exceed-the-payment", Needs: Needs{Admin: true, Books: true}, Run: refundParts,
		Rule: "Partial refunds at once never add up to more than was paid; too much, nothing and another currency are refused.",
	},
	{
		Trap: 9, Name: "a-refund-with-a-key-is-made-once", Needs: Needs{Admin: true, Books: true}, Run: refundKey,
		Rule: "A refund repeated under its Idempotency-Key is the same refund.",
	},
	{
		Trap: 9, Name: "a-refund-made-at-the-provider-counts", Needs: Needs{Admin: true, Books: true}, Run: refundElsewhere,
		Rule: "Money given back at the provider's own dashboard is known to the shop, which gives back only the rest.",
	},
	{
		Trap: 9, Name: "a-refund-the-bank-sends-back-is-not-counted", Needs: Needs{Admin: true, Books: true}, Run: refundFails,
		Rule: "A refund that fails in the end is not shown as money returned.",
	},
	{
		Trap: 9, Name: "cancelling-and-refunding-race", Needs: Needs{Admin: true, Books: true}, Run: cancelAgainstRefund,
		Rule: "A paid order that is cancelled and refunded at once gives back exactly what was paid.",
	},
	{
		Trap: 9, Name: "a-refund-whose-answer-is-lost-is-made-once", Needs: Needs{Admin: true, Faults: true}, Run: refundLost,
		Rule: "A refund whose answer was lost is found out and counted once.",
	},
}

// sale is a paid order.
func (s *Session) sale(ctx context.Context, name string, price int64) (b *buyer, payment string, err error) {
	if _, b, err = s.pair(ctx, name, price); err != nil {
		return nil, "", err
	}
	payment, err = b.paid(ctx)
	return b, payment, err
}

// refund asks for a part, or for everything when minor is 0.
func (s *Session) refund(ctx context.Context, who *shop.Shop, payment string, minor int64) (*shop.Answer, error) {
	body := map[string]any{"reason": "conformance"}
	if minor != 0 {
		body["amount"] = map[string]any{"currencyCode": s.Currency, "amountMinor": strconv.FormatInt(minor, 10)}
	}
	return send(ctx, who, http.MethodPost, "/api/v1/billing/payments/"+payment+":refund", body)
}

// refunded waits until books and payment agree on what went back.
func (s *Session) refunded(ctx context.Context, b *buyer, payment string, refunds int, minor int64, limit time.Duration) error {
	err := s.Stripe.expect(ctx, b.ID, limit, func(l ledger) bool { return l.refunds == refunds && l.returned == minor },
		fmt.Sprintf("%d refunds of %d in all", refunds, minor))
	if err != nil {
		return err
	}
	status := "PARTIALLY_REFUNDED"
	if minor == b.Total {
		status = "REFUNDED"
	}
	return eventually(ctx, limit, func() error {
		p, err := s.payment(ctx, payment)
		if err == nil && (p.String("payment", "status") != status || p.Int("payment", "refunded", "amountMinor") != minor) {
			err = fmt.Errorf("the payment shows %s", brief(p))
		}
		return err
	})
}

func refundOften(ctx context.Context, s *Session) error {
	b, payment, err := s.sale(ctx, "refunded often", 2100)
	if err != nil {
		return err
	}
	err = together(8, func(int) error {
		answer, err := s.refund(ctx, s.Admin, payment, 0)
		if err != nil || answer.Status == http.StatusOK {
			return err
		}
		return refusal(answer, http.StatusConflict, "PAYMENT_NOT_REFUNDABLE", "REFUND_EXCEEDS_PAYMENT")
	})
	if err != nil {
		return err
	}
	return errors.Join(s.refunded(ctx, b, payment, 1, b.Total, 20*time.Second), s.documented(ctx, b.ID, 1))
}

func refundParts(ctx context.Context, s *Session) error {
	b, payment, err := s.sale(ctx, "refunded in parts", 1000)
	if err != nil {
		return err
	}
	for name, minor := range map[string]int64{"more than was paid": b.Total + 1, "a negative amount": -1} {
		answer, err := s.refund(ctx, s.Admin, payment, minor)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusBadRequest && answer.Status != http.StatusConflict {
			return fmt.Errorf("%s: status %d: %s", name, answer.Status, brief(answer))
		}
		if err := errorShape(answer); err != nil {
			return err
		}
	}
	dollars := map[string]any{"reason": "conformance", "amount": map[string]any{"currencyCode": "BHD", "amountMinor": "10"}}
	if err := mustRefuse(ctx, s.Admin, http.MethodPost, "/api/v1/billing/payments/"+payment+":refund", dollars, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
		return err
	}
	part := b.Total/3 + 1 // two fit, the third does not
	var made atomic.Int64
	err = together(8, func(int) error {
		answer, err := s.refund(ctx, s.Admin, payment, part)
		if err != nil {
			return err
		}
		if answer.Status == http.StatusOK {
			made.Add(1)
			return nil
		}
		return refusal(answer, http.StatusConflict, "REFUND_EXCEEDS_PAYMENT", "PAYMENT_NOT_REFUNDABLE")
	})
	if err != nil {
		return err
	}
	if made.Load() != 2 {
		return fmt.Errorf("%d refunds of %d were made of a payment of %d", made.Load(), part, b.Total)
	}
	if err := s.refunded(ctx, b, payment, 2, 2*part, 20*time.Second); err != nil {
		return err
	}
	if err := okay(s.refund(ctx, s.Admin, payment, 0)); err != nil {
		return fmt.Errorf("the rest: %w", err)
	}
	return s.refunded(ctx, b, payment, 3, b.Total, 20*time.Second)
}

func refundKey(ctx context.Context, s *Session) error {
	b, payment, err := s.sale(ctx, "refunded by key", 1800)
	if err != nil {
		return err
	}
	keyed := s.Admin.With("Idempotency-Key", newKey())
	first, err := s.refund(ctx, keyed, payment, 500)
	if err != nil {
		return err
	}
	again, err := s.refund(ctx, keyed, payment, 500)
	if err != nil {
		return err
	}
	if first.Status != http.StatusOK || again.Status != http.StatusOK || first.String("refund", "id") != again.String("refund", "id") {
		return fmt.Errorf("the repetition answers status %d: %s, first %s", again.Status, brief(again), brief(first))
	}
	return s.refunded(ctx, b, payment, 1, 500, 20*time.Second)
}

func refundElsewhere(ctx context.Context, s *Session) error {
	b, payment, err := s.sale(ctx, "refunded elsewhere", 2600)
	if err != nil {
		return err
	}
	known, err := s.payment(ctx, payment)
	if err != nil {
		return err
	}
	elsewhere := map[string][]string{"payment_intent": {known.String("payment", "providerReference")}, "amount": {"700"}}
	if _, err := s.Stripe.form(ctx, "/v1/refunds", elsewhere); err != nil {
		return err
	}
	if err := s.refunded(ctx, b, payment, 1, 700, 30*time.Second); err != nil {
		return err
	}
	answer, err := s.refund(ctx, s.Admin, payment, b.Total)
	if err != nil {
		return err
	}
	if err := refusal(answer, http.StatusConflict, "REFUND_EXCEEDS_PAYMENT"); err != nil {
		return err
	}
	if err := okay(s.refund(ctx, s.Admin, payment, 0)); err != nil {
		return fmt.Errorf("the rest: %w", err)
	}
	return s.refunded(ctx, b, payment, 2, b.Total, 20*time.Second)
}

func refundLost(ctx context.Context, s *Session) error {
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"off": true}}); err != nil {
		return err
	}
	for _, kind := range []string{"timeout_after", "reset_after", "error_after", "error_before"} {
		b, payment, err := s.sale(ctx, "refund lost", 1300)
		if err != nil {
			return err
		}
		if err := s.Stripe.Fault(ctx, "refunds.create", kind, 3, 5*time.Second); err != nil {
			return err
		}
		answer, err := s.refund(ctx, s.Admin, payment, 0)
		if err != nil {
			return err
		}
		if answer.Status != http.StatusOK || answer.String("refund", "status") == "FAILED" {
			return fmt.Errorf("%s: status %d: %s", kind, answer.Status, brief(answer))
		}
		if err := s.refunded(ctx, b, payment, 1, b.Total, patience); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func refundFails(ctx context.Context, s *Session) error {
	_, b, err := s.pair(ctx, "refund fails", 1700)
	if err != nil {
		return err
	}
	paid, err := b.pay(ctx, "pm_card_refundFail")
	if err := okay(paid, err); err != nil {
		return err
	}
	if _, err := b.WaitOrder(ctx, b.ID, "CONFIRMED"); err != nil {
		return err
	}
	id := paid.String("payment", "id")
	if err := okay(s.refund(ctx, s.Admin, id, 0)); err != nil {
		return err
	}
	return eventually(ctx, 40*time.Second, func() error {
		p, err := s.payment(ctx, id)
		if err != nil {
			return err
		}
		l, err := s.Stripe.ledger(ctx, b.ID)
		if err != nil {
			return err
		}
		if l.returned != 0 || p.String("payment", "status") != "SUCCEEDED" || p.Int("payment", "refunded", "amountMinor") != 0 {
			return fmt.Errorf("the provider's books show %s, the payment %s", l, brief(p))
		}
		return nil
	})
}

func cancelAgainstRefund(ctx context.Context, s *Session) error {
	for round := range 4 {
		b, payment, err := s.sale(ctx, "cancelled and refunded", 1900)
		if err != nil {
			return err
		}
		err = together(6, func(i int) error {
			switch i % 3 {
			case 0:
				_, err := b.cancel(ctx)
				return err
			case 1:
				_, err := s.refund(ctx, s.Admin, payment, 0)
				return err
			default:
				_, err := s.refund(ctx, s.Admin, payment, 600)
				return err
			}
		})
		if err != nil {
			return err
		}
		err = s.Stripe.expect(ctx, b.ID, 30*time.Second, func(l ledger) bool { return l.taken == b.Total && l.returned == b.Total },
			fmt.Sprintf("%d taken and returned", b.Total))
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		err = eventually(ctx, 20*time.Second, func() error {
			p, err := s.payment(ctx, payment)
			if err == nil && (p.String("payment", "status") != "REFUNDED" || p.Int("payment", "refunded", "amountMinor") != b.Total) {
				err = fmt.Errorf("round %d: the payment shows %s", round, brief(p))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
