package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/services/billing"
)

// Subscriptions are what billing wants to hear of: orders to invoice, and
// accounts to forget.
func Subscriptions(service *billing.Service) []bus.Subscription {
	return []bus.Subscription{
		{Name: billing.SubscriberInvoices, Types: []string{"ORDER_CONFIRMED"}, Handle: func(ctx context.Context, e event.Event) error {
			payload, ok := e.Payload.(*eventv1.OrderConfirmed)
			if !ok {
				return fmt.Errorf("rpc: event %s has payload %T", e.ID, e.Payload)
			}
			order, err := fromSnapshot(payload.GetOrder())
			if err != nil {
				return fmt.Errorf("rpc: event %s: %w", e.ID, err)
			}
			return service.Issue(ctx, e.ID.String(), order)
		}},
		{Name: billing.SubscriberAccounts, Types: []string{"USER_DELETED"}, Handle: func(ctx context.Context, e event.Event) error {
			payload, ok := e.Payload.(*eventv1.UserDeleted)
			if !ok {
				return fmt.Errorf("rpc: event %s has payload %T", e.ID, e.Payload)
			}
			id, err := uuid.Parse(payload.GetUserId())
			if err != nil {
				return fmt.Errorf("rpc: event %s: %w", e.ID, err)
			}
			return service.Forget(ctx, e.ID.String(), id)
		}},
	}
}

func fromSnapshot(o *eventv1.OrderSnapshot) (billing.Order, error) {
	id, err := uuid.Parse(o.GetOrderId())
	if err != nil {
		return billing.Order{}, err
	}
	order := billing.Order{
		ID: id, Number: o.GetNumber(), UserID: fromID(o.GetUserId()), Email: o.GetEmail(), Address: fromAddress(o.GetShippingAddress()),
		Currency: o.GetTotal().GetCurrencyCode(),
		Amounts: billing.Amounts{
			Subtotal: o.GetSubtotal().GetAmountMinor(), Discount: o.GetDiscount().GetAmountMinor(), Tax: o.GetTax().GetAmountMinor(),
			Shipping: o.GetShipping().GetAmountMinor(), Total: o.GetTotal().GetAmountMinor(),
		},
		Lines: make([]billing.Line, len(o.GetLines())),
	}
	for i, line := range o.GetLines() {
		order.Lines[i] = billing.Line{
			Description: line.GetName(), Quantity: line.GetQuantity(), UnitPrice: line.GetUnitPrice().GetAmountMinor(),
			Tax: line.GetTax().GetAmountMinor(), Total: line.GetTotal().GetAmountMinor(),
		}
	}
	return order, nil
}
