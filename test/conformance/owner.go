package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/test/shop"
)

var ownerCases = []Case{
	{
		Trap: 22, Name: "registering-a-guests-address-shows-no-orders", Needs: Needs{Admin: true, Development: true}, Run: guestAddress,
		Rule: "Whoever registers the address of a guest sees and changes none of the guest's orders.",
	},
	{
		Trap: 23, Name: "what-is-not-yours-is-not-found", Needs: Needs{Admin: true, Development: true}, Run: notYours,
		Rule: "Orders, payments, invoices, carts, sessions, addresses and users of others answer exactly as unknown ones do.",
	},
}

func guestAddress(ctx context.Context, s *Session) error {
	product, err := s.product(ctx, "guest's", 900, 10)
	if err != nil {
		return err
	}
	email := shop.NewEmail()
	b, err := s.buyWith(ctx, map[string]any{"items": items(line{product, 1}), "email": email})
	if err != nil {
		return err
	}
	person, err := s.Guest.Register(ctx, email)
	if err != nil {
		return err
	}
	orders, err := person.Must(ctx, http.MethodGet, "/api/v1/orders", nil)
	if err != nil {
		return err
	}
	if orders.Len("orders") != 0 {
		return errors.New("the registered person sees the guest's order")
	}
	for _, caller := range []*shop.Shop{person.Shop, s.Guest, s.Guest.AsGuest(newKey())} {
		if err := hidden(ctx, caller, b.ID); err != nil {
			return err
		}
	}
	return okay(send(ctx, b.Shop, http.MethodGet, "/api/v1/orders/"+b.ID, nil))
}

// hidden wants an order to be unknown to a caller in every way.
func hidden(ctx context.Context, caller *shop.Shop, orderID string) error {
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/api/v1/orders/" + orderID, nil},
		{http.MethodGet, "/api/v1/orders/" + orderID + "/events", nil},
		{http.MethodPost, "/api/v1/orders/" + orderID + ":cancel", map[string]any{"reason": "not mine"}},
		{http.MethodPost, "/api/v1/billing/payments", map[string]any{"orderId": orderID, "paymentMethod": "pm_card_visa"}},
	} {
		answer, err := send(ctx, caller, r.method, r.path, r.body)
		if err != nil {
			return err
		}
		if answer.Status == http.StatusUnauthorized && caller.Token == "" && caller.GuestToken == "" {
			continue // nobody at all is told to say who he is, whether or not there is an order
		}
		if err := refusal(answer, http.StatusNotFound, "NOT_FOUND"); err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	return nil
}

func notYours(ctx context.Context, s *Session) error {
	owner, err := s.person(ctx)
	if err != nil {
		return err
	}
	stranger, err := s.person(ctx)
	if err != nil {
		return err
	}
	product, err := s.product(ctx, "not yours", 900, 10)
	if err != nil {
		return err
	}
	placed, err := send(ctx, owner.Shop, http.MethodPost, "/api/v1/orders", map[string]any{"items": items(line{product, 1})})
	if err := okay(placed, err); err != nil {
		return err
	}
	order := placed.String("order", "id")
	if err := hidden(ctx, stranger.Shop, order); err != nil {
		return err
	}
	cart, err := send(ctx, owner.Shop, http.MethodPost, "/api/v1/carts", map[string]any{})
	if err := okay(cart, err); err != nil {
		return err
	}
	sessions, err := owner.Must(ctx, http.MethodGet, "/api/v1/auth/sessions", nil)
	if err != nil {
		return err
	}
	address, err := owner.Must(ctx, http.MethodPost, "/api/v1/users/me/addresses", map[string]any{"address": germany})
	if err != nil {
		return err
	}
	cartPath := "/api/v1/carts/" + cart.String("cart", "id")
	reads := []foreign{
		{http.MethodGet, cartPath, nil},
		{http.MethodPost, cartPath + "/items", map[string]any{"productId": product, "quantity": 1}},
		{http.MethodPatch, cartPath + "/items/" + product, map[string]any{"quantity": 1}},
		{http.MethodDelete, cartPath, nil},
		{http.MethodPost, cartPath + ":merge", map[string]any{}},
		{http.MethodDelete, "/api/v1/auth/sessions/" + sessions.String("sessions", 0, "id"), nil},
		{http.MethodDelete, "/api/v1/users/me/addresses/" + addressID(address), nil},
	}
	if s.Stripe != nil {
		more, err := s.paidThings(ctx, owner, order)
		if err != nil {
			return err
		}
		reads = append(reads, more...)
	}
	for _, r := range reads {
		if err := r.likeUnknown(ctx, stranger.Shop); err != nil {
			return err
		}
	}
	if _, err := owner.Must(ctx, http.MethodGet, cartPath, nil); err != nil {
		return fmt.Errorf("the owner after the stranger's tries: %w", err)
	}
	return s.alive(ctx, owner.Token)
}

// addressID finds the id in the answer to a new address.
func addressID(a *shop.Answer) string {
	if id := a.String("address", "id"); id != "" {
		return id
	}
	return a.String("id")
}

// foreign is a request for something of somebody else.
type foreign struct {
	method, path string
	body         any
}

// likeUnknown wants the answer to be the one for an id that does not exist.
func (f foreign) likeUnknown(ctx context.Context, caller *shop.Shop) error {
	answer, err := send(ctx, caller, f.method, f.path, f.body)
	if err != nil {
		return err
	}
	if err := refusal(answer, http.StatusNotFound, "NOT_FOUND"); err != nil {
		return fmt.Errorf("%s %s of somebody else: %w", f.method, f.path, err)
	}
	return nil
}

// paidThings pays the order and names what came of it.
func (s *Session) paidThings(ctx context.Context, owner *shop.Person, order string) ([]foreign, error) {
	b := &buyer{Shop: owner.Shop, ID: order}
	payment, err := b.paid(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.documented(ctx, order, 0); err != nil {
		return nil, err
	}
	invoices, err := owner.Must(ctx, http.MethodGet, "/api/v1/billing/invoices"+shop.Query("orderId", order), nil)
	if err != nil {
		return nil, err
	}
	invoice := invoices.String("invoices", 0, "id")
	if _, err := uuid.Parse(invoice); err != nil {
		return nil, fmt.Errorf("the owner does not see his invoice: %s", brief(invoices))
	}
	return []foreign{
		{http.MethodGet, "/api/v1/billing/payments/" + payment, nil},
		{http.MethodGet, "/api/v1/billing/invoices/" + invoice, nil},
		{http.MethodGet, "/api/v1/billing/invoices/" + invoice + "/pdf", nil},
	}, nil
}
