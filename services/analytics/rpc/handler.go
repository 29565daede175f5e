// Package rpc serves analytics over Connect and turns bus events into increments.
package rpc

import (
	"context"

	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/services/analytics"
)

// Handler implements the AnalyticsService.
type Handler struct {
	service *analytics.Service
}

// NewHandler returns a handler over the domain.
func NewHandler(service *analytics.Service) *Handler { return &Handler{service: service} }

// ListDailyMetrics implements the contract.
func (h *Handler) ListDailyMetrics(ctx context.Context, request *analyticsv1.ListDailyMetricsRequest) (*analyticsv1.ListDailyMetricsResponse, error) {
	days, err := h.service.Days(ctx, request.GetStartDate(), request.GetEndDate())
	if err != nil {
		return nil, err
	}
	response := &analyticsv1.ListDailyMetricsResponse{Days: make([]*analyticsv1.DailyMetrics, 0, len(days))}
	for _, day := range days {
		response.Days = append(response.Days, toProto(day))
	}
	return response, nil
}

func toProto(day analytics.Day) *analyticsv1.DailyMetrics {
	return &analyticsv1.DailyMetrics{
		Date: day.Date.Format("2006-01-02"), CurrencyCode: day.CurrencyCode, Registrations: day.Registrations,
		OrdersPlaced: day.OrdersPlaced, OrdersConfirmed: day.OrdersConfirmed, OrdersCancelled: day.OrdersCancelled,
		RevenueMinor: day.RevenueMinor, RefundedMinor: day.RefundedMinor, Conversion: day.Conversion(),
	}
}

// EventTypes are the events that are counted.
func EventTypes() []string {
	return []string{"USER_REGISTERED", "ORDER_PLACED", "ORDER_CONFIRMED", "ORDER_CANCELLED", "PAYMENT_REFUNDED"}
}

// HandleEvent counts one event.
func (h *Handler) HandleEvent(ctx context.Context, e event.Event) error {
	return h.HandleEvents(ctx, []event.Event{e})
}

// HandleEvents counts events, all of them or none.
func (h *Handler) HandleEvents(ctx context.Context, events []event.Event) error {
	var increments []analytics.Increment
	for _, e := range events {
		if increment, ok := fromEvent(e); ok {
			increments = append(increments, increment)
		}
	}
	return h.service.Count(ctx, increments...)
}

// fromEvent says what an event adds; false means nothing.
func fromEvent(e event.Event) (analytics.Increment, bool) {
	increment := analytics.Increment{EventID: e.ID.String(), Time: e.Time}
	var amount *typev1.Money
	switch payload := e.Payload.(type) {
	case *eventv1.UserRegistered:
		increment.Registrations = 1
		return increment, true
	case *eventv1.OrderPlaced:
		increment.OrdersPlaced = 1
		amount = payload.GetOrder().GetTotal()
	case *eventv1.OrderConfirmed:
		increment.OrdersConfirmed = 1
		amount = payload.GetOrder().GetTotal()
		increment.RevenueMinor = amount.GetAmountMinor()
	case *eventv1.OrderCancelled:
		increment.OrdersCancelled = 1
		amount = payload.GetOrder().GetTotal()
	case *eventv1.PaymentRefunded:
		amount = payload.GetAmount()
		increment.RefundedMinor = amount.GetAmountMinor()
	default:
		return analytics.Increment{}, false
	}
	increment.CurrencyCode = amount.GetCurrencyCode()
	return increment, true
}
