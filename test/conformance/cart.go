package conformance

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/commercestack/commercestack/test/shop"
)

var cartCases = []Case{
	{
		Trap: 24, Name: "additions-at-once-all-count", Needs: Needs{Admin: true}, Run: addAtOnce,
		Rule: "Sixteen additions to one cart at once are sixteen pieces.",
	},
	{
		Trap: 24, Name: "a-guests-cart-is-merged-once", Needs: Needs{Admin: true, Development: true}, Run: mergeOnce,
		Rule: "After login the pieces of the guest's cart are added once, however often the merge is repeated.",
	},
	{
		Trap: 24, Name: "nobody-takes-over-a-foreign-cart", Needs: Needs{Admin: true, Development: true}, Run: stealCart,
		Rule: "A guest's cart is merged only for who shows its token, and a cart of a person never.",
	},
	{
		Trap: 24, Name: "a-cart-becomes-one-order", Needs: Needs{Admin: true}, Run: orderCart,
		Rule: "Ordering a cart eight times at once makes one order.",
	},
}

// basket is a cart and who may change it.
type basket struct {
	*shop.Shop

	id, path string
}

func (s *Session) guestCart(ctx context.Context) (basket, error) { return openCart(ctx, s.Guest) }

func openCart(ctx context.Context, who *shop.Shop) (basket, error) {
	answer, err := send(ctx, who, http.MethodPost, "/api/v1/carts", map[string]any{})
	if err := okay(answer, err); err != nil {
		return basket{}, err
	}
	c := basket{Shop: who, id: answer.String("cart", "id"), path: "/api/v1/carts/" + answer.String("cart", "id")}
	if token := answer.String("guestToken"); token != "" {
		c.Shop = who.AsGuest(token)
	}
	return c, nil
}

func (c basket) add(ctx context.Context, product string, quantity int) error {
	return okay(send(ctx, c.Shop, http.MethodPost, c.path+"/items", map[string]any{"productId": product, "quantity": quantity}))
}

// holds wants a quantity of a product in the cart.
func (c basket) holds(ctx context.Context, product string, quantity int64) error {
	answer, err := c.Must(ctx, http.MethodGet, c.path, nil)
	if err != nil {
		return err
	}
	var sum int64
	for i := range answer.Len("cart", "items") {
		if answer.String("cart", "items", i, "productId") == product {
			sum += answer.Int("cart", "items", i, "quantity")
		}
	}
	if sum != quantity {
		return fmt.Errorf("the cart holds %d pieces, want %d", sum, quantity)
	}
	return nil
}

func addAtOnce(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "added at once", 300, 100)
	if err != nil {
		return err
	}
	cart, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	if err := together(16, func(int) error { return cart.add(ctx, product, 1) }); err != nil {
		return err
	}
	return cart.holds(ctx, product, 16)
}

// merge asks for the guest's cart to be moved into the person's.
func merge(ctx context.Context, person *shop.Person, guest basket, token string) (*shop.Answer, error) {
	return send(ctx, person.With("X-Guest-Token", token), http.MethodPost, guest.path+":merge", map[string]any{})
}

func mergeOnce(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "merged", 300, 100)
	if err != nil {
		return err
	}
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	own, err := openCart(ctx, person.Shop)
	if err != nil {
		return err
	}
	guest, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	if err := own.add(ctx, product, 2); err != nil {
		return err
	}
	if err := guest.add(ctx, product, 3); err != nil {
		return err
	}
	err = together(6, func(int) error {
		return okay(merge(ctx, person, guest, guest.GuestToken))
	})
	if err != nil {
		return err
	}
	if err := own.holds(ctx, product, 5); err != nil {
		return err
	}
	return mustRefuse(ctx, guest.Shop, http.MethodGet, guest.path, nil, http.StatusNotFound, "NOT_FOUND")
}

func stealCart(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "stolen", 300, 100)
	if err != nil {
		return err
	}
	victim, err := s.person(ctx)
	if err != nil {
		return err
	}
	thief, err := s.person(ctx)
	if err != nil {
		return err
	}
	personal, err := openCart(ctx, victim.Shop)
	if err != nil {
		return err
	}
	guest, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	for _, cart := range []basket{personal, guest} {
		if err := cart.add(ctx, product, 4); err != nil {
			return err
		}
		for _, token := range []string{"", newKey(), personal.GuestToken} {
			answer, err := merge(ctx, thief, cart, token)
			if err != nil {
				return err
			}
			if err := refusal(answer, http.StatusNotFound, "NOT_FOUND"); err != nil {
				return fmt.Errorf("merge of a foreign cart: %w", err)
			}
		}
		if err := cart.holds(ctx, product, 4); err != nil {
			return err
		}
	}
	return nil
}

func orderCart(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "ordered cart", 300, 100)
	if err != nil {
		return err
	}
	cart, err := s.guestCart(ctx)
	if err != nil {
		return err
	}
	if err := cart.add(ctx, product, 3); err != nil {
		return err
	}
	var placed atomic.Int64
	err = together(8, func(int) error {
		answer, err := send(ctx, cart.Shop, http.MethodPost, "/api/v1/orders", map[string]any{"cartId": cart.id, "email": "cart@example.com"})
		if err != nil {
			return err
		}
		switch answer.Status {
		case http.StatusOK:
			placed.Add(1)
			return addsUp(answer)
		case http.StatusNotFound:
			return refusal(answer, http.StatusNotFound, "NOT_FOUND")
		default:
			return refusal(answer, http.StatusConflict, "CART_CHANGED")
		}
	})
	if err != nil {
		return err
	}
	if placed.Load() != 1 {
		return fmt.Errorf("one cart became %d orders", placed.Load())
	}
	return s.stock(ctx, product, 100, 3)
}
