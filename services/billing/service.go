package billing

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Owner restricts a query to what one caller owns. Its zero value owns nothing.
type Owner struct {
	// UserID owns what a user paid.
	UserID uuid.UUID
	// GuestTokenHash owns what was paid with that token.
	GuestTokenHash string
	// Everyone lifts the restriction, for administrators.
	Everyone bool
}

// Owns tells whether the payment is the owner's own.
func (o Owner) Owns(p Payment) bool {
	switch {
	case p.UserID != uuid.Nil:
		return p.UserID == o.UserID
	default:
		return p.GuestTokenHash != "" && p.GuestTokenHash == o.GuestTokenHash
	}
}

// Filter chooses a page of a list, newest first.
type Filter struct {
	Owner Owner
	// OrderID narrows the list; uuid.Nil does not.
	OrderID uuid.UUID
	// AfterTime and AfterID are of the last row of the page before.
	AfterTime time.Time
	AfterID   uuid.UUID
	Limit     int
}

// WebhookEvent is an event of the provider, as it waits to be handled.
type WebhookEvent struct {
	ID, Type, IntentID string
	Attempts           int
	LastError          string
	NextPollTime       time.Time
	CreateTime         time.Time
}

// Queue names a table whose rows wait to be worked on.
type Queue string

// The queues.
const (
	QueuePayments     Queue = "payment"
	QueueRefunds      Queue = "refund"
	QueueRefundOrders Queue = "refund_order"
	QueueWebhooks     Queue = "webhook_event"
)

// Store keeps what billing knows.
type Store interface { //nolint:interfacebloat // one store behind one domain, which uses all of it
	// InTx runs body in one transaction, again when the database asks for it.
	InTx(ctx context.Context, body func(ctx context.Context, tx Tx) error) error
	// Payment returns a payment that the owner owns, or a NotFound fault.
	Payment(ctx context.Context, id uuid.UUID, owner Owner) (Payment, error)
	// PaymentByIntent returns the payment that has the intent; false when there is none.
	PaymentByIntent(ctx context.Context, intentID string) (Payment, bool, error)
	// LivePayment returns the payment of an order that can take or took money; false when there is none.
	LivePayment(ctx context.Context, orderID uuid.UUID) (Payment, bool, error)
	// Payments returns a page of payments.
	Payments(ctx context.Context, filter Filter) ([]Payment, error)
	// OrderPayments returns all payments of an order, oldest first.
	OrderPayments(ctx context.Context, orderID uuid.UUID) ([]Payment, error)
	// Refund returns a refund, or a NotFound fault.
	Refund(ctx context.Context, id uuid.UUID) (Refund, error)
	// PaymentRefunds returns the refunds of a payment, oldest first.
	PaymentRefunds(ctx context.Context, paymentID uuid.UUID) ([]Refund, error)
	// OrderRefunds returns the refunds of an order, oldest first.
	OrderRefunds(ctx context.Context, orderID uuid.UUID) ([]Refund, error)
	// RefundOrder returns the decision to give everything of an order back; false when there is none.
	RefundOrder(ctx context.Context, orderID uuid.UUID) (RefundOrder, bool, error)
	// SaveRefundOrder stores when the decision is looked at again; zero is never.
	SaveRefundOrder(ctx context.Context, orderID uuid.UUID, next time.Time) error
	// AddWebhook stores an event unless it is known; it tells whether it was new.
	AddWebhook(ctx context.Context, event WebhookEvent) (bool, error)
	// Webhook returns a stored event.
	Webhook(ctx context.Context, id string) (WebhookEvent, error)
	// SaveWebhook stores attempts, error and time of a stored event.
	SaveWebhook(ctx context.Context, event WebhookEvent) error
	// Claim leases rows that are due to the caller and returns their ids.
	Claim(ctx context.Context, queue Queue, now time.Time, lease time.Duration, limit int) ([]string, error)
	// Invoice returns a document that the owner owns, or a NotFound fault.
	Invoice(ctx context.Context, id uuid.UUID, owner Owner) (Invoice, error)
	// Invoices returns a page of documents.
	Invoices(ctx context.Context, filter Filter) ([]Invoice, error)
	// Profile returns a user's profile; one of version 0 when there is none.
	Profile(ctx context.Context, userID uuid.UUID) (Profile, error)
	// SaveProfile writes a profile whose stored version is one less, or fails with a Stale fault.
	SaveProfile(ctx context.Context, profile Profile) error
	// Erase removes the profile of a user and his traces in the rest.
	Erase(ctx context.Context, subscriber, eventID string, userID uuid.UUID) error
	// Purge forgets webhooks that were handled and came before a time.
	Purge(ctx context.Context, before time.Time) error
}

// Tx is one transaction. Payments are locked before their refunds.
type Tx interface {
	// Once tells whether the subscriber sees the event for the first time.
	Once(ctx context.Context, subscriber, eventID string) (bool, error)
	// LockPayment returns a payment and keeps others from changing it.
	LockPayment(ctx context.Context, id uuid.UUID) (Payment, error)
	// InsertPayment fails with ErrInProgress when the order has a live payment.
	InsertPayment(ctx context.Context, p Payment) error
	// SavePayment stores everything of a locked payment that may change.
	SavePayment(ctx context.Context, p Payment) error
	// OtherLive tells whether another payment of the order is live.
	OtherLive(ctx context.Context, p Payment) (bool, error)
	// RefundOrder returns the decision to give everything of an order back.
	RefundOrder(ctx context.Context, orderID uuid.UUID) (RefundOrder, bool, error)
	// AddRefundOrder stores the decision unless it is known.
	AddRefundOrder(ctx context.Context, decision RefundOrder) error
	// LockRefund returns a refund and keeps others from changing it; false when there is none.
	LockRefund(ctx context.Context, id uuid.UUID) (Refund, bool, error)
	// LockProviderRefund finds a refund by the provider's id.
	LockProviderRefund(ctx context.Context, providerID string) (Refund, bool, error)
	// InsertRefund stores a refund.
	InsertRefund(ctx context.Context, r Refund) error
	// SaveRefund stores everything of a locked refund that may change.
	SaveRefund(ctx context.Context, r Refund) error
	// LockDocuments lets one transaction at a time write documents of an order.
	LockDocuments(ctx context.Context, orderID uuid.UUID) error
	// Documents returns the invoice of an order, if there is one, and its credit notes.
	Documents(ctx context.Context, orderID uuid.UUID) (invoice Invoice, issued bool, notes []Invoice, err error)
	// SucceededRefunds returns the refunds of an order that went through, oldest first.
	SucceededRefunds(ctx context.Context, orderID uuid.UUID) ([]Refund, error)
	// NextNumber takes the next number of a series; it is given back when the transaction fails.
	NextNumber(ctx context.Context, series string) (int64, error)
	// InsertInvoice stores a document.
	InsertInvoice(ctx context.Context, document Invoice) error
	// Tell publishes facts with the transaction.
	Tell(ctx context.Context, facts ...Fact) error
}

// PayInput asks for money. It holds nothing that could differ at a repetition.
type PayInput struct {
	PaymentID, OrderID                   uuid.UUID
	OrderNumber                          string
	Amount                               money.Money
	PaymentMethod, CustomerID, ReturnURL string
}

// ConfirmInput asks for the money of an intent again, without the customer.
type ConfirmInput struct {
	IntentID, PaymentMethod, ReturnURL string
	// Attempt counts the tries; each is a call of its own.
	Attempt int
}

// RefundInput gives money back.
type RefundInput struct {
	RefundID uuid.UUID
	IntentID string
	Amount   money.Money
	// Whole leaves the amount to the provider: all it holds.
	Whole bool
}

// Provider is the payment provider. A refusal by the customer's bank is no
// error but an Intent that says so; every error is a *ProviderError. The same
// call may be repeated and has one effect.
type Provider interface {
	// Pay creates an intent and confirms it.
	Pay(ctx context.Context, in PayInput) (Intent, error)
	// Confirm tries to collect an intent again with a stored method.
	Confirm(ctx context.Context, in ConfirmInput) (Intent, error)
	// Intent returns an intent.
	Intent(ctx context.Context, id string) (Intent, error)
	// Find looks for the intent of a payment among those created around a time; Missing when there is none.
	Find(ctx context.Context, paymentID uuid.UUID, created time.Time) (Intent, error)
	// Cancel ends an intent and returns what it is now, which is not CANCELED when it was too late.
	Cancel(ctx context.Context, id string) (Intent, error)
	// Refund gives money back.
	Refund(ctx context.Context, in RefundInput) (ProviderRefund, error)
	// Refunds returns the refunds of an intent.
	Refunds(ctx context.Context, intentID string) ([]ProviderRefund, error)
	// Customer creates a customer for the user, once.
	Customer(ctx context.Context, userID uuid.UUID, email string) (string, error)
	// Attach lets a customer's method be charged again and returns the id under which it is kept.
	Attach(ctx context.Context, customerID, method string) (string, error)
	// Forget deletes a customer with his methods; one that is gone already is no error.
	Forget(ctx context.Context, customerID string) error
}

// Due is what is owed for an order.
type Due struct {
	Amount     money.Money
	Number     string
	Email      string
	ExpireTime time.Time
}

// Orders is the owner of orders.
type Orders interface {
	// Begin holds the order open for the payment and tells what is owed.
	Begin(ctx context.Context, orderID, paymentID uuid.UUID, owner Owner) (Due, error)
}

// Meter counts what happens.
type Meter interface {
	// Moved tells that a payment reached a state.
	Moved(status Status)
	// Refunded tells that a refund reached a state.
	Refunded(status RefundStatus)
	// Alarm tells that a person has to look: money that did not match or could not go back.
	Alarm(kind string)
}

// Config is what a Service needs. All is required but the times, which have defaults.
type Config struct {
	Store    Store
	Provider Provider
	Orders   Orders
	Meter    Meter
	Logger   *slog.Logger
	Now      func() time.Time
	// Polls are the pauses between questions to the provider; the last one repeats.
	Polls []time.Duration
	// Retries are the pauses before further collections without the customer.
	Retries []time.Duration
	// CallTimeout bounds everything a call asks of the provider.
	CallTimeout time.Duration
	// Poll is how often the queues are looked at without being woken.
	Poll time.Duration
	// Lease is how long a claimed row is left to its worker.
	Lease time.Duration
}

const (
	defaultCallTimeout = 9 * time.Second
	defaultPoll        = time.Second
	defaultLease       = time.Minute
	// keyLife is how long the provider is trusted to remember an idempotency key,
	// which is a day, less a margin. After it a call is looked for, not repeated.
	keyLife = 20 * time.Hour
)

// DefaultPolls are the pauses between questions to the provider: soon, in case
// an answer was merely late, then for days, in case it is down.
func DefaultPolls() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute, time.Hour, day}
}

// DefaultRetries are the pauses before further collections without the customer.
func DefaultRetries() []time.Duration {
	return []time.Duration{2 * time.Minute, 5 * time.Minute, 10 * time.Minute}
}

// Service collects money and gives it back.
type Service struct {
	Config

	wake map[Queue]chan struct{}
}

// New checks the configuration.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Provider == nil || config.Orders == nil || config.Meter == nil || config.Logger == nil || config.Now == nil {
		return nil, errors.New("billing: the store, the provider, the orders, the meter, the logger or the clock is missing")
	}
	if len(config.Polls) == 0 {
		config.Polls = DefaultPolls()
	}
	if config.Retries == nil {
		config.Retries = DefaultRetries()
	}
	for set, standard := range map[*time.Duration]time.Duration{
		&config.CallTimeout: defaultCallTimeout, &config.Poll: defaultPoll, &config.Lease: defaultLease,
	} {
		if *set == 0 {
			*set = standard
		}
	}
	s := &Service{Config: config, wake: make(map[Queue]chan struct{})}
	for _, queue := range queues {
		s.wake[queue] = make(chan struct{}, 1)
	}
	return s, nil
}

// now is the clock at the database's precision, so that what is read equals what was written.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// pause is the wait before the next question after the given number of them.
func (s *Service) pause(polls int) time.Duration { return s.Polls[min(polls, len(s.Polls)-1)] }

// detach keeps a call going when its client leaves: the provider may have acted,
// and then we must learn of it.
func (s *Service) detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.CallTimeout)
}
