package order

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	maxItems    = 200
	maxQuantity = 10_000
	// reservationGrace keeps goods a little longer than their order can be paid: were
	// they to end together, they could be sold again under a payment that still counts.
	reservationGrace = 2 * time.Minute
	// tokenOrder and tokenCart keep the tokens of orders and carts apart.
	tokenOrder = "order"
	tokenCart  = "cart"
)

// Item asks for pieces of one product.
type Item struct {
	ProductID uuid.UUID
	Quantity  int32
}

// PlaceInput asks for an order.
type PlaceInput struct {
	// ID of the request; its repetition has the same.
	ID uuid.UUID
	// Caller is a user or a guest.
	Caller Caller
	// Items to order, or none with CartID.
	Items []Item
	// CartID is the cart to order instead of items, or uuid.Nil.
	CartID uuid.UUID
	// ShippingAddress may be nil.
	ShippingAddress *Address
	// CouponCode may be "".
	CouponCode string
	// Email of a guest; ignored for users.
	Email string
}

// Placement is everything that is written when an order is placed.
type Placement struct {
	// Order without its number.
	Order Order
	// Step is the first row of the history.
	Step Step
	// Coupon that is used, or nil.
	Coupon *Coupon
	// Cart that is closed, or nil. Its version must not have moved.
	Cart *Cart
}

// Receipt answers an order that was placed.
type Receipt struct {
	Order Order
	// GuestToken is "" for users.
	GuestToken string
}

// Validate checks and normalizes the input; the fault names the field.
func (in *PlaceInput) Validate() error {
	in.CouponCode = normalizeCode(in.CouponCode)
	in.Email = strings.TrimSpace(in.Email)
	if in.CartID != uuid.Nil && len(in.Items) > 0 {
		return fault.Invalid("cartId", "order either items or a cart")
	}
	if in.CartID == uuid.Nil && len(in.Items) == 0 {
		return fault.Invalid("items", "an order needs at least one item")
	}
	if in.Caller.Anonymous() {
		if in.Email == "" {
			return fault.Invalid("email", "a guest needs an email address")
		}
		if address, err := mail.ParseAddress(in.Email); err != nil || address.Address != in.Email {
			return fault.Invalid("email", "Email address is invalid").WithField("email", in.Email)
		}
	}
	var err error
	in.Items, err = sumItems(in.Items)
	return err
}

// sumItems sums the pieces of each product: demand that is checked line by line
// sells the last piece twice.
func sumItems(items []Item) ([]Item, error) {
	if len(items) > maxItems {
		return nil, fault.Invalid("items", "an order holds at most %d items", maxItems)
	}
	place := make(map[uuid.UUID]int, len(items))
	sums := make([]Item, 0, len(items))
	for i, item := range items {
		field := fmt.Sprintf("items[%d].quantity", i)
		if item.Quantity < 1 || item.Quantity > maxQuantity {
			return nil, fault.Invalid(field, "must be between 1 and %d", maxQuantity)
		}
		at, known := place[item.ProductID]
		if !known {
			place[item.ProductID] = len(sums)
			sums = append(sums, item)
			continue
		}
		if sums[at].Quantity += item.Quantity; sums[at].Quantity > maxQuantity {
			return nil, fault.Invalid(field, "at most %d pieces of a product can be ordered", maxQuantity)
		}
	}
	return sums, nil
}

// Place reserves the goods and writes the order. A repetition under the same id
// returns the order of the first run, wherever that run was cut off.
func (s *Service) Place(ctx context.Context, in PlaceInput) (Receipt, error) {
	if err := in.Validate(); err != nil {
		return Receipt{}, err
	}
	receipt, reserved, err := s.place(ctx, in)
	if err != nil {
		// The first run may have used up the cart, the coupon or the stock.
		again, lookup := s.repeated(ctx, in)
		if lookup == nil {
			return again, nil
		}
		if reserved && isNotFound(lookup) && refused(err) {
			s.release(ctx, in.ID, "order not placed")
		}
		return Receipt{}, err
	}
	if receipt.Order.Total == 0 && receipt.Order.Status == StatusPending {
		return s.confirmFree(ctx, receipt), nil
	}
	return receipt, nil
}

// refused tells whether err is certain to have written no order: a refusal
// rolls the transaction back. After a lost connection the order may exist, and
// releasing would sell its goods twice; then the reservation's own end is the
// backstop.
func refused(err error) bool {
	f := fault.From(err)
	return f != nil && f.Kind != fault.KindUnavailable && f.Kind != fault.KindInternal
}

func isNotFound(err error) bool {
	f := fault.From(err)
	return f != nil && f.Kind == fault.KindNotFound
}

// draft is an order before its goods are known.
type draft struct {
	items  []Item
	email  string
	coupon *Coupon
	cart   *Cart
}

// draft finds everything that can be refused before stock is touched.
func (s *Service) draft(ctx context.Context, in PlaceInput) (draft, error) {
	d := draft{items: in.Items}
	if in.CartID != uuid.Nil {
		cart, err := s.Carts.Cart(ctx, in.CartID, in.Caller.self())
		if err != nil {
			return d, err
		}
		if len(cart.Lines) == 0 {
			return d, fault.Invalid("cartId", "the cart is empty")
		}
		d.cart, d.items = &cart, cart.items()
	}
	if in.CouponCode != "" {
		coupon, err := s.Coupons.CouponByCode(ctx, in.CouponCode)
		if err != nil {
			return d, err
		}
		if err := coupon.Usable(s.now()); err != nil {
			return d, err
		}
		d.coupon = &coupon
	}
	var err error
	d.email, err = s.email(ctx, in)
	return d, err
}

func (s *Service) email(ctx context.Context, in PlaceInput) (string, error) {
	switch {
	case in.Caller.Anonymous():
		return in.Email, nil
	case in.Caller.Email != "":
		return in.Caller.Email, nil
	default:
		return s.Accounts.Email(ctx, in.Caller.UserID)
	}
}

// place reserves, prices and writes. It tells whether goods were reserved.
func (s *Service) place(ctx context.Context, in PlaceInput) (receipt Receipt, reserved bool, err error) {
	d, err := s.draft(ctx, in)
	if err != nil {
		return Receipt{}, false, err
	}
	now := s.now()
	expire := now.Add(s.ReservationTTL)
	goods, err := s.Stock.Reserve(ctx, in.ID, d.items, expire.Add(reservationGrace))
	if err != nil {
		s.Meter.Failed("reserve")
		return Receipt{}, false, err
	}
	quote, err := Price(goods, d.coupon, s.Rates, in.ShippingAddress)
	if err != nil {
		return Receipt{}, true, err
	}
	receipt.Order = assemble(in, d, quote, now, expire)
	if in.Caller.Anonymous() {
		given := s.Tokens.GuestTokens(tokenOrder, in.ID)[0]
		receipt.GuestToken, receipt.Order.GuestTokenHash = given.Token, given.Hash
	}
	number, created, err := s.Orders.Place(ctx, Placement{
		Order: receipt.Order, Coupon: d.coupon, Cart: d.cart,
		Step: s.step(receipt.Order, StepPlaced, "", in.Caller.placer(), "Order placed"),
	})
	if err != nil {
		s.Meter.Failed("write")
		return Receipt{}, true, err
	}
	if !created {
		receipt, err = s.repeated(ctx, in)
		return receipt, false, err
	}
	receipt.Order.Number = number
	s.Meter.Moved("", StatusPending)
	return receipt, true, nil
}

func assemble(in PlaceInput, d draft, quote Quote, now, expire time.Time) Order {
	order := Order{
		ID: in.ID, UserID: in.Caller.UserID, Email: d.email, Status: StatusPending,
		Currency: quote.Currency, Amounts: quote.Amounts, Lines: quote.Lines,
		ShippingAddress: in.ShippingAddress, CreateTime: now, UpdateTime: now, ExpireTime: expire, Version: 1,
	}
	if d.coupon != nil {
		order.CouponID, order.CouponCode = d.coupon.ID, d.coupon.Code
	}
	return order
}

// repeated answers with what an earlier run wrote. When that order has ended,
// this run's reservation must not outlive it.
func (s *Service) repeated(ctx context.Context, in PlaceInput) (Receipt, error) {
	receipt := Receipt{}
	order, err := s.written(ctx, in, &receipt)
	if err != nil {
		return Receipt{}, err
	}
	if order.Status.Undone() {
		s.release(ctx, order.ID, "order "+strings.ToLower(string(order.Status)))
	}
	receipt.Order = order
	return receipt, nil
}

// release runs also for a caller who went away. What fails ends by its time to live.
func (s *Service) release(ctx context.Context, id uuid.UUID, reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.Stock.Release(ctx, id, reason); err != nil {
		s.Meter.Failed("release")
		s.Logger.WarnContext(ctx, "reservation not released, it ends by itself", "order_id", id, "error", err)
	}
}

// written is the order that an earlier run wrote. A guest's token may be derived
// from a key that is no longer the first.
func (s *Service) written(ctx context.Context, in PlaceInput, receipt *Receipt) (order Order, err error) {
	owner := in.Caller.self()
	if !in.Caller.Anonymous() {
		return s.Orders.Order(ctx, in.ID, owner)
	}
	for _, given := range s.Tokens.GuestTokens(tokenOrder, in.ID) {
		receipt.GuestToken, owner.GuestTokenHash = given.Token, given.Hash
		if order, err = s.Orders.Order(ctx, in.ID, owner); !isNotFound(err) {
			break
		}
	}
	return order, err
}
