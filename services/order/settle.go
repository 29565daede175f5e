package order

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Subscribers whose events are taken in once each.
const (
	SubscriberPayments = "order.payments"
	SubscriberHistory  = "order.history"
	SubscriberAccounts = "order.accounts"
)

// SettleInput tells that money arrived for an order.
type SettleInput struct {
	EventID, OrderID, PaymentID uuid.UUID
	// Amount that arrived.
	Amount money.Money
}

// settlement is what becomes of money that arrived.
type settlement uint8

const (
	// settleKnown: this payment's outcome was taken in before.
	settleKnown settlement = iota
	// settleAccept: the order is confirmed.
	settleAccept
	// settleUndo: the order cannot be carried out; it ends and the money goes back.
	settleUndo
	// settleReturn: the order ended before; the money goes back.
	settleReturn
	// settleSurplus: another payment paid the order.
	settleSurplus
	// settleReturned: the money went back before the order heard of it.
	settleReturned
)

// settlementOf decides what becomes of a payment, from the locked order alone:
// an order that ended is never revived, and a second payment never undoes the
// first.
func settlementOf(o Order, p Payment, amount money.Money, stockGone bool) settlement {
	switch {
	case p.settled():
		return settleKnown
	case o.Status.Paid():
		return settleSurplus
	case o.Status.Undone():
		return settleReturn
	case o.Total > 0 && p.Refunded >= o.Total:
		return settleReturned
	case stockGone || !o.owes(amount):
		return settleUndo
	default:
		return settleAccept
	}
}

// Settle takes in that money arrived: the goods are sold and the order is
// CONFIRMED, once; or the money goes back. It may be told twice, late and out
// of order.
func (s *Service) Settle(ctx context.Context, in SettleInput) error {
	order, err := s.Orders.Order(ctx, in.OrderID, Owner{Everyone: true})
	if err != nil {
		return err
	}
	gone := false
	if order.Status == StatusPending && order.owes(in.Amount) {
		// Before the transaction and idempotent. When the order ended meanwhile,
		// the transaction sees it and releases again.
		switch err := s.Stock.Commit(ctx, in.OrderID); {
		case isGone(err):
			gone = true
			s.Meter.Failed("commit")
		case err != nil:
			s.Meter.Failed("commit")
			return err
		}
	}
	var before, after Order
	err = s.Orders.InTx(ctx, func(ctx context.Context, tx Tx) error {
		before, after = Order{}, Order{}
		first, err := tx.Once(ctx, SubscriberPayments, in.EventID)
		if err != nil || !first {
			return err
		}
		if before, err = tx.Lock(ctx, in.OrderID, Owner{Everyone: true}); err != nil {
			return err
		}
		after, err = s.settle(ctx, tx, before, in, gone)
		return err
	})
	if err == nil {
		s.moved(before, after)
	}
	return err
}

func (s *Service) settle(ctx context.Context, tx Tx, o Order, in SettleInput, gone bool) (Order, error) {
	payment, err := tx.Payment(ctx, o.ID, in.PaymentID)
	if err != nil {
		return o, err
	}
	decision := settlementOf(o, payment, in.Amount, gone)
	if decision == settleKnown {
		return o, nil
	}
	payment.Status, payment.Time = PaymentRejected, s.now()
	if decision == settleAccept {
		payment.Status = PaymentSucceeded
	}
	if err := tx.SavePayment(ctx, payment); err != nil {
		return o, err
	}
	if decision == settleAccept {
		return s.accept(ctx, tx, o, in.PaymentID, fmt.Sprintf("Payment of %s received, order confirmed", in.Amount))
	}
	return s.reject(ctx, tx, o, in, decision)
}

// reject writes why money could not pay the order, and sends it back.
func (s *Service) reject(ctx context.Context, tx Tx, o Order, in SettleInput, decision settlement) (Order, error) {
	s.Meter.Failed("settle")
	s.Logger.WarnContext(ctx, "payment cannot pay its order",
		"order_id", o.ID, "payment_id", in.PaymentID, "status", o.Status, "amount", in.Amount.String(), "owed", o.Money(o.Total).String())
	if decision == settleUndo {
		message := "Order cancelled: the goods are no longer available"
		if !o.owes(in.Amount) {
			message = "Order cancelled: the amount paid is not the amount owed"
		}
		if err := tx.Append(ctx, s.rejected(o, in, "it goes back")); err != nil {
			return o, err
		}
		// Money arrived, whether or not its start was announced.
		if o.HoldUntil.IsZero() {
			o.HoldUntil = s.now()
		}
		return s.undo(ctx, tx, o, StatusCancelled, ActorSystem, message, message)
	}
	why := map[settlement]string{
		settleReturn:   "the order had ended, it goes back",
		settleSurplus:  "the order was paid already",
		settleReturned: "it had gone back before",
	}[decision]
	if err := tx.Append(ctx, s.rejected(o, in, why)); err != nil {
		return o, err
	}
	if decision != settleReturn {
		// Refunding the order would take back what paid it; billing returns a surplus by itself.
		return o, nil
	}
	// The goods may have been sold between the order's end and this event.
	return o, tx.Enqueue(ctx,
		Refund{OrderID: o.ID, Reason: "paid after the order had ended"},
		Release{OrderID: o.ID, Reason: "paid after the order had ended"})
}

func (s *Service) rejected(o Order, in SettleInput, why string) Step {
	return s.step(o, StepPaymentRejected, in.PaymentID.String(), ActorSystem,
		fmt.Sprintf("Payment of %s could not be taken: %s", in.Amount, why))
}
