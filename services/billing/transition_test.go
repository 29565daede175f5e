package billing

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/money"
)

var (
	instant   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	paymentID = uuid.MustParse("0199a000-0000-7000-8000-000000000001")
	orderID   = uuid.MustParse("0199a000-0000-7000-8000-000000000002")
	price     = money.Money{CurrencyCode: "EUR", AmountMinor: 1000}
	pauses    = []time.Duration{time.Minute, time.Hour}
)

func fresh() Payment {
	return Payment{ID: paymentID, OrderID: orderID, Amount: price, Status: StatusPending, Attempts: 1}
}

func intent(status IntentStatus) Intent {
	i := Intent{ID: "pi_1", Status: status, Amount: price, PaymentID: paymentID, OrderID: orderID, Received: money.Zero("EUR"), ClientSecret: "secret", RedirectURL: "https://bank"}
	if status == IntentSucceeded {
		i.Received = price
	}
	return i
}

func TestTransition(t *testing.T) {
	t.Parallel()
	declined := intent(IntentNeedsMethod)
	declined.FailureCode, declined.DeclineCode = "card_declined", "insufficient_funds"
	stolen := declined
	stolen.DeclineCode = "stolen_card"
	with := func(p Payment, change func(*Payment)) Payment {
		change(&p)
		return p
	}
	for name, tt := range map[string]struct {
		payment Payment
		intent  Intent
		status  Status
		change  change
	}{
		"processing":               {fresh(), intent(IntentProcessing), StatusPending, changeWaiting},
		"authorized":               {fresh(), intent(IntentAuthorized), StatusAuthorized, changeWaiting},
		"action":                   {fresh(), intent(IntentNeedsAction), StatusPending, changeWaiting},
		"confirmation":             {fresh(), intent(IntentNeedsConfirm), StatusPending, changeWaiting},
		"never confirmed":          {fresh(), intent(IntentNeedsMethod), StatusPending, changeWaiting},
		"succeeded":                {fresh(), intent(IntentSucceeded), StatusSucceeded, changeSucceeded},
		"unknown, then succeeded":  {with(fresh(), func(p *Payment) { p.Status = StatusUnknown }), intent(IntentSucceeded), StatusSucceeded, changeSucceeded},
		"failed, then succeeded":   {fail(fresh(), "x", "y"), intent(IntentSucceeded), StatusSucceeded, changeSucceeded},
		"failed stays":             {fail(fresh(), "x", "y"), intent(IntentProcessing), StatusFailed, changeNothing},
		"cancelled":                {fresh(), intent(IntentCanceled), StatusFailed, changeFailed},
		"declined":                 {fresh(), declined, StatusFailed, changeFailed},
		"declined, stored method":  {with(fresh(), func(p *Payment) { p.OffSession = true }), declined, StatusPending, changeRetry},
		"stolen, stored method":    {with(fresh(), func(p *Payment) { p.OffSession = true }), stolen, StatusFailed, changeFailed},
		"schedule used up":         {with(fresh(), func(p *Payment) { p.OffSession, p.Attempts = true, 3 }), declined, StatusFailed, changeFailed},
		"told twice":               {with(fresh(), func(p *Payment) { p.OffSession, p.NextAttemptTime = true, instant }), declined, StatusPending, changeNothing},
		"succeeded stays":          {with(fresh(), func(p *Payment) { p.Status, p.IntentID = StatusSucceeded, "pi_1" }), declined, StatusSucceeded, changeNothing},
		"refunded stays":           {with(fresh(), func(p *Payment) { p.Status = StatusRefunded }), intent(IntentSucceeded), StatusRefunded, changeNothing},
		"money promised back":      {with(fail(fresh(), "x", "y"), func(p *Payment) { p.RefundReserved = 1 }), intent(IntentSucceeded), StatusFailed, changeNothing},
		"another intent":           {with(fresh(), func(p *Payment) { p.IntentID = "pi_2" }), intent(IntentSucceeded), StatusPending, changeNothing},
		"waiting and nothing new":  {with(fresh(), func(p *Payment) { p.IntentID = "pi_1" }), intent(IntentProcessing), StatusPending, changeNothing},
		"less arrived":             {fresh(), Intent{ID: "pi_1", Status: IntentSucceeded, Amount: price, Received: money.Zero("EUR"), PaymentID: paymentID, OrderID: orderID}, StatusFailed, changeMismatch},
		"another order's":          {fresh(), Intent{ID: "pi_1", Status: IntentSucceeded, Amount: price, Received: price, PaymentID: paymentID}, StatusFailed, changeMismatch},
		"another currency's money": {fresh(), Intent{ID: "pi_1", Status: IntentSucceeded, Amount: money.Money{CurrencyCode: "JPY", AmountMinor: 1000}, Received: money.Money{CurrencyCode: "JPY", AmountMinor: 1000}, PaymentID: paymentID, OrderID: orderID}, StatusFailed, changeMismatch},
	} {
		got, kind := transition(tt.payment, tt.intent, instant, pauses)
		if got.Status != tt.status || kind != tt.change {
			t.Errorf("%s: %s and change %d, want %s and %d", name, got.Status, kind, tt.status, tt.change)
		}
	}
}

// drawIntent is anything that Stripe may say of the payment.
func drawIntent(t *rapid.T) Intent {
	i := intent(rapid.SampledFrom([]IntentStatus{
		IntentNeedsMethod, IntentNeedsConfirm, IntentNeedsAction, IntentProcessing, IntentAuthorized, IntentSucceeded, IntentCanceled,
	}).Draw(t, "status"))
	if i.Status == IntentNeedsMethod {
		i.FailureCode = rapid.SampledFrom([]string{"", "card_declined"}).Draw(t, "failure")
		i.DeclineCode = rapid.SampledFrom([]string{"", "insufficient_funds", "lost_card"}).Draw(t, "decline")
	}
	if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		i.Amount.AmountMinor = rapid.Int64Range(1, 2000).Draw(t, "amount")
	}
	return i
}

// Whatever is told, how often and in which order: success is booked once, needs
// the exact amount, and is never taken back.
func TestTransitionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := fresh()
		p.OffSession = rapid.Bool().Draw(t, "off session")
		booked := 0
		for range rapid.IntRange(1, 12).Draw(t, "news") {
			news := drawIntent(t)
			next, kind := transition(p, news, instant, pauses)
			if p.Status.Paid() && next != p {
				t.Fatalf("a paid payment became %+v", next)
			}
			if kind == changeSucceeded {
				booked++
				if !news.binds(p) {
					t.Fatalf("%+v booked %+v", news, p)
				}
			}
			if kind == changeNothing && next.Status != p.Status {
				t.Fatalf("nothing changed, but the status is %s", next.Status)
			}
			if kind == changeMismatch {
				next.RefundReserved = next.Amount.AmountMinor // as reject does
			}
			again, second := transition(next, news, instant, pauses)
			if second != changeNothing && kind != changeNothing {
				t.Fatalf("the same news changed %+v to %+v", next, again)
			}
			if next.Status.Paid() && (next.ClientSecret != "" || !next.NextAttemptTime.IsZero()) {
				t.Fatalf("a paid payment still waits: %+v", next)
			}
			p = next
		}
		if booked > 1 {
			t.Fatalf("booked %d times", booked)
		}
	})
}

// The credit notes of an order sum up to its invoice, column by column, when everything went back.
func TestTrap10CreditNotesSumUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := Amounts{
			Subtotal: rapid.Int64Range(0, 100000).Draw(t, "subtotal"), Tax: rapid.Int64Range(0, 20000).Draw(t, "tax"),
			Shipping: rapid.Int64Range(0, 2000).Draw(t, "shipping"),
		}
		a.Discount = rapid.Int64Range(0, a.Subtotal).Draw(t, "discount")
		a.Total = a.Subtotal - a.Discount + a.Tax + a.Shipping
		invoice := Invoice{Amounts: a}
		var notes []Invoice
		left := a.Total
		for left > 0 {
			part := rapid.Int64Range(1, left).Draw(t, "part")
			if len(notes) == 8 {
				part = left
			}
			got, err := creditFor(invoice, notes, part)
			if err != nil {
				t.Fatal(err)
			}
			if got.Total != part || got.Subtotal-got.Discount+got.Tax+got.Shipping != part || got.Tax < 0 || got.Shipping < 0 || got.Subtotal < 0 {
				t.Fatalf("a refund of %d is noted as %+v", part, got)
			}
			notes, left = append(notes, Invoice{Amounts: got}), left-part
		}
		if len(notes) == 1 && (notes[0].Amounts.Tax != a.Tax || notes[0].Amounts.Shipping != a.Shipping) {
			t.Fatalf("a refund of all is noted as %+v of %+v", notes[0].Amounts, a)
		}
	})
}

func TestProviderErrorNamesWhatHappened(t *testing.T) {
	t.Parallel()
	for outage, want := range map[Outage]string{
		Lost: "payment provider: answer lost: a: b", Refused: "payment provider: refused for now: a: b",
		Rejected: "payment provider: rejected: a: b", Missing: "payment provider: not found: a: b",
	} {
		if got := (&ProviderError{Outage: outage, Code: "a", Message: "b"}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNewChecksItsConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("New succeeds with nothing")
	}
}
