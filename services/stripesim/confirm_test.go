package stripesim_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/stripesim"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestDeclines(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tests := []struct {
		method  string
		code    stripe.ErrorCode
		decline stripe.DeclineCode
	}{
		{"pm_card_chargeDeclined", "card_declined", "generic_decline"},
		{"pm_card_visa_chargeDeclined", "card_declined", "generic_decline"},
		{"pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"},
		{"pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"},
		{"pm_card_chargeDeclinedLostCard", "card_declined", "lost_card"},
		{"pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"},
		{"pm_card_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"},
		{"pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"},
		{"pm_card_chargeDeclinedExpiredCard", "expired_card", ""},
		{"pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", ""},
		{"pm_card_chargeDeclinedProcessingError", "processing_error", ""},
		{"pm_card_chargeCustomerFail", "card_declined", "generic_decline"},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			pi, err := b.stripe.PaymentIntents.New(cardIntent("", false))
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.stripe.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: &tt.method})
			e := stripeError(t, err)
			if e.HTTPStatusCode != 402 || e.Type != stripe.ErrorTypeCard || e.Code != tt.code || e.DeclineCode != tt.decline ||
				e.PaymentIntent.ID != pi.ID || e.ChargeID == "" || e.PaymentMethod == nil || e.RequestID == "" {
				t.Fatalf("error %+v", e)
			}
			pi = b.intent(pi.ID)
			last := pi.LastPaymentError
			if pi.Status != stripe.PaymentIntentStatusRequiresPaymentMethod || pi.PaymentMethod != nil || pi.AmountReceived != 0 ||
				last == nil || last.Code != tt.code || last.DeclineCode != tt.decline || last.ChargeID != e.ChargeID {
				t.Fatalf("intent %+v, last error %+v", pi, last)
			}
			ch, err := b.stripe.Charges.Get(e.ChargeID, nil)
			if err != nil || ch.Paid || ch.Status != stripe.ChargeStatusFailed || ch.FailureCode != string(tt.code) {
				t.Fatalf("charge %+v, %v", ch, err)
			}
			// Another card mends it.
			pi, err = b.stripe.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_mastercard")})
			if err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded || pi.LastPaymentError != nil {
				t.Fatalf("second card: %+v, %v", pi, err)
			}
		})
	}
}

// A declined creation still creates: the error names the intent to go on with.
func TestDeclineAtCreationKeepsTheIntent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_chargeDeclined", true))
	e := stripeError(t, err)
	if got := b.intent(e.PaymentIntent.ID); got.Status != stripe.PaymentIntentStatusRequiresPaymentMethod {
		t.Fatalf("status %s", got.Status)
	}
}

func TestConfirmTwiceIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	_, err := b.stripe.PaymentIntents.Confirm(pi.ID, nil)
	e := stripeError(t, err)
	if e.HTTPStatusCode != 400 || e.Code != stripe.ErrorCodePaymentIntentUnexpectedState || e.PaymentIntent.Status != stripe.PaymentIntentStatusSucceeded {
		t.Fatalf("error %+v", e)
	}
	if _, err := b.stripe.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(5)}); stripeError(t, err).Code != stripe.ErrorCodePaymentIntentUnexpectedState {
		t.Fatalf("update: %v", err)
	}
}

func TestConcurrentConfirmsChargeOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_visa", false))
	if err != nil {
		t.Fatal(err)
	}
	var won, lost atomic.Int32
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			_, err := b.stripe.PaymentIntents.Confirm(pi.ID, nil)
			var e *stripe.Error
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &e) && e.Code == stripe.ErrorCodePaymentIntentUnexpectedState:
				lost.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 11 {
		t.Errorf("%d confirmations succeeded and %d were refused, want 1 and 11", won.Load(), lost.Load())
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.charge WHERE doc ->> 'payment_intent' = $1`, pi.ID); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

// The database itself refuses a second charge that takes money.
func TestDatabaseHoldsTheInvariants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := b.pay("pm_card_visa")
	for name, statement := range map[string]string{
		"second charge": `INSERT INTO stripesim.charge (id, doc) SELECT 'ch_2', doc FROM stripesim.charge`,
		"over-refund":   `UPDATE stripesim.charge SET doc = jsonb_set(doc, '{amount_refunded}', '2000')`,
		"over-receipt":  `UPDATE stripesim.payment_intent SET doc = jsonb_set(doc, '{amount_received}', '2000')`,
		"no status":     `UPDATE stripesim.payment_intent SET doc = jsonb_set(doc, '{status}', '"paid"')`,
	} {
		if _, err := b.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("%s of %s was taken", name, pi.ID)
		}
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method   string
		button   string
		status   stripe.PaymentIntentStatus
		redirect string
		reason   stripe.ErrorCode
	}{
		"complete":          {"pm_card_authenticationRequired", "complete", stripe.PaymentIntentStatusSucceeded, "succeeded", ""},
		"fail":              {"pm_card_authenticationRequired", "fail", stripe.PaymentIntentStatusRequiresPaymentMethod, "failed", "payment_intent_authentication_failure"},
		"complete, no fund": {"pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "complete", stripe.PaymentIntentStatusRequiresPaymentMethod, "failed", "card_declined"},
		"3ds2":              {"pm_card_threeDSecure2Required", "complete", stripe.PaymentIntentStatusSucceeded, "succeeded", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			params := cardIntent(tt.method, true)
			params.ReturnURL = stripe.String("https://shop.example/back?order=7")
			pi, err := b.stripe.PaymentIntents.New(params)
			if err != nil {
				t.Fatal(err)
			}
			if pi.Status != stripe.PaymentIntentStatusRequiresAction || pi.NextAction.Type != "redirect_to_url" ||
				pi.NextAction.RedirectToURL.ReturnURL != *params.ReturnURL || pi.AmountReceived != 0 {
				t.Fatalf("intent %+v", pi)
			}
			page := b.page(http.MethodGet, pi.NextAction.RedirectToURL.URL, "")
			if page.StatusCode != 200 || page.Header.Get("Content-Security-Policy") == "" || !strings.Contains(page.text, "€19.99") ||
				!strings.Contains(page.text, `id="complete"`) || !strings.Contains(page.text, `id="fail"`) {
				t.Fatalf("page %d: %s", page.StatusCode, page.text)
			}
			answer := b.page(http.MethodPost, b.url+"/sim/3ds/"+pi.ID+"/"+tt.button, "client_secret="+url.QueryEscape(pi.ClientSecret))
			back, err := url.Parse(answer.Header.Get("Location"))
			if err != nil || answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("answer %d, %v", answer.StatusCode, err)
			}
			q := back.Query()
			if back.Host != "shop.example" || q.Get("order") != "7" || q.Get("payment_intent") != pi.ID ||
				q.Get("payment_intent_client_secret") != pi.ClientSecret || q.Get("redirect_status") != tt.redirect {
				t.Errorf("sent back to %s", back)
			}
			pi = b.intent(pi.ID)
			if pi.Status != tt.status || pi.NextAction != nil {
				t.Errorf("intent %+v", pi)
			}
			if (pi.LastPaymentError == nil) != (tt.reason == "") || (tt.reason != "" && pi.LastPaymentError.Code != tt.reason) {
				t.Errorf("last error %+v, want %q", pi.LastPaymentError, tt.reason)
			}
			// Pressing again changes nothing.
			b.page(http.MethodPost, b.url+"/sim/3ds/"+pi.ID+"/complete", "client_secret="+url.QueryEscape(pi.ClientSecret))
			if again := b.intent(pi.ID); again.Status != tt.status {
				t.Errorf("second press moved the intent to %s", again.Status)
			}
		})
	}
}

func TestAuthenticationPageIsGuarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_authenticationRequired", true))
	if err != nil {
		t.Fatal(err)
	}
	if pi.NextAction.Type != "use_stripe_sdk" {
		t.Errorf("without return_url the next action is %s", pi.NextAction.Type)
	}
	for _, path := range []string{pi.ID + "?client_secret=guess", pi.ID, "pi_x?client_secret=" + pi.ClientSecret} {
		if page := b.page(http.MethodGet, b.url+"/sim/3ds/"+path, ""); page.StatusCode != 404 {
			t.Errorf("GET %s: %d", path, page.StatusCode)
		}
	}
	if page := b.page(http.MethodPost, b.url+"/sim/3ds/"+pi.ID+"/complete", "client_secret=guess"); page.StatusCode != 404 {
		t.Errorf("forged completion: %d", page.StatusCode)
	}
	if got := b.intent(pi.ID); got.Status != stripe.PaymentIntentStatusRequiresAction {
		t.Fatalf("status %s", got.Status)
	}
	// Without return_url the page itself tells the outcome.
	page := b.page(http.MethodPost, b.url+"/sim/3ds/"+pi.ID+"/complete", "client_secret="+pi.ClientSecret)
	if page.StatusCode != 200 || !strings.Contains(page.text, "succeeded") {
		t.Errorf("page %d: %s", page.StatusCode, page.text)
	}
}

// Behind a prefix the page and its buttons still find their way.
func TestAuthenticationBelowAPath(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b := setup(t, func(c *stripesim.Config) { c.PublicURL = server.URL + "/dev/stripe/" })
	mux.Handle("/dev/stripe/", http.StripPrefix("/dev/stripe", b.sim.Handler()))
	params := cardIntent("pm_card_authenticationRequired", true)
	params.ReturnURL = stripe.String("https://shop.example/back")
	pi, err := b.stripe.PaymentIntents.New(params)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(pi.NextAction.RedirectToURL.URL)
	if err != nil {
		t.Fatal(err)
	}
	page := b.page(http.MethodGet, at.String(), "")
	action := regexp.MustCompile(`action="([^"]*/complete)"`).FindStringSubmatch(page.text)
	if action == nil {
		t.Fatalf("page %d: %s", page.StatusCode, page.text)
	}
	target, err := at.Parse(action[1])
	if err != nil {
		t.Fatal(err)
	}
	answer := b.page(http.MethodPost, target.String(), "client_secret="+pi.ClientSecret)
	if answer.StatusCode != http.StatusSeeOther || b.intent(pi.ID).Status != stripe.PaymentIntentStatusSucceeded {
		t.Errorf("POST %s: %d", target, answer.StatusCode)
	}
}

func TestChallengeWithoutBuyerIsADecline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*stripe.PaymentIntentParams){
		"off session":     func(p *stripe.PaymentIntentParams) { p.OffSession = stripe.Bool(true) },
		"error on action": func(p *stripe.PaymentIntentParams) { p.ErrorOnRequiresAction = stripe.Bool(true) },
	} {
		params := cardIntent("pm_card_authenticationRequired", true)
		change(params)
		_, err := b.stripe.PaymentIntents.New(params)
		if e := stripeError(t, err); e.HTTPStatusCode != 402 || e.Code != stripe.ErrorCodeAuthenticationRequired {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestManualCapture(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reserve := func() *stripe.PaymentIntent {
		params := cardIntent("pm_card_visa", true)
		params.CaptureMethod = stripe.String("manual")
		pi, err := b.stripe.PaymentIntents.New(params)
		if err != nil {
			t.Fatal(err)
		}
		if pi.Status != stripe.PaymentIntentStatusRequiresCapture || pi.AmountCapturable != 1999 || pi.AmountReceived != 0 {
			t.Fatalf("intent %+v", pi)
		}
		return pi
	}
	pi := reserve()
	if _, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID}); stripeError(t, err).HTTPStatusCode != 400 {
		t.Errorf("refund of a reservation: %v", err)
	}
	if _, err := b.stripe.Refunds.New(&stripe.RefundParams{Charge: &pi.LatestCharge.ID}); stripeError(t, err).HTTPStatusCode != 400 {
		t.Errorf("refund of its charge: %v", err)
	}
	if _, err := b.stripe.PaymentIntents.Capture(pi.ID, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(2000)}); stripeError(t, err).Code != stripe.ErrorCodeAmountTooLarge {
		t.Errorf("too much: %v", err)
	}
	params := &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(1500)}
	params.AddMetadata("shipped", "yes")
	pi, err := b.stripe.PaymentIntents.Capture(pi.ID, params)
	if err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded || pi.AmountReceived != 1500 || pi.AmountCapturable != 0 || pi.Metadata["shipped"] != "yes" {
		t.Fatalf("captured %+v, %v", pi, err)
	}
	if _, err := b.stripe.PaymentIntents.Capture(pi.ID, nil); stripeError(t, err).Code != stripe.ErrorCodePaymentIntentUnexpectedState {
		t.Errorf("second capture: %v", err)
	}

	whole := reserve()
	if whole, err = b.stripe.PaymentIntents.Capture(whole.ID, nil); err != nil || whole.AmountReceived != 1999 {
		t.Fatalf("captured %+v, %v", whole, err)
	}

	dropped := reserve()
	dropped, err = b.stripe.PaymentIntents.Cancel(dropped.ID, &stripe.PaymentIntentCancelParams{CancellationReason: stripe.String("abandoned")})
	if err != nil || dropped.Status != stripe.PaymentIntentStatusCanceled || dropped.CancellationReason != "abandoned" || dropped.CanceledAt == 0 {
		t.Fatalf("canceled %+v, %v", dropped, err)
	}
	if ch, err := b.stripe.Charges.Get(dropped.LatestCharge.ID, nil); err != nil || !ch.Refunded {
		t.Errorf("reservation was not released: %+v, %v", ch, err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	paid := b.pay("pm_card_visa")
	_, err := b.stripe.PaymentIntents.Cancel(paid.ID, nil)
	if e := stripeError(t, err); e.Code != stripe.ErrorCodePaymentIntentUnexpectedState || !strings.Contains(e.Msg, "succeeded") || e.PaymentIntent == nil {
		t.Errorf("cancel after payment: %+v", e)
	}
	open, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_visa", false))
	if err != nil {
		t.Fatal(err)
	}
	if open, err = b.stripe.PaymentIntents.Cancel(open.ID, nil); err != nil || open.Status != stripe.PaymentIntentStatusCanceled {
		t.Fatalf("%+v, %v", open, err)
	}
	_, err = b.stripe.PaymentIntents.Confirm(open.ID, nil)
	if e := stripeError(t, err); e.Code != stripe.ErrorCodePaymentIntentUnexpectedState || !strings.Contains(e.Msg, "canceled") {
		t.Errorf("confirm after cancel: %+v", e)
	}
	if _, err = b.stripe.PaymentIntents.Cancel(open.ID, nil); stripeError(t, err).Code != stripe.ErrorCodePaymentIntentUnexpectedState {
		t.Errorf("second cancel: %v", err)
	}
}

func TestSlowMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run()
	tests := map[string]struct {
		method string
		last   string
	}{
		"takes":    {"pm_usBankAccount", "payment_intent.succeeded"},
		"is short": {"pm_usBankAccount_insufficientFunds", "payment_intent.payment_failed"},
		"is shut":  {"pm_usBankAccount_accountClosed", "payment_intent.payment_failed"},
	}
	for name, tt := range tests {
		pi, err := b.stripe.PaymentIntents.New(&stripe.PaymentIntentParams{
			Amount: stripe.Int64(5000), Currency: stripe.String("usd"), Confirm: stripe.Bool(true),
			PaymentMethodTypes: stripe.StringSlice([]string{"us_bank_account"}), PaymentMethod: &tt.method,
		})
		if err != nil {
			t.Fatal(err)
		}
		if pi.Status != stripe.PaymentIntentStatusProcessing {
			t.Fatalf("%s: status %s", name, pi.Status)
		}
		b.hooks.waitFor(tt.last, pi.ID)
		b.hooks.waitFor("payment_intent.processing", pi.ID)
	}
	never := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(5000), Currency: stripe.String("usd"), Confirm: stripe.Bool(true),
		PaymentMethodTypes: stripe.StringSlice([]string{"us_bank_account"}), PaymentMethod: stripe.String("pm_usBankAccount_processing"),
	}
	pi, err := b.stripe.PaymentIntents.New(never)
	if err != nil || pi.Status != stripe.PaymentIntentStatusProcessing {
		t.Fatalf("%+v, %v", pi, err)
	}
	if _, err := b.stripe.PaymentIntents.Cancel(pi.ID, nil); stripeError(t, err).Code != stripe.ErrorCodePaymentIntentUnexpectedState {
		t.Errorf("cancel: %v", err)
	}
	never.Currency = stripe.String("eur")
	if _, err := b.stripe.PaymentIntents.New(never); stripeError(t, err).Param != "currency" {
		t.Errorf("bank account in eur: %v", err)
	}
}
