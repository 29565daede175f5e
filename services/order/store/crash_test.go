package store_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/order"
)

var errCrash = errors.New("the process died")

// brittle dies at one call inside a transaction.
type brittle struct {
	order.OrderStore

	at, calls int
}

func (b *brittle) InTx(ctx context.Context, body func(context.Context, order.Tx) error) error {
	return b.OrderStore.InTx(ctx, func(ctx context.Context, tx order.Tx) error {
		return body(ctx, &brittleTx{Tx: tx, brittle: b})
	})
}

type brittleTx struct {
	order.Tx

	brittle *brittle
}

func (t *brittleTx) die() error {
	if t.brittle.calls++; t.brittle.calls == t.brittle.at {
		return errCrash
	}
	return nil
}

func (t *brittleTx) Once(ctx context.Context, subscriber string, id uuid.UUID) (bool, error) {
	first, err := t.Tx.Once(ctx, subscriber, id)
	return first, errors.Join(err, t.die())
}

func (t *brittleTx) Lock(ctx context.Context, id uuid.UUID, owner order.Owner) (order.Order, error) {
	o, err := t.Tx.Lock(ctx, id, owner)
	return o, errors.Join(err, t.die())
}

func (t *brittleTx) Due(ctx context.Context, now time.Time, limit int) ([]order.Order, error) {
	orders, err := t.Tx.Due(ctx, now, limit)
	return orders, errors.Join(err, t.die())
}

func (t *brittleTx) Save(ctx context.Context, o order.Order, from order.Status) error {
	return errors.Join(t.Tx.Save(ctx, o, from), t.die())
}

func (t *brittleTx) Append(ctx context.Context, steps ...order.Step) error {
	return errors.Join(t.Tx.Append(ctx, steps...), t.die())
}

func (t *brittleTx) Payment(ctx context.Context, orderID, paymentID uuid.UUID) (order.Payment, error) {
	p, err := t.Tx.Payment(ctx, orderID, paymentID)
	return p, errors.Join(err, t.die())
}

func (t *brittleTx) SavePayment(ctx context.Context, p order.Payment) error {
	return errors.Join(t.Tx.SavePayment(ctx, p), t.die())
}

func (t *brittleTx) Payments(ctx context.Context, id uuid.UUID) (int, int64, error) {
	n, sum, err := t.Tx.Payments(ctx, id)
	return n, sum, errors.Join(err, t.die())
}

func (t *brittleTx) ReturnCoupon(ctx context.Context, id uuid.UUID) error {
	return errors.Join(t.Tx.ReturnCoupon(ctx, id), t.die())
}

func (t *brittleTx) Erase(ctx context.Context, id uuid.UUID, now time.Time) error {
	return errors.Join(t.Tx.Erase(ctx, id, now), t.die())
}

func (t *brittleTx) Tell(ctx context.Context, facts ...order.Fact) error {
	return errors.Join(t.Tx.Tell(ctx, facts...), t.die())
}

func (t *brittleTx) Enqueue(ctx context.Context, errands ...order.Errand) error {
	return errors.Join(t.Tx.Enqueue(ctx, errands...), t.die())
}

// trace is everything a use case writes.
func (s *shop) trace(t testing.TB) string {
	t.Helper()
	var text string
	if err := s.db.Pool().QueryRow(t.Context(), `SELECT concat_ws(' ',
		(SELECT string_agg(concat(o.status, o.version, o.refunded, o.email, o.payment_hold_until), ',' ORDER BY number) FROM orders o),
		(SELECT count(*) FROM order_events), (SELECT string_agg(concat(status, refunded), ',') FROM order_payments),
		(SELECT count(*) FROM outbox), (SELECT count(*) FROM river_job), (SELECT count(*) FROM inbox),
		(SELECT sum(redemptions) FROM coupons), (SELECT count(*) FROM coupon_redemptions))`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// scene is an order that a use case is about to change.
type scene struct {
	*shop

	caller  order.Caller
	order   order.Order
	payment uuid.UUID
}

// deadly is a use case and the number of steps at which it can die.
type deadly struct {
	prepare func(testing.TB, *scene)
	use     func(context.Context, *scene) error
	steps   int
}

func deadlyUses() map[string]deadly {
	admin := order.Caller{UserID: newID(), Admin: true}
	return map[string]deadly{
		"cancel": {nil, func(ctx context.Context, s *scene) error {
			_, err := s.Cancel(ctx, order.MoveInput{OrderID: s.order.ID, Caller: s.caller})
			return err
		}, 6},
		"begin payment": {nil, func(ctx context.Context, s *scene) error {
			_, err := s.BeginPayment(ctx, order.BeginPaymentInput{OrderID: s.order.ID, PaymentID: s.payment, Caller: s.caller})
			return err
		}, 5},
		"settle": {nil, func(ctx context.Context, s *scene) error {
			return s.Settle(ctx, order.SettleInput{EventID: s.payment, OrderID: s.order.ID, PaymentID: s.payment, Amount: s.order.Money(s.order.Total)})
		}, 7},
		"settle a wrong amount": {nil, func(ctx context.Context, s *scene) error {
			return s.Settle(ctx, order.SettleInput{EventID: s.payment, OrderID: s.order.ID, PaymentID: s.payment, Amount: eur(1)})
		}, 10},
		"settle too late": {func(t testing.TB, s *scene) {
			if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: s.order.ID, Caller: s.caller}); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *scene) error {
			return s.Settle(ctx, order.SettleInput{EventID: s.payment, OrderID: s.order.ID, PaymentID: s.payment, Amount: s.order.Money(s.order.Total)})
		}, 6},
		"fail": {func(t testing.TB, s *scene) {
			if _, err := s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: s.order.ID, PaymentID: s.payment, Caller: s.caller}); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *scene) error {
			return s.Fail(ctx, order.FailInput{EventID: s.payment, OrderID: s.order.ID, PaymentID: s.payment})
		}, 7},
		"refunded": {nil, func(ctx context.Context, s *scene) error {
			return s.Refunded(ctx, order.RefundInput{EventID: s.payment, OrderID: s.order.ID, PaymentID: s.payment, RefundID: s.payment, Amount: eur(5), Total: eur(5)})
		}, 7},
		"fulfill": {func(t testing.TB, s *scene) { s.pay(t, s.order, s.caller) }, func(ctx context.Context, s *scene) error {
			_, err := s.Fulfill(ctx, order.MoveInput{OrderID: s.order.ID, Caller: admin})
			return err
		}, 4},
		"complete": {func(t testing.TB, s *scene) {
			s.pay(t, s.order, s.caller)
			if _, err := s.Fulfill(t.Context(), order.MoveInput{OrderID: s.order.ID, Caller: admin}); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *scene) error {
			_, err := s.Complete(ctx, order.MoveInput{OrderID: s.order.ID, Caller: admin})
			return err
		}, 4},
		"expire": {func(_ testing.TB, s *scene) { s.clock.advance(time.Hour) }, func(ctx context.Context, s *scene) error {
			_, err := s.Expire(ctx)
			return err
		}, 6},
		"note": {nil, func(ctx context.Context, s *scene) error {
			return s.Note(ctx, order.NoteInput{EventID: s.payment, OrderID: s.order.ID, Type: order.StepMailSent, Key: "k"})
		}, 3},
		"erase": {nil, func(ctx context.Context, s *scene) error { return s.Erase(ctx, s.payment, s.caller.UserID) }, 2},
	}
}

// Each use case dies at each of its steps. Whatever it had written is gone, so
// the next try (another call, a redelivered event, the next sweep) does it all.
func TestTrap17ACrashAnywhereLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	for name, c := range deadlyUses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crash := &brittle{}
			s := &scene{caller: user(), payment: newID(), shop: newShop(t, func(config *order.Config) {
				crash.OrderStore, config.Orders = config.Orders, crash
			})}
			if _, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: "TEN", PercentOffBps: 1000}); err != nil {
				t.Fatal(err)
			}
			s.order = s.place(t, s.caller, func(in *order.PlaceInput) { in.CouponCode = "TEN" })
			if c.prepare != nil {
				c.prepare(t, s)
			}
			before, crashes := s.trace(t), 0
			for crash.at = 1; ; crash.at++ {
				crash.calls = 0
				err := c.use(t.Context(), s)
				if err == nil {
					break
				}
				if crashes++; !errors.Is(err, errCrash) {
					t.Fatalf("step %d: %v", crash.at, err)
				}
				if now := s.trace(t); now != before {
					t.Fatalf("the crash at step %d left %s after %s", crash.at, now, before)
				}
			}
			if crashes != c.steps {
				t.Errorf("died at %d steps, want %d", crashes, c.steps)
			}
			if now := s.trace(t); now == before {
				t.Error("the last try did nothing")
			}
		})
	}
}

func TestWithoutItsDatabaseEverythingSaysUnavailable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	o := s.place(t, caller)
	cart := s.openCart(t, caller)
	in := s.input(caller)
	back := s.lose(t)
	ctx := t.Context()
	cartIn := order.CartInput{RequestID: newID(), CartID: cart.ID, Caller: caller, Line: order.CartLine{ProductID: in.Items[0].ProductID, Quantity: 1}}
	owner := order.Owner{UserID: caller.UserID}
	withCoupon := in
	withCoupon.CouponCode = "TEN"
	for name, use := range map[string]func() error{
		"place":           func() error { _, err := s.Place(ctx, in); return err },
		"place by coupon": func() error { _, err := s.Place(ctx, withCoupon); return err },
		"get":             func() error { _, err := s.Get(ctx, o.ID, caller); return err },
		"list":            func() error { _, err := s.List(ctx, order.ListInput{Caller: caller}); return err },
		"history":         func() error { _, err := s.store.History(ctx, o.ID); return err },
		"cancel":          func() error { _, err := s.Cancel(ctx, order.MoveInput{OrderID: o.ID, Caller: caller}); return err },
		"settle":          func() error { return s.Settle(ctx, order.SettleInput{OrderID: o.ID}) },
		"expire":          func() error { _, err := s.Expire(ctx); return err },
		"confirm free":    func() error { return s.ConfirmFree(ctx) },
		"purge":           func() error { return s.PurgeCarts(ctx) },
		"user cart":       func() error { _, _, err := s.CreateCart(ctx, cartIn); return err },
		"guest cart":      func() error { _, _, err := s.CreateCart(ctx, order.CartInput{RequestID: newID()}); return err },
		"get cart":        func() error { _, err := s.GetCart(ctx, cartIn); return err },
		"add":             func() error { return s.store.AddCartLine(ctx, cart.ID, owner, cartIn.Line, newID(), time.Now()) },
		"delete cart":     func() error { return s.DeleteCart(ctx, cartIn) },
		"merge":           func() error { _, err := s.MergeCart(ctx, cartIn); return err },
		"coupon": func() error {
			_, err := s.CreateCoupon(ctx, order.Coupon{ID: newID(), Code: "TEN", PercentOffBps: 1})
			return err
		},
		"coupons":        func() error { _, err := s.ListCoupons(ctx, order.CouponCursor{}, 0); return err },
		"disable coupon": func() error { return s.DisableCoupon(ctx, newID()) },
	} {
		if f := fault.From(use()); f == nil || f.Kind != fault.KindUnavailable {
			t.Errorf("%s: got %v", name, use())
		}
	}
	// Nobody knows whether the order was written, so its goods stay held.
	if s.stock.state(in.ID) != "held" {
		t.Errorf("goods are %q", s.stock.state(in.ID))
	}
	back()
	if receipt, err := s.Place(ctx, in); err != nil || receipt.Order.ID != in.ID {
		t.Errorf("after the database came back: %v", err)
	}
}

// lose ends every connection to the database and refuses new ones, until the returned function runs.
func (s *shop) lose(t *testing.T) (back func()) {
	t.Helper()
	location, err := url.Parse(pgtest.Of(t, s.db).AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(location.Path, "/")
	admin, err := pgx.Connect(t.Context(), pgtest.AdminURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	execute := func(statement string) {
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	execute("ALTER DATABASE " + name + " CONNECTION LIMIT 0")
	execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'")
	return func() { execute("ALTER DATABASE " + name + " CONNECTION LIMIT -1") }
}

func TestOldGuestCartsAreThrownAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	old, guest := s.guestCart(t)
	kept := s.openCart(t, caller)
	s.clock.advance(61 * 24 * time.Hour)
	young, other := s.guestCart(t)
	if err := s.PurgeCarts(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.GetCart(t.Context(), order.CartInput{CartID: old, Caller: guest})
	wantFault(t, err, fault.KindNotFound, "")
	for id, c := range map[uuid.UUID]order.Caller{young: other, kept.ID: caller} {
		if _, err := s.GetCart(t.Context(), order.CartInput{CartID: id, Caller: c}); err != nil {
			t.Errorf("cart %s: %v", id, err)
		}
	}
}
