package stripesim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/commercestack/commercestack/services/stripesim"
)

func TestEventsOfAPurchaseAndItsRefund(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run()
	params := keyed("payment-7", "pm_card_visa")
	pi, err := b.stripe.PaymentIntents.New(params)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.stripe.Refunds.New(&stripe.RefundParams{PaymentIntent: &pi.ID}); err != nil {
		t.Fatal(err)
	}
	events := b.hooks.wait(5)
	want := []string{"charge.refunded", "charge.succeeded", "payment_intent.created", "payment_intent.succeeded", "refund.created"}
	if got := slices.Sorted(slices.Values(types(events))); !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	if errs := b.hooks.errors(); len(errs) > 0 {
		t.Fatalf("Stripe's library refused the event: %v", errs)
	}
	e := b.hooks.waitFor("payment_intent.succeeded", pi.ID)
	if e.APIVersion != stripe.APIVersion || e.Request.IdempotencyKey != "payment-7" || e.Request.ID != pi.LastResponse.RequestID ||
		e.Livemode || e.PendingWebhooks != 1 || e.Data.Object["amount_received"] != 1999.0 {
		t.Errorf("event %+v, data %v", e, e.Data.Object)
	}
	if _, shown := e.Data.Object["_sim"]; shown || strings.Contains(string(e.Data.Raw), "_sim") {
		t.Error("the event shows what only the simulator knows")
	}
	refunded := b.hooks.waitFor("charge.refunded", pi.LatestCharge.ID)
	if refunded.Data.PreviousAttributes["amount_refunded"] != 0.0 || refunded.Data.PreviousAttributes["refunded"] != false {
		t.Errorf("previous attributes %v", refunded.Data.PreviousAttributes)
	}

	got, err := b.stripe.Events.Get(e.ID, nil)
	if err != nil || got.Type != "payment_intent.succeeded" || string(got.Data.Raw) == "" {
		t.Errorf("event by id: %+v, %v", got, err)
	}
	iter := b.stripe.Events.List(&stripe.EventListParams{Types: stripe.StringSlice([]string{"refund.created", "charge.refunded"})})
	var listed []string
	for iter.Next() {
		listed = append(listed, string(iter.Event().Type))
	}
	if iter.Err() != nil || !slices.Equal(listed, []string{"charge.refunded", "refund.created"}) {
		t.Errorf("listed %v, %v", listed, iter.Err())
	}
	one := b.stripe.Events.List(&stripe.EventListParams{Type: stripe.String("charge.succeeded")})
	if !one.Next() || one.Event().Data.Object["id"] != pi.LatestCharge.ID {
		t.Errorf("by type: %v", one.Err())
	}
}

func TestDeliveryIsRetriedUntilTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hooks.setAnswers(500, 404, 302, 503)
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	events := b.hooks.wait(5)
	for _, e := range events {
		if e.ID != events[0].ID {
			t.Errorf("another event %s between the attempts", e.ID)
		}
	}
	b.waitDelivered()
	if n := b.countRows(`SELECT attempts FROM stripesim.delivery`); n != 5 {
		t.Errorf("%d attempts, want 5", n)
	}
}

// waitDelivered waits until no event is on its way.
func (b *bundle) waitDelivered() {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if b.countRows(`SELECT count(*) FROM stripesim.delivery WHERE state = 'pending'`) == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("events are still on their way")
		}
	}
}

func TestDeliveryIsAbandonedInTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *stripesim.Config) { c.AbandonAfter = time.Nanosecond })
	b.hooks.setAnswers(500)
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	b.waitDelivered()
	if n := b.countRows(`SELECT count(*) FROM stripesim.delivery WHERE state = 'abandoned' AND last_response = 'answered 500 Internal Server Error'`); n != 1 {
		t.Errorf("%d abandoned, want 1", n)
	}
}

// What was not delivered before a restart is delivered after it.
func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"webhooks":{"off":true}}`)
	stop := b.run()
	pi := b.pay("pm_card_visa")
	time.Sleep(50 * time.Millisecond)
	stop()
	if events := b.hooks.wait(0); len(events) != 0 {
		t.Fatalf("delivered while off: %v", types(events))
	}
	again := start(t, b.config, b.hooks)
	again.run()
	b.hooks.waitFor("payment_intent.succeeded", pi.ID)
	if got := again.intent(pi.ID); got.AmountReceived != 1999 {
		t.Errorf("intent after the restart %+v", got)
	}
}

func TestEverySecretSigns(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *stripesim.Config) { c.WebhookSecrets = []string{"whsec_old", testSecret} })
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	b.hooks.wait(1)
	body, at := []byte(`{"id":"evt_1","object":"event","api_version":"2023-10-16"}`), time.Now()
	header := stripesim.Sign(body, at, "whsec_old", testSecret)
	for _, secret := range []string{"whsec_old", testSecret} {
		if _, err := webhook.ConstructEvent(body, header, secret); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
	if _, err := webhook.ConstructEvent(body, header, "whsec_other"); err == nil {
		t.Error("a foreign secret was taken")
	}
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: testSecret, Timestamp: at})
	if got := stripesim.Sign(body, at, testSecret); got != signed.Header {
		t.Errorf("signature %s, the library's is %s", got, signed.Header)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"webhooks":{"duplicates":2}}`)
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	events := b.hooks.wait(3)
	if events[0].ID != events[1].ID || events[1].ID != events[2].ID {
		t.Errorf("not the same event: %v", events)
	}
	b.control("POST", "/events/"+events[0].ID+"/resend", "")
	b.hooks.wait(4)
	if status, _ := b.call("POST", "/sim/control/events/evt_x/resend", "", ""); status != 404 {
		t.Errorf("resend of an unknown event: %d", status)
	}
}

func TestReorderedDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"webhooks":{"reorder":true}}`)
	b.run()
	b.pay("pm_card_visa")
	got := types(b.hooks.wait(3))
	if want := []string{"payment_intent.succeeded", "charge.succeeded", "payment_intent.created"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestDelayedDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"webhooks":{"delay_ms":300}}`)
	b.run()
	begin := time.Now()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	b.hooks.wait(1)
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("arrived after %v, want 300ms or more", took)
	}
}

func TestSkewedSignatureIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("PATCH", "/settings", `{"webhooks":{"clock_skew_s":-3600}}`)
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	b.waitDelivered()
	if errs := b.hooks.errors(); len(errs) != 1 || !errors.Is(errs[0], webhook.ErrTooOld) {
		t.Errorf("errors %v, want one that the signature is too old", errs)
	}
}

// Two processes on one database send each event once.
func TestTwoLoopsShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := start(t, b.config, b.hooks)
	b.run()
	other.run()
	for range 10 {
		if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
			t.Fatal(err)
		}
	}
	b.hooks.wait(10)
	b.waitDelivered()
	if n := len(b.hooks.wait(10)); n != 10 {
		t.Errorf("%d deliveries of 10 events", n)
	}
}

func TestLoopSurvivesAReceiverThatIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *stripesim.Config) { c.WebhookURL = "http://127.0.0.1:1/hook" })
	b.run()
	if _, err := b.stripe.PaymentIntents.New(cardIntent("", false)); err != nil {
		t.Fatal(err)
	}
	for b.countRows(`SELECT attempts FROM stripesim.delivery`) < 3 {
		time.Sleep(5 * time.Millisecond)
	}
}
