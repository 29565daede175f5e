package rpc

import (
	"context"

	"github.com/google/uuid"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/order"
)

// Orders serves OrderService and SettlementService.
type Orders struct {
	service *order.Service
}

var (
	_ orderv1connect.OrderServiceHandler      = (*Orders)(nil)
	_ orderv1connect.SettlementServiceHandler = (*Orders)(nil)
)

// NewOrders returns the handlers of orders.
func NewOrders(service *order.Service) *Orders { return &Orders{service: service} }

// PlaceOrder implements OrderService.
func (h *Orders) PlaceOrder(ctx context.Context, req *orderv1.PlaceOrderRequest) (*orderv1.PlaceOrderResponse, error) {
	receipt, err := h.service.Place(ctx, order.PlaceInput{
		ID: idempotency.ResourceID(ctx), Caller: caller(ctx), Items: fromItems(req.Items), CartID: fromID(req.CartId),
		ShippingAddress: fromAddress(req.ShippingAddress), CouponCode: req.CouponCode, Email: req.Email,
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.PlaceOrderResponse{Order: toOrder(receipt.Order), GuestToken: receipt.GuestToken}, nil
}

// GetOrder implements OrderService.
func (h *Orders) GetOrder(ctx context.Context, req *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	o, err := h.service.Get(ctx, fromID(req.OrderId), caller(ctx))
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderResponse{Order: toOrder(o)}, nil
}

// ListOrders implements OrderService.
func (h *Orders) ListOrders(ctx context.Context, req *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	in := order.ListInput{
		Caller: caller(ctx), Status: fromStatus(req.Status), UserID: fromID(req.UserId), All: req.All, Text: req.Q, Size: int(req.PageSize),
	}
	filter := page.FilterHash("orders", in.Caller.UserID, in.Status, in.UserID, in.All, in.Text)
	if req.PageToken != "" {
		if err := page.Decode(req.PageToken, &in.Before, filter); err != nil {
			return nil, err
		}
	}
	found, err := h.service.List(ctx, in)
	if err != nil {
		return nil, err
	}
	res := &orderv1.ListOrdersResponse{Orders: make([]*orderv1.Order, len(found.Orders))}
	for i, o := range found.Orders {
		res.Orders[i] = toOrder(o)
	}
	if found.Next > 0 {
		res.NextPageToken = page.Encode(found.Next, filter)
	}
	return res, nil
}

// CancelOrder implements OrderService.
func (h *Orders) CancelOrder(ctx context.Context, req *orderv1.CancelOrderRequest) (*orderv1.CancelOrderResponse, error) {
	o, err := h.service.Cancel(ctx, order.MoveInput{OrderID: fromID(req.OrderId), Caller: caller(ctx), Reason: req.Reason})
	if err != nil {
		return nil, err
	}
	return &orderv1.CancelOrderResponse{Order: toOrder(o)}, nil
}

// FulfillOrder implements OrderService.
func (h *Orders) FulfillOrder(ctx context.Context, req *orderv1.FulfillOrderRequest) (*orderv1.FulfillOrderResponse, error) {
	o, err := h.service.Fulfill(ctx, order.MoveInput{
		OrderID: fromID(req.OrderId), Caller: caller(ctx), TrackingNumber: req.TrackingNumber,
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.FulfillOrderResponse{Order: toOrder(o)}, nil
}

// CompleteOrder implements OrderService.
func (h *Orders) CompleteOrder(ctx context.Context, req *orderv1.CompleteOrderRequest) (*orderv1.CompleteOrderResponse, error) {
	o, err := h.service.Complete(ctx, order.MoveInput{OrderID: fromID(req.OrderId), Caller: caller(ctx)})
	if err != nil {
		return nil, err
	}
	return &orderv1.CompleteOrderResponse{Order: toOrder(o)}, nil
}

// ListOrderEvents implements OrderService.
func (h *Orders) ListOrderEvents(ctx context.Context, req *orderv1.ListOrderEventsRequest) (*orderv1.ListOrderEventsResponse, error) {
	steps, err := h.service.History(ctx, fromID(req.OrderId), caller(ctx))
	if err != nil {
		return nil, err
	}
	res := &orderv1.ListOrderEventsResponse{Events: make([]*orderv1.OrderEvent, len(steps))}
	for i, step := range steps {
		res.Events[i] = toStep(step)
	}
	return res, nil
}

// BeginPayment implements SettlementService.
func (h *Orders) BeginPayment(ctx context.Context, req *orderv1.BeginPaymentRequest) (*orderv1.BeginPaymentResponse, error) {
	o, err := h.service.BeginPayment(ctx, order.BeginPaymentInput{
		OrderID: fromID(req.OrderId), PaymentID: fromID(req.PaymentId),
		// Billing says for whom it acts; its own identity proves nothing about the order.
		Caller: order.Caller{UserID: fromID(req.UserId), GuestTokenHash: req.GuestTokenHash},
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.BeginPaymentResponse{
		Amount: toMoney(o, o.Total), Number: number(o), UserId: text(o.UserID), Email: o.Email,
		ExpireTime: toTime(o.PayableUntil()), Order: toOrder(o),
	}, nil
}

// text is an id, or "" for none.
func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
