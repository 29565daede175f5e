package storefront

import (
	"context"
	"net/http"
	"strconv"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/storefront/view"
)

// cart returns the visitor's cart, or nil when there is none.
func (s *Storefront) cart(ctx context.Context, v *browser.Visit, b *basket) (*orderv1.Cart, error) {
	if b.CartID == "" {
		return nil, nil //nolint:nilnil // no cart is an empty one
	}
	answer, err := s.carts.GetCart(v.As(ctx, b.CartToken), &orderv1.GetCartRequest{CartId: b.CartID})
	if isNotFound(err) {
		b.dropCart()
		return nil, nil //nolint:nilnil // it was ordered or deleted elsewhere
	}
	return answer.GetCart(), err
}

func isNotFound(err error) bool {
	failure := fault.From(err)
	return failure != nil && failure.Kind == fault.KindNotFound
}

func (s *Storefront) showCart(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	cart, err := s.cart(r.Context(), v, &b)
	if err != nil {
		return err
	}
	return s.presentCart(w, r, v, b, cart, nil)
}

func (s *Storefront) presentCart(w http.ResponseWriter, r *http.Request, v *browser.Visit, b basket, cart *orderv1.Cart, problem error) error {
	b.Pieces = count(cart)
	if err := s.keepBasket(w, b); err != nil {
		return err
	}
	f, status := s.frame(r, v, "Cart"), http.StatusOK
	f.Pieces = b.Pieces
	if problem != nil {
		status = s.again(r, &f, problem)
	}
	return browser.Show(w, r, status, view.Cart(f, cart))
}

func count(cart *orderv1.Cart) int32 {
	var n int32
	for _, item := range cart.GetItems() {
		n += item.Quantity
	}
	return n
}

// quantity reads a number of pieces.
func quantity(r *http.Request, lowest int) (int32, error) {
	n, err := strconv.Atoi(r.PostForm.Get("quantity"))
	if err != nil || n < lowest || n > 10_000 {
		return 0, fault.Invalid("quantity", "must be a number from %d to 10000", lowest)
	}
	return int32(n), nil //nolint:gosec // bounded above
}

func (s *Storefront) addToCart(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	pieces, err := quantity(r, 1)
	if err != nil {
		return err
	}
	b, key := s.basket(r, v), r.PostForm.Get("key")
	cart, err := s.addItem(r.Context(), v, &b, r.PostForm.Get("product_id"), pieces, key)
	if err != nil {
		return err
	}
	b.Pieces = count(cart)
	if err := s.keepBasket(w, b); err != nil {
		return err
	}
	return browser.SeeOther(w, r, "/shop/cart?done=added")
}

// addItem adds pieces to the visitor's cart, and opens one when there is none.
func (s *Storefront) addItem(ctx context.Context, v *browser.Visit, b *basket, productID string, pieces int32, key string) (*orderv1.Cart, error) {
	for range 2 {
		if b.CartID == "" {
			if err := s.openCart(ctx, v, b, key); err != nil {
				return nil, err
			}
		}
		answer, err := browser.Once(v.As(ctx, b.CartToken), v, step(key, "add"), s.carts.AddCartItem,
			&orderv1.AddCartItemRequest{CartId: b.CartID, ProductId: productID, Quantity: pieces})
		if err == nil {
			return answer.Cart, nil
		}
		gone, lookup := s.cart(ctx, v, b)
		if !isNotFound(err) || lookup != nil || gone != nil {
			return nil, err
		}
		key = formKey() // the cart of before is closed, so a new one is another request
	}
	return nil, fault.NotFound("the cart", "")
}

func (s *Storefront) openCart(ctx context.Context, v *browser.Visit, b *basket, key string) error {
	answer, err := browser.Once(v.As(ctx, ""), v, step(key, "cart"), s.carts.CreateCart, &orderv1.CreateCartRequest{})
	if err != nil {
		return err
	}
	b.CartID, b.CartToken, b.Owner = answer.Cart.Id, answer.GuestToken, v.Identity.UserID
	return nil
}

func (s *Storefront) updateCart(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	pieces, wrong := quantity(r, 0)
	if r.PostForm.Get("remove") != "" {
		pieces, wrong = 0, nil
	}
	if wrong == nil && b.CartID != "" {
		answer, err := s.carts.UpdateCartItem(v.As(r.Context(), b.CartToken),
			&orderv1.UpdateCartItemRequest{CartId: b.CartID, ProductId: r.PostForm.Get("product_id"), Quantity: pieces})
		if err == nil {
			b.Pieces = count(answer.Cart)
			if err := s.keepBasket(w, b); err != nil {
				return err
			}
			return browser.SeeOther(w, r, "/shop/cart")
		}
		wrong = err
	}
	cart, err := s.cart(r.Context(), v, &b)
	if err != nil {
		return err
	}
	return s.presentCart(w, r, v, b, cart, wrong)
}

// adoptCart gives the person who just logged in what they collected as a
// guest. A failure costs the login nothing: the guest's cart stays where it is.
func (s *Storefront) adoptCart(ctx context.Context, v *browser.Visit, b *basket) error {
	if b.CartID != "" && b.Owner == "" {
		answer, err := s.carts.MergeCart(v.As(ctx, b.CartToken), &orderv1.MergeCartRequest{CartId: b.CartID})
		if err != nil && !isNotFound(err) {
			return err
		}
		if err == nil {
			b.CartID, b.CartToken, b.Owner, b.Pieces = answer.Cart.Id, "", v.Identity.UserID, count(answer.Cart)
			return nil
		}
	}
	b.dropCart()
	if err := s.openCart(ctx, v, b, ""); err != nil {
		return err
	}
	cart, err := s.cart(ctx, v, b)
	b.Pieces = count(cart)
	return err
}
