package order

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// FailInput tells that a payment was refused for good.
type FailInput struct {
	EventID, OrderID, PaymentID uuid.UUID
	// Code such as "card_declined".
	Code string
}

// Fail ends the hold of a payment that failed, unless another is under way.
func (s *Service) Fail(ctx context.Context, in FailInput) error {
	return s.notice(ctx, SubscriberPayments, in.EventID, in.OrderID, func(ctx context.Context, tx Tx, o Order) error {
		payment, err := tx.Payment(ctx, o.ID, in.PaymentID)
		if err != nil || payment.settled() {
			// It succeeded after all: the failure was told late.
			return err
		}
		payment.Status, payment.Time = PaymentFailed, s.now()
		if err := tx.SavePayment(ctx, payment); err != nil {
			return err
		}
		message := "Payment failed"
		if in.Code != "" {
			message += ": " + in.Code
		}
		if err := tx.Append(ctx, s.step(o, StepPaymentFailed, in.EventID.String(), ActorSystem, message)); err != nil {
			return err
		}
		underWay, _, err := tx.Payments(ctx, o.ID)
		if err != nil || underWay > 0 || o.HoldUntil.IsZero() {
			return err
		}
		o.HoldUntil = time.Time{}
		_, err = s.save(ctx, tx, o, o.Status)
		return err
	})
}

// RefundInput tells that money of a payment went back.
type RefundInput struct {
	EventID, OrderID, PaymentID, RefundID uuid.UUID
	// Amount that went back this time.
	Amount money.Money
	// Total that went back of this payment so far.
	Total money.Money
}

// Refunded takes in that money went back. Totals only grow, so events may come in any order.
func (s *Service) Refunded(ctx context.Context, in RefundInput) error {
	return s.notice(ctx, SubscriberPayments, in.EventID, in.OrderID, func(ctx context.Context, tx Tx, o Order) error {
		payment, err := tx.Payment(ctx, o.ID, in.PaymentID)
		if err != nil {
			return err
		}
		if payment.Status == "" {
			payment.Status = PaymentStarted
		}
		payment.Refunded, payment.Time = max(payment.Refunded, in.Total.AmountMinor), s.now()
		if err := tx.SavePayment(ctx, payment); err != nil {
			return err
		}
		if _, o.Refunded, err = tx.Payments(ctx, o.ID); err != nil {
			return err
		}
		if o, err = s.save(ctx, tx, o, o.Status); err != nil {
			return err
		}
		return tx.Append(ctx, s.step(o, StepRefunded, in.RefundID.String(), ActorSystem, fmt.Sprintf("Refunded %s", in.Amount)))
	})
}

// NoteInput tells of something about an order that changes nothing of it.
type NoteInput struct {
	EventID, OrderID uuid.UUID
	// Type of the step.
	Type StepType
	// Key names the fact, such as the invoice's id.
	Key string
	// Message is what a person reads.
	Message string
}

// Note adds a step to an order's history, once.
func (s *Service) Note(ctx context.Context, in NoteInput) error {
	return s.notice(ctx, SubscriberHistory, in.EventID, in.OrderID, func(ctx context.Context, tx Tx, o Order) error {
		return tx.Append(ctx, s.step(o, in.Type, in.Key, ActorSystem, in.Message))
	})
}

// Erase removes a deleted user's personal data. An order that is still to be
// sent keeps its address until it is.
func (s *Service) Erase(ctx context.Context, eventID, userID uuid.UUID) error {
	return s.Orders.InTx(ctx, func(ctx context.Context, tx Tx) error {
		first, err := tx.Once(ctx, SubscriberAccounts, eventID)
		if err != nil || !first {
			return err
		}
		return tx.Erase(ctx, userID, s.now())
	})
}

// notice takes in an event about a locked order, once.
func (s *Service) notice(
	ctx context.Context, subscriber string, eventID, orderID uuid.UUID, take func(context.Context, Tx, Order) error,
) error {
	return s.Orders.InTx(ctx, func(ctx context.Context, tx Tx) error {
		first, err := tx.Once(ctx, subscriber, eventID)
		if err != nil || !first {
			return err
		}
		o, err := tx.Lock(ctx, orderID, Owner{Everyone: true})
		if err != nil {
			return err
		}
		return take(ctx, tx, o)
	})
}
