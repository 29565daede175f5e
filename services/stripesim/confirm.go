package stripesim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"
)

func confirmIntent(c *call) (execute, *apiError) {
	f := c.form
	in := readPayment(f)
	confirmation := readConfirm(f)
	f.ignore("client_secret", "capture_method")
	return func(ctx context.Context, tx pgx.Tx) (any, error) {
		w := c.work(tx)
		pi, err := w.intentOf(ctx, c.id())
		if err != nil {
			return nil, err
		}
		if e := confirmable(pi); e != nil {
			return nil, e
		}
		in.changeDetails(pi)
		if err := w.setMethod(ctx, pi, in); err != nil {
			return nil, err
		}
		return w.confirm(ctx, pi, confirmation)
	}, nil
}

// confirmable refuses intents whose money is taken, on its way, or given up:
// the second of two confirmations ends here.
func confirmable(pi *paymentIntent) *apiError {
	switch pi.Status {
	case statusNeedsMethod, statusNeedsConfirm, statusNeedsAction:
		return nil
	case statusSucceeded:
		return unexpectedState(pi, "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.")
	default:
		return unexpectedState(pi, "You cannot confirm this PaymentIntent because it has a status of %s. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action.", pi.Status)
	}
}

// confirm asks for the money. The caller holds the intent's lock.
func (w *work) confirm(ctx context.Context, pi *paymentIntent, in confirmInput) (*paymentIntent, error) {
	if pi.PaymentMethod == nil {
		return nil, unexpectedState(pi, "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.")
	}
	if e := redirectRefused(pi, in); e != nil {
		return nil, e
	}
	pm, err := lock[paymentMethod](ctx, w.tx, kindMethod, *pi.PaymentMethod)
	if err != nil {
		return nil, err
	}
	if pm.Sim.Consumed && pm.Customer == nil {
		return nil, invalid("", "payment_method", "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.")
	}
	if in.returnURL != "" {
		pi.Sim.ReturnURL = in.returnURL
	}
	pi.LastPaymentError = nil
	test := testMethods.byName[pm.Sim.Behaviour]
	switch {
	case test.challenge && (in.offSession || in.errorOnAction):
		return w.refuse(ctx, pi, pm, authRequired)
	case test.challenge:
		return w.challenge(ctx, pi)
	case test.slow:
		return w.process(ctx, pi, pm, test)
	default:
		return w.collect(ctx, pi, pm)
	}
}

// challenge sends the buyer to authenticate.
func (w *work) challenge(ctx context.Context, pi *paymentIntent) (*paymentIntent, error) {
	page := fmt.Sprintf("%s/sim/3ds/%s?client_secret=%s", w.baseURL, pi.ID, url.QueryEscape(pi.ClientSecret))
	pi.Status = statusNeedsAction
	pi.NextAction = map[string]any{
		"type":           "use_stripe_sdk",
		"use_stripe_sdk": map[string]any{"type": "three_d_secure_redirect", "stripe_js": page},
	}
	if pi.Sim.ReturnURL != "" {
		pi.NextAction = map[string]any{
			"type":            "redirect_to_url",
			"redirect_to_url": map[string]any{"return_url": pi.Sim.ReturnURL, "url": page},
		}
	}
	return pi, w.saveIntent(ctx, pi, statusNeedsAction)
}

// process leaves the bank time to answer.
func (w *work) process(ctx context.Context, pi *paymentIntent, pm *paymentMethod, test *testMethod) (*paymentIntent, error) {
	if pi.Currency != "usd" {
		return nil, invalid("", "currency", "The currency provided (%s) is invalid for one or more payment method types on this PaymentIntent: us_bank_account requires usd.", pi.Currency)
	}
	ch := w.newCharge(pi, pm)
	ch.Status, ch.BalanceTransaction, ch.Paid = "pending", nil, false
	if err := insert(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return nil, err
	}
	pi.Status, pi.NextAction, pi.LatestCharge = statusProcessing, nil, &ch.ID
	if err := w.consume(ctx, pi, pm); err != nil {
		return nil, err
	}
	if err := w.emit(ctx, "charge.pending", ch, nil); err != nil {
		return nil, err
	}
	if err := w.saveIntent(ctx, pi, statusProcessing); err != nil {
		return nil, err
	}
	if test.never {
		return pi, nil
	}
	return pi, settleLater(ctx, w.tx, kindIntent, pi.ID, ptr(w.now.Add(w.sim.cfg.SettleAfter)))
}

// collect takes or reserves the money, or is declined.
func (w *work) collect(ctx context.Context, pi *paymentIntent, pm *paymentMethod) (*paymentIntent, error) {
	test := testMethods.byName[pm.Sim.Behaviour]
	if test.decline != nil {
		return w.refuse(ctx, pi, pm, test.decline)
	}
	ch := w.newCharge(pi, pm)
	if err := insert(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return nil, err
	}
	if err := w.consume(ctx, pi, pm); err != nil {
		return nil, err
	}
	if err := w.emit(ctx, "charge.succeeded", ch, nil); err != nil {
		return nil, err
	}
	pi.LatestCharge, pi.NextAction, pi.Processing = &ch.ID, nil, nil
	if !ch.Captured {
		pi.Status, pi.AmountCapturable = statusNeedsCapture, pi.Amount
		return pi, w.saveIntent(ctx, pi, "amount_capturable_updated")
	}
	pi.Status, pi.AmountReceived = statusSucceeded, pi.Amount
	return pi, w.saveIntent(ctx, pi, statusSucceeded)
}

// consume marks a method without customer as used up, or saves it to the
// customer when the caller asked for that.
func (w *work) consume(ctx context.Context, pi *paymentIntent, pm *paymentMethod) error {
	pm.Sim.Consumed = true
	if pi.SetupFutureUsage != nil && pi.Customer != nil && pm.Customer == nil {
		pm.Customer = pi.Customer
		if err := w.emit(ctx, "payment_method.attached", pm, nil); err != nil {
			return err
		}
	}
	return save(ctx, w.tx, kindMethod, pm.ID, pm)
}

// refuse records the attempt that failed and answers 402.
func (w *work) refuse(ctx context.Context, pi *paymentIntent, pm *paymentMethod, no *decline) (*paymentIntent, error) {
	e := &apiError{
		Status: http.StatusPaymentRequired, Commit: true, Type: typeCard, Code: no.code,
		DeclineCode: no.declineCode, Message: no.message, PaymentMethod: render(pm),
	}
	ch := w.failedCharge(pi, pm, no)
	if err := insert(ctx, w.tx, kindCharge, ch.ID, ch); err != nil {
		return nil, err
	}
	if err := w.emit(ctx, "charge.failed", ch, nil); err != nil {
		return nil, err
	}
	e.Charge = ch.ID
	pi.LatestCharge = &ch.ID
	if err := w.failIntent(ctx, pi, e.withDoc()); err != nil {
		return nil, err
	}
	shown := *e
	shown.PaymentIntent = render(pi)
	return nil, &shown
}

// failIntent lets the intent wait for another method.
func (w *work) failIntent(ctx context.Context, pi *paymentIntent, reason *apiError) error {
	pi.Status, pi.NextAction, pi.Processing = statusNeedsMethod, nil, nil
	pi.LastPaymentError, pi.PaymentMethod = reason, nil
	return w.saveIntent(ctx, pi, "payment_failed")
}

// finishChallenge is what the authentication page does. It tells the status
// that the buyer's browser takes back; an intent that no longer waits is left
// alone.
func (w *work) finishChallenge(ctx context.Context, id, secret string, passed bool) (*paymentIntent, error) {
	pi, err := lock[paymentIntent](ctx, w.tx, kindIntent, id)
	if err != nil {
		return nil, err
	}
	if !sameSecret(pi, secret) {
		return nil, errNotFound
	}
	if pi.Status != statusNeedsAction {
		return pi, nil
	}
	if !passed {
		reason := invalid("payment_intent_authentication_failure", "", "We are unable to authenticate your payment method. Please choose a different payment method and try again.")
		return pi, w.failIntent(ctx, pi, reason)
	}
	pm, err := lock[paymentMethod](ctx, w.tx, kindMethod, *pi.PaymentMethod)
	if err != nil {
		return nil, err
	}
	_, err = w.collect(ctx, pi, pm)
	if _, ok := errors.AsType[*apiError](err); ok {
		return pi, nil // the bank's no is on the intent
	}
	return pi, err
}

// backURL is where the browser goes after the page.
func backURL(pi *paymentIntent) string {
	if pi.Sim.ReturnURL == "" {
		return ""
	}
	u, err := url.Parse(pi.Sim.ReturnURL)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("payment_intent", pi.ID)
	q.Set("payment_intent_client_secret", pi.ClientSecret)
	q.Set("redirect_status", redirectStatus(pi))
	u.RawQuery = q.Encode()
	return u.String()
}

func redirectStatus(pi *paymentIntent) string {
	if pi.Status == statusNeedsMethod {
		return "failed"
	}
	return "succeeded"
}
