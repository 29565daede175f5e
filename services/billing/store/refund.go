package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/ent/billing/predicate"
	"github.com/commercestack/commercestack/ent/billing/refund"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

// Refund implements billing.Store.
func (s *Store) Refund(ctx context.Context, id uuid.UUID) (billing.Refund, error) {
	row, err := s.client.Refund.Get(ctx, id)
	if ent.IsNotFound(err) {
		return billing.Refund{}, fault.NotFound("refund", id.String())
	}
	if err != nil {
		return billing.Refund{}, postgres.Fault(err)
	}
	return toRefund(row), nil
}

func refunds(ctx context.Context, client *ent.Client, where ...predicate.Refund) ([]billing.Refund, error) {
	rows, err := client.Refund.Query().Where(where...).Order(refund.ByCreateTime(), refund.ByID()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return toRefunds(rows), nil
}

// PaymentRefunds implements billing.Store.
func (s *Store) PaymentRefunds(ctx context.Context, paymentID uuid.UUID) ([]billing.Refund, error) {
	return refunds(ctx, s.client, refund.PaymentID(paymentID))
}

// OrderRefunds implements billing.Store.
func (s *Store) OrderRefunds(ctx context.Context, orderID uuid.UUID) ([]billing.Refund, error) {
	return refunds(ctx, s.client, refund.OrderID(orderID))
}

// SucceededRefunds implements billing.Tx.
func (t *tx) SucceededRefunds(ctx context.Context, orderID uuid.UUID) ([]billing.Refund, error) {
	return refunds(ctx, t.client, refund.OrderID(orderID), refund.Status(string(billing.RefundSucceeded)))
}

func (t *tx) lockRefund(ctx context.Context, where predicate.Refund) (billing.Refund, bool, error) {
	row, err := t.client.Refund.Query().Where(where).ForUpdate().Only(ctx)
	if ent.IsNotFound(err) {
		return billing.Refund{}, false, nil
	}
	if err != nil {
		return billing.Refund{}, false, err
	}
	return toRefund(row), true, nil
}

// LockRefund implements billing.Tx.
func (t *tx) LockRefund(ctx context.Context, id uuid.UUID) (billing.Refund, bool, error) {
	return t.lockRefund(ctx, refund.ID(id))
}

// LockProviderRefund implements billing.Tx.
func (t *tx) LockProviderRefund(ctx context.Context, providerID string) (billing.Refund, bool, error) {
	return t.lockRefund(ctx, refund.ProviderRefundID(providerID))
}

// InsertRefund implements billing.Tx.
func (t *tx) InsertRefund(ctx context.Context, r billing.Refund) error {
	create := t.client.Refund.Create().SetID(r.ID).SetPaymentID(r.PaymentID).SetOrderID(r.OrderID).SetAmount(r.Amount.AmountMinor).
		SetCurrencyCode(r.Amount.CurrencyCode).SetReason(clip(r.Reason, 300)).SetWhole(r.Whole).SetStatus(string(r.Status)).
		SetNextPollTime(r.NextPollTime).SetCreateTime(r.CreateTime).SetUpdateTime(r.UpdateTime)
	if r.ProviderID != "" {
		create.SetProviderRefundID(r.ProviderID)
	}
	return create.Exec(ctx)
}

// SaveRefund implements billing.Tx.
func (t *tx) SaveRefund(ctx context.Context, r billing.Refund) error {
	update := t.client.Refund.UpdateOneID(r.ID).SetStatus(string(r.Status)).SetFailureMessage(clip(r.FailureMessage, 500)).
		SetPolls(r.Polls).SetUpdateTime(r.UpdateTime)
	if r.ProviderID != "" {
		update.SetProviderRefundID(r.ProviderID)
	}
	when(r.NextPollTime, update.SetNextPollTime, update.ClearNextPollTime)
	return update.Exec(ctx)
}

func refundOrder(ctx context.Context, client *ent.Client, orderID uuid.UUID) (billing.RefundOrder, bool, error) {
	row, err := client.RefundOrder.Get(ctx, orderID)
	if ent.IsNotFound(err) {
		return billing.RefundOrder{}, false, nil
	}
	if err != nil {
		return billing.RefundOrder{}, false, postgres.Fault(err)
	}
	return billing.RefundOrder{OrderID: row.ID, Reason: row.Reason, NextPollTime: fromTime(row.NextPollTime), CreateTime: row.CreateTime.UTC()}, true, nil
}

// RefundOrder implements billing.Store.
func (s *Store) RefundOrder(ctx context.Context, orderID uuid.UUID) (billing.RefundOrder, bool, error) {
	return refundOrder(ctx, s.client, orderID)
}

// RefundOrder implements billing.Tx.
func (t *tx) RefundOrder(ctx context.Context, orderID uuid.UUID) (billing.RefundOrder, bool, error) {
	return refundOrder(ctx, t.client, orderID)
}

// SaveRefundOrder implements billing.Store.
func (s *Store) SaveRefundOrder(ctx context.Context, orderID uuid.UUID, next time.Time) error {
	update := s.client.RefundOrder.UpdateOneID(orderID)
	when(next, update.SetNextPollTime, update.ClearNextPollTime)
	return postgres.Fault(update.Exec(ctx))
}

// AddRefundOrder implements billing.Tx.
func (t *tx) AddRefundOrder(ctx context.Context, d billing.RefundOrder) error {
	_, err := t.ExecContext(ctx, `INSERT INTO refund_order (id, reason, next_poll_time, create_time) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		d.OrderID, clip(d.Reason, 300), d.NextPollTime, d.CreateTime)
	return err
}
