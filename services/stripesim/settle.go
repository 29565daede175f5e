package stripesim

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// settleIntent ends the processing of a slow method.
func (w *work) settleIntent(ctx context.Context, id string) error {
	pi, err := lock[paymentIntent](ctx, w.tx, kindIntent, id)
	if err != nil {
		return err
	}
	if err := settleLater(ctx, w.tx, kindIntent, id, nil); err != nil {
		return err
	}
	if pi.Status != statusProcessing {
		return nil
	}
	pm, err := find[paymentMethod](ctx, w.tx, kindMethod, *pi.PaymentMethod)
	if err != nil {
		return err
	}
	ch, err := lock[charge](ctx, w.tx, kindCharge, *pi.LatestCharge)
	if err != nil {
		return err
	}
	if no := testMethods.byName[pm.Sim.Behaviour].decline; no != nil {
		return w.settleFailed(ctx, pi, pm, ch, no)
	}
	ch.Status, ch.Paid, ch.BalanceTransaction = statusSucceeded, true, ptr(newID("txn"))
	if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return err
	}
	if err := w.emit(ctx, "charge.succeeded", ch, nil); err != nil {
		return err
	}
	pi.Status, pi.AmountReceived = statusSucceeded, pi.Amount
	return w.saveIntent(ctx, pi, statusSucceeded)
}

func (w *work) settleFailed(ctx context.Context, pi *paymentIntent, pm *paymentMethod, ch *charge, no *decline) error {
	ch.Status, ch.FailureCode, ch.FailureMessage = "failed", &no.code, &no.message
	ch.Captured, ch.AmountCaptured = false, 0
	if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return err
	}
	if err := w.emit(ctx, "charge.failed", ch, nil); err != nil {
		return err
	}
	reason := &apiError{
		Type: typeCard, Code: no.code, DeclineCode: no.declineCode, Message: no.message,
		Charge: ch.ID, PaymentMethod: render(pm),
	}
	return w.failIntent(ctx, pi, reason.withDoc())
}

func cancelIntent(c *call) (execute, *apiError) {
	reason := c.form.oneOf("cancellation_reason", "", "duplicate", "fraudulent", "requested_by_customer", "abandoned")
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		pi, err := w.intentOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		switch pi.Status {
		case statusSucceeded, statusCanceled, statusProcessing:
			return nil, unexpectedState(pi, "You cannot cancel this PaymentIntent because it has a status of %s. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action.", pi.Status)
		case statusNeedsCapture:
			if err := w.release(ctx, pi); err != nil {
				return nil, err
			}
		}
		pi.Status, pi.NextAction, pi.AmountCapturable = statusCanceled, nil, 0
		pi.CanceledAt = ptr(w.now.Unix())
		if reason != "" {
			pi.CancellationReason = &reason
		}
		return pi, w.saveIntent(ctx, pi, statusCanceled)
	}, nil
}

// release gives back what was reserved and never captured.
func (w *work) release(ctx context.Context, pi *paymentIntent) error {
	ch, err := lock[charge](ctx, w.tx, kindCharge, *pi.LatestCharge)
	if err != nil {
		return err
	}
	ch.AmountRefunded, ch.Refunded = ch.Amount, true
	if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return err
	}
	return w.emit(ctx, "charge.refunded", ch, map[string]any{"amount_refunded": 0, "refunded": false})
}

func captureIntent(c *call) (execute, *apiError) {
	amount := c.form.positive("amount_to_capture")
	metadata := c.form.metadata
	metadata(nil)
	c.form.ignore("application_fee_amount", "final_capture", "statement_descriptor", "statement_descriptor_suffix", "transfer_data")
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		pi, err := w.intentOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		if pi.Status != statusNeedsCapture {
			return nil, unexpectedState(pi, "This PaymentIntent could not be captured because it has a status of %s. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.", pi.Status)
		}
		pi.Metadata = metadata(pi.Metadata)
		take := pi.AmountCapturable
		if amount != nil {
			take = *amount
		}
		if take > pi.AmountCapturable {
			return nil, invalid("amount_too_large", "amount_to_capture", "The amount to capture (%s) is greater than the capturable amount (%s).",
				show(take, pi.Currency), show(pi.AmountCapturable, pi.Currency))
		}
		return w.capture(ctx, pi, take)
	}, nil
}

func (w *work) capture(ctx context.Context, pi *paymentIntent, take int64) (*paymentIntent, error) {
	ch, err := lock[charge](ctx, w.tx, kindCharge, *pi.LatestCharge)
	if err != nil {
		return nil, err
	}
	ch.Captured, ch.AmountCaptured, ch.BalanceTransaction = true, take, ptr(newID("txn"))
	if err := save(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return nil, err
	}
	if err := w.emit(ctx, "charge.captured", ch, nil); err != nil {
		return nil, err
	}
	pi.Status, pi.AmountCapturable, pi.AmountReceived = statusSucceeded, 0, take
	return pi, w.saveIntent(ctx, pi, statusSucceeded)
}
