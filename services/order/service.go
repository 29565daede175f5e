package order

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Stock reserves goods. Every call is idempotent by order id. ErrStockGone
// says that a reservation ended; other refusals are faults for the caller.
type Stock interface {
	// Reserve holds all items until expire or none, and returns them as they are sold now, in the order asked.
	Reserve(ctx context.Context, orderID uuid.UUID, items []Item, expire time.Time) ([]Goods, error)
	// Extend moves the end of a live reservation later.
	Extend(ctx context.Context, orderID uuid.UUID, expire time.Time) error
	// Commit turns a live reservation into a sale.
	Commit(ctx context.Context, orderID uuid.UUID) error
	// Release gives reserved or sold goods back.
	Release(ctx context.Context, orderID uuid.UUID, reason string) error
	// Articles returns the products among ids that are sold now, in one call.
	Articles(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Article, error)
}

// Purse gives money back.
type Purse interface {
	// Refund gives back everything paid for an order, and what is paid later. Idempotent by order id.
	Refund(ctx context.Context, orderID uuid.UUID, reason string) error
}

// Accounts knows users.
type Accounts interface {
	// Email returns the address of a user.
	Email(ctx context.Context, userID uuid.UUID) (string, error)
}

// Tokens makes guest tokens.
type Tokens interface {
	// GuestTokens returns the secret of a guest's order or cart first. It is the
	// same each time, so that a request that was cut off and repeated hands out a
	// token that works; those behind it are what it was before the key was
	// changed from which it is derived.
	GuestTokens(kind string, id uuid.UUID) []GuestToken
}

// GuestToken is the secret that opens a guest's order or cart.
type GuestToken struct {
	// Token is what the guest has, Hash its hex SHA-256, which is stored.
	Token, Hash string
}

// Meter counts what happens to orders.
type Meter interface {
	// Moved counts a change of state; from is "" for a new order.
	Moved(from, to Status)
	// Failed counts a step of the saga that failed, such as "reserve".
	Failed(step string)
}

// OrderStore keeps orders.
type OrderStore interface {
	// InTx runs body in one transaction; body may run more than once.
	InTx(ctx context.Context, body func(ctx context.Context, tx Tx) error) error
	// Place writes an order with its lines, history, event, coupon use and cart
	// in one transaction, and returns its number. It writes nothing and returns
	// created false when the id exists. It fails with ErrCouponUsedUp or
	// ErrCartChanged.
	Place(ctx context.Context, p Placement) (number int64, created bool, err error)
	// Order returns an order the owner may see, or NotFound.
	Order(ctx context.Context, id uuid.UUID, owner Owner) (Order, error)
	// Orders returns orders with their lines, newest first, in a fixed number of queries.
	Orders(ctx context.Context, q OrderQuery) ([]Order, error)
	// History returns an order's steps, oldest first.
	History(ctx context.Context, orderID uuid.UUID) ([]Step, error)
	// Unpaid returns PENDING orders that cost nothing.
	Unpaid(ctx context.Context, limit int) ([]uuid.UUID, error)
}

// Tx is one transaction over orders.
type Tx interface {
	// Once tells whether the subscriber sees the event for the first time.
	Once(ctx context.Context, subscriber string, eventID uuid.UUID) (bool, error)
	// Lock returns an order the owner may see and holds it until the end, or NotFound.
	Lock(ctx context.Context, id uuid.UUID, owner Owner) (Order, error)
	// Due returns and holds PENDING orders whose time is up, passing over those others hold.
	Due(ctx context.Context, now time.Time, limit int) ([]Order, error)
	// Save writes status, hold, refunded, tracking number and cancel reason of
	// an order that was locked at o.Version−1 in the state from.
	Save(ctx context.Context, o Order, from Status) error
	// Append adds steps to the history; a step whose key is known is left out.
	Append(ctx context.Context, steps ...Step) error
	// Payment returns what is known of a payment of the order; its zero Status means nothing.
	Payment(ctx context.Context, orderID, paymentID uuid.UUID) (Payment, error)
	// SavePayment writes a payment.
	SavePayment(ctx context.Context, p Payment) error
	// Payments counts payments of the order that are under way and sums what went back of all.
	Payments(ctx context.Context, orderID uuid.UUID) (underWay int, refunded int64, err error)
	// ReturnCoupon takes back the order's coupon use, if it has one.
	ReturnCoupon(ctx context.Context, orderID uuid.UUID) error
	// Erase removes a user's personal data from orders, carts and coupon uses.
	Erase(ctx context.Context, userID uuid.UUID, now time.Time) error
	// Tell publishes facts with the transaction.
	Tell(ctx context.Context, facts ...Fact) error
	// Enqueue keeps errands with the transaction.
	Enqueue(ctx context.Context, errands ...Errand) error
}

// Article is a product as it is sold now.
type Article struct {
	// Name of the product.
	Name string
	// Price is the net price of one piece.
	Price money.Money
	// Available is the number of pieces that can be ordered.
	Available int32
}

// Settings are the terms of the shop.
type Settings struct {
	// ReservationTTL is how long a PENDING order waits for its payment.
	ReservationTTL time.Duration
	// PaymentHold is how long an order waits for a payment that was started.
	PaymentHold time.Duration
	// Rates are taxes and shipping.
	Rates Rates
	// Currency is the shop's, for what has no amount yet.
	Currency string
}

// Config is what a Service needs.
type Config struct {
	Orders   OrderStore
	Carts    CartStore
	Coupons  CouponStore
	Stock    Stock
	Purse    Purse
	Accounts Accounts
	Tokens   Tokens
	Meter    Meter
	Logger   *slog.Logger
	// Now is the clock.
	Now func() time.Time
	Settings
}

// Validate tells what is missing.
func (c Config) Validate() error {
	switch {
	case c.Orders == nil, c.Carts == nil, c.Coupons == nil:
		return errors.New("order: a store is missing")
	case c.Stock == nil, c.Purse == nil, c.Accounts == nil:
		return errors.New("order: an upstream is missing")
	case c.Tokens == nil, c.Meter == nil, c.Logger == nil, c.Now == nil:
		return errors.New("order: tokens, meter, logger or clock is missing")
	case c.ReservationTTL <= 0 || c.PaymentHold <= 0:
		return errors.New("order: reservation TTL and payment hold must be positive")
	}
	return nil
}

// Service places, moves and shows orders. It is safe for concurrent use.
type Service struct {
	Config
}

// New returns a service, or an error that says what the configuration lacks.
func New(config Config) (*Service, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Service{Config: config}, nil
}

// now is cut to what the database keeps, so that an order reads the same as it was answered.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
