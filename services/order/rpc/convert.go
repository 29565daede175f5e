package rpc

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/services/order"
)

// manageOrders is the permission of those who see and move every order.
const manageOrders = "manage:orders"

func caller(ctx context.Context) order.Caller {
	id := identity.From(ctx)
	return order.Caller{
		UserID: fromID(id.UserID), Email: id.Email, GuestTokenHash: id.GuestTokenHash(), Admin: id.Can(manageOrders),
	}
}

// fromID reads a UUID that validation has checked; "" is none.
func fromID(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

func fromItems(items []*orderv1.PlaceOrderRequest_Item) []order.Item {
	out := make([]order.Item, len(items))
	for i, item := range items {
		out[i] = order.Item{ProductID: fromID(item.ProductId), Quantity: item.Quantity}
	}
	return out
}

func fromAddress(a *typev1.Address) *order.Address {
	if a == nil {
		return nil
	}
	return &order.Address{
		Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, CountryCode: a.CountryCode, Phone: a.Phone,
	}
}

func toAddress(a *order.Address) *typev1.Address {
	if a == nil {
		return nil
	}
	return &typev1.Address{
		Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, CountryCode: a.CountryCode, Phone: a.Phone,
	}
}

func fromStatus(s orderv1.Order_Status) order.Status {
	if s == orderv1.Order_STATUS_UNSPECIFIED {
		return ""
	}
	return order.Status(s.String())
}

func toStatus(s order.Status) orderv1.Order_Status {
	return orderv1.Order_Status(orderv1.Order_Status_value[string(s)])
}

func toOrder(o order.Order) *orderv1.Order {
	out := &orderv1.Order{
		Id: o.ID.String(), Number: number(o), Status: toStatus(o.Status), Items: make([]*orderv1.Order_Item, len(o.Lines)),
		Subtotal: toMoney(o, o.Subtotal), Discount: toMoney(o, o.Discount), Tax: toMoney(o, o.Tax),
		Shipping: toMoney(o, o.Shipping), Total: toMoney(o, o.Total), Refunded: toMoney(o, o.Refunded),
		CreateTime: toTime(o.CreateTime), UpdateTime: toTime(o.UpdateTime), UserId: text(o.UserID), Email: o.Email,
		ShippingAddress: toAddress(o.ShippingAddress), CouponCode: o.CouponCode,
		TrackingNumber: o.TrackingNumber, CancelReason: o.CancelReason,
	}
	if o.Status == order.StatusPending {
		out.ExpireTime = toTime(o.PayableUntil())
	}
	for i, line := range o.Lines {
		out.Items[i] = &orderv1.Order_Item{
			ProductId: line.ProductID.String(), Sku: line.SKU, Name: line.Name, Quantity: line.Quantity,
			UnitPrice: toMoney(o, line.UnitPrice), Subtotal: toMoney(o, line.Subtotal), Discount: toMoney(o, line.Discount),
			Tax: toMoney(o, line.Tax), Total: toMoney(o, line.Total),
		}
	}
	return out
}

func number(o order.Order) string { return strconv.FormatInt(o.Number, 10) }

func toMoney(o order.Order, minor int64) *typev1.Money {
	return &typev1.Money{CurrencyCode: o.Currency, AmountMinor: minor}
}

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func fromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime().Truncate(time.Microsecond)
}

func toStep(step order.Step) *orderv1.OrderEvent {
	return &orderv1.OrderEvent{
		Id: step.ID.String(), Type: string(step.Type), Status: toStatus(step.Status),
		Message: step.Message, CreateTime: toTime(step.Time), Actor: step.Actor,
	}
}
