package stripe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76/webhook"
	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/stripe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk_test_neverShownAnywhere"

// server answers calls from a script; the last answer repeats.
type server struct {
	mu      sync.Mutex
	answers []answer
	keys    []string
	calls   atomic.Int32
}

type answer struct {
	status int
	body   string
	wait   time.Duration
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	now := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	s.mu.Unlock()
	select {
	case <-time.After(now.wait):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(now.status)
	_, _ = io.WriteString(w, now.body)
}

func failure(kind, code string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"message":"no"}}`, kind, code)
}

const paid = `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":100,"amount_received":100,"currency":"eur"}`

func newClient(t *testing.T, s *server, changes ...func(*stripe.Config)) *stripe.Client {
	t.Helper()
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	config := stripe.Config{
		URL: front.URL, Key: key, WebhookSecrets: []string{"whsec_new", "whsec_old"}, CallsPerSecond: 1000, MaxWait: time.Second,
		Timeout: 200 * time.Millisecond, Tries: 3, BreakAfter: 100, BreakFor: time.Minute, HTTP: &http.Client{Transport: transport},
	}
	for _, change := range changes {
		change(&config)
	}
	c, err := stripe.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func input() billing.PayInput {
	return billing.PayInput{
		PaymentID: uuid.New(), OrderID: uuid.New(), OrderNumber: "CS-1", Amount: money.Money{CurrencyCode: "EUR", AmountMinor: 100},
		PaymentMethod: "pm_1", CustomerID: "cus_1",
	}
}

// What an error means for money decides whether a customer is charged twice.
func TestErrorsAreReadForWhatTheyMean(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answers []answer
		outage  billing.Outage
		calls   int32
	}{
		"server error":             {[]answer{{500, failure("api_error", ""), 0}}, billing.Lost, 3},
		"no JSON":                  {[]answer{{502, "<html>", 0}}, billing.Lost, 3},
		"timeout":                  {[]answer{{200, paid, time.Second}}, billing.Lost, 3},
		"rate limit":               {[]answer{{429, failure("invalid_request_error", "rate_limit"), 0}}, billing.Refused, 3},
		"lost, then rate limit":    {[]answer{{500, failure("api_error", ""), 0}, {429, failure("invalid_request_error", "rate_limit"), 0}}, billing.Lost, 3},
		"twin under way":           {[]answer{{409, failure("idempotency_error", "idempotency_key_in_use"), 0}}, billing.Lost, 3},
		"other parameters":         {[]answer{{400, failure("idempotency_error", ""), 0}}, billing.Lost, 3},
		"wrong key":                {[]answer{{401, failure("invalid_request_error", ""), 0}}, billing.Refused, 1},
		"forbidden":                {[]answer{{403, failure("invalid_request_error", ""), 0}}, billing.Refused, 1},
		"wrong parameter":          {[]answer{{400, failure("invalid_request_error", "parameter_missing"), 0}}, billing.Rejected, 1},
		"missing":                  {[]answer{{404, failure("invalid_request_error", "resource_missing"), 0}}, billing.Missing, 1},
		"lost, then rejected":      {[]answer{{500, failure("api_error", ""), 0}, {400, failure("invalid_request_error", ""), 0}}, billing.Rejected, 2},
		"a decline without intent": {[]answer{{402, failure("card_error", "card_declined"), 0}}, billing.Rejected, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{answers: tt.answers}
			_, err := newClient(t, s).Pay(t.Context(), input())
			var refusal *billing.ProviderError
			if !errors.As(err, &refusal) || refusal.Outage != tt.outage {
				t.Errorf("error is %v, want outage %d", err, tt.outage)
			}
			if s.calls.Load() != tt.calls {
				t.Errorf("%d calls, want %d", s.calls.Load(), tt.calls)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Error("the error shows the key")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, used := range s.keys {
				if used != s.keys[0] || !strings.HasPrefix(used, "payment-") {
					t.Errorf("idempotency keys are %v", s.keys)
				}
			}
		})
	}
}

func TestARetriedCallSucceeds(t *testing.T) {
	t.Parallel()
	var outcomes []string
	s := &server{answers: []answer{{500, failure("api_error", ""), 0}, {200, paid, 0}}}
	c := newClient(t, s, func(config *stripe.Config) {
		config.Observe = func(operation, outcome string, _ time.Duration) { outcomes = append(outcomes, operation+" "+outcome) }
	})
	intent, err := c.Pay(t.Context(), input())
	if err != nil || intent.Status != billing.IntentSucceeded {
		t.Fatalf("%+v, %v", intent, err)
	}
	if fmt.Sprint(outcomes) != "[payment_intents.create lost payment_intents.create ok]" {
		t.Errorf("observed %v", outcomes)
	}
}

func TestADeclineIsAnIntent(t *testing.T) {
	t.Parallel()
	s := &server{answers: []answer{{402, `{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"no funds",
		"payment_intent":{"id":"pi_1","status":"requires_payment_method","amount":100,"currency":"eur",
		"last_payment_error":{"code":"card_declined","decline_code":"insufficient_funds","message":"no funds"}}}}`, 0}}}
	intent, err := newClient(t, s).Pay(t.Context(), input())
	if err != nil || intent.Status != billing.IntentNeedsMethod || intent.DeclineCode != "insufficient_funds" || intent.FailureMessage != "no funds" {
		t.Errorf("%+v, %v", intent, err)
	}
	if s.calls.Load() != 1 {
		t.Errorf("%d calls", s.calls.Load())
	}
}

// An intent in a state that refuses the call is read instead.
func TestTooLateToCancelReadsTheIntent(t *testing.T) {
	t.Parallel()
	s := &server{answers: []answer{{400, failure("invalid_request_error", "payment_intent_unexpected_state"), 0}, {200, paid, 0}}}
	intent, err := newClient(t, s).Cancel(t.Context(), "pi_1")
	if err != nil || intent.Status != billing.IntentSucceeded {
		t.Errorf("%+v, %v", intent, err)
	}
	s = &server{answers: []answer{{400, failure("invalid_request_error", "payment_intent_unexpected_state"), 0}, {200, paid, 0}}}
	if intent, err = newClient(t, s).Confirm(t.Context(), billing.ConfirmInput{IntentID: "pi_1", PaymentMethod: "pm_1", Attempt: 2}); err != nil || intent.Status != billing.IntentSucceeded {
		t.Errorf("%+v, %v", intent, err)
	}
}

func TestFindReadsAllPages(t *testing.T) {
	t.Parallel()
	wanted := uuid.New()
	page := func(more bool, id string, payment uuid.UUID) string {
		return fmt.Sprintf(`{"object":"list","has_more":%t,"data":[{"id":%q,"object":"payment_intent","status":"processing","currency":"eur","metadata":{"payment_id":%q}}]}`, more, id, payment)
	}
	s := &server{answers: []answer{{200, page(true, "pi_1", uuid.New()), 0}, {200, page(false, "pi_2", wanted), 0}}}
	c := newClient(t, s)
	if intent, err := c.Find(t.Context(), wanted, time.Now()); err != nil || intent.ID != "pi_2" || intent.PaymentID != wanted {
		t.Errorf("%+v, %v", intent, err)
	}
	var refusal *billing.ProviderError
	if _, err := c.Find(t.Context(), uuid.New(), time.Now()); !errors.As(err, &refusal) || refusal.Outage != billing.Missing {
		t.Errorf("an unknown payment: %v", err)
	}
}

func TestTheBreakerSparesAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	s := &server{answers: []answer{{500, failure("api_error", ""), 0}}}
	c := newClient(t, s, func(config *stripe.Config) {
		config.BreakAfter, config.BreakFor, config.Tries = 3, 100*time.Millisecond, 1
	})
	for range 3 {
		_, _ = c.Intent(t.Context(), "pi_1")
	}
	if !c.Open() {
		t.Fatal("the breaker is closed after three failures")
	}
	var refusal *billing.ProviderError
	if _, err := c.Intent(t.Context(), "pi_1"); !errors.As(err, &refusal) || refusal.Outage != billing.Refused || s.calls.Load() != 3 {
		t.Errorf("%v after %d calls", err, s.calls.Load())
	}
	s.mu.Lock()
	s.answers = []answer{{200, paid, 0}}
	s.mu.Unlock()
	time.Sleep(150 * time.Millisecond)
	if _, err := c.Intent(t.Context(), "pi_1"); err != nil || c.Open() {
		t.Errorf("%v, the breaker is open: %t", err, c.Open())
	}
}

// Refusals of a provider that answers say nothing about its health.
func TestRejectionsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	s := &server{answers: []answer{{400, failure("invalid_request_error", ""), 0}}}
	c := newClient(t, s, func(config *stripe.Config) { config.BreakAfter = 2 })
	for range 5 {
		_, _ = c.Intent(t.Context(), "pi_1")
	}
	if c.Open() || s.calls.Load() != 5 {
		t.Errorf("the breaker is open: %t after %d calls", c.Open(), s.calls.Load())
	}
}

// The account's limit is kept by waiting, and by queueing when the wait is too long.
func TestTheBudgetIsKept(t *testing.T) {
	t.Parallel()
	s := &server{answers: []answer{{200, paid, 0}}}
	c := newClient(t, s, func(config *stripe.Config) { config.CallsPerSecond, config.MaxWait = 20, 500*time.Millisecond })
	started := time.Now()
	var done, refused atomic.Int32
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			_, err := c.Intent(context.Background(), "pi_1")
			var refusal *billing.ProviderError
			switch {
			case err == nil:
				done.Add(1)
			case errors.As(err, &refusal) && refusal.Outage == billing.Refused:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if most := int32(20*time.Since(started).Seconds()) + 3; done.Load() > most || done.Load() < 8 || refused.Load() != 40-done.Load() {
		t.Errorf("%d calls in %s, %d refused", done.Load(), time.Since(started), refused.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Intent(ctx, "pi_1"); err == nil {
		t.Error("a call whose caller left was made")
	}
}

func TestNewNeedsAKey(t *testing.T) {
	t.Parallel()
	if _, err := stripe.New(stripe.Config{}); err == nil {
		t.Error("New succeeds without a key")
	}
	if c, err := stripe.New(stripe.Config{Key: key, CallsPerSecond: 1}); err != nil || c.Open() {
		t.Errorf("%v", err)
	}
}

func sign(payload, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%x", at.Unix(), webhook.ComputeSignature(at, []byte(payload), secret))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	c := newClient(t, &server{answers: []answer{{200, paid, 0}}})
	now := time.Now()
	for name, tt := range map[string]struct {
		payload, signature string
		want               billing.Notice
		ok                 bool
	}{
		"intent":    {`{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1"}}}`, "whsec_new", billing.Notice{EventID: "evt_1", Type: "payment_intent.succeeded", IntentID: "pi_1"}, true},
		"charge":    {`{"id":"evt_2","type":"charge.refunded","data":{"object":{"id":"ch_1","payment_intent":"pi_2"}}}`, "whsec_old", billing.Notice{EventID: "evt_2", Type: "charge.refunded", IntentID: "pi_2"}, true},
		"no intent": {`{"id":"evt_3","type":"charge.succeeded","data":{"object":{"id":"ch_1","payment_intent":null}}}`, "whsec_old", billing.Notice{EventID: "evt_3", Type: "charge.succeeded"}, true},
		"other":     {`{"id":"evt_4","type":"customer.created","data":{"object":{"id":"cus_1"}}}`, "whsec_old", billing.Notice{EventID: "evt_4", Type: "customer.created"}, true},
		"long id":   {`{"id":"evt_5","type":"payment_intent.x","data":{"object":{"id":"` + strings.Repeat("x", 101) + `"}}}`, "whsec_old", billing.Notice{EventID: "evt_5", Type: "payment_intent.x"}, true},
		"no id":     {`{"type":"payment_intent.succeeded"}`, "whsec_new", billing.Notice{}, false},
		"no JSON":   {`{`, "whsec_new", billing.Notice{}, false},
		"forged":    {`{"id":"evt_1"}`, "whsec_guess", billing.Notice{}, false},
	} {
		got, err := c.Verify([]byte(tt.payload), sign(tt.payload, tt.signature, now))
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if f := fault.From(err); err != nil && (f == nil || f.Kind != fault.KindInvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]string{
		"empty": "", "old": sign("{}", "whsec_new", now.Add(-6*time.Minute)), "for other bytes": sign("{ }", "whsec_new", now),
	} {
		if _, err := c.Verify([]byte("{}"), header); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1"}}}`), "")
	f.Add([]byte(`{"id":"evt_1","type":"charge.refunded","data":{"object":{"payment_intent":{"id":"pi_1"}}}}`), "t=1,v1=00")
	c, err := stripe.New(stripe.Config{Key: key, WebhookSecrets: []string{"whsec"}, CallsPerSecond: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte, signature string) {
		if _, err := c.Verify(payload, signature); err == nil {
			t.Fatal("a signature was guessed")
		}
		notice, err := c.Verify(payload, sign(string(payload), "whsec", time.Now()))
		if err == nil && (notice.EventID == "" || len(notice.EventID) > 100 || len(notice.IntentID) > 100) {
			t.Fatalf("%+v", notice)
		}
	})
}
