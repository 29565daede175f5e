package billing

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// advance is a payment's turn in the queue.
func (s *Service) advance(ctx context.Context, id uuid.UUID) error {
	p, err := s.Store.Payment(ctx, id, Owner{Everyone: true})
	if err != nil {
		return err
	}
	ctx, cancel := s.detach(ctx)
	defer cancel()
	switch {
	case p.IntentID == "" && p.Status.Open():
		return s.recollect(ctx, p)
	case p.IntentID == "" || p.Status.Paid():
		return s.rest(ctx, p.ID)
	case p.Status == StatusFailed:
		return s.give(ctx, p, CodeCanceled)
	case !p.NextAttemptTime.IsZero():
		return s.retry(ctx, p)
	case p.waitsForCustomer() && !p.ExpireTime.IsZero() && !s.now().Before(p.ExpireTime):
		return s.give(ctx, p, CodeAbandoned)
	}
	intent, err := s.Provider.Intent(ctx, p.IntentID)
	if err != nil {
		_, err = s.unanswered(ctx, p.ID, err)
		return err
	}
	if intent.Status == IntentNeedsMethod && intent.FailureCode == "" {
		return s.give(ctx, p, CodeAbandoned)
	}
	_, err = s.apply(ctx, p.ID, intent, applying{polled: true})
	return err
}

// give ends an intent at the provider, so that it can take no money any more.
func (s *Service) give(ctx context.Context, p Payment, code string) error {
	intent, err := s.Provider.Cancel(ctx, p.IntentID)
	if err != nil {
		return s.later(ctx, p.ID, err)
	}
	_, err = s.apply(ctx, p.ID, intent, applying{polled: true, canceledAs: code})
	return err
}

// recollect repeats a call whose outcome was not learned. The order is asked
// first: nobody wants to be charged hours later for an order that ended.
func (s *Service) recollect(ctx context.Context, p Payment) error {
	if s.now().Sub(p.CreateTime) > keyLife {
		return s.look(ctx, p)
	}
	_, undone, err := s.Store.RefundOrder(ctx, p.OrderID)
	if err != nil {
		return err
	}
	if undone {
		return s.look(ctx, p)
	}
	due, err := s.Orders.Begin(ctx, p.OrderID, p.ID, Owner{UserID: p.UserID, GuestTokenHash: p.GuestTokenHash})
	switch {
	case final(err):
		return s.look(ctx, p)
	case err != nil:
		return s.later(ctx, p.ID, err)
	case due.Amount != p.Amount:
		return s.look(ctx, p)
	}
	intent, err := s.Provider.Pay(ctx, p.ask())
	var refusal *ProviderError
	if errors.As(err, &refusal) && refusal.Outage == Lost {
		// The provider repeats a stored failure under its key for as long as it knows
		// the key, also when the money was taken. What it has done shows in its lists.
		if found, missed := s.Provider.Find(ctx, p.ID, p.CreateTime); missed == nil {
			intent, err = found, nil
		}
	}
	if err != nil {
		_, err = s.unanswered(ctx, p.ID, err)
		return err
	}
	_, err = s.apply(ctx, p.ID, intent, applying{polled: true})
	return err
}

// final tells whether the order will never be payable again, as opposed to an
// owner of orders that does not answer.
func final(err error) bool {
	f := fault.From(err)
	if f == nil {
		return false
	}
	switch f.Kind {
	case fault.KindConflict, fault.KindNotFound, fault.KindInvalidInput, fault.KindAuthFailed, fault.KindUnauthorized:
		// The last two mean that the account was erased: nobody owes any more.
		return true
	default:
		return false
	}
}

// look searches for an intent that the lost call may have made. What it finds is
// ended, or taken in when the money is there. The payment has failed when there
// is nothing.
func (s *Service) look(ctx context.Context, p Payment) error {
	intent, err := s.Provider.Find(ctx, p.ID, p.CreateTime)
	var refusal *ProviderError
	switch {
	case errors.As(err, &refusal) && refusal.Outage == Missing:
		return s.neverHappened(ctx, p.ID)
	case err != nil:
		return s.later(ctx, p.ID, err)
	}
	if intent.Status != IntentSucceeded {
		if intent, err = s.Provider.Cancel(ctx, intent.ID); err != nil {
			return s.later(ctx, p.ID, err)
		}
	}
	_, err = s.apply(ctx, p.ID, intent, applying{polled: true, canceledAs: CodeNotPayable})
	return err
}

func (s *Service) neverHappened(ctx context.Context, id uuid.UUID) error {
	failed := false
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		failed = false
		p, err := tx.LockPayment(ctx, id)
		if err != nil || !p.Status.Open() || p.IntentID != "" {
			return err
		}
		failed = true
		p = fail(p, CodeNotPayable, "The payment could not be made in time.")
		p.UpdateTime = s.now()
		p.NextPollTime = p.NextAttemptTime
		return errors.Join(tx.SavePayment(ctx, p), tx.Tell(ctx, Failed{Payment: p}))
	})
	if err == nil && failed {
		s.Meter.Moved(StatusFailed)
	}
	return err
}

// later puts a payment back into the queue without any news.
func (s *Service) later(ctx context.Context, id uuid.UUID, cause error) error {
	s.Logger.WarnContext(ctx, "a payment is looked at again later", "payment_id", id, "error", cause)
	return s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := tx.LockPayment(ctx, id)
		if err != nil {
			return err
		}
		p.NextPollTime = s.now().Add(s.pause(p.Polls))
		p.Polls++
		return tx.SavePayment(ctx, p)
	})
}

// rest takes a payment out of the queue.
func (s *Service) rest(ctx context.Context, id uuid.UUID) error {
	return s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := tx.LockPayment(ctx, id)
		if err != nil || (p.Status.Open() || (p.Status == StatusFailed && p.IntentID != "")) {
			return err
		}
		p.NextPollTime = p.NextAttemptTime
		return tx.SavePayment(ctx, p)
	})
}
