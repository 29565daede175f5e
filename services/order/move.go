package order

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// MoveInput names an order and who moves it.
type MoveInput struct {
	OrderID uuid.UUID
	Caller  Caller
	// Reason of a cancellation, may be "".
	Reason string
	// TrackingNumber of the carrier, may be "".
	TrackingNumber string
}

// Cancel calls an order off: the goods go back to the stock and, when it was
// paid, the money to the customer. Cancelling twice answers the same.
func (s *Service) Cancel(ctx context.Context, in MoveInput) (Order, error) {
	owner, err := in.Caller.owner()
	if err != nil {
		return Order{}, err
	}
	return s.change(ctx, in.OrderID, owner, func(ctx context.Context, tx Tx, o Order) (Order, error) {
		switch {
		case o.Status == StatusCancelled:
			return o, nil
		case !o.Status.CanBecome(StatusCancelled):
			return o, ErrNotCancellable.WithMetadata("status", string(o.Status))
		}
		// What a person typed stays out of the history, which outlives accounts.
		return s.undo(ctx, tx, o, StatusCancelled, in.Caller.Actor(), in.Reason, "Order cancelled")
	})
}

// Fulfill tells that a CONFIRMED order went to the carrier. Doing it twice with
// the same tracking number answers the same.
func (s *Service) Fulfill(ctx context.Context, in MoveInput) (Order, error) {
	return s.change(ctx, in.OrderID, Owner{Everyone: true}, func(ctx context.Context, tx Tx, o Order) (Order, error) {
		switch {
		case o.Status == StatusFulfilled && o.TrackingNumber == in.TrackingNumber:
			return o, nil
		case !o.Status.CanBecome(StatusFulfilled):
			return o, ErrNotFulfillable.WithMetadata("status", string(o.Status))
		}
		o.TrackingNumber = in.TrackingNumber
		o, err := s.advance(ctx, tx, o, StatusFulfilled)
		if err != nil {
			return o, err
		}
		message := "Handed to the carrier"
		if in.TrackingNumber != "" {
			message += ", tracking number " + in.TrackingNumber
		}
		if err := tx.Append(ctx, s.step(o, StepFulfilled, "", in.Caller.Actor(), message)); err != nil {
			return o, err
		}
		return o, tx.Tell(ctx, Fulfilled{Order: o})
	})
}

// Complete tells that a FULFILLED order was delivered. Doing it twice answers the same.
func (s *Service) Complete(ctx context.Context, in MoveInput) (Order, error) {
	return s.change(ctx, in.OrderID, Owner{Everyone: true}, func(ctx context.Context, tx Tx, o Order) (Order, error) {
		switch {
		case o.Status == StatusCompleted:
			return o, nil
		case !o.Status.CanBecome(StatusCompleted):
			return o, ErrNotCompletable.WithMetadata("status", string(o.Status))
		}
		o, err := s.advance(ctx, tx, o, StatusCompleted)
		if err != nil {
			return o, err
		}
		if err := tx.Append(ctx, s.step(o, StepCompleted, "", in.Caller.Actor(), "Delivered")); err != nil {
			return o, err
		}
		return o, tx.Tell(ctx, Completed{Order: o})
	})
}

// change decides on a locked order in a transaction and counts the move once it is committed.
func (s *Service) change(
	ctx context.Context, id uuid.UUID, owner Owner, decide func(context.Context, Tx, Order) (Order, error),
) (Order, error) {
	var before, after Order
	err := s.Orders.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if before, err = tx.Lock(ctx, id, owner); err != nil {
			return err
		}
		after, err = decide(ctx, tx, before)
		return err
	})
	if err != nil {
		return Order{}, err
	}
	s.moved(before, after)
	return after, nil
}

func (s *Service) moved(before, after Order) {
	if before.Status != after.Status {
		s.Meter.Moved(before.Status, after.Status)
	}
}

// advance moves a locked order to next and saves it.
func (s *Service) advance(ctx context.Context, tx Tx, o Order, next Status) (Order, error) {
	from := o.Status
	if !from.CanBecome(next) {
		return o, fault.New(fault.KindInternal, "", fmt.Sprintf("order cannot become %s from %s", next, from))
	}
	o.Status = next
	return s.save(ctx, tx, o, from)
}

func (s *Service) save(ctx context.Context, tx Tx, o Order, from Status) (Order, error) {
	o.UpdateTime = s.now()
	o.Version++
	return o, tx.Save(ctx, o, from)
}

// undo ends a locked order without carrying it out: goods, coupon and money go
// back. Money that is still on its way goes back too.
func (s *Service) undo(ctx context.Context, tx Tx, o Order, next Status, actor, reason, message string) (Order, error) {
	wasConfirmed, paying := o.Status.Paid(), !o.HoldUntil.IsZero()
	o.CancelReason = reason
	o, err := s.advance(ctx, tx, o, next)
	if err != nil {
		return o, err
	}
	kind, fact := StepCancelled, Fact(Cancelled{Order: o, WasConfirmed: wasConfirmed})
	if next == StatusExpired {
		kind, fact = StepExpired, Expired{Order: o}
	}
	if err := tx.Append(ctx, s.step(o, kind, "", actor, message)); err != nil {
		return o, err
	}
	if err := tx.ReturnCoupon(ctx, o.ID); err != nil {
		return o, err
	}
	if err := tx.Tell(ctx, fact); err != nil {
		return o, err
	}
	errands := []Errand{Release{OrderID: o.ID, Reason: message}}
	if wasConfirmed || paying {
		errands = append(errands, Refund{OrderID: o.ID, Reason: message})
	}
	return o, tx.Enqueue(ctx, errands...)
}
