package store_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/order"
)

func TestAnOrderGoesAllTheWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller, admin := user(), order.Caller{UserID: newID(), Admin: true}
	o := s.place(t, caller)
	s.pay(t, o, caller)
	s.wantStatus(t, o.ID, order.StatusConfirmed)
	if s.stock.state(o.ID) != "sold" {
		t.Errorf("goods are %s", s.stock.state(o.ID))
	}
	for range 2 { // twice answers the same
		got, err := s.Fulfill(t.Context(), order.MoveInput{OrderID: o.ID, Caller: admin, TrackingNumber: "T1"})
		if err != nil || got.Status != order.StatusFulfilled || got.TrackingNumber != "T1" {
			t.Fatalf("fulfill: %+v, %v", got, err)
		}
	}
	_, err := s.Fulfill(t.Context(), order.MoveInput{OrderID: o.ID, Caller: admin, TrackingNumber: "T2"})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_FULFILLABLE")
	_, err = s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_CANCELLABLE")
	for range 2 {
		if got, err := s.Complete(t.Context(), order.MoveInput{OrderID: o.ID, Caller: admin}); err != nil || got.Status != order.StatusCompleted {
			t.Fatalf("complete: %v", err)
		}
	}
	want := []order.StepType{order.StepPlaced, order.StepPaymentStarted, order.StepConfirmed, order.StepFulfilled, order.StepCompleted}
	if got := s.steps(t, o.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("history is %v", got)
	}
	for _, kind := range []string{"ORDER_PLACED", "ORDER_CONFIRMED", "ORDER_FULFILLED", "ORDER_COMPLETED"} {
		if n := s.events(t, kind, o.ID); n != 1 {
			t.Errorf("%s was told %d times", kind, n)
		}
	}
	if want := map[string]int{"→PENDING": 1, "PENDING→CONFIRMED": 1, "CONFIRMED→FULFILLED": 1, "FULFILLED→COMPLETED": 1}; !reflect.DeepEqual(s.meter.moves, want) {
		t.Errorf("counted %v", s.meter.moves)
	}
	pending := s.place(t, caller)
	_, err = s.Fulfill(t.Context(), order.MoveInput{OrderID: pending.ID, Caller: admin})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_FULFILLABLE")
	_, err = s.Complete(t.Context(), order.MoveInput{OrderID: pending.ID, Caller: admin})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_COMPLETABLE")
}

func TestCancelTwiceAnswersTheSame(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	var answers [8]order.Order
	for i, err := range together(len(answers), func(i int) (err error) {
		answers[i], err = s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller, Reason: "changed my mind"})
		return err
	}) {
		if err != nil || !reflect.DeepEqual(answers[i], answers[0]) {
			t.Errorf("run %d: %v", i, err)
		}
	}
	if answers[0].CancelReason != "changed my mind" || s.events(t, "ORDER_CANCELLED", o.ID) != 1 ||
		s.errands(t, "order_release_stock", o.ID) != 1 || s.errands(t, "order_refund", o.ID) != 0 {
		t.Error("not exactly one cancellation, release and no refund")
	}
}

func TestTrap07PaymentAfterTheEndGoesBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *shop, order.Order, order.Caller){
		"cancelled": func(t *testing.T, s *shop, o order.Order, caller order.Caller) {
			if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller}); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(t *testing.T, s *shop, _ order.Order, _ order.Caller) {
			s.clock.advance(time.Hour)
			if n, err := s.Expire(t.Context()); err != nil || n != 1 {
				t.Fatalf("expired %d, %v", n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			caller := user()
			o := s.place(t, caller)
			end(t, s, o, caller)
			before := s.get(t, o.ID).Status
			payment := newID()
			for range 3 { // also told again under other event ids
				s.settle(t, o, payment)
			}
			s.wantStatus(t, o.ID, before)
			if n := s.errands(t, "order_refund", o.ID); n != 1 {
				t.Errorf("%d refunds", n)
			}
			if s.events(t, "ORDER_CONFIRMED", o.ID) != 0 || !slices.Contains(s.steps(t, o.ID), order.StepPaymentRejected) {
				t.Error("the order was revived, or its history does not tell")
			}
			_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: newID(), Caller: caller})
			wantFault(t, err, fault.KindConflict, "ORDER_NOT_PAYABLE")
		})
	}
}

func TestTrap07CancellingWhileMoneyIsOnItsWayRefunds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	payment := newID()
	if _, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: payment, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	s.settle(t, o, payment)
	s.wantStatus(t, o.ID, order.StatusCancelled)
	if s.errands(t, "order_refund", o.ID) < 1 {
		t.Error("the money does not go back")
	}
}

func TestTrap07CancellingAndPayingRaceToOneOutcome(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 10 {
		caller := user()
		o := s.place(t, caller)
		payment := newID()
		if _, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: payment, Caller: caller}); err != nil {
			t.Fatal(err)
		}
		for _, err := range together(4, func(i int) error {
			if i == 0 {
				_, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller})
				return err
			}
			return s.Settle(t.Context(), order.SettleInput{EventID: newID(), OrderID: o.ID, PaymentID: payment, Amount: o.Money(o.Total)})
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		// Cancelling always wins in the end: before the payment or after it, with a refund.
		s.wantStatus(t, o.ID, order.StatusCancelled)
		if s.errands(t, "order_refund", o.ID) < 1 || s.errands(t, "order_release_stock", o.ID) < 1 {
			t.Error("money or goods do not go back")
		}
	}
}

func TestCancellingAConfirmedOrderRefunds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	s.pay(t, o, caller)
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	var confirmed bool
	if err := s.db.Pool().QueryRow(t.Context(), `SELECT (payload ->> 'wasConfirmed')::bool FROM outbox
		WHERE event_type = 'ORDER_CANCELLED' AND subject = $1`, o.ID.String()).Scan(&confirmed); err != nil || !confirmed {
		t.Errorf("event says %t, %v", confirmed, err)
	}
	if s.errands(t, "order_refund", o.ID) != 1 || s.errands(t, "order_release_stock", o.ID) != 1 {
		t.Error("money or goods do not go back")
	}
}

func TestTrap08PaymentMustBeWhatIsOwed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for name, amount := range map[string]money.Money{"cheap": eur(1), "dear": eur(999999), "yen": {CurrencyCode: "JPY", AmountMinor: 2000}} {
		caller := user()
		o := s.place(t, caller)
		err := s.Settle(t.Context(), order.SettleInput{EventID: newID(), OrderID: o.ID, PaymentID: newID(), Amount: amount})
		if err != nil {
			t.Fatal(err)
		}
		s.wantStatus(t, o.ID, order.StatusCancelled)
		if s.events(t, "ORDER_CONFIRMED", o.ID) != 0 || s.errands(t, "order_refund", o.ID) != 1 || s.stock.state(o.ID) == "sold" {
			t.Errorf("%s: a wrong amount bought goods or stays", name)
		}
	}
}

func TestTrap15DuplicateAndLateEventsAreHarmless(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	payment, event := newID(), newID()
	for _, err := range together(8, func(i int) error {
		in := order.SettleInput{EventID: event, OrderID: o.ID, PaymentID: payment, Amount: o.Money(o.Total)}
		if i%2 == 0 {
			in.EventID = newID() // the same fact told by another run
		}
		return s.Settle(t.Context(), in)
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.events(t, "ORDER_CONFIRMED", o.ID) != 1 || s.errands(t, "order_refund", o.ID) != 0 {
		t.Errorf("confirmed %d times, %d refunds", s.events(t, "ORDER_CONFIRMED", o.ID), s.errands(t, "order_refund", o.ID))
	}
	// The failure of an earlier try comes late.
	if err := s.Fail(t.Context(), order.FailInput{EventID: newID(), OrderID: o.ID, PaymentID: payment, Code: "card_declined"}); err != nil {
		t.Fatal(err)
	}
	s.wantStatus(t, o.ID, order.StatusConfirmed)
	if slices.Contains(s.steps(t, o.ID), order.StepPaymentFailed) {
		t.Error("a payment that succeeded failed")
	}
	// Refunds come out of order: 700 in all before 300 in all.
	for _, total := range []int64{700, 300, 700} {
		err := s.Refunded(t.Context(), order.RefundInput{
			EventID: newID(), OrderID: o.ID, PaymentID: payment, RefundID: newID(), Amount: eur(300), Total: eur(total),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := s.get(t, o.ID).Refunded; got != 700 {
		t.Errorf("refunded %d", got)
	}
}

func TestTrap05ASecondPaymentDoesNotUndoTheFirst(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	first := s.pay(t, o, caller)
	s.settle(t, o, newID())
	s.wantStatus(t, o.ID, order.StatusConfirmed)
	if s.errands(t, "order_refund", o.ID) != 0 {
		t.Error("refunding the order would take back what paid it")
	}
	if !slices.Contains(s.steps(t, o.ID), order.StepPaymentRejected) {
		t.Error("the history does not tell of the second payment")
	}
	_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: first, Caller: caller})
	wantFault(t, err, fault.KindConflict, "ORDER_ALREADY_PAID")
}

func TestStockGoneCancelsAndRefunds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	if err := s.stock.Release(t.Context(), o.ID, "its time was up"); err != nil {
		t.Fatal(err)
	}
	_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: newID(), Caller: caller})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_PAYABLE")
	s.settle(t, o, newID())
	s.wantStatus(t, o.ID, order.StatusCancelled)
	if s.errands(t, "order_refund", o.ID) != 1 {
		t.Error("the money does not go back")
	}
}

func TestSettleIsTriedAgainWhileTheStockDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	in := order.SettleInput{EventID: newID(), OrderID: o.ID, PaymentID: newID(), Amount: o.Money(o.Total)}
	s.stock.failWith(fault.Unavailable("product", time.Second))
	wantFault(t, s.Settle(t.Context(), in), fault.KindUnavailable, "")
	_, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: newID(), Caller: caller})
	wantFault(t, err, fault.KindUnavailable, "")
	s.wantStatus(t, o.ID, order.StatusPending)
	s.stock.failWith(nil)
	if err := s.Settle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	s.wantStatus(t, o.ID, order.StatusConfirmed)
	in.OrderID = newID()
	wantFault(t, s.Settle(t.Context(), in), fault.KindNotFound, "")
}

func TestPaymentHoldsTheOrderOpen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	s.clock.advance(10 * time.Minute)
	payments := []uuid.UUID{newID(), newID()}
	for _, payment := range []uuid.UUID{payments[0], payments[1], payments[1]} {
		held, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: o.ID, PaymentID: payment, Caller: caller})
		if err != nil || !held.PayableUntil().Equal(s.clock.Now().Add(30*time.Minute)) {
			t.Fatalf("payable until %s, %v", held.PayableUntil(), err)
		}
	}
	if !s.stock.extended.After(s.clock.Now().Add(30 * time.Minute)) {
		t.Errorf("goods are held until %s", s.stock.extended)
	}
	s.clock.advance(20 * time.Minute) // past its own time
	if n, err := s.Expire(t.Context()); err != nil || n != 0 {
		t.Fatalf("expired %d held orders, %v", n, err)
	}
	fail := func(payment uuid.UUID) {
		if err := s.Fail(t.Context(), order.FailInput{EventID: newID(), OrderID: o.ID, PaymentID: payment, Code: "card_declined"}); err != nil {
			t.Fatal(err)
		}
	}
	fail(payments[0])
	if n, _ := s.Expire(t.Context()); n != 0 {
		t.Error("expired while a payment is under way")
	}
	fail(payments[1])
	if n, err := s.Expire(t.Context()); err != nil || n != 1 {
		t.Errorf("expired %d, %v", n, err)
	}
	s.wantStatus(t, o.ID, order.StatusExpired)
	want := []order.StepType{
		order.StepPlaced, order.StepPaymentStarted, order.StepPaymentStarted, order.StepPaymentFailed, order.StepPaymentFailed, order.StepExpired,
	}
	if got := s.steps(t, o.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("history is %v", got)
	}
	if s.errands(t, "order_release_stock", o.ID) != 1 || s.events(t, "ORDER_EXPIRED", o.ID) != 1 {
		t.Error("goods are not released, or nobody was told")
	}
}

func TestTrap28ManySweepersExpireEachOrderOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for range 60 {
		s.place(t, user())
	}
	s.clock.advance(16 * time.Minute)
	young := s.place(t, user())
	counts := make([]int, 4)
	for _, err := range together(len(counts), func(i int) (err error) {
		counts[i], err = s.Expire(t.Context())
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if total := counts[0] + counts[1] + counts[2] + counts[3]; total != 60 {
		t.Errorf("expired %d", total)
	}
	if n := s.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'ORDER_EXPIRED'"); n != 60 {
		t.Errorf("told %d times", n)
	}
	s.wantStatus(t, young.ID, order.StatusPending)
}

func TestTrap22And23OnlyTheOwnerSeesAnOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	owner := user()
	o := s.place(t, owner)
	in := s.input(order.Caller{})
	in.Email = "guest@example.com"
	receipt, err := s.Place(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	guest := order.Caller{GuestTokenHash: crypto.HashToken(receipt.GuestToken)}
	for name, c := range map[string]struct {
		id     uuid.UUID
		caller order.Caller
		kind   fault.Kind
		ok     bool
	}{
		"owner":                              {o.ID, owner, 0, true},
		"administrator":                      {o.ID, order.Caller{UserID: newID(), Admin: true}, 0, true},
		"another user":                       {o.ID, user(), fault.KindNotFound, false},
		"nobody":                             {o.ID, order.Caller{}, fault.KindAuthFailed, false},
		"guest with another order's token":   {o.ID, guest, fault.KindNotFound, false},
		"unknown order":                      {newID(), owner, fault.KindNotFound, false},
		"guest's own":                        {receipt.Order.ID, guest, 0, true},
		"guest with a wrong token":           {receipt.Order.ID, order.Caller{GuestTokenHash: crypto.HashToken("x")}, fault.KindNotFound, false},
		"who registers the guest's address":  {receipt.Order.ID, order.Caller{UserID: newID(), Email: "guest@example.com"}, fault.KindNotFound, false},
		"a user who shows the guest's token": {receipt.Order.ID, order.Caller{UserID: newID(), GuestTokenHash: guest.GuestTokenHash}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, get := s.Get(t.Context(), c.id, c.caller)
			_, history := s.History(t.Context(), c.id, c.caller)
			_, pay := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: c.id, PaymentID: newID(), Caller: c.caller})
			for use, err := range map[string]error{"get": get, "history": history, "pay": pay} {
				if c.ok {
					if err != nil {
						t.Errorf("%s: %v", use, err)
					}
					continue
				}
				wantFault(t, err, c.kind, "")
			}
			if !c.ok {
				_, err := s.Cancel(t.Context(), order.MoveInput{OrderID: c.id, Caller: c.caller})
				wantFault(t, err, c.kind, "")
			}
		})
	}
	page, err := s.List(t.Context(), order.ListInput{Caller: order.Caller{UserID: newID(), Email: "guest@example.com"}})
	if err != nil || len(page.Orders) != 0 {
		t.Errorf("registering an address lists its %d orders (%v)", len(page.Orders), err)
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: receipt.Order.ID, Caller: guest}); err != nil {
		t.Errorf("guest cancels: %v", err)
	}
}

func TestNotesAreWrittenOnceAndErasureLeavesNoPerson(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	address := &order.Address{Recipient: "Ada", Line1: "1 Street", City: "Paris", CountryCode: "FR"}
	withAddress := func(in *order.PlaceInput) { in.ShippingAddress = address }
	done, sent := s.place(t, caller, withAddress), s.place(t, caller, withAddress)
	for range 2 {
		err := s.Note(t.Context(), order.NoteInput{EventID: newID(), OrderID: done.ID, Type: order.StepInvoiced, Key: "invoice-1", Message: "Invoice 1 issued"})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := s.steps(t, done.ID); !reflect.DeepEqual(got, []order.StepType{order.StepPlaced, order.StepInvoiced}) {
		t.Errorf("history is %v", got)
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: done.ID, Caller: caller, Reason: "Ada moved"}); err != nil {
		t.Fatal(err)
	}
	s.pay(t, sent, caller)
	s.openCart(t, caller)
	event := newID()
	for range 2 {
		if err := s.Erase(t.Context(), event, caller.UserID); err != nil {
			t.Fatal(err)
		}
	}
	o := s.get(t, done.ID)
	if !o.Erased || o.UserID != uuid.Nil || o.Email != "" || o.ShippingAddress != nil || o.CancelReason != "" {
		t.Errorf("a person is left in %+v", o)
	}
	// What is paid is still sent, then forgotten.
	if o := s.get(t, sent.ID); o.ShippingAddress == nil || o.Email != "" {
		t.Errorf("cannot be sent: %+v", o)
	}
	if _, err := s.Fulfill(t.Context(), order.MoveInput{OrderID: sent.ID}); err != nil {
		t.Fatal(err)
	}
	if o := s.get(t, sent.ID); o.ShippingAddress != nil {
		t.Error("the address outlives the delivery")
	}
	if s.count(t, "SELECT count(*) FROM carts") != 0 {
		t.Error("a cart is left")
	}
}

func (s *shop) openCart(t testing.TB, caller order.Caller) order.CartView {
	t.Helper()
	cart, _, err := s.CreateCart(t.Context(), order.CartInput{RequestID: newID(), Caller: caller})
	if err != nil {
		t.Fatalf("open cart: %v", err)
	}
	return cart
}

func TestErrandsAndSweepsRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	s.pay(t, o, caller)
	stale := s.place(t, caller)
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: o.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.jobs.Run(ctx) }()
	deadline := time.After(20 * time.Second)
	for len(s.purse.refunded()) == 0 || s.stock.state(o.ID) != "released" || s.stock.state(stale.ID) != "released" {
		select {
		case <-deadline:
			t.Fatalf("refunds %v, goods %s and %s", s.purse.refunded(), s.stock.state(o.ID), s.stock.state(stale.ID))
		case <-time.After(20 * time.Millisecond):
		}
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.wantStatus(t, stale.ID, order.StatusExpired)
}
