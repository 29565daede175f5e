package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/services/billing"
)

// Tell implements billing.Tx.
func (t *tx) Tell(ctx context.Context, facts ...billing.Fact) error {
	events := make([]event.Event, len(facts))
	for i, fact := range facts {
		orderID, payload, err := toPayload(fact)
		if err != nil {
			return err
		}
		// The order is the subject: what happens to one order is told in its order.
		events[i] = event.New(orderID.String(), payload)
	}
	return outbox.Write(ctx, t.Tx, events...)
}

func toPayload(fact billing.Fact) (uuid.UUID, proto.Message, error) {
	switch f := fact.(type) {
	case billing.Succeeded:
		p := f.Payment
		return p.OrderID, &eventv1.PaymentSucceeded{
			PaymentId: p.ID.String(), OrderId: p.OrderID.String(), UserId: text(p.UserID), Amount: toMoney(p.Amount),
		}, nil
	case billing.Failed:
		p := f.Payment
		payload := &eventv1.PaymentFailed{
			PaymentId: p.ID.String(), OrderId: p.OrderID.String(), UserId: text(p.UserID), Email: p.Email, OrderNumber: p.OrderNumber,
			Amount: toMoney(p.Amount), FailureCode: p.FailureCode, FailureMessage: p.FailureMessage,
		}
		if !f.NextAttemptTime.IsZero() {
			payload.NextAttemptTime = timestamppb.New(f.NextAttemptTime)
		}
		return p.OrderID, payload, nil
	case billing.Refunded:
		p := f.Payment
		return p.OrderID, &eventv1.PaymentRefunded{
			PaymentId: p.ID.String(), OrderId: p.OrderID.String(), UserId: text(p.UserID), Email: p.Email, OrderNumber: p.OrderNumber,
			RefundId: f.Refund.ID.String(), Amount: toMoney(f.Refund.Amount), RefundedTotal: toMoney(f.Total), Reason: f.Refund.Reason,
		}, nil
	case billing.Issued:
		d := f.Invoice
		return d.OrderID, &eventv1.InvoiceIssued{
			InvoiceId: d.ID.String(), Number: d.Number, OrderId: d.OrderID.String(), UserId: text(d.UserID),
			Total: &typev1.Money{CurrencyCode: d.Currency, AmountMinor: d.Amounts.Total},
		}, nil
	default:
		return uuid.Nil, nil, fmt.Errorf("store: a fact of type %T has no event", fact)
	}
}

func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func toMoney(m money.Money) *typev1.Money {
	return &typev1.Money{CurrencyCode: m.CurrencyCode, AmountMinor: m.AmountMinor}
}
