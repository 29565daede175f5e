package stripesim

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5"
)

func createRefund(c *call) (execute, *apiError) {
	f := c.form
	intentID, chargeID := f.text("payment_intent"), f.text("charge")
	amount := f.positive("amount")
	reason := f.oneOf("reason", "", "duplicate", "fraudulent", "requested_by_customer")
	metadata := f.metadata(nil)
	f.ignore("refund_application_fee", "reverse_transfer", "instructions_email")
	if (deref(intentID) == "") == (deref(chargeID) == "") {
		f.fail(invalid("parameter_missing", "payment_intent", "One of the following params should be provided for this request: payment_intent or charge."))
	}
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		ch, err := w.chargeToRefund(ctx, deref(intentID), deref(chargeID))
		if err != nil {
			return nil, err
		}
		take, e := refundable(ch, amount)
		if e != nil {
			return nil, e
		}
		re := &refund{
			ID: newID("re"), Object: "refund", Amount: take, BalanceTransaction: ptr(newID("txn")), Charge: ch.ID,
			Created: w.now.Unix(), Currency: ch.Currency, Metadata: metadata, PaymentIntent: &ch.PaymentIntent,
			Status: statusSucceeded,
		}
		if reason != "" {
			re.Reason = &reason
		}
		return w.refund(ctx, ch, re)
	}, nil
}

// chargeToRefund locks the charge, so that two refunds see each other's sums.
func (w *work) chargeToRefund(ctx context.Context, intentID, chargeID string) (*charge, error) {
	if intentID != "" {
		pi, err := find[paymentIntent](ctx, w.tx, kindIntent, intentID)
		if errors.Is(err, errNotFound) {
			return nil, missing(http.StatusBadRequest, kindIntent.name, intentID, "payment_intent")
		}
		if err != nil {
			return nil, err
		}
		if pi.Status != statusSucceeded {
			return nil, invalid("", "payment_intent", "This PaymentIntent (%s) does not have a successful charge to refund.", pi.ID)
		}
		chargeID = *pi.LatestCharge
	}
	ch, err := lock[charge](ctx, w.tx, kindCharge, chargeID)
	if errors.Is(err, errNotFound) {
		return nil, missing(http.StatusBadRequest, kindCharge.name, chargeID, "charge")
	}
	return ch, err
}

// refundable returns how much is to be given back: what was asked for, or all
// that is left.
func refundable(ch *charge, amount *int64) (int64, *apiError) {
	left := ch.AmountCaptured - ch.AmountRefunded
	switch {
	case ch.Status != statusSucceeded || !ch.Captured:
		return 0, invalid("", "charge", "Charge %s has not been captured and cannot be refunded.", ch.ID)
	case left == 0:
		return 0, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", ch.ID)
	case amount == nil:
		return left, nil
	case *amount > ch.AmountCaptured:
		return 0, invalid("", "amount", "Refund amount (%s) is greater than charge amount (%s)",
			show(*amount, ch.Currency), show(ch.AmountCaptured, ch.Currency))
	case *amount > left:
		return 0, invalid("", "amount", "Refund amount (%s) is greater than unrefunded amount on charge (%s)",
			show(*amount, ch.Currency), show(left, ch.Currency))
	}
	return *amount, nil
}

func (w *work) refund(ctx context.Context, ch *charge, re *refund) (*refund, error) {
	mode := testMethods.byName[ch.Sim.Behaviour].refund
	if mode == refundPending {
		re.Status = "pending"
	}
	if err := insert(ctx, w.tx, kindRefund, re.ID, re); err != nil {
		return nil, err
	}
	if mode != "" {
		if err := settleLater(ctx, w.tx, kindRefund, re.ID, ptr(w.now.Add(w.sim.cfg.SettleAfter))); err != nil {
			return nil, err
		}
	}
	previous := map[string]any{"amount_refunded": ch.AmountRefunded}
	ch.AmountRefunded += re.Amount
	if ch.AmountRefunded == ch.AmountCaptured {
		ch.Refunded, previous["refunded"] = true, false
	}
	if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return nil, err
	}
	if err := w.emit(ctx, "refund.created", re, nil); err != nil {
		return nil, err
	}
	return re, w.emit(ctx, "charge.refunded", ch, previous)
}

// settleRefund ends the waiting of a refund: the bank took it, or sent it back
// and the money is the merchant's again.
func (w *work) settleRefund(ctx context.Context, id string) error {
	re, err := find[refund](ctx, w.tx, kindRefund, id)
	if err != nil {
		return err
	}
	ch, err := lock[charge](ctx, w.tx, kindCharge, re.Charge)
	if err != nil {
		return err
	}
	if err := settleLater(ctx, w.tx, kindRefund, id, nil); err != nil {
		return err
	}
	previous := map[string]any{"status": re.Status}
	re.Status = statusSucceeded
	if testMethods.byName[ch.Sim.Behaviour].refund == refundFails {
		re.Status, re.FailureReason = "failed", ptr("expired_or_canceled_card")
		ch.AmountRefunded -= re.Amount
		ch.Refunded = false
		if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
			return err
		}
	}
	if err := save(ctx, w.tx, kindRefund, re.ID, re); err != nil {
		return err
	}
	if err := w.emit(ctx, "charge.refund.updated", re, previous); err != nil {
		return err
	}
	return w.emit(ctx, "refund.updated", re, previous)
}

func listRefunds(c *call) (execute, *apiError) {
	filter := listFilter{kind: kindRefund, url: "/v1/refunds"}
	filter.match("payment_intent", c.form.text("payment_intent"))
	filter.match("charge", c.form.text("charge"))
	return filter.list(c)
}
