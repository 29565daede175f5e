package billing_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// confirmed is the order as its confirmation tells of it.
func confirmed(orderID uuid.UUID, owner billing.Owner, total int64) billing.Order {
	tax := total / 10
	return billing.Order{
		ID: orderID, Number: "CS-1001", UserID: owner.UserID, Email: "ann@example.com", Currency: "EUR",
		Address: billing.Address{Recipient: "Ann Müller", Line1: "Weg 1", City: "Köln", PostalCode: "50667", CountryCode: "DE"},
		Amounts: billing.Amounts{Subtotal: total - tax, Tax: tax, Total: total},
		Lines:   []billing.Line{{Description: "Lamp", Quantity: 1, UnitPrice: total - tax, Tax: tax, Total: total}},
	}
}

func TestAPaymentBecomesAnInvoice(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.work()
	owner := user()
	orderID := s.order(owner, 4999)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	if p.Status != billing.StatusSucceeded || p.IntentID == "" {
		t.Fatalf("payment is %+v", p)
	}
	s.eventually("webhooks handled", func() bool {
		var n int
		_ = s.admin.QueryRow(context.Background(), `SELECT count(*) FROM billing.webhook_event WHERE next_poll_time IS NULL`).Scan(&n)
		return n >= 2
	})
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 4999, 0)
	for range 2 { // the bus may deliver twice
		if err := s.billing.Issue(t.Context(), "0199a000-0000-7000-8000-000000000001", confirmed(orderID, owner, 4999)); err != nil {
			t.Fatal(err)
		}
	}
	documents, err := s.store.Invoices(t.Context(), billing.Filter{Owner: owner, Limit: 10})
	if err != nil || len(documents) != 1 {
		t.Fatalf("%d documents, %v", len(documents), err)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1, "INVOICE_ISSUED": 1})
}

func TestADeclinedCardFailsThePaymentAndTheOrderCanBePaidAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_chargeDeclined"))
	if p.Status != billing.StatusFailed || p.FailureCode != "card_declined" || p.FailureMessage == "" {
		t.Fatalf("payment is %+v", p)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 1})
	s.drain(billing.QueuePayments)
	if after := s.want(p.ID, billing.StatusFailed); !after.NextPollTime.IsZero() {
		t.Error("the failed payment is still in the queue")
	}
	if intent, err := s.stripe.Intent(t.Context(), p.IntentID); err != nil || intent.Status != billing.IntentCanceled {
		t.Errorf("the refused intent is %s (%v): it could still take money", intent.Status, err)
	}
	if again := s.pay(request(owner, orderID, "pm_card_visa")); again.Status != billing.StatusSucceeded {
		t.Fatalf("second payment is %s", again.Status)
	}
	s.wantCharged(orderID, 1000, 0)
}

func TestAnUnknownMethodFailsThePayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_nothing"))
	if p.Status != billing.StatusFailed || p.FailureCode == "" {
		t.Fatalf("payment is %s %s", p.Status, p.FailureCode)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_FAILED": 1})
}

func TestPayRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	for name, tt := range map[string]struct {
		in   billing.PayRequest
		want string
	}{
		"nobody":             {request(billing.Owner{}, orderID, "pm_card_visa"), "log in"},
		"somebody else":      {request(user(), orderID, "pm_card_visa"), "not found"},
		"no method":          {request(owner, orderID, ""), "paymentMethod"},
		"guest, no method":   {request(billing.Owner{GuestTokenHash: "abc"}, orderID, ""), "paymentMethod"},
		"an unknown order":   {request(owner, uuid.New(), "pm_card_visa"), "not found"},
		"everyone is no one": {request(billing.Owner{Everyone: true}, orderID, "pm_card_visa"), "log in"},
	} {
		if _, err := s.billing.Pay(t.Context(), tt.in); err == nil || !contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	s.orders.change(orderID, func(o *order) { o.closed = true })
	if _, err := s.billing.Pay(t.Context(), request(owner, orderID, "pm_card_visa")); !errors.Is(err, billing.ErrNotPayable) {
		t.Errorf("an ended order: %v", err)
	}
	s.wantCharged(orderID, 0, 0)
}

func TestTheSameRequestPaysOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	in := request(owner, orderID, "pm_card_visa")
	first, second := s.pay(in), s.pay(in)
	if first.ID != second.ID || second.Status != billing.StatusSucceeded {
		t.Fatalf("second answer is %+v", second)
	}
	if _, err := s.billing.Pay(t.Context(), request(owner, orderID, "pm_card_visa")); !errors.Is(err, billing.ErrAlreadyPaid) {
		t.Errorf("paying again: %v", err)
	}
	s.wantCharged(orderID, 1000, 0)
}

func TestAGuestPays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	guest := billing.Owner{GuestTokenHash: "6b86b273ff34fce19d6b804eff5a3f57"}
	orderID := s.order(guest, 700)
	p := s.pay(request(guest, orderID, "pm_card_visa"))
	if p.Status != billing.StatusSucceeded || p.UserID != uuid.Nil {
		t.Fatalf("payment is %+v", p)
	}
	if _, err := s.store.Payment(t.Context(), p.ID, billing.Owner{GuestTokenHash: "other"}); err == nil {
		t.Error("another guest sees the payment")
	}
	if found, err := s.store.Payment(t.Context(), p.ID, guest); err != nil || found.Amount != (money.Money{CurrencyCode: "EUR", AmountMinor: 700}) {
		t.Errorf("its owner sees %+v, %v", found, err)
	}
}
