package order

import (
	"context"
	"time"

	"github.com/google/uuid"
)

const sweepBatch = 50

// Expire ends PENDING orders whose time is up and that no payment holds, in
// small transactions, and returns how many. Several processes may do it at once.
func (s *Service) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := s.expireBatch(ctx)
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}

func (s *Service) expireBatch(ctx context.Context) (int, error) {
	var due []Order
	err := s.Orders.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if due, err = tx.Due(ctx, s.now(), sweepBatch); err != nil {
			return err
		}
		for _, o := range due {
			if _, err := s.undo(ctx, tx, o, StatusExpired, ActorSystem, "", "Order expired: not paid in time"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for range due {
		s.Meter.Moved(StatusPending, StatusExpired)
	}
	return len(due), nil
}

// ConfirmFree confirms PENDING orders that cost nothing and whose placing was
// cut off before it could.
func (s *Service) ConfirmFree(ctx context.Context) error {
	ids, err := s.Orders.Unpaid(ctx, sweepBatch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := s.confirm(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// confirmFree confirms an order just placed that costs nothing. What fails here is swept later.
func (s *Service) confirmFree(ctx context.Context, receipt Receipt) Receipt {
	order, err := s.confirm(ctx, receipt.Order.ID)
	if err != nil {
		s.Meter.Failed("confirm")
		s.Logger.WarnContext(ctx, "free order not confirmed yet", "order_id", receipt.Order.ID, "error", err)
		return receipt
	}
	receipt.Order = order
	return receipt
}

// confirm sells the goods of an order on which nothing is owed.
func (s *Service) confirm(ctx context.Context, id uuid.UUID) (Order, error) {
	if err := s.Stock.Commit(ctx, id); err != nil {
		return Order{}, err
	}
	return s.change(ctx, id, Owner{Everyone: true}, func(ctx context.Context, tx Tx, o Order) (Order, error) {
		if o.Status != StatusPending || o.Total != 0 {
			return o, nil
		}
		return s.accept(ctx, tx, o, uuid.Nil, "Order confirmed, nothing to pay")
	})
}

// accept confirms a locked PENDING order whose goods are sold.
func (s *Service) accept(ctx context.Context, tx Tx, o Order, paymentID uuid.UUID, message string) (Order, error) {
	o.HoldUntil = time.Time{}
	o, err := s.advance(ctx, tx, o, StatusConfirmed)
	if err != nil {
		return o, err
	}
	if err := tx.Append(ctx, s.step(o, StepConfirmed, "", ActorSystem, message)); err != nil {
		return o, err
	}
	return o, tx.Tell(ctx, Confirmed{Order: o, PaymentID: paymentID})
}
