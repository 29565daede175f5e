package stripesim_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

func TestRefunds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	params := &stripe.RefundParams{PaymentIntent: &pi.ID, Amount: stripe.Int64(500), Reason: stripe.String("requested_by_customer")}
	params.AddMetadata("refund_id", "r-1")
	params.AddExpand("charge")
	part, err := b.stripe.Refunds.New(params)
	if err != nil {
		t.Fatal(err)
	}
	if part.Amount != 500 || part.Status != stripe.RefundStatusSucceeded || part.PaymentIntent.ID != pi.ID ||
		part.Charge.AmountRefunded != 500 || part.Charge.Refunded || part.Metadata["refund_id"] != "r-1" || part.Reason != "requested_by_customer" {
		t.Fatalf("refund %+v of %+v", part, part.Charge)
	}
	for amount, want := range map[int64]string{
		1500: "Refund amount (€15.00) is greater than unrefunded amount on charge (€14.99)",
		2500: "Refund amount (€25.00) is greater than charge amount (€19.99)",
	} {
		_, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID, Amount: &amount})
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Param != "amount" || e.Msg != want {
			t.Errorf("refund of %d: %+v", amount, e)
		}
	}
	rest, err := b.stripe.Refunds.New(&stripe.RefundParams{Charge: &pi.LatestCharge.ID})
	if err != nil || rest.Amount != 1499 {
		t.Fatalf("rest %+v, %v", rest, err)
	}
	if _, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID}); stripeError(t, err).Code != stripe.ErrorCodeChargeAlreadyRefunded {
		t.Errorf("third refund: %v", err)
	}
	get := &stripe.RefundParams{}
	get.AddExpand("balance_transaction")
	got, err := b.stripe.Refunds.Get(rest.ID, get)
	if err != nil || got.Amount != 1499 || got.BalanceTransaction.Amount != -1499 || got.BalanceTransaction.Fee != 0 {
		t.Errorf("get: %+v, %v", got, err)
	}
	iter := b.stripe.Refunds.List(&stripe.RefundListParams{PaymentIntent: &pi.ID})
	var sum int64
	for iter.Next() {
		sum += iter.Refund().Amount
	}
	if iter.Err() != nil || sum != 1999 {
		t.Errorf("refunds sum to %d, %v", sum, iter.Err())
	}
	withRefunds := &stripe.ChargeParams{}
	withRefunds.AddExpand("refunds.data.payment_intent")
	ch, err := b.stripe.Charges.Get(pi.LatestCharge.ID, withRefunds)
	if err != nil || !ch.Refunded || ch.AmountRefunded != 1999 || len(ch.Refunds.Data) != 2 || ch.Refunds.Data[0].PaymentIntent.Amount != 1999 {
		t.Errorf("charge %+v, %v", ch, err)
	}
}

func TestRefundValidation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open, err := b.stripe.PaymentIntents.New(cardIntent("", false))
	if err != nil {
		t.Fatal(err)
	}
	paid := b.pay("pm_card_visa")
	for form, code := range map[string]string{
		"amount=5": "parameter_missing",
		"payment_intent=" + paid.ID + "&charge=" + paid.LatestCharge.ID: "parameter_missing",
		"payment_intent=pi_x":                        "resource_missing",
		"charge=ch_x":                                "resource_missing",
		"payment_intent=" + open.ID:                  "",
		"payment_intent=" + paid.ID + "&amount=0":    "parameter_invalid_integer",
		"payment_intent=" + paid.ID + "&amount=-5":   "parameter_invalid_integer",
		"payment_intent=" + paid.ID + "&reason=mood": "",
		"payment_intent=" + paid.ID + "&why=mood":    "parameter_unknown",
	} {
		status, answer := b.post("/v1/refunds", form)
		e, _ := answer["error"].(map[string]any)
		got, _ := e["code"].(string)
		if status != 400 || got != code {
			t.Errorf("%s: %d %v, want 400 %q", form, status, answer, code)
		}
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.refund`); n != 0 {
		t.Errorf("%d refunds were made", n)
	}
}

func TestConcurrentRefundsNeverGiveTooMuch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	var given, refused atomic.Int64
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			re, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID, Amount: stripe.Int64(600)})
			if err != nil {
				refused.Add(1)
				return
			}
			given.Add(re.Amount)
		})
	}
	group.Wait()
	if given.Load() != 1800 || refused.Load() != 7 {
		t.Errorf("gave back %d and refused %d, want 1800 and 7", given.Load(), refused.Load())
	}
}

func TestRefundsThatSettleLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run()
	tests := map[string]struct {
		method        string
		first, last   stripe.RefundStatus
		returnedToUs  bool
		failureReason stripe.RefundFailureReason
	}{
		"pending": {"pm_card_pendingRefund", stripe.RefundStatusPending, stripe.RefundStatusSucceeded, false, ""},
		"fails":   {"pm_card_refundFail", stripe.RefundStatusSucceeded, stripe.RefundStatusFailed, true, "expired_or_canceled_card"},
	}
	for name, tt := range tests {
		pi := b.pay(tt.method)
		re, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID})
		if err != nil || re.Status != tt.first {
			t.Fatalf("%s: %+v, %v", name, re, err)
		}
		b.hooks.waitFor("charge.refund.updated", re.ID)
		b.hooks.waitFor("refund.updated", re.ID)
		re, err = b.stripe.Refunds.Get(re.ID, nil)
		if err != nil || re.Status != tt.last || re.FailureReason != tt.failureReason {
			t.Errorf("%s: settled %+v, %v", name, re, err)
		}
		ch, err := b.stripe.Charges.Get(pi.LatestCharge.ID, nil)
		if err != nil || ch.Refunded == tt.returnedToUs || (ch.AmountRefunded == 0) != tt.returnedToUs {
			t.Errorf("%s: charge %+v, %v", name, ch, err)
		}
	}
}

func TestExpandRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	for _, path := range []string{"nothing", "status", "latest_charge.nothing", "a.b.c.d.e"} {
		params := &stripe.PaymentIntentParams{}
		params.AddExpand(path)
		_, err := b.stripe.PaymentIntents.Get(pi.ID, params)
		if e := stripeError(t, err); e.HTTPStatusCode != 400 || !strings.Contains(e.Msg, "expand") {
			t.Errorf("%s: %+v", path, e)
		}
	}
	// A refused expansion must not leave the effect either.
	params := cardIntent("pm_card_visa", true)
	params.AddExpand("nothing")
	if _, err := b.stripe.PaymentIntents.New(params); stripeError(t, err).HTTPStatusCode != 400 {
		t.Error(err)
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.payment_intent`); n != 1 {
		t.Errorf("%d intents, want the first alone", n)
	}
	// Nulls expand to nothing.
	open := cardIntent("", false)
	open.AddExpand("customer")
	open.AddExpand("latest_charge.refunds")
	if _, err := b.stripe.PaymentIntents.New(open); err != nil {
		t.Error(err)
	}
	list := &stripe.PaymentIntentListParams{}
	list.AddExpand("data.latest_charge")
	iter := b.stripe.PaymentIntents.List(list)
	for iter.Next() {
		if got := iter.PaymentIntent(); got.ID == pi.ID && got.LatestCharge.Amount != 1999 {
			t.Errorf("charge in list %+v", got.LatestCharge)
		}
	}
	if iter.Err() != nil {
		t.Error(iter.Err())
	}
}
