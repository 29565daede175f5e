package storefront

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/browser"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/storefront/view"
)

func (s *Storefront) showCheckout(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	cart, err := s.cart(r.Context(), v, &b)
	if err != nil {
		return err
	}
	if len(cart.GetItems()) == 0 {
		return browser.SeeOther(w, r, "/shop/cart")
	}
	c := view.Checkout{Cart: cart, Key: formKey(), Guest: !v.LoggedIn(), Country: "DE"}
	if v.LoggedIn() {
		s.prefill(v.As(r.Context(), ""), &c)
	}
	return browser.Show(w, r, http.StatusOK, view.CheckoutPage(s.frame(r, v, "Checkout"), c))
}

// prefill takes the address that the person marked; without the address book the form is empty.
func (s *Storefront) prefill(ctx context.Context, c *view.Checkout) {
	answer, err := s.users.ListAddresses(ctx, &userv1.ListAddressesRequest{})
	if err != nil {
		s.env.Logger.WarnContext(ctx, "the address book is not available", slog.Any("error", err))
		return
	}
	for i, saved := range answer.Addresses {
		if a := saved.Address; saved.IsDefault || i == 0 {
			c.Recipient, c.Line1, c.Line2, c.City = a.Recipient, a.Line1, a.Line2, a.City
			c.Region, c.PostalCode, c.Country = a.Region, a.PostalCode, a.CountryCode
		}
	}
}

// typed reads what was filled in.
func typed(r *http.Request, v *browser.Visit, cart *orderv1.Cart) view.Checkout {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	return view.Checkout{
		Cart: cart, Key: get("key"), Guest: !v.LoggedIn(), Email: get("email"), Recipient: get("recipient"), Line1: get("line1"),
		Line2: get("line2"), City: get("city"), Region: get("region"), PostalCode: get("postal_code"), Country: get("country"),
		Coupon: get("coupon_code"),
	}
}

func request(c view.Checkout, cartID string) *orderv1.PlaceOrderRequest {
	return &orderv1.PlaceOrderRequest{
		CartId: cartID, Email: c.Email, CouponCode: c.Coupon,
		ShippingAddress: &typev1.Address{
			Recipient: c.Recipient, Line1: c.Line1, Line2: c.Line2, City: c.City, Region: c.Region, PostalCode: c.PostalCode, CountryCode: c.Country,
		},
	}
}

// placeOrder makes the order and goes to its page, where the person sees what
// it costs with tax and shipping before anything is paid.
func (s *Storefront) placeOrder(w http.ResponseWriter, r *http.Request, v *browser.Visit) error {
	b := s.basket(r, v)
	if b.CartID == "" {
		return browser.SeeOther(w, r, "/shop/cart")
	}
	c := typed(r, v, nil)
	answer, err := browser.Once(v.As(r.Context(), b.CartToken), v, step(c.Key, "order"), s.orders.PlaceOrder, request(c, b.CartID))
	if err != nil {
		return s.askAgain(w, r, v, b, c, err)
	}
	b.dropCart()
	b.remember(placed{OrderID: answer.Order.Id, Token: answer.GuestToken})
	if err := s.keepBasket(w, b); err != nil {
		return err
	}
	return browser.SeeOther(w, r, orderPath(answer.Order.Id))
}

// askAgain shows the form with what is wrong. A refusal made no order, so the
// corrected form is a new request; after any other failure the order may
// exist, and the same key finds it.
func (s *Storefront) askAgain(w http.ResponseWriter, r *http.Request, v *browser.Visit, b basket, c view.Checkout, problem error) error {
	if failure := fault.From(problem); failure != nil && failure.Kind != fault.KindUnavailable && failure.Kind != fault.KindInternal &&
		!browser.UnderWay(problem) {
		c.Key = formKey()
	}
	cart, err := s.cart(r.Context(), v, &b)
	if err != nil || len(cart.GetItems()) == 0 {
		return problem
	}
	c.Cart = cart
	f := s.frame(r, v, "Checkout")
	status := s.again(r, &f, about(problem, cart))
	return browser.Show(w, r, status, view.CheckoutPage(f, c))
}

// about says which of the goods a refusal speaks of.
func about(problem error, cart *orderv1.Cart) error {
	failure := fault.From(problem)
	if failure == nil {
		return problem
	}
	for _, item := range cart.GetItems() {
		if item.ProductId == failure.Metadata["productId"] {
			return failure.WithMessage("%s: %s", item.Name, failure.Message)
		}
	}
	return problem
}

func orderPath(id string) string { return "/shop/orders/" + url.PathEscape(id) }
