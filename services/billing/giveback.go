package billing

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// RefundRequest is a wish to give money back.
type RefundRequest struct {
	// ID of the new refund; the same when the request is repeated.
	ID, PaymentID uuid.UUID
	// Amount is nil for all that is left.
	Amount *money.Money
	Reason string
}

// Refund gives money of a payment back and returns both as they are right after
// the provider was asked. It fails with ErrNotRefundable or ErrRefundTooLarge.
func (s *Service) Refund(ctx context.Context, in RefundRequest) (Payment, Refund, error) {
	var r Refund
	fresh := false
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		fresh = false
		p, err := tx.LockPayment(ctx, in.PaymentID)
		if err != nil {
			return err
		}
		known, found, err := tx.LockRefund(ctx, in.ID)
		if err != nil || found {
			r = known
			return err
		}
		if r, err = in.draft(p); err != nil {
			return err
		}
		r.NextPollTime = s.now().Add(2 * s.CallTimeout)
		fresh = true
		if p, err = s.promise(ctx, tx, p, r); err != nil {
			return err
		}
		return tx.SavePayment(ctx, p)
	})
	if err != nil {
		return Payment{}, Refund{}, err
	}
	if fresh {
		if err := s.returnMoney(ctx, in.ID); err != nil {
			return Payment{}, Refund{}, err
		}
	}
	if r, err = s.Store.Refund(ctx, in.ID); err != nil {
		return Payment{}, Refund{}, err
	}
	p, err := s.Store.Payment(ctx, r.PaymentID, Owner{Everyone: true})
	return p, r, err
}

// draft checks a request against a locked payment.
func (in RefundRequest) draft(p Payment) (Refund, error) {
	if p.Status != StatusSucceeded && p.Status != StatusPartiallyRefunded {
		return Refund{}, ErrNotRefundable.WithMetadata("status", string(p.Status))
	}
	amount := money.Money{CurrencyCode: p.Amount.CurrencyCode, AmountMinor: p.Left()}
	if in.Amount != nil {
		amount = *in.Amount
	}
	switch {
	case amount.CurrencyCode != p.Amount.CurrencyCode:
		return Refund{}, fault.Invalid("amount.currency_code", "must be %s, the currency of the payment", p.Amount.CurrencyCode)
	case in.Amount != nil && amount.AmountMinor <= 0:
		return Refund{}, fault.Invalid("amount.amount_minor", "must be greater than 0")
	case p.Left() == 0:
		return Refund{}, ErrNotRefundable
	case amount.AmountMinor > p.Left():
		return Refund{}, ErrRefundTooLarge.WithMetadata("left", money.Money{CurrencyCode: amount.CurrencyCode, AmountMinor: p.Left()}.String())
	}
	return Refund{ID: in.ID, Amount: amount, Reason: in.Reason}, nil
}

// advanceRefund is a refund's turn in the queue.
func (s *Service) advanceRefund(ctx context.Context, id uuid.UUID) error {
	return s.returnMoney(ctx, id)
}

// returnMoney asks the provider to give a refund's money back, or what became
// of it. It is repeated until the provider tells.
func (s *Service) returnMoney(ctx context.Context, id uuid.UUID) error {
	r, err := s.Store.Refund(ctx, id)
	if err != nil {
		return err
	}
	p, err := s.Store.Payment(ctx, r.PaymentID, Owner{Everyone: true})
	if err != nil {
		return err
	}
	if r.Status != RefundPending {
		return s.applyRefund(ctx, p.ID, r.ID, nil, nil)
	}
	ctx, cancel := s.detach(ctx)
	defer cancel()
	answer, err := s.askRefund(ctx, p, r)
	if err != nil {
		return s.applyRefund(context.WithoutCancel(ctx), p.ID, r.ID, nil, err)
	}
	return s.applyRefund(ctx, p.ID, r.ID, &answer, nil)
}

// askRefund looks for the refund before it repeats the call, because the
// provider forgets idempotency keys after a day.
func (s *Service) askRefund(ctx context.Context, p Payment, r Refund) (ProviderRefund, error) {
	if r.Polls > 0 || r.ProviderID != "" {
		known, err := s.Provider.Refunds(ctx, p.IntentID)
		if err != nil {
			return ProviderRefund{}, err
		}
		for _, refund := range known {
			if refund.RefundID == r.ID || (r.ProviderID != "" && refund.ID == r.ProviderID) {
				return refund, nil
			}
		}
	}
	return s.Provider.Refund(ctx, RefundInput{RefundID: r.ID, IntentID: p.IntentID, Amount: r.Amount, Whole: r.Whole})
}

// applyRefund takes in what the provider says of a refund, or that it gave no
// result. Answers, webhooks and polls all end here, so that money is counted
// once.
func (s *Service) applyRefund(ctx context.Context, paymentID, id uuid.UUID, news *ProviderRefund, cause error) error {
	var before, after Refund
	var moved Status
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		moved = ""
		p, err := tx.LockPayment(ctx, paymentID)
		if err != nil {
			return err
		}
		var found bool
		if before, found, err = tx.LockRefund(ctx, id); err != nil {
			return err
		}
		if !found {
			return fault.NotFound("refund", id.String())
		}
		after = s.refundAfter(before, news, cause)
		if after == before {
			return nil
		}
		after.UpdateTime = s.now()
		if err := tx.SaveRefund(ctx, after); err != nil {
			return err
		}
		if after.Status == before.Status {
			return nil
		}
		status := p.Status
		if p, err = s.account(ctx, tx, p, before, after); p.Status != status {
			moved = p.Status
		}
		return err
	})
	if err != nil {
		return err
	}
	if moved != "" {
		s.Meter.Moved(moved)
	}
	if after.Status != before.Status {
		s.Meter.Refunded(after.Status)
	}
	if after.Status == RefundFailed && before.Status != RefundFailed {
		s.Meter.Alarm("refund_failed")
		s.Logger.ErrorContext(ctx, "a refund failed: the money has to go back another way", "refund_id", id, "payment_id", paymentID, "reason", after.FailureMessage)
	}
	return nil
}

// refundAfter is the state machine of refunds.
func (s *Service) refundAfter(r Refund, news *ProviderRefund, cause error) Refund {
	var refusal *ProviderError
	switch {
	case news != nil && news.Status == r.Status && r.Status != RefundPending:
		return r
	case news != nil && r.Status == RefundFailed:
		return r
	case news != nil:
		if r.Status == RefundSucceeded && news.Status == RefundPending {
			return r
		}
		r.Status, r.ProviderID, r.FailureMessage = news.Status, news.ID, news.FailureMessage
	case r.Status == RefundPending && errors.As(cause, &refusal) && (refusal.Outage == Rejected || refusal.Outage == Missing):
		r.Status, r.FailureMessage = RefundFailed, refusal.Code+": "+refusal.Message
	}
	r.NextPollTime = time.Time{}
	if r.Status == RefundPending {
		r.NextPollTime = s.now().Add(s.pause(r.Polls))
		r.Polls++
	}
	return r
}

// account changes the payment with its refund.
func (s *Service) account(ctx context.Context, tx Tx, p Payment, before, after Refund) (Payment, error) {
	amount := after.Amount.AmountMinor
	switch {
	case after.Status == RefundSucceeded:
		p.Refunded += amount
		p.Status = StatusPartiallyRefunded
		if p.Refunded == p.Amount.AmountMinor {
			p.Status = StatusRefunded
		}
	case before.Status == RefundSucceeded:
		// The bank sent it back: the money is ours again, and still owed.
		p.Refunded -= amount
		p.RefundReserved -= amount
		p.Status = StatusPartiallyRefunded
		if p.Refunded == 0 {
			p.Status = StatusSucceeded
		}
		other, err := tx.OtherLive(ctx, p)
		if err != nil {
			return p, err
		}
		if other {
			p.Status = StatusFailed
		}
	default:
		p.RefundReserved -= amount
	}
	p.UpdateTime = s.now()
	if err := tx.SavePayment(ctx, p); err != nil || after.Status != RefundSucceeded {
		return p, err
	}
	total := money.Money{CurrencyCode: p.Amount.CurrencyCode, AmountMinor: p.Refunded}
	if err := tx.Tell(ctx, Refunded{Payment: p, Refund: after, Total: total}); err != nil {
		return p, err
	}
	return p, s.credit(ctx, tx, after)
}

// observe takes in a refund that the provider tells of. One that we did not
// make was made at the provider's dashboard; it counts all the same.
func (s *Service) observe(ctx context.Context, paymentID uuid.UUID, news ProviderRefund) error {
	id := news.RefundID
	foreign := false
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		p, err := tx.LockPayment(ctx, paymentID)
		if err != nil {
			return err
		}
		known, found, err := tx.LockProviderRefund(ctx, news.ID)
		if err != nil {
			return err
		}
		if found {
			id = known.ID
			return nil
		}
		if id != uuid.Nil {
			if known, found, err = tx.LockRefund(ctx, id); err != nil || (found && known.PaymentID == p.ID) {
				return err
			}
		}
		id = uuid.NewSHA1(p.ID, []byte(news.ID))
		if foreign = news.Status != RefundFailed; !foreign {
			return nil
		}
		if news.Amount.CurrencyCode != p.Amount.CurrencyCode || news.Amount.AmountMinor > p.Left() || news.Amount.AmountMinor <= 0 {
			foreign = false
			s.Meter.Alarm("foreign_refund")
			s.Logger.ErrorContext(ctx, "more money went back at the provider than the payment holds", "payment_id", p.ID,
				"provider_refund", news.ID, "amount", news.Amount.String(), "left", p.Left())
			return nil
		}
		p, err = s.promise(ctx, tx, p, Refund{
			ID: id, Amount: news.Amount, Reason: "refunded at the payment provider", ProviderID: news.ID,
			NextPollTime: s.now().Add(s.Lease),
		})
		if err != nil {
			return err
		}
		return tx.SavePayment(ctx, p)
	})
	if err != nil {
		return err
	}
	err = s.applyRefund(ctx, paymentID, id, &news, nil)
	if final(err) && !foreign {
		return nil
	}
	return err
}
