package billing

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// applying says on whose behalf news of the provider are taken in.
type applying struct {
	// polled: the payment's turn in the queue is over.
	polled bool
	// canceledAs is the failure's code when we cancelled the intent ourselves.
	canceledAs string
}

// apply takes in what the provider says of a payment. It is the one place where
// money is booked: answers, webhooks and polls all end here, and the row lock
// lets one of them win. The winner tells the platform in the same transaction.
func (s *Service) apply(ctx context.Context, id uuid.UUID, intent Intent, how applying) (Payment, error) {
	var before, after Payment
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if before, err = tx.LockPayment(ctx, id); err != nil {
			return err
		}
		next, kind := transition(before, intent, s.now(), s.Retries)
		if kind == changeFailed && intent.Status == IntentCanceled && how.canceledAs != "" {
			next.FailureCode = how.canceledAs
		}
		switch kind {
		case changeSucceeded:
			next, err = s.book(ctx, tx, before, next)
		case changeMismatch:
			next, err = s.reject(ctx, tx, next, intent)
		case changeFailed, changeRetry:
			if next.FailureCode != CodeSuperseded {
				err = tx.Tell(ctx, Failed{Payment: next, NextAttemptTime: next.NextAttemptTime})
			}
		case changeNothing, changeWaiting:
			// There is nothing to tell yet.
		}
		if err != nil {
			return err
		}
		if after = next; kind != changeNothing || how.polled {
			after = s.schedule(next, intent, how.polled)
		}
		if after == before {
			return nil
		}
		after.UpdateTime = s.now()
		return tx.SavePayment(ctx, after)
	})
	if err != nil {
		return Payment{}, err
	}
	if after.Status != before.Status {
		s.Meter.Moved(after.Status)
	}
	if intent.Status == IntentSucceeded && after.IntentID != intent.ID {
		s.Meter.Alarm("second_intent")
		s.Logger.ErrorContext(ctx, "a second intent of a payment took money: it has to go back by hand", "payment_id", id, "intent", intent.ID)
	}
	if after.RefundReserved != before.RefundReserved {
		s.Wake(QueueRefunds)
	}
	return after, nil
}

// book makes the money the order's. It goes back instead when the order is not
// to be paid any more, or was paid by another payment.
func (s *Service) book(ctx context.Context, tx Tx, before, p Payment) (Payment, error) {
	surplus := false
	var err error
	if !before.Status.Open() {
		if surplus, err = tx.OtherLive(ctx, p); err != nil {
			return p, err
		}
	}
	if surplus {
		p = fail(p, CodeSuperseded, "The order was paid another way; the money goes back.")
		return s.promise(ctx, tx, p, Refund{ID: automatic(p.ID), Amount: p.Amount, Reason: "the order was paid another way"})
	}
	decision, undone, err := tx.RefundOrder(ctx, p.OrderID)
	if err != nil {
		return p, err
	}
	if undone {
		return s.promise(ctx, tx, p, Refund{ID: automatic(p.ID), Amount: p.Amount, Reason: decision.Reason})
	}
	return p, tx.Tell(ctx, Succeeded{Payment: p})
}

// reject sends back money that is not what was asked for.
func (s *Service) reject(ctx context.Context, tx Tx, p Payment, intent Intent) (Payment, error) {
	s.Meter.Alarm("mismatch")
	s.Logger.ErrorContext(ctx, "money arrived that does not match its payment", "payment_id", p.ID, "intent", intent.ID,
		"received", intent.Received.String(), "owed", p.Amount.String(), "intent_payment_id", intent.PaymentID)
	p, err := s.promise(ctx, tx, p, Refund{ID: automatic(p.ID), Amount: p.Amount, Whole: true, Reason: "the amount received is not the amount owed"})
	if err != nil {
		return p, err
	}
	return p, tx.Tell(ctx, Failed{Payment: p})
}

// promise writes down that money of a locked payment goes back. The queue does the rest.
func (s *Service) promise(ctx context.Context, tx Tx, p Payment, r Refund) (Payment, error) {
	r.PaymentID, r.OrderID, r.Status = p.ID, p.OrderID, RefundPending
	r.CreateTime = s.now()
	r.UpdateTime = r.CreateTime
	if r.NextPollTime.IsZero() {
		r.NextPollTime = r.CreateTime
	}
	p.RefundReserved += r.Amount.AmountMinor
	return p, tx.InsertRefund(ctx, r)
}

// automatic is the id of the refund of all of a payment that nobody asked for by
// name. There is one, however often it is decided.
func automatic(paymentID uuid.UUID) uuid.UUID { return uuid.NewSHA1(paymentID, []byte("refund")) }

// schedule decides when the provider is asked about the payment again.
func (s *Service) schedule(p Payment, intent Intent, polled bool) Payment {
	if polled {
		p.Polls++
	}
	switch {
	case p.Status == StatusFailed && intent.Status != IntentCanceled && intent.Status != IntentSucceeded:
		// The intent still could take money: the queue closes it.
		p.NextPollTime = s.now()
		if polled {
			p.NextPollTime = s.now().Add(s.pause(p.Polls))
		}
	case !p.Status.Open():
		p.NextPollTime = time.Time{}
	case !p.NextAttemptTime.IsZero():
		p.NextPollTime = p.NextAttemptTime
	default:
		p.NextPollTime = s.now().Add(s.pause(p.Polls))
		if p.waitsForCustomer() && p.ExpireTime.After(s.now()) && p.NextPollTime.After(p.ExpireTime) {
			p.NextPollTime = p.ExpireTime
		}
	}
	return p
}
