package order

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// PaymentStatus is what an order knows of a payment.
type PaymentStatus string

// The states of a payment as an order sees them.
const (
	// PaymentStarted is on its way; the order waits for it.
	PaymentStarted PaymentStatus = "STARTED"
	// PaymentSucceeded paid the order. An order has at most one.
	PaymentSucceeded PaymentStatus = "SUCCEEDED"
	// PaymentFailed was refused for good.
	PaymentFailed PaymentStatus = "FAILED"
	// PaymentRejected arrived but could not pay the order.
	PaymentRejected PaymentStatus = "REJECTED"
)

// Payment is what an order knows of one payment; the rest is billing's.
type Payment struct {
	// ID is billing's.
	ID uuid.UUID
	// OrderID is the order it is for.
	OrderID uuid.UUID
	// Status is "" while nothing is known.
	Status PaymentStatus
	// Refunded is what went back, in minor units of the order's currency.
	Refunded int64
	// Time of the last change.
	Time time.Time
}

// settled tells whether the payment's outcome was taken in already.
func (p Payment) settled() bool { return p.Status == PaymentSucceeded || p.Status == PaymentRejected }

// BeginPaymentInput announces a payment.
type BeginPaymentInput struct {
	OrderID, PaymentID uuid.UUID
	// Caller who pays, as billing authenticated him.
	Caller Caller
}

// BeginPayment holds a PENDING order and its goods while money is on its way,
// and returns the order with what is owed. Announcing the same payment again
// moves the hold. It fails with ErrNotPayable or ErrAlreadyPaid.
func (s *Service) BeginPayment(ctx context.Context, in BeginPaymentInput) (Order, error) {
	owner, err := in.Caller.owner()
	if err != nil {
		return Order{}, err
	}
	order, err := s.Orders.Order(ctx, in.OrderID, owner)
	if err != nil {
		return Order{}, err
	}
	if err := order.payable(); err != nil {
		return Order{}, err
	}
	hold := s.now().Add(s.PaymentHold)
	if order.PayableUntil().After(hold) {
		hold = order.PayableUntil()
	}
	// Before the transaction: when it fails, the goods are merely held longer.
	if err := s.Stock.Extend(ctx, order.ID, hold.Add(reservationGrace)); err != nil {
		s.Meter.Failed("extend")
		if isGone(err) {
			return Order{}, ErrNotPayable.WithCause(err)
		}
		return Order{}, err
	}
	return s.change(ctx, in.OrderID, owner, func(ctx context.Context, tx Tx, o Order) (Order, error) {
		if err := o.payable(); err != nil {
			return o, err
		}
		return s.hold(ctx, tx, o, in, hold)
	})
}

func (s *Service) hold(ctx context.Context, tx Tx, o Order, in BeginPaymentInput, until time.Time) (Order, error) {
	payment, err := tx.Payment(ctx, o.ID, in.PaymentID)
	if err != nil {
		return o, err
	}
	if payment.settled() {
		return o, ErrAlreadyPaid
	}
	payment.Status, payment.Time = PaymentStarted, s.now()
	if err := tx.SavePayment(ctx, payment); err != nil {
		return o, err
	}
	if until.After(o.HoldUntil) {
		o.HoldUntil = until
	}
	if o, err = s.save(ctx, tx, o, o.Status); err != nil {
		return o, err
	}
	return o, tx.Append(ctx, s.step(o, StepPaymentStarted, in.PaymentID.String(), in.Caller.placer(), "Payment started"))
}

// payable tells why no money may be collected for the order.
func (o Order) payable() error {
	switch {
	case o.Status.Paid():
		return ErrAlreadyPaid
	case o.Status != StatusPending || o.Total == 0:
		return ErrNotPayable.WithMetadata("status", string(o.Status))
	}
	return nil
}

func (o Order) owes(amount money.Money) bool {
	return amount.CurrencyCode == o.Currency && amount.AmountMinor == o.Total
}

// isGone tells whether a reservation ended for good, as opposed to a stock that
// does not answer.
func isGone(err error) bool {
	f := fault.From(err)
	return f != nil && (f.Kind == fault.KindConflict || f.Kind == fault.KindNotFound)
}
