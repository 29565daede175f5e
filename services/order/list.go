package order

import (
	"context"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// ListInput asks for a page of orders.
type ListInput struct {
	Caller Caller
	// Status restricts to one state; "" means all.
	Status Status
	// UserID restricts to one user's; administrators only, unless it is the caller.
	UserID uuid.UUID
	// All asks for everybody's; administrators only.
	All bool
	// Text is part of a number or an address; administrators only.
	Text string
	// Size of the page; 0 means 20, at most 100.
	Size int
	// Before is the number after which the last page ended; 0 starts at the newest.
	Before int64
}

// OrderQuery is what a store is asked for.
type OrderQuery struct {
	Owner  Owner
	Status Status
	UserID uuid.UUID
	Text   string
	Limit  int
	Before int64
}

// OrderPage is one page of orders, newest first.
type OrderPage struct {
	Orders []Order
	// Next is the Before of the next page, 0 on the last.
	Next int64
}

// Get returns one of the caller's orders. Another's is NotFound, as one that does not exist.
func (s *Service) Get(ctx context.Context, id uuid.UUID, caller Caller) (Order, error) {
	owner, err := caller.owner()
	if err != nil {
		return Order{}, err
	}
	return s.Orders.Order(ctx, id, owner)
}

// List returns the caller's orders, newest first; administrators may ask for others'.
func (s *Service) List(ctx context.Context, in ListInput) (OrderPage, error) {
	query, err := in.query()
	if err != nil {
		return OrderPage{}, err
	}
	orders, err := s.Orders.Orders(ctx, query)
	if err != nil {
		return OrderPage{}, err
	}
	page := OrderPage{Orders: orders}
	if size := query.Limit - 1; len(orders) > size {
		page.Orders = orders[:size]
		page.Next = page.Orders[size-1].Number
	}
	return page, nil
}

// query asks for one order more than the page, to know whether there is another page.
func (in ListInput) query() (OrderQuery, error) {
	if in.Caller.Anonymous() {
		return OrderQuery{}, fault.AuthFailed("log in to list orders")
	}
	foreign := in.All || in.Text != "" || (in.UserID != uuid.Nil && in.UserID != in.Caller.UserID)
	if foreign && !in.Caller.Admin {
		return OrderQuery{}, fault.Unauthorized("only administrators list other people's orders")
	}
	size := in.Size
	if size <= 0 {
		size = defaultPage
	}
	query := OrderQuery{
		// A guest token shown beside a login opens single orders, not the list.
		Owner:  Owner{UserID: in.Caller.UserID},
		Status: in.Status, UserID: in.UserID, Text: in.Text, Limit: min(size, maxPage) + 1, Before: in.Before,
	}
	if foreign {
		query.Owner = Owner{Everyone: true}
	}
	return query, nil
}

// History returns the steps of one of the caller's orders, oldest first.
func (s *Service) History(ctx context.Context, id uuid.UUID, caller Caller) ([]Step, error) {
	if _, err := s.Get(ctx, id, caller); err != nil {
		return nil, err
	}
	return s.Orders.History(ctx, id)
}
