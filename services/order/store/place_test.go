package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/order/migrate"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/order"
)

func TestSchemaMatchesEnt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	pgtest.AssertSchemaMatches(t, s.db, migrate.Tables)
}

func TestPlaceWritesTheOrderAsItWasAnswered(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a, b := s.stock.product(1999, 10), s.stock.product(1, 10)
	caller := user()
	receipt, err := s.Place(t.Context(), order.PlaceInput{
		ID: newID(), Caller: caller, Items: []order.Item{{ProductID: a, Quantity: 2}, {ProductID: b, Quantity: 3}, {ProductID: a, Quantity: 1}},
		ShippingAddress: &order.Address{Recipient: "Ada", Line1: "1 Street", City: "Paris", CountryCode: "FR", Phone: "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := receipt.Order
	if receipt.GuestToken != "" || o.Status != order.StatusPending || o.Email != caller.Email || o.Total != 3*1999+3 || len(o.Lines) != 2 {
		t.Errorf("unexpected order %+v", receipt)
	}
	if stored := s.get(t, o.ID); !reflect.DeepEqual(stored, o) {
		t.Errorf("stored\n%+v, answered\n%+v", stored, o)
	}
	if got := s.steps(t, o.ID); !reflect.DeepEqual(got, []order.StepType{order.StepPlaced}) {
		t.Errorf("history is %v", got)
	}
	var payload []byte
	if err := s.db.Pool().QueryRow(t.Context(), "SELECT payload FROM outbox WHERE subject = $1", o.ID.String()).Scan(&payload); err != nil {
		t.Fatal(err)
	}
	var told struct {
		EventType string
		Order     struct{ Number, OrderID string }
	}
	if err := json.Unmarshal(payload, &told); err != nil || told.EventType != "ORDER_PLACED" || told.Order.Number != strconv.FormatInt(o.Number, 10) {
		t.Errorf("event %s (%v)", payload, err)
	}
	if s.stock.available(a) != 7 || s.stock.available(b) != 7 {
		t.Error("the stock is not reserved by product")
	}
}

func TestPlaceTakesOneStatement(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	in := s.input(user())
	n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		if _, err := s.Place(ctx, in); err != nil {
			t.Error(err)
		}
	})
	if n != 1 {
		t.Errorf("%d statements", n)
	}
}

func TestEmailComesFromTheAccountWhenTheTokenHasNone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := order.Caller{UserID: newID()}
	if o := s.place(t, caller); o.Email != "account-"+caller.UserID.String()+"@example.com" {
		t.Errorf("email is %q", o.Email)
	}
}

func TestPlaceRefusesBadInputAndReservesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	product := s.stock.product(100, 10)
	one := []order.Item{{ProductID: product, Quantity: 1}}
	for name, c := range map[string]struct {
		in    order.PlaceInput
		field string
	}{
		"guest without an address": {order.PlaceInput{Items: one}, "email"},
		"guest with a bad address": {order.PlaceInput{Items: one, Email: "not an email"}, "email"},
		"no items":                 {order.PlaceInput{Caller: user()}, "items"},
		"items and a cart":         {order.PlaceInput{Caller: user(), Items: one, CartID: newID()}, "cartId"},
		"unknown coupon":           {order.PlaceInput{Caller: user(), Items: one, CouponCode: "NOPE"}, "couponCode"},
		"Trap11 negative":          {order.PlaceInput{Caller: user(), Items: []order.Item{{ProductID: product, Quantity: -5}}}, "items[0].quantity"},
	} {
		c.in.ID = newID()
		_, err := s.Place(t.Context(), c.in)
		if f := fault.From(err); f == nil || f.Field != c.field || f.Kind != fault.KindInvalidInput {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if s.stock.reserved != 0 || s.count(t, "SELECT count(*) FROM orders") != 0 {
		t.Error("a refused order left something")
	}
}

func TestTrap12NumbersAreUniqueAndAscendUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ids := make([]uuid.UUID, 32)
	product := s.stock.product(100, 1000)
	for _, err := range together(len(ids), func(i int) error {
		ids[i] = newID()
		_, err := s.Place(t.Context(), order.PlaceInput{ID: ids[i], Caller: user(), Items: []order.Item{{ProductID: product, Quantity: 1}}})
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.count(t, "SELECT count(DISTINCT number) FROM orders WHERE number > 100000"); n != len(ids) {
		t.Errorf("%d numbers for %d orders", n, len(ids))
	}
	last := s.get(t, ids[0]).Number
	if o := s.place(t, user()); o.Number <= last {
		t.Errorf("number %d came after %d", o.Number, last)
	}
}

func TestTrap14RepeatedRequestsMakeOneOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	product := s.stock.product(100, 1000)
	in := order.PlaceInput{ID: newID(), Email: "guest@example.com", Items: []order.Item{{ProductID: product, Quantity: 1}}}
	tokens := make([]string, 8)
	for i, err := range together(len(tokens), func(i int) error {
		receipt, err := s.Place(t.Context(), in)
		tokens[i] = receipt.GuestToken
		return err
	}) {
		if err != nil || tokens[i] == "" || tokens[i] != tokens[0] {
			t.Errorf("run %d: token %q, %v", i, tokens[i], err)
		}
	}
	if n := s.count(t, "SELECT count(*) FROM orders"); n != 1 || s.events(t, "ORDER_PLACED", in.ID) != 1 || s.stock.available(product) != 999 {
		t.Errorf("%d orders, %d events, %d pieces left", n, s.events(t, "ORDER_PLACED", in.ID), s.stock.available(product))
	}
}

// cut fails around the writing of an order, as a crash would.
type cut struct {
	order.OrderStore

	before, after error
}

func (c *cut) Place(ctx context.Context, p order.Placement) (int64, bool, error) {
	if c.before != nil {
		return 0, false, c.before
	}
	number, created, err := c.OrderStore.Place(ctx, p)
	if c.after != nil {
		return 0, false, c.after
	}
	return number, created, err
}

func TestTrap05CrashBetweenStepsEndsInOneOrder(t *testing.T) {
	t.Parallel()
	lost := fault.Unavailable("database", time.Second)
	for name, c := range map[string]struct{ before, after error }{
		"after the reservation": {before: lost},
		"after the commit":      {after: lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crash := &cut{before: c.before, after: c.after}
			s := newShop(t, func(config *order.Config) {
				crash.OrderStore, config.Orders = config.Orders, crash
			})
			product := s.stock.product(100, 5)
			in := order.PlaceInput{ID: newID(), Caller: user(), Items: []order.Item{{ProductID: product, Quantity: 5}}}
			receipt, err := s.Place(t.Context(), in)
			if c.before != nil && err == nil {
				t.Fatal("the crash was not seen")
			}
			if c.after != nil && (err != nil || receipt.Order.ID != in.ID) {
				t.Fatalf("an order that was written was not found: %v", err)
			}
			// The outcome was unknown, so the goods must still be held.
			if s.stock.state(in.ID) != "held" {
				t.Errorf("reservation is %q", s.stock.state(in.ID))
			}
			crash.before, crash.after = nil, nil
			again, err := s.Place(t.Context(), in)
			if err != nil || again.Order.ID != in.ID || again.Order.Number == 0 {
				t.Fatalf("repetition: %+v, %v", again, err)
			}
			if s.count(t, "SELECT count(*) FROM orders") != 1 || s.stock.available(product) != 0 {
				t.Error("not exactly one order")
			}
		})
	}
}

func TestTrap05ARefusedOrderReleasesItsGoods(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	euro, dollar := s.stock.product(100, 5), s.stock.product(100, 5)
	s.stock.products[dollar].Price.CurrencyCode = "USD"
	in := order.PlaceInput{ID: newID(), Caller: user(), Items: []order.Item{{ProductID: euro, Quantity: 1}, {ProductID: dollar, Quantity: 1}}}
	_, err := s.Place(t.Context(), in)
	wantFault(t, err, fault.KindConflict, "CURRENCY_MIX")
	if s.stock.state(in.ID) != "released" || s.stock.available(euro) != 5 {
		t.Error("the goods are still held")
	}
	in = order.PlaceInput{ID: newID(), Caller: user(), Items: []order.Item{{ProductID: euro, Quantity: 6}}}
	_, err = s.Place(t.Context(), in)
	wantFault(t, err, fault.KindConflict, "OUT_OF_STOCK")
	s.stock.failWith(fault.Unavailable("product", time.Second))
	_, err = s.Place(t.Context(), in)
	wantFault(t, err, fault.KindUnavailable, "")
}

func TestTrap05RepeatingACancelledOrderHoldsNoGoods(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	product := s.stock.product(100, 5)
	caller := user()
	in := order.PlaceInput{ID: newID(), Caller: caller, Items: []order.Item{{ProductID: product, Quantity: 5}}}
	if _, err := s.Place(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: in.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	if err := s.stock.Release(t.Context(), in.ID, ""); err != nil {
		t.Fatal(err)
	}
	receipt, err := s.Place(t.Context(), in)
	if err != nil || receipt.Order.Status != order.StatusCancelled {
		t.Fatalf("got %+v, %v", receipt.Order.Status, err)
	}
	if s.stock.available(product) != 5 {
		t.Error("a cancelled order holds goods again")
	}
}

func TestTrap11CouponIsUsedAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: "three", PercentOffBps: 1000, MaxRedemptions: 3}); err != nil {
		t.Fatal(err)
	}
	product := s.stock.product(1000, 1000)
	used := 0
	for _, err := range together(16, func(int) error {
		_, err := s.Place(t.Context(), order.PlaceInput{ID: newID(), Caller: user(), Items: []order.Item{{ProductID: product, Quantity: 1}}, CouponCode: " Three "})
		return err
	}) {
		switch {
		case err == nil:
			used++
		case !errors.Is(err, order.ErrCouponUsedUp):
			t.Errorf("got %v", err)
		}
	}
	if used != 3 || s.count(t, "SELECT redemptions FROM coupons") != 3 || s.count(t, "SELECT count(*) FROM coupon_redemptions") != 3 {
		t.Errorf("used %d times", used)
	}
	if s.stock.available(product) != 997 {
		t.Errorf("%d pieces left: refused orders hold goods", s.stock.available(product))
	}
}

func TestTrap11CouponIsUsedOnceByAPersonAndComesBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	coupon, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: "ONCE", AmountOff: 300, Currency: "EUR", MaxPerCustomer: 1})
	if err != nil {
		t.Fatal(err)
	}
	caller := user()
	withCoupon := func(in *order.PlaceInput) { in.CouponCode = "ONCE" }
	first := s.place(t, caller, withCoupon)
	if first.Discount != 300 || first.Total != 1700 || first.CouponCode != "ONCE" {
		t.Errorf("amounts are %+v", first.Amounts)
	}
	for i, c := range []order.Caller{caller, {}} { // the same address as a guest is the same person
		in := s.input(c)
		in.CouponCode, in.Email = "once", caller.Email
		_, err := s.Place(t.Context(), in)
		wantFault(t, err, fault.KindConflict, "COUPON_USED_UP")
		if s.stock.state(in.ID) != "released" {
			t.Errorf("%d: goods are %s", i, s.stock.state(in.ID))
		}
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: first.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	second := s.place(t, caller, withCoupon)
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: first.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	if s.count(t, "SELECT redemptions FROM coupons") != 1 || s.get(t, second.ID).Discount != 300 {
		t.Error("cancelling twice returned the coupon twice")
	}
	if err := s.DisableCoupon(t.Context(), coupon.ID); err != nil {
		t.Fatal(err)
	}
	in := s.input(user())
	withCoupon(&in)
	_, err = s.Place(t.Context(), in)
	wantFault(t, err, fault.KindInvalidInput, "")
	wantFault(t, s.DisableCoupon(t.Context(), newID()), fault.KindNotFound, "")
}

func TestCouponsAreListedNewestFirstInPages(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 5 {
		if _, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: fmt.Sprintf("CODE-%d", i), PercentOffBps: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var codes []string
	var before order.CouponCursor
	for {
		page, err := s.ListCoupons(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Coupons {
			codes = append(codes, c.Code)
		}
		if page.Next == nil {
			break
		}
		before = *page.Next
	}
	if !reflect.DeepEqual(codes, []string{"CODE-4", "CODE-3", "CODE-2", "CODE-1", "CODE-0"}) {
		t.Errorf("got %v", codes)
	}
	_, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: "code-1", PercentOffBps: 1})
	wantFault(t, err, fault.KindConflict, "COUPON_EXISTS")
	first, err := s.CreateCoupon(t.Context(), order.Coupon{ID: newID(), Code: "AGAIN", PercentOffBps: 1})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.CreateCoupon(t.Context(), order.Coupon{ID: first.ID, Code: "AGAIN", PercentOffBps: 1}); err != nil || again.ID != first.ID {
		t.Errorf("repetition: %v", err)
	}
}

func TestFreeOrderIsConfirmedAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	free := s.stock.product(0, 10)
	caller := user()
	o := s.place(t, caller, func(in *order.PlaceInput) { in.Items = []order.Item{{ProductID: free, Quantity: 1}} })
	if o.Status != order.StatusConfirmed || s.stock.state(o.ID) != "sold" || s.events(t, "ORDER_CONFIRMED", o.ID) != 1 {
		t.Errorf("status %s, goods %s", o.Status, s.stock.state(o.ID))
	}
	// Cut off before it could: the sweep does it.
	s.stock.failWith(nil)
	in := order.PlaceInput{ID: newID(), Caller: caller, Items: []order.Item{{ProductID: free, Quantity: 1}}}
	broken := &failingCommit{stock: s.stock, err: fault.Unavailable("product", time.Second)}
	s.Stock = broken
	receipt, err := s.Place(t.Context(), in)
	if err != nil || receipt.Order.Status != order.StatusPending {
		t.Fatalf("got %s, %v", receipt.Order.Status, err)
	}
	_, err = s.BeginPayment(t.Context(), order.BeginPaymentInput{OrderID: in.ID, PaymentID: newID(), Caller: caller})
	wantFault(t, err, fault.KindConflict, "ORDER_NOT_PAYABLE")
	broken.err = nil
	for range 2 {
		if err := s.ConfirmFree(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.wantStatus(t, in.ID, order.StatusConfirmed)
}

type failingCommit struct {
	*stock
	err error
}

func (f *failingCommit) Commit(ctx context.Context, id uuid.UUID) error {
	if f.err != nil {
		return f.err
	}
	return f.stock.Commit(ctx, id)
}
