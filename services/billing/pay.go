package billing

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// PayRequest is a wish to pay an order.
type PayRequest struct {
	// ID of the new payment; the same when the request is repeated.
	ID, OrderID uuid.UUID
	// Owner who pays. Administrators pay for themselves only.
	Owner Owner
	// PaymentMethod is the provider's id; empty takes the profile's default.
	PaymentMethod string
	ReturnURL     string
}

// Pay collects what is owed for an order and returns the payment as it is right
// after the provider was asked: an answer that stays out leaves it UNKNOWN, and
// a provider that is down leaves it PENDING; both go on by themselves. It fails
// with ErrInProgress and ErrAlreadyPaid when the order has another payment.
func (s *Service) Pay(ctx context.Context, in PayRequest) (Payment, error) {
	in.Owner.Everyone = false
	if in.Owner.UserID == uuid.Nil && in.Owner.GuestTokenHash == "" {
		return Payment{}, fault.AuthFailed("log in, or show the guest token")
	}
	known, err := s.Store.Payment(ctx, in.ID, in.Owner)
	if err == nil {
		return known, nil
	}
	if f := fault.From(err); f == nil || f.Kind != fault.KindNotFound {
		return Payment{}, err
	}
	if err := s.clear(ctx, in.OrderID, in.Owner); err != nil {
		return Payment{}, err
	}
	p, err := s.prepare(ctx, in)
	if err != nil {
		return Payment{}, err
	}
	due, err := s.Orders.Begin(ctx, in.OrderID, in.ID, in.Owner)
	if err != nil {
		return Payment{}, err
	}
	p.OrderNumber, p.Amount, p.Email, p.ExpireTime = due.Number, due.Amount, due.Email, due.ExpireTime.UTC().Truncate(time.Microsecond)
	if err := s.begin(ctx, p); err != nil {
		return Payment{}, err
	}
	return s.collect(ctx, p)
}

// clear makes way for a new payment: one that only waits for the customer is
// given up, as he chose another way. Every other live one stands in the way.
func (s *Service) clear(ctx context.Context, orderID uuid.UUID, owner Owner) error {
	live, found, err := s.Store.LivePayment(ctx, orderID)
	switch {
	case err != nil:
		return err
	case !found, !owner.Owns(live):
		// The owner of orders says whether there is such an order at all.
		return nil
	case live.Status.Paid():
		return ErrAlreadyPaid
	case !live.waitsForCustomer():
		return ErrInProgress
	}
	ctx, cancel := s.detach(ctx)
	defer cancel()
	intent, err := s.Provider.Cancel(ctx, live.IntentID)
	if err != nil {
		return ErrInProgress.WithCause(err)
	}
	after, err := s.apply(ctx, live.ID, intent, applying{canceledAs: CodeSuperseded})
	switch {
	case err != nil:
		return err
	case after.Status.Paid():
		return ErrAlreadyPaid
	case after.Status.Open():
		return ErrInProgress
	}
	return nil
}

// prepare fixes what is sent to the provider, so that a repetition sends the same.
func (s *Service) prepare(ctx context.Context, in PayRequest) (Payment, error) {
	p := Payment{
		ID: in.ID, OrderID: in.OrderID, UserID: in.Owner.UserID, Status: StatusPending,
		PaymentMethod: in.PaymentMethod, ReturnURL: in.ReturnURL, Attempts: 1,
	}
	if p.UserID == uuid.Nil {
		p.GuestTokenHash = in.Owner.GuestTokenHash
	}
	if p.PaymentMethod != "" {
		return p, nil
	}
	missing := fault.Invalid("paymentMethod", "must be given, there is no default payment method")
	if p.UserID == uuid.Nil {
		return Payment{}, missing
	}
	profile, err := s.Store.Profile(ctx, p.UserID)
	switch {
	case err != nil:
		return Payment{}, err
	case profile.MethodID == "":
		return Payment{}, missing
	}
	p.PaymentMethod, p.CustomerID, p.OffSession = profile.MethodID, profile.CustomerID, true
	return p, nil
}

// begin writes the payment before the provider hears of it. A crash from here
// on is picked up by the queue after the time a call can take.
func (s *Service) begin(ctx context.Context, p Payment) error {
	p.CreateTime = s.now()
	p.UpdateTime, p.NextPollTime = p.CreateTime, p.CreateTime.Add(2*s.CallTimeout)
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		_, undone, err := tx.RefundOrder(ctx, p.OrderID)
		switch {
		case err != nil:
			return err
		case undone:
			return ErrNotPayable
		}
		return tx.InsertPayment(ctx, p)
	})
	if err == nil {
		s.Meter.Moved(StatusPending)
	}
	return err
}

// collect asks the provider for the money, under the payment's own key.
func (s *Service) collect(ctx context.Context, p Payment) (Payment, error) {
	ctx, cancel := s.detach(ctx)
	defer cancel()
	intent, err := s.Provider.Pay(ctx, p.ask())
	if err != nil {
		return s.unanswered(ctx, p.ID, err)
	}
	return s.apply(ctx, p.ID, intent, applying{})
}

// ask is what the provider is asked for a payment, the same at every repetition.
func (p Payment) ask() PayInput {
	return PayInput{
		PaymentID: p.ID, OrderID: p.OrderID, OrderNumber: p.OrderNumber, Amount: p.Amount,
		PaymentMethod: p.PaymentMethod, CustomerID: p.CustomerID, ReturnURL: p.ReturnURL,
	}
}

// unanswered records that the provider gave no result: a timeout is no failure.
func (s *Service) unanswered(ctx context.Context, id uuid.UUID, cause error) (Payment, error) {
	// The time for the provider is used up; our own database still has to hear of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultCallTimeout)
	defer cancel()
	var refusal *ProviderError
	if !errors.As(cause, &refusal) {
		refusal = &ProviderError{Outage: Lost, Message: cause.Error()}
	}
	var before, after Payment
	err := s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if before, err = tx.LockPayment(ctx, id); err != nil {
			return err
		}
		after = before
		if !before.Status.Open() {
			return nil
		}
		after.UpdateTime, after.NextPollTime = s.now(), s.now().Add(s.pause(before.Polls))
		after.Polls++
		switch {
		case refusal.Outage == Rejected && before.IntentID == "":
			after = fail(after, refusal.Code, refusal.Message)
			after.NextPollTime = time.Time{}
			if err := tx.Tell(ctx, Failed{Payment: after}); err != nil {
				return err
			}
		case refusal.Outage == Lost && before.IntentID == "":
			after.Status = StatusUnknown
		}
		return tx.SavePayment(ctx, after)
	})
	if err != nil {
		return Payment{}, err
	}
	if after.Status != before.Status {
		s.Meter.Moved(after.Status)
	}
	s.Logger.WarnContext(ctx, "the payment provider gave no result", "payment_id", id, "status", after.Status, "error", refusal)
	return after, nil
}
