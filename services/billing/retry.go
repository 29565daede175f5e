package billing

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// retry collects once more from the customer's stored method. It confirms the
// same intent, which takes money once at most, however often this is repeated.
func (s *Service) retry(ctx context.Context, p Payment) error {
	_, undone, err := s.Store.RefundOrder(ctx, p.OrderID)
	if err != nil {
		return err
	}
	if undone {
		return s.give(ctx, p, CodeNotPayable)
	}
	_, err = s.Orders.Begin(ctx, p.OrderID, p.ID, Owner{UserID: p.UserID, GuestTokenHash: p.GuestTokenHash})
	switch {
	case final(err):
		return s.give(ctx, p, CodeNotPayable)
	case err != nil:
		return s.later(ctx, p.ID, err)
	}
	method := p.PaymentMethod
	if p.UserID != uuid.Nil {
		profile, err := s.Store.Profile(ctx, p.UserID)
		if err != nil {
			return err
		}
		// The customer may have replaced the card that was refused.
		if profile.MethodID != "" && profile.CustomerID == p.CustomerID {
			method = profile.MethodID
		}
	}
	attempt, started, err := s.startAttempt(ctx, p)
	if err != nil || !started {
		return err
	}
	intent, err := s.Provider.Confirm(ctx, ConfirmInput{IntentID: p.IntentID, PaymentMethod: method, ReturnURL: p.ReturnURL, Attempt: attempt})
	var refusal *ProviderError
	if errors.As(err, &refusal) && refusal.Outage == Rejected {
		return s.give(ctx, p, refusal.Code)
	}
	if err != nil {
		_, err = s.unanswered(ctx, p.ID, err)
		return err
	}
	_, err = s.apply(ctx, p.ID, intent, applying{polled: true})
	return err
}

// startAttempt counts the attempt before it is made.
func (s *Service) startAttempt(ctx context.Context, seen Payment) (attempt int, started bool, err error) {
	err = s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := tx.LockPayment(ctx, seen.ID)
		if err != nil {
			return err
		}
		if started = p.Status.Open() && p.Attempts == seen.Attempts && !p.NextAttemptTime.IsZero(); !started {
			return nil
		}
		p.Attempts++
		attempt = p.Attempts
		p.NextAttemptTime, p.Polls = time.Time{}, 0
		p.UpdateTime, p.NextPollTime = s.now(), s.now().Add(2*s.CallTimeout)
		return tx.SavePayment(ctx, p)
	})
	return attempt, started, err
}
