package billing_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/services/billing"
)

// flaky is a store that fails once, at the statement the test chose. Whatever a
// process does not get done looks the same to the next one.
type flaky struct {
	billing.Store

	seen   atomic.Int32
	failAt atomic.Int32
}

var errStatement = errors.New("the statement failed")

func (f *flaky) hit() error {
	if f.seen.Add(1) == f.failAt.Load() {
		return errStatement
	}
	return nil
}

func try[T any](f *flaky, do func() (T, error)) (T, error) {
	if err := f.hit(); err != nil {
		var none T
		return none, err
	}
	return do()
}

func try2[T any](f *flaky, do func() (T, bool, error)) (T, bool, error) {
	if err := f.hit(); err != nil {
		var none T
		return none, false, err
	}
	return do()
}

func (f *flaky) try(do func() error) error {
	if err := f.hit(); err != nil {
		return err
	}
	return do()
}

func (f *flaky) InTx(ctx context.Context, body func(context.Context, billing.Tx) error) error {
	return f.try(func() error {
		return f.Store.InTx(ctx, func(ctx context.Context, tx billing.Tx) error {
			if err := body(ctx, &flakyTx{Tx: tx, f: f}); err != nil {
				return err
			}
			return f.hit() // at the commit
		})
	})
}

func (f *flaky) Payment(ctx context.Context, id uuid.UUID, o billing.Owner) (billing.Payment, error) {
	return try(f, func() (billing.Payment, error) { return f.Store.Payment(ctx, id, o) })
}

func (f *flaky) PaymentByIntent(ctx context.Context, id string) (billing.Payment, bool, error) {
	return try2(f, func() (billing.Payment, bool, error) { return f.Store.PaymentByIntent(ctx, id) })
}

func (f *flaky) LivePayment(ctx context.Context, id uuid.UUID) (billing.Payment, bool, error) {
	return try2(f, func() (billing.Payment, bool, error) { return f.Store.LivePayment(ctx, id) })
}

func (f *flaky) OrderPayments(ctx context.Context, id uuid.UUID) ([]billing.Payment, error) {
	return try(f, func() ([]billing.Payment, error) { return f.Store.OrderPayments(ctx, id) })
}

func (f *flaky) Refund(ctx context.Context, id uuid.UUID) (billing.Refund, error) {
	return try(f, func() (billing.Refund, error) { return f.Store.Refund(ctx, id) })
}

func (f *flaky) OrderRefunds(ctx context.Context, id uuid.UUID) ([]billing.Refund, error) {
	return try(f, func() ([]billing.Refund, error) { return f.Store.OrderRefunds(ctx, id) })
}

func (f *flaky) RefundOrder(ctx context.Context, id uuid.UUID) (billing.RefundOrder, bool, error) {
	return try2(f, func() (billing.RefundOrder, bool, error) { return f.Store.RefundOrder(ctx, id) })
}

func (f *flaky) SaveRefundOrder(ctx context.Context, id uuid.UUID, next time.Time) error {
	return f.try(func() error { return f.Store.SaveRefundOrder(ctx, id, next) })
}

func (f *flaky) Webhook(ctx context.Context, id string) (billing.WebhookEvent, error) {
	return try(f, func() (billing.WebhookEvent, error) { return f.Store.Webhook(ctx, id) })
}

func (f *flaky) AddWebhook(ctx context.Context, e billing.WebhookEvent) (bool, error) {
	return try(f, func() (bool, error) { return f.Store.AddWebhook(ctx, e) })
}

func (f *flaky) SaveWebhook(ctx context.Context, e billing.WebhookEvent) error {
	return f.try(func() error { return f.Store.SaveWebhook(ctx, e) })
}

func (f *flaky) Profile(ctx context.Context, id uuid.UUID) (billing.Profile, error) {
	return try(f, func() (billing.Profile, error) { return f.Store.Profile(ctx, id) })
}

func (f *flaky) SaveProfile(ctx context.Context, p billing.Profile) error {
	return f.try(func() error { return f.Store.SaveProfile(ctx, p) })
}

func (f *flaky) Erase(ctx context.Context, subscriber, event string, id uuid.UUID) error {
	return f.try(func() error { return f.Store.Erase(ctx, subscriber, event, id) })
}

type flakyTx struct {
	billing.Tx

	f *flaky
}

func (t *flakyTx) Once(ctx context.Context, subscriber, event string) (bool, error) {
	return try(t.f, func() (bool, error) { return t.Tx.Once(ctx, subscriber, event) })
}

func (t *flakyTx) LockPayment(ctx context.Context, id uuid.UUID) (billing.Payment, error) {
	return try(t.f, func() (billing.Payment, error) { return t.Tx.LockPayment(ctx, id) })
}

func (t *flakyTx) InsertPayment(ctx context.Context, p billing.Payment) error {
	return t.f.try(func() error { return t.Tx.InsertPayment(ctx, p) })
}

func (t *flakyTx) SavePayment(ctx context.Context, p billing.Payment) error {
	return t.f.try(func() error { return t.Tx.SavePayment(ctx, p) })
}

func (t *flakyTx) OtherLive(ctx context.Context, p billing.Payment) (bool, error) {
	return try(t.f, func() (bool, error) { return t.Tx.OtherLive(ctx, p) })
}

func (t *flakyTx) RefundOrder(ctx context.Context, id uuid.UUID) (billing.RefundOrder, bool, error) {
	return try2(t.f, func() (billing.RefundOrder, bool, error) { return t.Tx.RefundOrder(ctx, id) })
}

func (t *flakyTx) AddRefundOrder(ctx context.Context, d billing.RefundOrder) error {
	return t.f.try(func() error { return t.Tx.AddRefundOrder(ctx, d) })
}

func (t *flakyTx) LockRefund(ctx context.Context, id uuid.UUID) (billing.Refund, bool, error) {
	return try2(t.f, func() (billing.Refund, bool, error) { return t.Tx.LockRefund(ctx, id) })
}

func (t *flakyTx) LockProviderRefund(ctx context.Context, id string) (billing.Refund, bool, error) {
	return try2(t.f, func() (billing.Refund, bool, error) { return t.Tx.LockProviderRefund(ctx, id) })
}

func (t *flakyTx) InsertRefund(ctx context.Context, r billing.Refund) error {
	return t.f.try(func() error { return t.Tx.InsertRefund(ctx, r) })
}

func (t *flakyTx) SaveRefund(ctx context.Context, r billing.Refund) error {
	return t.f.try(func() error { return t.Tx.SaveRefund(ctx, r) })
}

func (t *flakyTx) LockDocuments(ctx context.Context, id uuid.UUID) error {
	return t.f.try(func() error { return t.Tx.LockDocuments(ctx, id) })
}

func (t *flakyTx) Documents(ctx context.Context, id uuid.UUID) (billing.Invoice, bool, []billing.Invoice, error) {
	if err := t.f.hit(); err != nil {
		return billing.Invoice{}, false, nil, err
	}
	return t.Tx.Documents(ctx, id)
}

func (t *flakyTx) SucceededRefunds(ctx context.Context, id uuid.UUID) ([]billing.Refund, error) {
	return try(t.f, func() ([]billing.Refund, error) { return t.Tx.SucceededRefunds(ctx, id) })
}

func (t *flakyTx) NextNumber(ctx context.Context, series string) (int64, error) {
	return try(t.f, func() (int64, error) { return t.Tx.NextNumber(ctx, series) })
}

func (t *flakyTx) InsertInvoice(ctx context.Context, d billing.Invoice) error {
	return t.f.try(func() error { return t.Tx.InsertInvoice(ctx, d) })
}

func (t *flakyTx) Tell(ctx context.Context, facts ...billing.Fact) error {
	return t.f.try(func() error { return t.Tx.Tell(ctx, facts...) })
}

// story is something that must end well wherever it is interrupted.
type story struct {
	// prepare makes what the story starts from; nothing fails there.
	prepare func(s *shop, c *cast)
	// play may be cut off and is played again, as callers do.
	play func(s *shop, c *cast) error
	// check looks at the end.
	check func(s *shop, c *cast)
}

// cast is who takes part.
type cast struct {
	owner     billing.Owner
	orderID   uuid.UUID
	in        billing.PayRequest
	refund    billing.RefundRequest
	eventID   string
	confirmed billing.Order
}

func (s *shop) settle() {
	s.t.Helper()
	for range 3 {
		s.clock.advance(2 * time.Minute)
		s.drain(billing.QueueWebhooks, billing.QueuePayments, billing.QueueRefundOrders, billing.QueueRefunds)
	}
}

var stories = map[string]story{
	"a purchase": {
		prepare: func(*shop, *cast) {},
		play:    func(s *shop, c *cast) error { _, err := s.billing.Pay(s.t.Context(), c.in); return err },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusSucceeded)
			s.wantEvents(c.orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
			s.wantCharged(c.orderID, 1000, 0)
		},
	},
	"a decline": {
		prepare: func(_ *shop, c *cast) { c.in.PaymentMethod = "pm_card_chargeDeclined" },
		play:    func(s *shop, c *cast) error { _, err := s.billing.Pay(s.t.Context(), c.in); return err },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusFailed)
			s.wantEvents(c.orderID, map[string]int{"PAYMENT_FAILED": 1})
		},
	},
	"another method": {
		prepare: func(s *shop, c *cast) { s.pay(request(c.owner, c.orderID, "pm_card_authenticationRequired")) },
		play:    func(s *shop, c *cast) error { _, err := s.billing.Pay(s.t.Context(), c.in); return err },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusSucceeded)
			s.wantCharged(c.orderID, 1000, 0)
		},
	},
	"an authentication": {
		prepare: func(s *shop, c *cast) {
			c.in.PaymentMethod = "pm_card_authenticationRequired"
			s.authenticate(s.pay(c.in), "complete")
		},
		play: func(s *shop, _ *cast) error { s.drain(billing.QueueWebhooks); return nil },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusSucceeded)
			s.wantEvents(c.orderID, map[string]int{"PAYMENT_SUCCEEDED": 1})
		},
	},
	"a refund": {
		prepare: func(s *shop, c *cast) {
			s.pay(c.in)
			if err := s.billing.Issue(s.t.Context(), c.eventID, c.confirmed); err != nil {
				s.t.Fatal(err)
			}
		},
		play: func(s *shop, c *cast) error { _, _, err := s.billing.Refund(s.t.Context(), c.refund); return err },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusRefunded)
			s.wantEvents(c.orderID, map[string]int{"INVOICE_ISSUED": 2, "PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
			s.wantCharged(c.orderID, 1000, 1000)
		},
	},
	"a refund at the dashboard": {
		prepare: func(s *shop, c *cast) {
			p := s.pay(c.in)
			s.settled()
			s.dashboardRefund(p, 1000)
		},
		play: func(s *shop, _ *cast) error { s.drain(billing.QueueWebhooks); return nil },
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusRefunded)
			s.wantEvents(c.orderID, map[string]int{"PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
		},
	},
	"a cancellation": {
		prepare: func(s *shop, c *cast) { s.pay(c.in) },
		play: func(s *shop, c *cast) error {
			_, err := s.billing.GiveBack(s.t.Context(), c.orderID, "cancelled")
			return err
		},
		check: func(s *shop, c *cast) {
			s.want(c.in.ID, billing.StatusRefunded)
			s.wantEvents(c.orderID, map[string]int{"PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
			s.wantCharged(c.orderID, 1000, 1000)
		},
	},
	"a retry": {
		prepare: func(s *shop, c *cast) {
			c.in.PaymentMethod = ""
			s.profile(c.owner, "pm_card_chargeCustomerFail")
			s.pay(c.in)
			s.profile(c.owner, "pm_card_visa")
			s.clock.advance(3 * time.Minute)
		},
		play: func(s *shop, _ *cast) error { s.drain(billing.QueuePayments); return nil },
		check: func(s *shop, c *cast) {
			for range 3 { // an attempt that was cut off may have to be made again
				s.clock.advance(10 * time.Minute)
				s.drain(billing.QueuePayments)
			}
			s.want(c.in.ID, billing.StatusSucceeded)
			s.wantCharged(c.orderID, 1000, 0)
		},
	},
	"an invoice after a refund": {
		prepare: func(s *shop, c *cast) {
			s.pay(c.in)
			if _, _, err := s.billing.Refund(s.t.Context(), c.refund); err != nil {
				s.t.Fatal(err)
			}
		},
		play: func(s *shop, c *cast) error { return s.billing.Issue(s.t.Context(), c.eventID, c.confirmed) },
		check: func(s *shop, c *cast) {
			s.wantEvents(c.orderID, map[string]int{"INVOICE_ISSUED": 2, "PAYMENT_REFUNDED": 1, "PAYMENT_SUCCEEDED": 1})
			var gaps int
			err := s.admin.QueryRow(s.t.Context(), `SELECT (SELECT sum(last) FROM billing.invoice_counter) - (SELECT count(*) FROM billing.invoice)`).Scan(&gaps)
			if err != nil || gaps != 0 {
				s.t.Errorf("%d numbers are lost, %v", gaps, err)
			}
		},
	},
	"a deleted account": {
		prepare: func(s *shop, c *cast) { s.profile(c.owner, "pm_card_visa") },
		play:    func(s *shop, c *cast) error { return s.billing.Forget(s.t.Context(), c.eventID, c.owner.UserID) },
		check: func(s *shop, c *cast) {
			if profile, err := s.store.Profile(s.t.Context(), c.owner.UserID); err != nil || profile.Version != 0 {
				s.t.Errorf("profile is %+v, %v", profile, err)
			}
		},
	},
}

// Every story is cut off at each of its statements in turn and played again:
// the end is always the same, and money moves once.
func TestTrap05And09And14EveryStoryCanBeCutOffAnywhere(t *testing.T) {
	t.Parallel()
	for name, tale := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			broken := &flaky{Store: s.store}
			s.config.Store = broken
			for cut := int32(1); ; cut++ {
				if cut > 60 {
					t.Fatal("the story has no end")
				}
				whole := s.tell(broken, tale, cut)
				if t.Failed() {
					t.Fatalf("when it is cut off at statement %d", cut)
				}
				if whole {
					return
				}
			}
		})
	}
}

// tell plays a story that is cut off, and tells whether it was over before.
func (s *shop) tell(broken *flaky, tale story, cut int32) (whole bool) {
	s.t.Helper()
	c := &cast{owner: user(), eventID: uuid.NewString()}
	c.orderID = s.order(c.owner, 1000)
	s.orders.change(c.orderID, func(o *order) { o.until = s.clock.now().Add(24 * time.Hour) })
	c.in = request(c.owner, c.orderID, "pm_card_visa")
	c.refund = billing.RefundRequest{ID: uuid.Must(uuid.NewV7()), PaymentID: c.in.ID, Reason: "broken"}
	c.confirmed = confirmed(c.orderID, c.owner, 1000)
	broken.failAt.Store(0)
	s.restart()
	tale.prepare(s, c)
	broken.seen.Store(0)
	broken.failAt.Store(cut)
	_ = tale.play(s, c)
	whole = broken.seen.Load() < cut
	broken.failAt.Store(0)
	s.restart()
	if err := tale.play(s, c); err != nil && !errors.Is(err, billing.ErrInProgress) {
		s.t.Errorf("played again: %v", err)
	}
	s.settle()
	s.settled()
	tale.check(s, c)
	return whole
}
