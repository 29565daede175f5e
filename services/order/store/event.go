package store

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/services/order"
)

func toEvents(facts []order.Fact) ([]event.Event, error) {
	events := make([]event.Event, len(facts))
	for i, fact := range facts {
		e, err := toEvent(fact)
		if err != nil {
			return nil, err
		}
		events[i] = e
	}
	return events, nil
}

func toEvent(fact order.Fact) (event.Event, error) {
	switch f := fact.(type) {
	case order.Placed:
		return about(f.Order, &eventv1.OrderPlaced{OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID), Order: toSnapshot(f.Order)}), nil
	case order.Confirmed:
		return about(f.Order, &eventv1.OrderConfirmed{
			OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID), Order: toSnapshot(f.Order), PaymentId: text(f.PaymentID),
		}), nil
	case order.Fulfilled:
		return about(f.Order, &eventv1.OrderFulfilled{
			OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID), Order: toSnapshot(f.Order), TrackingNumber: f.Order.TrackingNumber,
		}), nil
	case order.Completed:
		return about(f.Order, &eventv1.OrderCompleted{OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID)}), nil
	case order.Cancelled:
		return about(f.Order, &eventv1.OrderCancelled{
			OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID), Order: toSnapshot(f.Order),
			Reason: f.Order.CancelReason, WasConfirmed: f.WasConfirmed,
		}), nil
	case order.Expired:
		return about(f.Order, &eventv1.OrderExpired{OrderId: f.Order.ID.String(), UserId: text(f.Order.UserID), Order: toSnapshot(f.Order)}), nil
	default:
		return event.Event{}, fmt.Errorf("order: no event for %T", fact)
	}
}

// text is an id, or "" for none.
func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func toSnapshot(o order.Order) *eventv1.OrderSnapshot {
	snapshot := &eventv1.OrderSnapshot{
		OrderId: o.ID.String(), UserId: text(o.UserID), Email: o.Email,
		Subtotal: toMoney(o, o.Subtotal), Discount: toMoney(o, o.Discount), Tax: toMoney(o, o.Tax),
		Shipping: toMoney(o, o.Shipping), Total: toMoney(o, o.Total),
		Lines: make([]*eventv1.OrderLine, len(o.Lines)),
	}
	// An order being placed gets its number from the statement that writes it.
	if o.Number > 0 {
		snapshot.Number = strconv.FormatInt(o.Number, 10)
	}
	for i, line := range o.Lines {
		snapshot.Lines[i] = &eventv1.OrderLine{
			ProductId: line.ProductID.String(), Sku: line.SKU, Name: line.Name, Quantity: line.Quantity,
			UnitPrice: toMoney(o, line.UnitPrice), Tax: toMoney(o, line.Tax), Total: toMoney(o, line.Total),
		}
	}
	if a := o.ShippingAddress; a != nil {
		snapshot.ShippingAddress = &typev1.Address{
			Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
			PostalCode: a.PostalCode, CountryCode: a.CountryCode, Phone: a.Phone,
		}
	}
	return snapshot
}

func toMoney(o order.Order, minor int64) *typev1.Money {
	return &typev1.Money{CurrencyCode: o.Currency, AmountMinor: minor}
}

// about is an event at the time of the order's last change.
func about(o order.Order, payload proto.Message) event.Event {
	return event.NewAt(o.UpdateTime, o.ID.String(), payload)
}
