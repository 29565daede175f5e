package billing_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/billing"
)

// A webhook, the browser's return and the poller tell of the same money.
func TestTrap04WebhookRacesAnswerAndPoll(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 4200)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	s.breaks("payment_intents.create", "reset_after", 2)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	if p.Status != billing.StatusUnknown {
		t.Fatalf("payment is %s, its answer was lost", p.Status)
	}
	s.settings(map[string]any{"webhooks": map[string]any{"off": false, "duplicates": 3}})
	s.clock.advance(time.Minute)
	together(12, func(i int) {
		queue := billing.QueuePayments
		if i%2 == 0 {
			queue = billing.QueueWebhooks
		}
		for range 20 {
			if _, err := s.billing.Drain(context.Background(), queue); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	s.settled()
	s.want(p.ID, billing.StatusSucceeded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 4200, 0)
}

// Of many who pay one order at once one wins, and nobody undoes his payment.
func TestTrap05LosersDoNotUndoTheWinner(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.work()
	owner := user()
	orderID := s.order(owner, 1999)
	var won, refused atomic.Int32
	together(12, func(int) {
		p, err := s.billing.Pay(context.Background(), request(owner, orderID, "pm_card_visa"))
		switch {
		case err == nil && p.Status == billing.StatusSucceeded:
			won.Add(1)
		case errors.Is(err, billing.ErrInProgress), errors.Is(err, billing.ErrAlreadyPaid):
			refused.Add(1)
		default:
			t.Errorf("%+v, %v", p.Status, err)
		}
	})
	if won.Load() != 1 || refused.Load() != 11 {
		t.Errorf("%d won, %d were refused", won.Load(), refused.Load())
	}
	s.eventually("webhooks", func() bool { return s.handled() })
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 1999, 0)
}

// handled tells whether nothing waits any more; the loops do the work.
func (s *shop) handled() bool {
	var open int
	err := s.admin.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM stripesim.delivery WHERE state = 'pending')
		+ (SELECT count(*) FROM billing.webhook_event WHERE next_poll_time IS NOT NULL)`).Scan(&open)
	return err == nil && open == 0
}

// Money that cannot become an order goes back by itself, however often it is decided.
func TestTrap06MoneyWithoutAnOrderGoesBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 3000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.breaks("refunds.create", "reset_after", 2)
	together(6, func(int) {
		if _, err := s.billing.GiveBack(context.Background(), orderID, "the goods are gone"); err != nil {
			t.Error(err)
		}
	})
	s.clock.advance(time.Hour)
	s.drain(billing.QueueRefunds, billing.QueueRefundOrders)
	s.settled()
	s.want(p.ID, billing.StatusRefunded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 3000, 3000)
	if _, err := s.billing.Pay(t.Context(), request(owner, orderID, "pm_card_visa")); !errors.Is(err, billing.ErrNotPayable) {
		t.Errorf("an order that is given back was paid again: %v", err)
	}
}

// Money that arrives after the order ended goes back, and never revives it.
func TestTrap07PaymentAfterCancelIsRefunded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 2500)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	if p.Status != billing.StatusPending || p.ClientSecret == "" || p.RedirectURL == "" {
		t.Fatalf("payment is %+v", p)
	}
	s.breaks("payment_intents.cancel", "error_before", 2)
	if _, err := s.billing.GiveBack(t.Context(), orderID, "cancelled"); err != nil {
		t.Fatal(err)
	}
	s.authenticate(p, "complete")
	s.settled()
	s.clock.advance(time.Hour)
	s.drain(billing.QueuePayments, billing.QueueRefundOrders, billing.QueueRefunds)
	s.want(p.ID, billing.StatusRefunded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_REFUNDED": 1})
	s.wantCharged(orderID, 2500, 2500)
}

func TestTrap07CancelEndsWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 2500)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	if _, err := s.billing.GiveBack(t.Context(), orderID, "cancelled"); err != nil {
		t.Fatal(err)
	}
	if after := s.want(p.ID, billing.StatusFailed); after.FailureCode != billing.CodeNotPayable || after.ClientSecret != "" {
		t.Errorf("payment is %+v", after)
	}
	s.wantCharged(orderID, 0, 0)
}

// The call was lost before the order was cancelled: what it made is found and undone.
func TestTrap07CancelFindsLostMoney(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault           string
		status          billing.Status
		taken, returned int64
	}{
		"it had its effect": {"reset_after", billing.StatusRefunded, 900, 900},
		"it had none":       {"reset_before", billing.StatusFailed, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
			owner := user()
			orderID := s.order(owner, 900)
			s.breaks("payment_intents.create", tt.fault, 2)
			p := s.pay(request(owner, orderID, "pm_card_visa"))
			if p.Status != billing.StatusUnknown {
				t.Fatalf("payment is %s", p.Status)
			}
			if _, err := s.billing.GiveBack(t.Context(), orderID, "cancelled"); err != nil {
				t.Fatal(err)
			}
			s.clock.advance(time.Hour)
			s.drain(billing.QueuePayments, billing.QueueRefundOrders, billing.QueueRefunds)
			s.want(p.ID, tt.status)
			s.wantCharged(orderID, tt.taken, tt.returned)
			if s.events(orderID)["PAYMENT_SUCCEEDED"] != 0 {
				t.Error("the cancelled order was told to be paid")
			}
		})
	}
}

// A cheap intent that names a dear order settles nothing and goes back.
func TestTrap08IntentIsBoundToOrderAndAmount(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 99900)
	s.breaks("payment_intents.create", "reset_before", 2)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	params := &stripego.PaymentIntentParams{
		Amount: stripego.Int64(50), Currency: stripego.String("eur"), PaymentMethod: stripego.String("pm_card_visa"),
		Confirm: stripego.Bool(true), ReturnURL: stripego.String("https://shop.example"),
	}
	params.AddMetadata("payment_id", p.ID.String())
	params.AddMetadata("order_id", orderID.String())
	if _, err := s.api().PaymentIntents.New(params); err != nil {
		t.Fatal(err)
	}
	s.settled()
	s.drain(billing.QueueRefunds)
	after := s.want(p.ID, billing.StatusRefunded)
	if after.FailureCode != billing.CodeMismatch || s.meter.alarms["mismatch"] != 1 {
		t.Errorf("failure %q, alarms %v", after.FailureCode, s.meter.alarms)
	}
	s.wantCharged(orderID, 50, 50)
	if s.events(orderID)["PAYMENT_SUCCEEDED"] != 0 {
		t.Error("50 cents settled 999 euros")
	}
	if again := s.pay(request(owner, orderID, "pm_card_visa")); again.Status != billing.StatusSucceeded {
		t.Errorf("the right payment is %s", again.Status)
	}
}

// An answer lost, webhooks of the same refund, and twins of the request: money goes back once.
func TestTrap09RefundOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 5000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.settings(map[string]any{"webhooks": map[string]any{"duplicates": 2, "reorder": true}})
	s.breaks("refunds.create", "timeout_after", 2)
	in := billing.RefundRequest{ID: uuid.Must(uuid.NewV7()), PaymentID: p.ID, Reason: "broken"}
	together(6, func(int) {
		if _, _, err := s.billing.Refund(context.Background(), in); err != nil {
			t.Error(err)
		}
	})
	s.clock.advance(time.Minute)
	together(6, func(i int) {
		queue := billing.QueueRefunds
		if i%2 == 0 {
			queue = billing.QueueWebhooks
		}
		for range 10 {
			if _, err := s.billing.Drain(context.Background(), queue); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	s.settled()
	if after := s.want(p.ID, billing.StatusRefunded); after.Refunded != 5000 || after.RefundReserved != 5000 {
		t.Errorf("payment is %+v", after)
	}
	s.wantEvents(orderID, map[string]int{"PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
	s.wantCharged(orderID, 5000, 5000)
}

// Different people refund the same payment at once: no more goes back than came in.
func TestTrap09RefundsNeverExceedThePayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1000)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	var done atomic.Int32
	together(8, func(int) {
		_, _, err := s.billing.Refund(context.Background(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Amount: euros(300), Reason: "part"})
		switch {
		case err == nil:
			done.Add(1)
		case !errors.Is(err, billing.ErrRefundTooLarge):
			t.Error(err)
		}
	})
	if done.Load() != 3 {
		t.Errorf("%d refunds of 300 out of 1000", done.Load())
	}
	s.settled()
	s.want(p.ID, billing.StatusPartiallyRefunded)
	s.wantCharged(orderID, 1000, 900)
	if _, err := s.db.Pool().Exec(t.Context(), `UPDATE payment SET refund_reserved = amount + 1 WHERE id = $1`, p.ID); err == nil {
		t.Error("the database lets more go back than came in")
	}
}

// The provider counts in the same minor units, also where a currency has none.
func TestTrap10AmountsArePassedOnAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1999)
	s.orders.change(orderID, func(o *order) { o.amount.CurrencyCode = "JPY" })
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	if p.Status != billing.StatusSucceeded {
		t.Fatalf("payment is %s", p.Status)
	}
	s.wantCharged(orderID, 1999, 0)
}

// Numbers have no gaps and no twins, although some transactions fail.
func TestTrap12InvoiceNumbersHaveNoGaps(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	const orders = 30
	together(orders, func(i int) {
		order := confirmed(uuid.New(), owner, 1000)
		if i%3 == 0 {
			order.Amounts.Total++ // the sums do not add up: the database refuses the row after its number was taken
		}
		err := s.billing.Issue(context.Background(), uuid.NewString(), order)
		if (err != nil) != (i%3 == 0) {
			t.Error(err)
		}
	})
	documents, err := s.store.Invoices(t.Context(), billing.Filter{Owner: owner, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]bool{}
	for _, document := range documents {
		numbers[document.Number] = true
	}
	for i := 1; i <= orders-orders/3; i++ {
		if number := fmt.Sprintf("INV-%d-%06d", time.Now().UTC().Year(), i); !numbers[number] {
			t.Errorf("%s is missing among %d", number, len(documents))
		}
	}
}

// A timeout is no failure: the payment is UNKNOWN until the provider tells.
func TestTrap13TimeoutIsNotFailure(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"timeout_before", "timeout_after", "reset_before", "reset_after", "error_before", "error_after"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
			owner := user()
			orderID := s.order(owner, 1500)
			s.breaks("payment_intents.create", fault, 2)
			p := s.pay(request(owner, orderID, "pm_card_visa"))
			if p.Status != billing.StatusUnknown {
				t.Fatalf("payment is %s", p.Status)
			}
			s.wantEvents(orderID, map[string]int{})
			if _, err := s.billing.Pay(t.Context(), request(owner, orderID, "pm_card_visa")); !errors.Is(err, billing.ErrInProgress) {
				t.Errorf("a second payment beside an unknown one: %v", err)
			}
			s.clock.advance(10 * time.Second)
			s.drain(billing.QueuePayments)
			s.want(p.ID, billing.StatusSucceeded)
			s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
			s.wantCharged(orderID, 1500, 0)
		})
	}
}

// An outage of days ends in a result, and the money is taken once at most.
func TestTrap13ALongOutageIsSurvived(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  string
		status billing.Status
		taken  int64
	}{
		"the money was taken": {"reset_after", billing.StatusSucceeded, 1500},
		"nothing was taken":   {"reset_before", billing.StatusFailed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
			owner := user()
			orderID := s.order(owner, 1500)
			s.breaks("payment_intents.create", tt.fault, 2)
			p := s.pay(request(owner, orderID, "pm_card_visa"))
			s.settings(map[string]any{"down": true})
			for range 4 {
				s.clock.advance(2 * time.Hour)
				s.drain(billing.QueuePayments)
				s.want(p.ID, billing.StatusUnknown)
			}
			s.settings(map[string]any{"down": false})
			s.clock.advance(48 * time.Hour) // Stripe has forgotten the key
			s.drain(billing.QueuePayments)
			s.want(p.ID, tt.status)
			s.wantCharged(orderID, tt.taken, 0)
		})
	}
}

// A webhook that tells again of money that is booked books nothing.
func TestTrap13EventsOfPaidPaymentsBookNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 800)
	p := s.pay(request(owner, orderID, "pm_card_visa"))
	s.settled()
	for i := range 3 {
		if err := s.billing.Notify(t.Context(), billing.Notice{EventID: fmt.Sprintf("evt_%d", i), Type: "payment_intent.succeeded", IntentID: p.IntentID}); err != nil {
			t.Fatal(err)
		}
	}
	s.drain(billing.QueueWebhooks)
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
}

// crashing is a provider whose caller dies at a moment of the test's choice.
type crashing struct {
	billing.Provider
	after atomic.Bool
	armed atomic.Bool
}

var errCrash = errors.New("the process died")

func (c *crashing) Pay(ctx context.Context, in billing.PayInput) (billing.Intent, error) {
	if !c.armed.Swap(false) {
		return c.Provider.Pay(ctx, in)
	}
	if c.after.Load() {
		if _, err := c.Provider.Pay(ctx, in); err != nil {
			return billing.Intent{}, err
		}
	}
	panic(errCrash)
}

// The process dies before or after the provider acted; the payment goes on.
func TestTrap14CrashBetweenRowAndCharge(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after the charge %t", after), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
			broken := &crashing{Provider: s.stripe}
			broken.after.Store(after)
			broken.armed.Store(true)
			s.config.Provider = broken
			s.restart()
			owner := user()
			orderID := s.order(owner, 1234)
			in := request(owner, orderID, "pm_card_visa")
			func() {
				defer func() {
					if recovered := recover(); recovered != any(errCrash) {
						t.Errorf("recovered %v", recovered)
					}
				}()
				_, _ = s.billing.Pay(context.Background(), in)
			}()
			s.restart()
			if again := s.pay(in); again.Status != billing.StatusPending {
				t.Errorf("the repeated request finds %s", again.Status)
			}
			s.drain(billing.QueuePayments)
			s.want(in.ID, billing.StatusPending) // the call could still be under way
			s.clock.advance(5 * time.Second)
			s.drain(billing.QueuePayments)
			s.want(in.ID, billing.StatusSucceeded)
			s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
			s.wantCharged(orderID, 1234, 0)
		})
	}
}

func TestTrap14TwinsOfARequestPayOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 1234)
	in := request(owner, orderID, "pm_card_visa")
	together(10, func(int) {
		p, err := s.billing.Pay(context.Background(), in)
		if err == nil && p.ID != in.ID {
			t.Errorf("payment %s", p.ID)
		}
		if err != nil && !errors.Is(err, billing.ErrInProgress) && !errors.Is(err, billing.ErrAlreadyPaid) {
			t.Error(err)
		}
	})
	s.want(in.ID, billing.StatusSucceeded)
	s.wantCharged(orderID, 1234, 0)
}

// Events that come late, doubled and in the wrong order change nothing that is newer.
func TestTrap15EventsOutOfOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 2100)
	s.settings(map[string]any{"webhooks": map[string]any{"off": true}})
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	s.authenticate(p, "complete")
	s.settings(map[string]any{"webhooks": map[string]any{"off": false, "reorder": true, "duplicates": 2}})
	s.settled()
	s.want(p.ID, billing.StatusSucceeded)
	s.wantEvents(orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
	if _, _, err := s.billing.Refund(t.Context(), billing.RefundRequest{ID: uuid.New(), PaymentID: p.ID, Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	var eventID string
	err := s.admin.QueryRow(t.Context(), `SELECT id FROM stripesim.event WHERE doc->>'type' = 'payment_intent.requires_action' LIMIT 1`).Scan(&eventID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Pool().Exec(t.Context(), `DELETE FROM webhook_event`); err != nil { // as if it had never come
		t.Fatal(err)
	}
	s.control(http.MethodPost, "/events/"+eventID+"/resend", nil)
	s.settled()
	s.want(p.ID, billing.StatusRefunded)
}

// An event that could not be handled is tried again; one that came twice is stored once.
func TestTrap16FailedEventsAreRetried(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	orderID := s.order(owner, 2100)
	p := s.pay(request(owner, orderID, "pm_card_authenticationRequired"))
	s.settled()
	s.authenticate(p, "complete")
	s.eventually("the event is stored", func() bool {
		var n int
		_ = s.admin.QueryRow(context.Background(), `SELECT count(*) FROM billing.webhook_event WHERE type = 'payment_intent.succeeded'`).Scan(&n)
		return n == 1
	})
	s.settings(map[string]any{"down": true})
	s.drain(billing.QueueWebhooks)
	var attempts int
	var lastError string
	err := s.admin.QueryRow(t.Context(), `SELECT attempts, last_error FROM billing.webhook_event WHERE type = 'payment_intent.succeeded'`).Scan(&attempts, &lastError)
	if err != nil || attempts != 1 || lastError == "" {
		t.Fatalf("attempts %d, error %q, %v", attempts, lastError, err)
	}
	s.want(p.ID, billing.StatusPending)
	s.settings(map[string]any{"down": false})
	s.clock.advance(10 * time.Second)
	s.settled()
	s.want(p.ID, billing.StatusSucceeded)
}
