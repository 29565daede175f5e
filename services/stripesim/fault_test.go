package stripesim_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/stripesim"
)

func TestFaultsBeforeTheEffect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int // 0 is no answer at all
		kind   stripe.ErrorType
		code   stripe.ErrorCode
	}{
		"error_before":   {500, stripe.ErrorTypeAPI, ""},
		"rate_limit":     {429, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeRateLimit},
		"lock_timeout":   {429, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeLockTimeout},
		"reset_before":   {0, "", ""},
		"timeout_before": {0, "", ""},
	}
	for kind, tt := range tests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.fault("payment_intents.create", kind)
			_, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_visa", true))
			var e *stripe.Error
			if answered := errors.As(err, &e); err == nil || answered != (tt.status != 0) {
				t.Fatalf("error %v", err)
			}
			if e != nil && (e.HTTPStatusCode != tt.status || e.Type != tt.kind || e.Code != tt.code) {
				t.Errorf("error %+v", e)
			}
			if n := b.countRows(`SELECT count(*) FROM stripesim.payment_intent`); n != 0 {
				t.Errorf("%d intents were made", n)
			}
			b.pay("pm_card_visa") // it was one call only
		})
	}
}

func TestFaultsAfterTheEffect(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"error_after", "reset_after", "timeout_after"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.run()
			b.fault("payment_intents.create", kind)
			if _, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_visa", true)); err == nil {
				t.Fatal("the answer arrived")
			}
			iter := b.stripe.PaymentIntents.List(nil)
			if !iter.Next() || iter.PaymentIntent().Status != stripe.PaymentIntentStatusSucceeded {
				t.Fatalf("the effect is not there: %v", iter.Err())
			}
			b.hooks.waitFor("payment_intent.succeeded", iter.PaymentIntent().ID)
		})
	}
}

func TestFaultsAreCountedAndMatched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "/faults", `{"operation":"refunds.create","kind":"error_before","count":2}`)
	pi := b.pay("pm_card_visa") // another operation is not hit
	for range 2 {
		if _, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID}); err == nil {
			t.Fatal("the fault did not happen")
		}
	}
	if _, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID}); err != nil {
		t.Fatalf("a third fault: %v", err)
	}
	b.control("POST", "/faults", `{"kind":"error_before"}`)
	if _, err := b.stripe.Events.Get("evt_x", nil); stripeError(t, err).HTTPStatusCode != 500 {
		t.Errorf("fault for all operations: %v", err)
	}
	shown := b.control("GET", "", "")
	if calls := shown["calls"].(map[string]any); calls["refunds.create"] != 3.0 || calls["payment_intents.create"] != 1.0 {
		t.Errorf("calls %v", calls)
	}
	b.control("POST", "/faults", `{"kind":"error_before"}`)
	b.control("DELETE", "", "")
	b.pay("pm_card_visa")
}

func TestControlRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, tt := range map[string][3]string{
		"unknown kind":      {"POST", "/faults", `{"kind":"magic"}`},
		"unknown operation": {"POST", "/faults", `{"kind":"latency","operation":"x"}`},
		"no count":          {"POST", "/faults", `{"kind":"latency","count":-1}`},
		"unknown field":     {"POST", "/faults", `{"sort":"latency"}`},
		"not JSON":          {"POST", "/faults", `kind=latency`},
		"negative":          {"PATCH", "/settings", `{"latency_ms":-1}`},
		"unknown setting":   {"PATCH", "/settings", `{"mood":1}`},
	} {
		if status, answer := b.call(tt[0], "/sim/control"+tt[1], "application/json", tt[2]); status != 400 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	resp, err := b.http.Get(b.url + "/sim/control")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("control without a key: %d", resp.StatusCode)
	}
}

func TestDownAndLatency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"down":true}`)
	_, err := b.stripe.PaymentIntents.New(cardIntent("", false))
	var e *stripe.Error
	if err == nil || errors.As(err, &e) {
		t.Fatalf("error %v, want a lost connection", err)
	}
	b.control("PATCH", "/settings", `{"down":false,"latency_ms":120}`)
	begin := time.Now()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil || time.Since(begin) < 120*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	b.control("PATCH", "/settings", `{"latency_ms":0}`)
	b.fault("payment_intents.create", "latency")
	begin = time.Now()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil || time.Since(begin) < 200*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	b := setup(t, func(c *stripesim.Config) { c.Now = func() time.Time { return now } })
	b.control("PATCH", "/settings", `{"rate_limit":3}`)
	for range 3 {
		if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.stripe.PaymentIntents.New(cardIntent("", false))
	if e := stripeError(t, err); e.HTTPStatusCode != 429 || e.Code != stripe.ErrorCodeRateLimit {
		t.Errorf("fourth call: %+v", e)
	}
	if shown := b.control("GET", "", ""); shown["peak_per_second"] != 4.0 {
		t.Errorf("peak %v", shown["peak_per_second"])
	}
}

// A timeout ends when the caller hangs up; nothing keeps running.
func TestTimeoutEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "/faults", `{"kind":"timeout_before"}`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	params := cardIntent("", false)
	params.Context = ctx
	if _, err := b.stripe.PaymentIntents.New(params); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestDatabaseAwayIs500(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_authenticationRequired", true))
	if err != nil {
		t.Fatal(err)
	}
	b.pool.Close()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); stripeError(t, err).HTTPStatusCode != 500 {
		t.Errorf("error %v", err)
	}
	if page := b.page("GET", b.url+"/sim/3ds/"+pi.ID+"?client_secret="+pi.ClientSecret, ""); page.StatusCode != 503 {
		t.Errorf("page: %d", page.StatusCode)
	}
	if page := b.page("POST", b.url+"/sim/3ds/"+pi.ID+"/fail", "client_secret="+pi.ClientSecret); page.StatusCode != 503 {
		t.Errorf("button: %d", page.StatusCode)
	}
	if status, _ := b.call("GET", "/sim/control", "", ""); status != 500 {
		t.Errorf("control: %d", status)
	}
	if status, _ := b.call("POST", "/sim/control/events/evt_1/resend", "", ""); status != 500 {
		t.Errorf("resend: %d", status)
	}
}
