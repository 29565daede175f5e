package billing

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// GiveBack decides that whatever was or will be paid for an order goes back. The
// decision is stored first, so it also holds for money that arrives later. It
// returns the order's refunds as they are; those still PENDING go on by
// themselves. Deciding again changes nothing.
func (s *Service) GiveBack(ctx context.Context, orderID uuid.UUID, reason string) ([]Refund, error) {
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		return tx.AddRefundOrder(ctx, RefundOrder{
			OrderID: orderID, Reason: reason, CreateTime: s.now(), NextPollTime: s.now().Add(2 * s.CallTimeout),
		})
	})
	if err != nil {
		return nil, err
	}
	if err := s.unwind(ctx, orderID); err != nil {
		// It is written down: the queue goes on.
		s.Logger.WarnContext(ctx, "giving an order's money back goes on later", "order_id", orderID, "error", err)
	}
	return s.Store.OrderRefunds(ctx, orderID)
}

// unwind ends what is open of an order and gives back what was paid.
func (s *Service) unwind(ctx context.Context, orderID uuid.UUID) error {
	decision, found, err := s.Store.RefundOrder(ctx, orderID)
	if err != nil || !found {
		return err
	}
	payments, err := s.Store.OrderPayments(ctx, orderID)
	if err != nil {
		return err
	}
	open := false
	for _, p := range payments {
		if p.Status.Open() {
			if err := s.advanceUndone(ctx, p); err != nil {
				return err
			}
		}
		still, err := s.giveBack(ctx, p.ID, decision.Reason)
		if err != nil {
			return err
		}
		open = open || still
	}
	next := time.Time{}
	if open {
		next = s.now().Add(s.pause(1))
	}
	return s.Store.SaveRefundOrder(ctx, orderID, next)
}

// advanceUndone ends an open payment of an order that is not to be paid. When
// the money came meanwhile, apply gives it back.
func (s *Service) advanceUndone(ctx context.Context, p Payment) error {
	ctx, cancel := s.detach(ctx)
	defer cancel()
	if p.IntentID != "" {
		return s.give(ctx, p, CodeNotPayable)
	}
	if s.now().Sub(p.CreateTime) < 2*s.CallTimeout {
		// Its call may be under way at this moment; what it brings is given back.
		return nil
	}
	return s.look(ctx, p)
}

// giveBack promises all that is left of a payment. Its lock makes it wait for a
// success that is being booked.
func (s *Service) giveBack(ctx context.Context, paymentID uuid.UUID, reason string) (open bool, err error) {
	id := automatic(paymentID)
	promised := false
	err = s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		promised = false
		p, err := tx.LockPayment(ctx, paymentID)
		if err != nil {
			return err
		}
		if open = p.Status.Open(); !p.Status.Paid() {
			return nil
		}
		r, found, err := tx.LockRefund(ctx, id)
		if err != nil {
			return err
		}
		if found || p.Left() == 0 {
			promised = found && r.Status == RefundPending
			return nil
		}
		promised = true
		p, err = s.promise(ctx, tx, p, Refund{
			ID: id, Amount: money.Money{CurrencyCode: p.Amount.CurrencyCode, AmountMinor: p.Left()}, Reason: reason,
			NextPollTime: s.now().Add(2 * s.CallTimeout),
		})
		if err != nil {
			return err
		}
		return tx.SavePayment(ctx, p)
	})
	if err != nil || !promised {
		return open, err
	}
	return open, s.returnMoney(ctx, id)
}
