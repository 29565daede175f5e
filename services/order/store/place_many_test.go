package store_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

// Orders that come at the same time share statements, and each is written as if it had come alone.
func TestOrdersPlacedTogetherAreEachWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const n = 60
	a, b := s.stock.product(1999, 10_000), s.stock.product(1, 10_000)
	placed := make([]order.Order, n)
	var errs []error
	statements := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		errs = together(n, func(i int) error {
			in := order.PlaceInput{ID: newID(), Caller: user(), Items: []order.Item{{ProductID: a, Quantity: int32(i + 1)}}}
			if i%2 == 1 {
				in.Items = append(in.Items, order.Item{ProductID: b, Quantity: 3})
			}
			if i%3 == 1 {
				in.Caller, in.Email = order.Caller{}, fmt.Sprintf("guest%d@example.com", i)
			}
			if i%4 == 1 {
				in.ShippingAddress = &order.Address{Recipient: "Ada", Line1: fmt.Sprint(i), City: "Paris", CountryCode: "FR"}
			}
			receipt, err := s.Place(ctx, in)
			placed[i] = receipt.Order
			return err
		})
	})
	for i, o := range placed {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if stored := s.get(t, o.ID); !reflect.DeepEqual(stored, o) {
			t.Errorf("stored\n%+v, answered\n%+v", stored, o)
		}
		if got := s.steps(t, o.ID); !reflect.DeepEqual(got, []order.StepType{order.StepPlaced}) {
			t.Errorf("history is %v", got)
		}
		told := s.count(t, `SELECT count(*) FROM outbox WHERE subject = $1 AND payload -> 'order' ->> 'number' = $2::text
			AND payload -> 'order' ->> 'email' = $3`, o.ID.String(), fmt.Sprint(o.Number), o.Email)
		if told != 1 {
			t.Errorf("%d events tell of order %d", told, o.Number)
		}
	}
	if statements >= n {
		t.Errorf("%d statements for %d orders", statements, n)
	}
}

// An order that the database refuses takes none of those with it that share its statement.
func TestARefusedOrderFailsAlone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	base := s.place(t, user())
	ids := make([]uuid.UUID, 30)
	errs := together(len(ids), func(i int) error {
		o := base
		o.ID = newID()
		ids[i] = o.ID
		if i%10 == 3 {
			o.Total++ // the sums contradict each other
		}
		number, created, err := s.store.Place(t.Context(), order.Placement{Order: o, Step: order.Step{
			ID: newID(), OrderID: o.ID, Type: order.StepPlaced, Status: order.StatusPending, Actor: "user", Key: "placed", Time: o.CreateTime,
		}})
		if err == nil && (!created || number == 0) {
			return fmt.Errorf("not created: %d", number)
		}
		return err
	})
	for i, err := range errs {
		wrong := i%10 == 3
		if (err != nil) != wrong || (wrong && !postgres.IsCheck(err, "")) {
			t.Errorf("%d: %v", i, err)
		}
		want := 1
		if wrong {
			want = 0
		}
		for _, query := range []string{
			"SELECT count(*) FROM orders WHERE id = $1", "SELECT count(*) FROM order_lines WHERE order_id = $1",
			"SELECT count(*) FROM order_events WHERE order_id = $1", "SELECT count(*) FROM outbox WHERE subject = $1::uuid::text",
		} {
			if n := s.count(t, query, ids[i]); n != want {
				t.Errorf("%d: %s: %d", i, query, n)
			}
		}
	}
}

// Twins of several requests at once make one order each.
func TestTwinsAmongOrdersPlacedTogether(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	product := s.stock.product(100, 100_000)
	ids := []uuid.UUID{newID(), newID(), newID(), newID(), newID()}
	callers := []order.Caller{user(), user(), user(), user(), user()}
	numbers := make([]int64, 40)
	for i, err := range together(len(numbers), func(i int) error {
		receipt, err := s.Place(t.Context(), order.PlaceInput{
			ID: ids[i%5], Caller: callers[i%5], Items: []order.Item{{ProductID: product, Quantity: 1}},
		})
		numbers[i] = receipt.Order.Number
		return err
	}) {
		if err != nil || numbers[i] == 0 || numbers[i] != numbers[i%5] {
			t.Errorf("run %d: number %d, %v", i, numbers[i], err)
		}
	}
	if n := s.count(t, "SELECT count(*) FROM orders"); n != len(ids) {
		t.Errorf("%d orders", n)
	}
}
