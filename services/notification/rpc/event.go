package rpc

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/notification"
)

// Subscriber is the name under which handled events are remembered.
const Subscriber = "notification.mail"

// EventTypes are the events that people hear of, or that concern what is kept about them.
func EventTypes() []string {
	return []string{"USER_REGISTERED", "USER_DELETED", "ORDER_CONFIRMED", "ORDER_CANCELLED", "ORDER_FULFILLED", "PAYMENT_FAILED", "PAYMENT_REFUNDED"}
}

// HandleEvent queues the mail of one event.
func (h *Handler) HandleEvent(ctx context.Context, e event.Event) error {
	if deleted, ok := e.Payload.(*eventv1.UserDeleted); ok {
		return h.service.Erase(ctx, deleted.GetUserId())
	}
	input := fromEvent(e)
	if input != nil {
		input.IdempotencyKey = e.ID.String() + "/" + input.Template
	}
	return h.service.EnqueueFor(ctx, Subscriber, e.ID.String(), input)
}

// fromEvent says which mail an event asks for; nil means none, as for an order
// whose owner was erased.
func fromEvent(e event.Event) *notification.SendInput {
	input := &notification.SendInput{}
	switch payload := e.Payload.(type) {
	case *eventv1.UserRegistered:
		input.To, input.Template, input.UserID = payload.GetEmail(), "welcome", payload.GetUserId()
		input.Params = map[string]string{"name": payload.GetDisplayName()}
	case *eventv1.OrderConfirmed:
		input.Template, input.Params = "order_confirmed", orderParams(payload.GetOrder())
		about(input, payload.GetOrder())
	case *eventv1.OrderCancelled:
		input.Template, input.Params = "order_cancelled", orderParams(payload.GetOrder())
		input.Params["reason"], input.Params["refund"] = payload.GetReason(), ""
		if payload.GetWasConfirmed() {
			input.Params["refund"] = "yes"
		}
		about(input, payload.GetOrder())
	case *eventv1.OrderFulfilled:
		input.Template, input.Params = "order_shipped", orderParams(payload.GetOrder())
		input.Params["tracking_number"] = payload.GetTrackingNumber()
		about(input, payload.GetOrder())
	case *eventv1.PaymentFailed:
		input.To, input.Template = payload.GetEmail(), "payment_failed"
		input.OrderID, input.UserID = payload.GetOrderId(), payload.GetUserId()
		input.Params = map[string]string{
			"number": payload.GetOrderNumber(), "amount": format(payload.GetAmount()), "reason": payload.GetFailureMessage(),
			"next_attempt": date(payload.GetNextAttemptTime()),
		}
	case *eventv1.PaymentRefunded:
		input.To, input.Template = payload.GetEmail(), "payment_refunded"
		input.OrderID, input.UserID = payload.GetOrderId(), payload.GetUserId()
		input.Params = map[string]string{"number": payload.GetOrderNumber(), "amount": format(payload.GetAmount())}
	}
	if input.To == "" {
		return nil
	}
	return input
}

func about(input *notification.SendInput, order *eventv1.OrderSnapshot) {
	input.To, input.OrderID, input.UserID = order.GetEmail(), order.GetOrderId(), order.GetUserId()
}

func orderParams(order *eventv1.OrderSnapshot) map[string]string {
	var lines strings.Builder
	for _, line := range order.GetLines() {
		fmt.Fprintf(&lines, "%d × %s (%s)\n", line.GetQuantity(), strings.ReplaceAll(line.GetName(), "\n", " "), format(line.GetTotal()))
	}
	return map[string]string{
		"number": order.GetNumber(), "lines": lines.String(), "subtotal": format(order.GetSubtotal()), "discount": format(order.GetDiscount()),
		"shipping": format(order.GetShipping()), "tax": format(order.GetTax()), "total": format(order.GetTotal()),
	}
}

// format writes an amount for people.
func format(amount *typev1.Money) string {
	return money.Money{CurrencyCode: amount.GetCurrencyCode(), AmountMinor: amount.GetAmountMinor()}.Format("en")
}

func date(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2 January 2006")
}
