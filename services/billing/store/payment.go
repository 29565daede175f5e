package store

import (
	"context"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/ent/billing/payment"
	"github.com/commercestack/commercestack/ent/billing/predicate"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

// liveIndex lets an order have one payment that can take money.
const liveIndex = "payment_one_live_per_order"

var liveStatuses = []string{
	string(billing.StatusPending), string(billing.StatusAuthorized), string(billing.StatusUnknown),
	string(billing.StatusSucceeded), string(billing.StatusPartiallyRefunded),
}

// owned is the predicate of every query on a caller's behalf.
func owned(owner billing.Owner) predicate.Payment {
	switch {
	case owner.Everyone:
		return func(*sql.Selector) {}
	case owner.UserID != uuid.Nil && owner.GuestTokenHash != "":
		return payment.Or(payment.UserID(owner.UserID), payment.And(payment.UserIDIsNil(), payment.GuestTokenHash(owner.GuestTokenHash)))
	case owner.UserID != uuid.Nil:
		return payment.UserID(owner.UserID)
	case owner.GuestTokenHash != "":
		return payment.And(payment.UserIDIsNil(), payment.GuestTokenHash(owner.GuestTokenHash))
	default:
		return func(s *sql.Selector) { s.Where(sql.False()) }
	}
}

func (c codec) one(row *ent.Payment, err error, id uuid.UUID) (billing.Payment, error) {
	if ent.IsNotFound(err) {
		return billing.Payment{}, fault.NotFound("payment", id.String())
	}
	if err != nil {
		return billing.Payment{}, postgres.Fault(err)
	}
	return c.payment(row)
}

// Payment implements billing.Store.
func (s *Store) Payment(ctx context.Context, id uuid.UUID, owner billing.Owner) (billing.Payment, error) {
	row, err := s.client.Payment.Query().Where(payment.ID(id), owned(owner)).Only(ctx)
	return s.codec.one(row, err, id)
}

func (s *Store) maybe(ctx context.Context, where ...predicate.Payment) (billing.Payment, bool, error) {
	row, err := s.client.Payment.Query().Where(where...).Only(ctx)
	if ent.IsNotFound(err) {
		return billing.Payment{}, false, nil
	}
	if err != nil {
		return billing.Payment{}, false, postgres.Fault(err)
	}
	p, err := s.codec.payment(row)
	return p, true, err
}

// PaymentByIntent implements billing.Store.
func (s *Store) PaymentByIntent(ctx context.Context, intentID string) (billing.Payment, bool, error) {
	return s.maybe(ctx, payment.IntentID(intentID))
}

// LivePayment implements billing.Store.
func (s *Store) LivePayment(ctx context.Context, orderID uuid.UUID) (billing.Payment, bool, error) {
	return s.maybe(ctx, payment.OrderID(orderID), payment.StatusIn(liveStatuses...))
}

// Payments implements billing.Store.
func (s *Store) Payments(ctx context.Context, f billing.Filter) ([]billing.Payment, error) {
	query := s.client.Payment.Query().Where(owned(f.Owner))
	if f.OrderID != uuid.Nil {
		query.Where(payment.OrderID(f.OrderID))
	}
	if !f.AfterTime.IsZero() {
		query.Where(payment.Or(payment.CreateTimeLT(f.AfterTime), payment.And(payment.CreateTimeEQ(f.AfterTime), payment.IDLT(f.AfterID))))
	}
	rows, err := query.Order(payment.ByCreateTime(sql.OrderDesc()), payment.ByID(sql.OrderDesc())).Limit(f.Limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return s.codec.payments(rows)
}

// OrderPayments implements billing.Store.
func (s *Store) OrderPayments(ctx context.Context, orderID uuid.UUID) ([]billing.Payment, error) {
	rows, err := s.client.Payment.Query().Where(payment.OrderID(orderID)).Order(payment.ByCreateTime(), payment.ByID()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return s.codec.payments(rows)
}

// LockPayment implements billing.Tx.
func (t *tx) LockPayment(ctx context.Context, id uuid.UUID) (billing.Payment, error) {
	row, err := t.client.Payment.Query().Where(payment.ID(id)).ForUpdate().Only(ctx)
	return t.codec.one(row, err, id)
}

// InsertPayment implements billing.Tx.
func (t *tx) InsertPayment(ctx context.Context, p billing.Payment) error {
	create := t.client.Payment.Create().SetID(p.ID).SetOrderID(p.OrderID).SetOrderNumber(p.OrderNumber).
		SetNillableUserID(toID(p.UserID)).SetGuestTokenHash(p.GuestTokenHash).SetEmail(p.Email).
		SetAmount(p.Amount.AmountMinor).SetCurrencyCode(p.Amount.CurrencyCode).SetStatus(string(p.Status)).
		SetPaymentMethod(p.PaymentMethod).SetCustomerID(p.CustomerID).SetReturnURL(p.ReturnURL).SetOffSession(p.OffSession).
		SetAttempts(p.Attempts).SetNextPollTime(p.NextPollTime).SetCreateTime(p.CreateTime).SetUpdateTime(p.UpdateTime)
	if !p.ExpireTime.IsZero() {
		create.SetExpireTime(p.ExpireTime)
	}
	err := create.Exec(ctx)
	if postgres.IsUnique(err, liveIndex) || postgres.IsUnique(err, "payment_pkey") {
		// Another payment of the order, or a twin of this very request.
		return billing.ErrInProgress
	}
	return err
}

// SavePayment implements billing.Tx.
func (t *tx) SavePayment(ctx context.Context, p billing.Payment) error {
	update := t.client.Payment.UpdateOneID(p.ID).SetStatus(string(p.Status)).SetRedirectURL(p.RedirectURL).
		SetRefunded(p.Refunded).SetRefundReserved(p.RefundReserved).SetFailureCode(clip(p.FailureCode, 100)).
		SetFailureMessage(clip(p.FailureMessage, 500)).SetAttempts(p.Attempts).SetPolls(p.Polls).SetUpdateTime(p.UpdateTime)
	if p.IntentID != "" {
		update.SetIntentID(p.IntentID)
	}
	if p.ClientSecret == "" {
		update.ClearClientSecretSealed()
	} else {
		sealed, err := t.codec.ring.Seal([]byte(p.ClientSecret), place("payment/client_secret", p.ID))
		if err != nil {
			return err
		}
		update.SetClientSecretSealed(sealed)
	}
	when(p.NextPollTime, update.SetNextPollTime, update.ClearNextPollTime)
	when(p.NextAttemptTime, update.SetNextAttemptTime, update.ClearNextAttemptTime)
	return update.Exec(ctx)
}

func when[T any](t time.Time, set func(time.Time) T, unset func() T) {
	if t.IsZero() {
		unset()
		return
	}
	set(t)
}

// OtherLive implements billing.Tx.
func (t *tx) OtherLive(ctx context.Context, p billing.Payment) (bool, error) {
	return t.client.Payment.Query().
		Where(payment.OrderID(p.OrderID), payment.IDNEQ(p.ID), payment.StatusIn(liveStatuses...)).Exist(ctx)
}

// clip keeps a text within its column, in bytes, without half a rune at the end.
func clip(text string, length int) string {
	if len(text) <= length {
		return text
	}
	return strings.ToValidUTF8(text[:length], "")
}
