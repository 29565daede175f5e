package order

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// Cart is an open cart: what a person wants to buy.
type Cart struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// UserID is uuid.Nil for a guest's cart.
	UserID uuid.UUID
	// Lines in the order they were added.
	Lines []CartLine
	// CreateTime is when it was opened.
	CreateTime time.Time
	// UpdateTime is when it last changed.
	UpdateTime time.Time
	// Version counts changes, so that a cart is ordered as it was seen.
	Version int64
}

// CartLine is the quantity of one product.
type CartLine struct {
	ProductID uuid.UUID
	Quantity  int32
}

// CartView is a cart with current products.
type CartView struct {
	Cart
	// Articles by product id; a product that is not sold any more has none.
	Articles map[uuid.UUID]Article
	// Subtotal at current prices in the currency of the first line; other currencies are left out.
	Subtotal money.Money
}

// CartStore keeps carts. Every change is one atomic statement, so that
// parallel changes all count; a cart that is not the owner's or not open is NotFound.
type CartStore interface {
	// OpenUserCart returns the user's open cart, or opens one with this id.
	OpenUserCart(ctx context.Context, id, userID uuid.UUID, now time.Time) (Cart, error)
	// OpenGuestCart opens a cart with this id, or returns it.
	OpenGuestCart(ctx context.Context, id uuid.UUID, guestTokenHash string, now time.Time) (Cart, error)
	// Cart returns an open cart.
	Cart(ctx context.Context, id uuid.UUID, owner Owner) (Cart, error)
	// AddCartLine adds pieces; repeating the same request adds none.
	AddCartLine(ctx context.Context, id uuid.UUID, owner Owner, line CartLine, requestID uuid.UUID, now time.Time) error
	// SetCartLine sets a quantity; 0 removes the line.
	SetCartLine(ctx context.Context, id uuid.UUID, owner Owner, line CartLine, requestID uuid.UUID, now time.Time) error
	// DeleteCart deletes a cart.
	DeleteCart(ctx context.Context, id uuid.UUID, owner Owner) error
	// PurgeCarts deletes up to limit guests' and closed carts untouched since the time, and returns how many.
	PurgeCarts(ctx context.Context, untouchedSince time.Time, limit int) (int, error)
	// MergeCart moves a guest's cart into the user's open one, once, and returns the latter.
	MergeCart(ctx context.Context, m CartMerge) (Cart, error)
}

// CartMerge moves the pieces of a guest's cart to a user.
type CartMerge struct {
	// GuestCartID and GuestTokenHash prove the guest's cart.
	GuestCartID    uuid.UUID
	GuestTokenHash string
	// UserID is who takes it over.
	UserID uuid.UUID
	// NewCartID is for the user's cart when none is open.
	NewCartID uuid.UUID
	// Now is the time of the change.
	Now time.Time
}

// CartInput names a cart, who asks, and a line.
type CartInput struct {
	// RequestID is the request's; its repetition has the same.
	RequestID uuid.UUID
	CartID    uuid.UUID
	Caller    Caller
	// Line to change.
	Line CartLine
}

func (c Cart) items() []Item {
	items := make([]Item, len(c.Lines))
	for i, line := range c.Lines {
		items[i] = Item(line)
	}
	return items
}

// CreateCart opens a cart, or returns the user's open one. A guest also gets
// the token that opens it.
func (s *Service) CreateCart(ctx context.Context, in CartInput) (CartView, string, error) {
	if !in.Caller.Anonymous() {
		cart, err := s.Carts.OpenUserCart(ctx, in.RequestID, in.Caller.UserID, s.now())
		if err != nil {
			return CartView{}, "", err
		}
		view, err := s.view(ctx, cart)
		return view, "", err
	}
	tokens := s.Tokens.GuestTokens(tokenCart, in.RequestID)
	given := tokens[0]
	cart, err := s.Carts.OpenGuestCart(ctx, in.RequestID, given.Hash, s.now())
	for i := 1; i < len(tokens) && isNotFound(err); i++ {
		given = tokens[i]
		cart, err = s.Carts.Cart(ctx, in.RequestID, Owner{GuestTokenHash: given.Hash})
	}
	if err != nil {
		return CartView{}, "", err
	}
	view, err := s.view(ctx, cart)
	return view, given.Token, err
}

// GetCart returns a cart with current prices and stock.
func (s *Service) GetCart(ctx context.Context, in CartInput) (CartView, error) {
	cart, err := s.ownCart(ctx, in)
	if err != nil {
		return CartView{}, err
	}
	return s.view(ctx, cart)
}

// AddCartItem adds pieces of a product that is sold.
func (s *Service) AddCartItem(ctx context.Context, in CartInput) (CartView, error) {
	if in.Line.Quantity < 1 || in.Line.Quantity > maxQuantity {
		return CartView{}, fault.Invalid("quantity", "must be between 1 and %d", maxQuantity)
	}
	return s.editCart(ctx, in, s.Carts.AddCartLine)
}

// SetCartItem sets the quantity of a product; 0 removes it.
func (s *Service) SetCartItem(ctx context.Context, in CartInput) (CartView, error) {
	if in.Line.Quantity < 0 || in.Line.Quantity > maxQuantity {
		return CartView{}, fault.Invalid("quantity", "must be between 0 and %d", maxQuantity)
	}
	return s.editCart(ctx, in, s.Carts.SetCartLine)
}

// editCart asks for the products before it writes: when they cannot be had,
// nothing is changed, so a client that tries again adds the pieces once.
func (s *Service) editCart(
	ctx context.Context, in CartInput,
	edit func(context.Context, uuid.UUID, Owner, CartLine, uuid.UUID, time.Time) error,
) (CartView, error) {
	before, err := s.ownCart(ctx, in)
	if err != nil {
		return CartView{}, err
	}
	articles, err := s.articles(ctx, before, in.Line.ProductID)
	if err != nil {
		return CartView{}, err
	}
	if _, sold := articles[in.Line.ProductID]; !sold && in.Line.Quantity > 0 {
		return CartView{}, notFound("product", in.Line.ProductID.String())
	}
	if in.Line.Quantity > 0 && !before.holds(in.Line.ProductID) && len(before.Lines) >= maxItems {
		return CartView{}, ErrCartFull
	}
	if err := edit(ctx, in.CartID, in.Caller.self(), in.Line, in.RequestID, s.now()); err != nil {
		return CartView{}, err
	}
	after, err := s.ownCart(ctx, in)
	if err != nil {
		return CartView{}, err
	}
	return after.with(articles, s.Currency), nil
}

// DeleteCart throws a cart away.
func (s *Service) DeleteCart(ctx context.Context, in CartInput) error {
	if _, err := in.Caller.owner(); err != nil {
		return err
	}
	return s.Carts.DeleteCart(ctx, in.CartID, in.Caller.self())
}

// MergeCart moves a guest's cart into the caller's after login, summing
// quantities. Only a guest's cart whose token is shown can be merged, and only
// once; repeating it answers with the caller's cart.
func (s *Service) MergeCart(ctx context.Context, in CartInput) (CartView, error) {
	cart, err := s.Carts.MergeCart(ctx, CartMerge{
		GuestCartID: in.CartID, GuestTokenHash: in.Caller.GuestTokenHash,
		UserID: in.Caller.UserID, NewCartID: in.RequestID, Now: s.now(),
	})
	if err != nil {
		return CartView{}, err
	}
	return s.view(ctx, cart)
}

// cartMemory is how long a guest's cart, or one that became an order, is kept.
const cartMemory = 60 * 24 * time.Hour

// PurgeCarts throws away what nobody comes back for: a guest has no account that could hold it.
func (s *Service) PurgeCarts(ctx context.Context) error {
	for {
		n, err := s.Carts.PurgeCarts(ctx, s.now().Add(-cartMemory), sweepBatch)
		if err != nil || n < sweepBatch {
			return err
		}
	}
}

func (s *Service) ownCart(ctx context.Context, in CartInput) (Cart, error) {
	if _, err := in.Caller.owner(); err != nil {
		return Cart{}, err
	}
	return s.Carts.Cart(ctx, in.CartID, in.Caller.self())
}

func (s *Service) view(ctx context.Context, cart Cart) (CartView, error) {
	articles, err := s.articles(ctx, cart)
	if err != nil {
		return CartView{}, err
	}
	return cart.with(articles, s.Currency), nil
}

// articles looks up all products of a cart in one call.
func (s *Service) articles(ctx context.Context, cart Cart, more ...uuid.UUID) (map[uuid.UUID]Article, error) {
	ids := make([]uuid.UUID, 0, len(cart.Lines)+len(more))
	for _, line := range cart.Lines {
		ids = append(ids, line.ProductID)
	}
	for _, id := range more {
		if !cart.holds(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return map[uuid.UUID]Article{}, nil
	}
	return s.Stock.Articles(ctx, ids)
}

func (c Cart) holds(productID uuid.UUID) bool {
	for _, line := range c.Lines {
		if line.ProductID == productID {
			return true
		}
	}
	return false
}

func (c Cart) with(articles map[uuid.UUID]Article, currency string) CartView {
	view := CartView{Cart: c, Articles: articles, Subtotal: money.Zero(currency)}
	first := true
	for _, line := range c.Lines {
		article, sold := articles[line.ProductID]
		if !sold {
			continue
		}
		if first {
			view.Subtotal, first = money.Zero(article.Price.CurrencyCode), false
		}
		amount, err := article.Price.Mul(int64(line.Quantity))
		if err != nil {
			continue
		}
		if sum, err := view.Subtotal.Add(amount); err == nil {
			view.Subtotal = sum
		}
	}
	return view
}
