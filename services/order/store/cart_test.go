package store_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/order"
)

func (s *shop) add(t testing.TB, cart uuid.UUID, caller order.Caller, product uuid.UUID, quantity int32) order.CartView {
	t.Helper()
	view, err := s.AddCartItem(t.Context(), order.CartInput{
		RequestID: newID(), CartID: cart, Caller: caller, Line: order.CartLine{ProductID: product, Quantity: quantity},
	})
	if err != nil {
		t.Fatalf("add to cart: %v", err)
	}
	return view
}

// guestCart opens a guest's cart and returns its id and who owns it.
func (s *shop) guestCart(t testing.TB) (uuid.UUID, order.Caller) {
	t.Helper()
	cart, token, err := s.CreateCart(t.Context(), order.CartInput{RequestID: newID()})
	if err != nil || token == "" {
		t.Fatalf("guest cart: %v", err)
	}
	return cart.ID, order.Caller{GuestTokenHash: crypto.HashToken(token)}
}

func TestCartShowsCurrentPricesInOneLookup(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	cart := s.openCart(t, caller)
	a, b := s.stock.product(1000, 5), s.stock.product(250, 1)
	s.add(t, cart.ID, caller, a, 2)
	s.add(t, cart.ID, caller, b, 1)
	s.add(t, cart.ID, caller, a, 1)
	delete(s.stock.products, b)
	s.stock.products[a].Price = eur(1100)
	lookups := s.stock.lookups
	view, err := s.GetCart(t.Context(), order.CartInput{CartID: cart.ID, Caller: caller})
	if err != nil {
		t.Fatal(err)
	}
	if s.stock.lookups != lookups+1 {
		t.Errorf("%d lookups", s.stock.lookups-lookups)
	}
	if want := []order.CartLine{{ProductID: a, Quantity: 3}, {ProductID: b, Quantity: 1}}; !reflect.DeepEqual(view.Lines, want) {
		t.Errorf("lines are %v", view.Lines)
	}
	if view.Subtotal != eur(3300) || view.Articles[a].Available != 5 {
		t.Errorf("subtotal %s, articles %v", view.Subtotal, view.Articles)
	}
	for quantity, want := range map[int32]int{7: 2, 0: 1} {
		view, err = s.SetCartItem(t.Context(), order.CartInput{RequestID: newID(), CartID: cart.ID, Caller: caller, Line: order.CartLine{ProductID: a, Quantity: quantity}})
		if err != nil || (quantity == 0 && len(view.Lines) != want) {
			t.Errorf("set to %d: %v, %v", quantity, view.Lines, err)
		}
	}
	if err := s.DeleteCart(t.Context(), order.CartInput{CartID: cart.ID, Caller: caller}); err != nil {
		t.Fatal(err)
	}
	wantFault(t, s.DeleteCart(t.Context(), order.CartInput{CartID: cart.ID, Caller: caller}), fault.KindNotFound, "")
}

func TestCartRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	cart := s.openCart(t, caller)
	product := s.stock.product(1000, 5)
	edit := func(cart uuid.UUID, caller order.Caller, product uuid.UUID, quantity int32) error {
		_, err := s.AddCartItem(t.Context(), order.CartInput{RequestID: newID(), CartID: cart, Caller: caller, Line: order.CartLine{ProductID: product, Quantity: quantity}})
		return err
	}
	s.add(t, cart.ID, caller, product, 10_000)
	wantFault(t, edit(cart.ID, caller, product, 1), fault.KindInvalidInput, "") // one more than fits
	wantFault(t, edit(cart.ID, caller, product, -1), fault.KindInvalidInput, "")
	wantFault(t, edit(cart.ID, caller, newID(), 1), fault.KindNotFound, "")
	wantFault(t, edit(cart.ID, user(), product, 1), fault.KindNotFound, "")
	wantFault(t, edit(cart.ID, order.Caller{UserID: newID(), Admin: true}, product, 1), fault.KindNotFound, "")
	wantFault(t, edit(cart.ID, order.Caller{}, product, 1), fault.KindAuthFailed, "")
	wantFault(t, edit(newID(), caller, product, 1), fault.KindNotFound, "")
	_, err := s.SetCartItem(t.Context(), order.CartInput{CartID: cart.ID, Caller: caller, Line: order.CartLine{ProductID: product, Quantity: 10_001}})
	wantFault(t, err, fault.KindInvalidInput, "")
	s.stock.failWith(fault.Unavailable("product", time.Second))
	wantFault(t, edit(cart.ID, caller, s.stock.product(1, 1), 1), fault.KindUnavailable, "")
	s.stock.failWith(nil)
	if got, _ := s.store.Cart(t.Context(), cart.ID, order.Owner{UserID: caller.UserID}); len(got.Lines) != 1 || got.Lines[0].Quantity != 10_000 {
		t.Errorf("refused edits changed the cart: %v", got.Lines)
	}
	wantFault(t, s.DeleteCart(t.Context(), order.CartInput{CartID: cart.ID}), fault.KindAuthFailed, "")
	_, err = s.GetCart(t.Context(), order.CartInput{CartID: cart.ID})
	wantFault(t, err, fault.KindAuthFailed, "")
	other := s.openCart(t, user())
	for range 200 {
		if _, err := s.db.Pool().Exec(t.Context(), `INSERT INTO cart_lines (cart_id, product_id, quantity, request_id, create_time)
			VALUES ($1, gen_random_uuid(), 1, gen_random_uuid(), now())`, other.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantFault(t, edit(other.ID, order.Caller{UserID: other.UserID}, product, 1), fault.KindConflict, "CART_FULL")
}

func TestAUserHasOneOpenCart(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	ids := make([]uuid.UUID, 8)
	for i, err := range together(len(ids), func(i int) error {
		cart, _, err := s.CreateCart(t.Context(), order.CartInput{RequestID: newID(), Caller: caller})
		ids[i] = cart.ID
		return err
	}) {
		if err != nil || ids[i] != ids[0] {
			t.Errorf("cart %s, %v", ids[i], err)
		}
	}
}

func TestTrap24ParallelAdditionsAllCount(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, guest := s.guestCart(t)
	product := s.stock.product(1000, 5)
	repeated := newID()
	for _, err := range together(20, func(i int) error {
		request := newID()
		if i < 5 {
			request = repeated
		}
		_, err := s.AddCartItem(t.Context(), order.CartInput{RequestID: request, CartID: id, Caller: guest, Line: order.CartLine{ProductID: product, Quantity: 2}})
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	view, err := s.GetCart(t.Context(), order.CartInput{CartID: id, Caller: guest})
	// Fifteen requests of their own add 30; the repeated one at least once.
	if err != nil || view.Lines[0].Quantity < 32 {
		t.Errorf("lines %v, %v", view.Lines, err)
	}
	before := view.Lines[0].Quantity
	for range 3 {
		if _, err := s.AddCartItem(t.Context(), order.CartInput{RequestID: repeated, CartID: id, Caller: guest, Line: order.CartLine{ProductID: product, Quantity: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if view, _ = s.GetCart(t.Context(), order.CartInput{CartID: id, Caller: guest}); view.Lines[0].Quantity > before+1 {
		t.Errorf("a repeated request added again: %d after %d", view.Lines[0].Quantity, before)
	}
}

func TestTrap24MergeSumsOnceAndStealsNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	own := s.openCart(t, caller)
	a, b := s.stock.product(1000, 5), s.stock.product(1000, 5)
	s.add(t, own.ID, caller, a, 3)
	id, guest := s.guestCart(t)
	s.add(t, id, guest, a, 2)
	s.add(t, id, guest, b, 9_000)
	s.add(t, own.ID, caller, b, 9_000)
	both := order.Caller{UserID: caller.UserID, GuestTokenHash: guest.GuestTokenHash}
	for i, err := range together(6, func(int) error {
		view, err := s.MergeCart(t.Context(), order.CartInput{RequestID: newID(), CartID: id, Caller: both})
		if err == nil && view.ID != own.ID {
			t.Errorf("merged into %s", view.ID)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("run %d: %v", i, err)
		}
	}
	view, err := s.GetCart(t.Context(), order.CartInput{CartID: own.ID, Caller: caller})
	want := []order.CartLine{{ProductID: a, Quantity: 5}, {ProductID: b, Quantity: 10_000}}
	if err != nil || !reflect.DeepEqual(view.Lines, want) {
		t.Errorf("lines are %v, %v", view.Lines, err)
	}
	_, err = s.GetCart(t.Context(), order.CartInput{CartID: id, Caller: guest})
	wantFault(t, err, fault.KindNotFound, "")

	victim := user()
	target := s.openCart(t, victim)
	s.add(t, target.ID, victim, a, 1)
	other, token := s.guestCart(t)
	s.add(t, other, token, a, 1)
	for name, c := range map[string]struct {
		cart  uuid.UUID
		token string
	}{
		"another user's cart":          {target.ID, guest.GuestTokenHash},
		"guest cart without its token": {other, ""},
		"guest cart, another's token":  {other, guest.GuestTokenHash},
		"unknown cart":                 {newID(), guest.GuestTokenHash},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.MergeCart(t.Context(), order.CartInput{RequestID: newID(), CartID: c.cart, Caller: order.Caller{UserID: caller.UserID, GuestTokenHash: c.token}})
			wantFault(t, err, fault.KindNotFound, "")
		})
	}
	// A cart that one user took over is not another's.
	_, err = s.MergeCart(t.Context(), order.CartInput{RequestID: newID(), CartID: id, Caller: order.Caller{UserID: victim.UserID, GuestTokenHash: guest.GuestTokenHash}})
	wantFault(t, err, fault.KindNotFound, "")
	if view, err := s.MergeCart(t.Context(), order.CartInput{RequestID: newID(), CartID: own.ID, Caller: caller}); err != nil || view.ID != own.ID {
		t.Errorf("merging one's own cart: %v", err)
	}
	fresh := order.Caller{UserID: newID(), GuestTokenHash: token.GuestTokenHash}
	if view, err := s.MergeCart(t.Context(), order.CartInput{RequestID: newID(), CartID: other, Caller: fresh}); err != nil || len(view.Lines) != 1 {
		t.Errorf("merging into a new cart: %v, %v", view.Lines, err)
	}
}

func TestOrderingACartClosesIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	id, guest := s.guestCart(t)
	product := s.stock.product(1000, 50)
	in := order.PlaceInput{ID: newID(), Caller: guest, CartID: id, Email: "guest@example.com"}
	_, err := s.Place(t.Context(), in)
	wantFault(t, err, fault.KindInvalidInput, "") // empty
	s.add(t, id, guest, product, 2)
	for range 2 { // repeated: the cart is closed by the first run
		receipt, err := s.Place(t.Context(), in)
		if err != nil || receipt.Order.Lines[0].Quantity != 2 || receipt.GuestToken == "" {
			t.Fatalf("got %+v, %v", receipt, err)
		}
	}
	_, err = s.AddCartItem(t.Context(), order.CartInput{RequestID: newID(), CartID: id, Caller: guest, Line: order.CartLine{ProductID: product, Quantity: 1}})
	wantFault(t, err, fault.KindNotFound, "")
	in.ID = newID()
	_, err = s.Place(t.Context(), in)
	wantFault(t, err, fault.KindNotFound, "")
}

// slow lets a cart change between its reading and its closing.
type slow struct {
	*stock
	during func()
}

func (s *slow) Reserve(ctx context.Context, id uuid.UUID, items []order.Item, expire time.Time) ([]order.Goods, error) {
	goods, err := s.stock.Reserve(ctx, id, items, expire)
	s.during()
	return goods, err
}

func TestTrap24WhatIsAddedWhileOrderingIsNotLost(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller := user()
	cart := s.openCart(t, caller)
	product, late := s.stock.product(1000, 50), s.stock.product(1000, 50)
	s.add(t, cart.ID, caller, product, 2)
	s.Stock = &slow{stock: s.stock, during: func() { s.add(t, cart.ID, caller, late, 1) }}
	in := order.PlaceInput{ID: newID(), Caller: caller, CartID: cart.ID}
	_, err := s.Place(t.Context(), in)
	wantFault(t, err, fault.KindConflict, "CART_CHANGED")
	if s.stock.state(in.ID) != "released" || s.count(t, "SELECT count(*) FROM orders") != 0 {
		t.Error("a refused order left something")
	}
	view, err := s.GetCart(t.Context(), order.CartInput{CartID: cart.ID, Caller: caller})
	if err != nil || len(view.Lines) != 2 {
		t.Errorf("lines are %v, %v", view.Lines, err)
	}
}

func TestListsTakeTwoQueriesWhateverTheirSize(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	caller, admin := user(), order.Caller{UserID: newID(), Admin: true}
	for range 25 {
		s.place(t, caller)
	}
	foreign := s.place(t, user())
	var numbers []int64
	in := order.ListInput{Caller: caller, Size: 10}
	for {
		var page order.OrderPage
		n := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			var err error
			if page, err = s.List(ctx, in); err != nil {
				t.Fatal(err)
			}
		})
		if n != 2 {
			t.Errorf("%d queries for %d orders", n, len(page.Orders))
		}
		for _, o := range page.Orders {
			if len(o.Lines) == 0 || o.UserID != caller.UserID {
				t.Errorf("unexpected order %+v", o)
			}
			numbers = append(numbers, o.Number)
		}
		if page.Next == 0 {
			break
		}
		in.Before = page.Next
	}
	if len(numbers) != 25 {
		t.Errorf("%d orders", len(numbers))
	}
	for i := range len(numbers) - 1 {
		if numbers[i] <= numbers[i+1] {
			t.Fatalf("not newest first: %v", numbers)
		}
	}
	if _, err := s.Cancel(t.Context(), order.MoveInput{OrderID: foreign.ID, Caller: admin}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in   order.ListInput
		want int
	}{
		"all":           {order.ListInput{Caller: admin, All: true, Size: 100}, 26},
		"own":           {order.ListInput{Caller: admin}, 0},
		"a user's":      {order.ListInput{Caller: admin, UserID: caller.UserID, Size: 100}, 25},
		"by status":     {order.ListInput{Caller: admin, All: true, Status: order.StatusCancelled}, 1},
		"by address":    {order.ListInput{Caller: admin, Text: foreign.Email[:30]}, 1},
		"by wildcard":   {order.ListInput{Caller: admin, Text: "%"}, 0},
		"by part":       {order.ListInput{Caller: admin, Text: "EXAMPLE", Size: 100}, 26},
		"first of many": {order.ListInput{Caller: admin, All: true}, 20},
	} {
		page, err := s.List(t.Context(), c.in)
		if err != nil || len(page.Orders) != c.want {
			t.Errorf("%s: %d orders, %v", name, len(page.Orders), err)
		}
	}
}
