package order

import (
	"time"

	"github.com/google/uuid"
)

// StepType names a step of an order's history.
type StepType string

// The steps of an order's history.
const (
	StepPlaced          StepType = "PLACED"
	StepPaymentStarted  StepType = "PAYMENT_STARTED"
	StepPaymentFailed   StepType = "PAYMENT_FAILED"
	StepPaymentRejected StepType = "PAYMENT_REJECTED"
	StepConfirmed       StepType = "CONFIRMED"
	StepInvoiced        StepType = "INVOICED"
	StepMailSent        StepType = "MAIL_SENT"
	StepFulfilled       StepType = "FULFILLED"
	StepCompleted       StepType = "COMPLETED"
	StepCancelled       StepType = "CANCELLED"
	StepExpired         StepType = "EXPIRED"
	StepRefunded        StepType = "REFUNDED"
)

// Step is one row of an order's history. It holds no personal data, so that it
// outlives its owner's account.
type Step struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// OrderID is the order.
	OrderID uuid.UUID
	// Type says what happened.
	Type StepType
	// Status is the order's state after the step.
	Status Status
	// Message is what a person reads.
	Message string
	// Actor is who did it.
	Actor string
	// Key names the fact that caused the step; a fact told twice makes one step.
	Key string
	// Time is when it was written.
	Time time.Time
}

// step is what happened to o, caused by a fact of which there is one per key.
func (s *Service) step(o Order, kind StepType, key, actor, message string) Step {
	return Step{
		ID: uuid.Must(uuid.NewV7()), OrderID: o.ID, Type: kind, Status: o.Status,
		Message: message, Actor: actor, Key: string(kind) + ":" + key, Time: s.now(),
	}
}

// Fact is what the rest of the platform learns of an order, in the order's
// own transaction.
type Fact interface{ fact() }

// Placed tells that an order was created.
type Placed struct{ Order Order }

// Confirmed tells that an order's payment settled.
type Confirmed struct {
	Order Order
	// PaymentID is uuid.Nil when nothing was owed.
	PaymentID uuid.UUID
}

// Fulfilled tells that the goods went to the carrier.
type Fulfilled struct{ Order Order }

// Completed tells that the goods were delivered.
type Completed struct{ Order Order }

// Cancelled tells that an order was called off.
type Cancelled struct {
	Order Order
	// WasConfirmed tells that it was paid, so that money goes back.
	WasConfirmed bool
}

// Expired tells that nobody paid in time.
type Expired struct{ Order Order }

func (Placed) fact()    {}
func (Confirmed) fact() {}
func (Fulfilled) fact() {}
func (Completed) fact() {}
func (Cancelled) fact() {}
func (Expired) fact()   {}

// Errand is what another component must do for an order. It is kept with the
// order's transaction and repeated until it succeeded.
type Errand interface{ errand() }

// Release gives an order's goods back to the stock.
type Release struct {
	OrderID uuid.UUID
	// Reason is for the stock's ledger.
	Reason string
}

// Refund gives back what was paid for an order, and what will be.
type Refund struct {
	OrderID uuid.UUID
	// Reason is for the payment's owner.
	Reason string
}

func (Release) errand() {}
func (Refund) errand()  {}
