package billing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/stripe"
)

func TestACustomerAuthenticates(t *testing.T) {
	t.Parallel()
	for button, want := range map[string]billing.Status{"complete": billing.StatusSucceeded, "fail": billing.StatusFailed} {
		t.Run(button, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			owner := user()
			orderID := s.order(owner, 1000)
			p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
			if p.Status != billing.StatusPending || p.ClientSecret == "" || p.RedirectURL == "" {
				t.Fatalf("payment is %+v", p)
			}
			var sealed []byte
			if err := s.db.Pool().QueryRow(t.Context(), `SELECT client_secret_sealed FROM payment WHERE id = $1`, p.ID).Scan(&sealed); err != nil {
				t.Fatal(err)
			}
			if len(sealed) == 0 || contains(string(sealed), p.ClientSecret) {
				t.Error("the client secret is stored in clear")
			}
			s.authenticate(p, button)
			s.settled()
			if after := s.want(p.ID, want); after.ClientSecret != "" {
				t.Error("the client secret outlives its use")
			}
		})
	}
}

// The webhook never comes: polling finds the money.
func TestPollingReplacesWebhooks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	s.clock.advance(time.Minute)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusPending)
	s.authenticate(p, "complete")
	s.clock.advance(10 * time.Minute)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusSucceeded)
}

func TestAnActionNotTakenIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	for range 8 {
		s.clock.advance(5 * time.Minute)
		s.drain(billing.QueuePayments)
	}
	if after := s.want(p.ID, billing.StatusFailed); after.FailureCode != billing.CodeAbandoned || !after.NextPollTime.IsZero() {
		t.Errorf("payment is %+v", after)
	}
	if intent, err := s.stripe.Intent(t.Context(), p.IntentID); err != nil || intent.Status != billing.IntentCanceled {
		t.Errorf("intent is %s, %v", intent.Status, err)
	}
}

// The customer closes the bank's page and pays another way.
func TestAnotherMethodSupersedesAnOpenAction(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	first := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	second := s.pay(request(owner, orderID, "pm_card_visa"))
	if second.Status != billing.StatusSucceeded {
		t.Fatalf("second payment is %s", second.Status)
	}
	if after := s.want(first.ID, billing.StatusFailed); after.FailureCode != billing.CodeSuperseded {
		t.Errorf("first payment failed as %q", after.FailureCode)
	}
	s.settled()
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 1000, 0)
}

// He authenticated in the other window at the same moment.
func TestSupersedingTooLateFindsTheOrderPaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	owner := user()
	orderID := s.order(owner, 1000)
	first := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	s.authenticate(first, "complete")
	if _, err := s.billing.Pay(t.Context(), request(owner, orderID, "pm_card_visa")); !errors.Is(err, billing.ErrAlreadyPaid) {
		t.Errorf("second payment: %v", err)
	}
	s.want(first.ID, billing.StatusSucceeded)
	s.wantCharged(orderID, 1000, 0)
}

// A payment that was taken for failed brings money although another one paid: only that money goes back.
func TestSurplusGoesBackAndTheWinnerStays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	owner := user()
	orderID := s.order(owner, 1000)
	first := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	if _, err := s.db.Pool().Exec(t.Context(), `UPDATE payment SET status = 'FAILED', next_poll_time = NULL WHERE id = $1`, first.ID); err != nil {
		t.Fatal(err)
	}
	second := s.pay(request(owner, orderID, "pm_card_visa"))
	s.authenticate(first, "complete")
	s.settings(map[string]any{"webhooks": map[string]any{"off": false}})
	s.settled()
	s.drain(billing.QueueRefunds)
	s.settled()
	s.want(first.ID, billing.StatusRefunded)
	s.want(second.ID, billing.StatusSucceeded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1, "PAYMENT_REFUNDED": 1})
	s.wantCharged(orderID, 2000, 1000)
}

func TestMoneyAfterAFailureIsTaken(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	if _, err := s.db.Pool().Exec(t.Context(), `UPDATE payment SET status = 'FAILED' WHERE id = $1`, p.ID); err != nil {
		t.Fatal(err)
	}
	s.authenticate(p, "complete")
	s.settled()
	s.want(p.ID, billing.StatusSucceeded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
}

func TestStripeDownQueuesThePayment(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(c *stripe.Config) { c.BreakAfter, c.BreakFor = 2, 2*time.Second })
	s.settings(map[string]any{"down": true})
	owner := user()
	first, second := s.order(owner, 1000), s.order(owner, 2000)
	lost := s.pay(request(owner, first, "pm_card_visa"))
	if lost.Status != billing.StatusUnknown {
		t.Errorf("the call without an answer left %s", lost.Status)
	}
	started := time.Now()
	queued := s.pay(request(owner, second, "pm_card_visa"))
	if queued.Status != billing.StatusPending || time.Since(started) > 2*time.Second {
		t.Errorf("with the circuit open: %s after %s", queued.Status, time.Since(started))
	}
	s.settings(map[string]any{"down": false})
	time.Sleep(2100 * time.Millisecond)
	for range 4 { // the breaker lets one call through first
		s.clock.advance(40 * time.Second)
		s.drain(billing.QueuePayments)
	}
	s.want(lost.ID, billing.StatusSucceeded)
	s.want(queued.ID, billing.StatusSucceeded)
}

func TestRateLimitQueuesThePayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.breaks("payment_intents.create", "rate_limit", 2)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	if p.Status != billing.StatusPending {
		t.Fatalf("payment is %s", p.Status)
	}
	s.clock.advance(10 * time.Second)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusSucceeded)
}

// A call that stayed out is not repeated for an order that ended.
func TestAnEndedOrderIsNotCharged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.breaks("payment_intents.create", "reset_before", 2)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.orders.mu.Lock()
	s.orders.fail = fault.Unavailable("order", time.Second)
	s.orders.mu.Unlock()
	s.clock.advance(10 * time.Second)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusUnknown)
	s.orders.mu.Lock()
	s.orders.fail = nil
	s.orders.mu.Unlock()
	s.orders.change(orderID, func(o *order) { o.closed = true })
	s.clock.advance(10 * time.Minute)
	s.drain(billing.QueuePayments)
	if after := s.want(p.ID, billing.StatusFailed); after.FailureCode != billing.CodeNotPayable {
		t.Errorf("failure %q", after.FailureCode)
	}
	s.wantCharged(orderID, 0, 0)
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 1})
}

func (s *shop) profile(owner billing.Owner, method string) billing.Profile {
	s.t.Helper()
	profile, err := s.billing.UpdateProfile(context.Background(), billing.ProfileChange{UserID: owner.UserID, Email: "ann@example.com", DefaultMethod: &method})
	if err != nil {
		s.t.Fatal(err)
	}
	return profile
}

// A stored card that was refused is tried again on a schedule; the customer replaced it meanwhile.
func TestRefusedCollectionsAreRetried(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	s.profile(owner, "pm_card_chargeCustomerFail")
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, ""))
	if p.Status != billing.StatusPending || p.NextAttemptTime.Sub(s.clock.now()) > 2*time.Minute || p.FailureCode == "" {
		t.Fatalf("payment is %+v", p)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 1})
	s.settled()
	s.drain(billing.QueuePayments)
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 1})
	s.clock.advance(2*time.Minute + time.Second)
	s.drain(billing.QueuePayments)
	if p = s.want(p.ID, billing.StatusPending); p.Attempts != 2 || p.NextAttemptTime.IsZero() {
		t.Fatalf("payment is %+v", p)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 2})
	s.profile(owner, "pm_card_visa")
	s.clock.advance(5*time.Minute + time.Second)
	s.drain(billing.QueuePayments)
	s.settled()
	if p = s.want(p.ID, billing.StatusSucceeded); p.Attempts != 3 {
		t.Errorf("attempts %d", p.Attempts)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 2, "PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 1000, 0)
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		meanwhile func(s *shop, orderID uuid.UUID)
		attempts  int
		code      string
	}{
		"with the schedule":   {func(*shop, uuid.UUID) {}, 4, "card_declined"},
		"with the order":      {func(s *shop, id uuid.UUID) { s.orders.change(id, func(o *order) { o.closed = true }) }, 1, billing.CodeNotPayable},
		"with a cancellation": {func(s *shop, id uuid.UUID) { _, _ = s.billing.GiveBack(context.Background(), id, "cancelled") }, 1, billing.CodeNotPayable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			owner := user()
			s.profile(owner, "pm_card_chargeCustomerFail")
			orderID := s.order(owner, 1000)
			p := s.pay(request(owner, orderID, ""))
			tt.meanwhile(s, orderID)
			for range 5 {
				s.clock.advance(11 * time.Minute)
				s.drain(billing.QueuePayments)
			}
			p = s.want(p.ID, billing.StatusFailed)
			if p.Attempts != tt.attempts || p.FailureCode != tt.code || !p.NextAttemptTime.IsZero() || !p.NextPollTime.IsZero() {
				t.Errorf("payment is %+v", p)
			}
			s.wantCharged(orderID, 0, 0)
		})
	}
}

// The answer of a further attempt is lost: the intent tells what became of it.
func TestALostRetryTakesMoneyOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	owner := user()
	s.profile(owner, "pm_card_chargeCustomerFail")
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, ""))
	s.profile(owner, "pm_card_visa")
	s.breaks("payment_intents.confirm", "reset_after", 2)
	s.clock.advance(3 * time.Minute)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusPending)
	s.clock.advance(time.Minute)
	s.drain(billing.QueuePayments)
	s.want(p.ID, billing.StatusSucceeded)
	s.wantCharged(orderID, 1000, 0)
}

func TestRefundsThatTakeTimeOrFail(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]struct {
		refund  billing.RefundStatus
		payment billing.Status
	}{
		"pm_card_pendingRefund": {billing.RefundSucceeded, billing.StatusRefunded},
		"pm_card_refundFail":    {billing.RefundFailed, billing.StatusSucceeded},
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			owner := user()
			orderID := s.order(owner, 1000)
			p := s.pay(request(owner, orderID, method))
			_, r, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Reason: "broken"})
			if err != nil {
				t.Fatal(err)
			}
			s.eventually("the refund ends", func() bool {
				s.clock.advance(time.Minute)
				s.drain(billing.QueueRefunds, billing.QueueWebhooks)
				r, err = s.store.Refund(context.Background(), r.ID)
				return err == nil && r.Status == want.refund
			})
			s.want(p.ID, want.payment)
			if want.refund == billing.RefundFailed && s.meter.alarms["refund_failed"] == 0 {
				t.Error("nobody is told that money could not go back")
			}
		})
	}
}

// dashboardRefund is a person at Stripe's dashboard.
func (s *shop) dashboardRefund(p billing.Payment, minor int64) {
	s.t.Helper()
	if _, err := s.api().Refunds.New(&stripego.RefundParams{PaymentIntent: &p.IntentID, Amount: stripego.Int64(minor)}); err != nil {
		s.t.Fatal(err)
	}
}

// People refund at the provider's dashboard; that counts, once.
func TestRefundsMadeAtTheProviderCount(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.settings(map[string]any{"webhooks": map[string]any{"duplicates": 2}})
	s.dashboardRefund(p, 400)
	s.settled()
	if after := s.want(p.ID, billing.StatusPartiallyRefunded); after.Refunded != 400 {
		t.Errorf("refunded %d", after.Refunded)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1, "PAYMENT_REFUNDED": 1})
	if _, _, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Amount: euros(700), Reason: "x"}); !errors.Is(err, billing.ErrRefundTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if _, _, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Reason: "rest"}); err != nil {
		t.Fatal(err)
	}
	s.settled()
	s.wantCharged(orderID, 1000, 1000)
	s.want(p.ID, billing.StatusRefunded)
}

func TestRefundRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	paid, open := s.order(owner, 1000), s.order(owner, 1000)
	p := s.pay(request(owner, paid, "pm_card_visa"))
	waiting := s.pay(request(owner, open, "pm_card_authenticationRequired"))
	for name, tt := range map[string]struct {
		payment uuid.UUID
		amount  *money.Money
		want    string
	}{
		"unknown payment": {uuid.New(), nil, "not found"},
		"nothing paid":    {waiting.ID, nil, "no money"},
		"other currency":  {p.ID, &money.Money{CurrencyCode: "USD", AmountMinor: 1}, "amount.currency_code"},
		"negative":        {p.ID, euros(-5), "amount.amount_minor"},
		"nought":          {p.ID, euros(0), "amount.amount_minor"},
		"too much":        {p.ID, euros(1001), "more than what is left"},
	} {
		_, _, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: tt.payment, Amount: tt.amount, Reason: "x"})
		if err == nil || !contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	s.wantCharged(paid, 1000, 0)
}

// Stripe rejects the refund for good: the promise is taken back and can be made again.
func TestARejectedRefundFreesItsAmount(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.settled()
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	if _, err := s.api().Refunds.New(&stripego.RefundParams{PaymentIntent: &p.IntentID}); err != nil {
		t.Fatal(err)
	}
	_, r, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Reason: "x"})
	if err != nil || r.Status != billing.RefundFailed || r.FailureMessage == "" {
		t.Fatalf("refund is %+v, %v", r, err)
	}
	if after := s.want(p.ID, billing.StatusSucceeded); after.RefundReserved != 0 {
		t.Errorf("%d are still reserved", after.RefundReserved)
	}
	s.settings(map[string]any{"webhooks": map[string]any{"off": false}})
	s.settled()
	s.want(p.ID, billing.StatusRefunded)
}

// A row that has nothing to do leaves the queue.
func TestFinishedPaymentsLeaveTheQueue(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	p := s.pay(request(owner, s.order(owner, 1000), "pm_card_visa"))
	if _, err := s.db.Pool().Exec(t.Context(), `UPDATE payment SET next_poll_time = now()`); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Minute)
	s.drain(billing.QueuePayments)
	if after := s.want(p.ID, billing.StatusSucceeded); !after.NextPollTime.IsZero() {
		t.Error("a finished payment is asked about for ever")
	}
}

// Two intents of one payment cannot happen; if they do, somebody is told.
func TestASecondIntentRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.settled()
	params := &stripego.PaymentIntentParams{
		Amount: stripego.Int64(1000), Currency: stripego.String("eur"), PaymentMethod: stripego.String("pm_card_visa"),
		Confirm: stripego.Bool(true), ReturnURL: stripego.String("https://shop.example"),
	}
	params.AddMetadata("payment_id", p.ID.String())
	params.AddMetadata("order_id", orderID.String())
	if _, err := s.api().PaymentIntents.New(params); err != nil {
		t.Fatal(err)
	}
	s.settled()
	if s.meter.alarms["second_intent"] == 0 {
		t.Error("nobody is told")
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
}

// Intents of other systems at the same account, and payments that do not exist, are left alone.
func TestForeignIntentsAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, payment := range []string{"", "not an id", uuid.NewString()} {
		params := &stripego.PaymentIntentParams{
			Amount: stripego.Int64(1000), Currency: stripego.String("eur"), PaymentMethod: stripego.String("pm_card_visa"),
			Confirm: stripego.Bool(true), ReturnURL: stripego.String("https://shop.example"),
		}
		if payment != "" {
			params.AddMetadata("payment_id", payment)
		}
		if _, err := s.api().PaymentIntents.New(params); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.billing.Notify(t.Context(), billing.Notice{EventID: "evt_x", Type: "payment_intent.succeeded", IntentID: "pi_gone"}); err != nil {
		t.Fatal(err)
	}
	s.settled()
}

// An account is forgotten at Stripe too, and again when Stripe did not answer.
func TestForgettingAnAccountDeletesTheCustomer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	s.profile(owner, "pm_card_visa")
	s.settings(map[string]any{"down": true})
	event := uuid.NewString()
	if err := s.billing.Forget(t.Context(), event, owner.UserID); err == nil {
		t.Fatal("the account was forgotten although the provider did not answer")
	}
	s.settings(map[string]any{"down": false})
	for range 2 {
		if err := s.billing.Forget(t.Context(), event, owner.UserID); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	err := s.admin.QueryRow(t.Context(), `SELECT count(*) FROM stripesim.customer WHERE NOT COALESCE((doc->>'deleted')::boolean, false)`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d customers are left at Stripe, %v", left, err)
	}
}

func TestAProfileNeedsAProviderForItsMethod(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	method := "pm_card_visa"
	s.settings(map[string]any{"down": true})
	_, err := s.billing.UpdateProfile(t.Context(), billing.ProfileChange{UserID: owner.UserID, DefaultMethod: &method})
	if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable {
		t.Errorf("with Stripe down: %v", err)
	}
	s.settings(map[string]any{"down": false})
	name, none := "Ann", ""
	s.profile(owner, method)
	profile, err := s.billing.UpdateProfile(t.Context(), billing.ProfileChange{UserID: owner.UserID, Name: &name, DefaultMethod: &none})
	if err != nil || profile.MethodID != "" || profile.Recipient.Name != name || profile.CustomerID == "" {
		t.Errorf("%+v, %v", profile, err)
	}
	if _, err := s.billing.Pay(t.Context(), request(owner, s.order(owner, 100), "")); err == nil {
		t.Error("a removed method was charged")
	}
}
