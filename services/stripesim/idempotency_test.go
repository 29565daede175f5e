package stripesim_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/stripesim"
)

func keyed(key string, method string) *stripe.PaymentIntentParams {
	p := cardIntent(method, method != "")
	p.IdempotencyKey = &key
	return p
}

func TestKeyReplaysTheFirstAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, err := b.stripe.PaymentIntents.New(keyed("payment-1", "pm_card_visa"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.stripe.PaymentIntents.New(keyed("payment-1", "pm_card_visa"))
	if err != nil {
		t.Fatal(err)
	}
	h := second.LastResponse.Header
	if second.ID != first.ID || string(second.LastResponse.RawJSON) != string(first.LastResponse.RawJSON) ||
		h.Get("Idempotent-Replayed") != "true" || h.Get("Original-Request") != first.LastResponse.RequestID ||
		h.Get("Idempotency-Key") != "payment-1" || second.LastResponse.RequestID == first.LastResponse.RequestID {
		t.Errorf("replay %s of %s, headers %v", second.ID, first.ID, h)
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.charge`); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

func TestKeyWithOtherParametersOrPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(keyed("k", ""))
	if err != nil {
		t.Fatal(err)
	}
	other := keyed("k", "")
	other.Amount = stripe.Int64(2000)
	_, err = b.stripe.PaymentIntents.New(other)
	if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeIdempotency || !strings.Contains(e.Msg, "same parameters") {
		t.Errorf("other parameters: %+v", e)
	}
	cancel := &stripe.PaymentIntentCancelParams{}
	cancel.IdempotencyKey = stripe.String("k")
	_, err = b.stripe.PaymentIntents.Cancel(pi.ID, cancel)
	if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeIdempotency || !strings.Contains(e.Msg, "same endpoint") {
		t.Errorf("other path: %+v", e)
	}
	long := keyed(strings.Repeat("k", 256), "")
	if _, err = b.stripe.PaymentIntents.New(long); err == nil {
		t.Error("a key of 256 characters was taken")
	}
}

// Only what executed is remembered: a typing error must not stick to a key, a
// decline must.
func TestWhatAKeyRemembers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := keyed("k1", "pm_card_visa")
	bad.Amount = stripe.Int64(1)
	if _, err := b.stripe.PaymentIntents.New(bad); stripeError(t, err).Code != stripe.ErrorCodeAmountTooSmall {
		t.Fatal(err)
	}
	if pi, err := b.stripe.PaymentIntents.New(keyed("k1", "pm_card_visa")); err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded {
		t.Errorf("after a validation error: %v, %v", pi, err)
	}

	_, err := b.stripe.PaymentIntents.New(keyed("k2", "pm_card_chargeDeclined"))
	first := stripeError(t, err)
	_, err = b.stripe.PaymentIntents.New(keyed("k2", "pm_card_chargeDeclined"))
	second := stripeError(t, err)
	if first.PaymentIntent.ID != second.PaymentIntent.ID || second.HTTPStatusCode != 402 {
		t.Errorf("decline was executed again: %s and %s", first.PaymentIntent.ID, second.PaymentIntent.ID)
	}

	for _, kind := range []string{"error_before", "rate_limit", "lock_timeout"} {
		b.fault("payment_intents.create", kind)
		if _, err := b.stripe.PaymentIntents.New(keyed("k3"+kind, "pm_card_visa")); err == nil {
			t.Fatalf("%s did not happen", kind)
		}
		if _, err := b.stripe.PaymentIntents.New(keyed("k3"+kind, "pm_card_visa")); err != nil {
			t.Errorf("%s stuck to its key: %v", kind, err)
		}
	}
}

// A 500 of an execution is replayed, and the effect is there all the same.
func TestServerErrorAfterTheEffectIsReplayed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fault("payment_intents.create", "error_after")
	for range 2 {
		_, err := b.stripe.PaymentIntents.New(keyed("k", "pm_card_visa"))
		if e := stripeError(t, err); e.HTTPStatusCode != 500 || e.Type != stripe.ErrorTypeAPI {
			t.Fatalf("error %+v", e)
		}
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.charge WHERE doc ->> 'status' = 'succeeded'`); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

// An answer that was lost is found again under its key.
func TestLostAnswerIsFoundByKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, kind := range []string{"reset_after", "timeout_after"} {
		b.fault("payment_intents.create", kind)
		if _, err := b.stripe.PaymentIntents.New(keyed(kind, "pm_card_visa")); err == nil {
			t.Fatalf("%s: the answer was not lost", kind)
		}
		pi, err := b.stripe.PaymentIntents.New(keyed(kind, "pm_card_visa"))
		if err != nil || pi.Status != stripe.PaymentIntentStatusSucceeded || pi.LastResponse.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %+v, %v", kind, pi, err)
		}
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.charge`); n != 2 {
		t.Errorf("%d charges, want 2", n)
	}
}

// Twins with one key: one executes, the others conflict or replay; never two.
func TestConcurrentTwinsExecuteOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var conflicts, answers atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			status, _ := b.postKeyed("twin", "/v1/payment_intents", "amount=1999&currency=eur&payment_method_types[]=card&payment_method=pm_card_visa&confirm=true")
			switch status {
			case http.StatusOK:
				answers.Add(1)
			case http.StatusConflict:
				conflicts.Add(1)
			}
		})
	}
	group.Wait()
	if answers.Load() < 1 || answers.Load()+conflicts.Load() != 16 {
		t.Errorf("%d answers and %d conflicts, want 16 together", answers.Load(), conflicts.Load())
	}
	if n := b.countRows(`SELECT count(*) FROM stripesim.charge`); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

// The call in flight holds an intent that another transaction has locked.
func TestInFlightKeyConflicts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi, err := b.stripe.PaymentIntents.New(cardIntent("pm_card_visa", false))
	if err != nil {
		t.Fatal(err)
	}
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SELECT FROM stripesim.payment_intent WHERE id = $1 FOR UPDATE`, pi.ID); err != nil {
		t.Fatal(err)
	}
	path := "/v1/payment_intents/" + pi.ID + "/confirm"
	first := make(chan int, 1)
	go func() {
		status, _ := b.postKeyed("k", path, "")
		first <- status
	}()
	for b.countRows(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) == 0 {
		time.Sleep(time.Millisecond)
	}
	status, body := b.postKeyed("k", path, "")
	if status != http.StatusConflict || !strings.Contains(body, "idempotency_key_in_use") {
		t.Errorf("twin: %d %s", status, body)
	}
	// Without a key the other call waits for the lock and then gives up, as Stripe does.
	if status, body := b.postKeyed("", path, ""); status != http.StatusTooManyRequests || !strings.Contains(body, "lock_timeout") {
		t.Errorf("blocked call: %d %s", status, body)
	}
	if status := <-first; status != http.StatusTooManyRequests {
		t.Errorf("first call: %d", status)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, body := b.postKeyed("k", path, ""); status != http.StatusOK {
		t.Errorf("the key stayed stuck: %d %s", status, body)
	}
}

func TestKeysExpireAfterADay(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	b := setup(t, func(c *stripesim.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	})
	first, err := b.stripe.PaymentIntents.New(keyed("k", ""))
	if err != nil {
		t.Fatal(err)
	}
	offset.Store(int64(25 * time.Hour))
	second, err := b.stripe.PaymentIntents.New(keyed("k", ""))
	if err != nil || second.ID == first.ID {
		t.Errorf("after a day: %v, %v", second, err)
	}
}

func (b *bundle) postKeyed(key, path, form string) (int, string) {
	req, err := http.NewRequest(http.MethodPost, b.url+path, strings.NewReader(form))
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Error(err)
	}
	return resp.StatusCode, string(text)
}
