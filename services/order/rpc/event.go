package rpc

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/order"
)

// Subscriptions are what the order component hears from others.
func Subscriptions(service *order.Service) []bus.Subscription {
	l := listener{service: service}
	return []bus.Subscription{
		{Name: order.SubscriberPayments, Types: []string{"PAYMENT_SUCCEEDED", "PAYMENT_FAILED", "PAYMENT_REFUNDED"}, Handle: l.payment},
		{Name: order.SubscriberHistory, Types: []string{"INVOICE_ISSUED", "MAIL_SENT"}, Handle: l.note},
		{Name: order.SubscriberAccounts, Types: []string{"USER_DELETED"}, Handle: l.account},
	}
}

type listener struct {
	service *order.Service
}

func (l listener) payment(ctx context.Context, e event.Event) error {
	switch p := e.Payload.(type) {
	case *eventv1.PaymentSucceeded:
		ids, err := parse(p.OrderId, p.PaymentId)
		if err != nil {
			return err
		}
		return l.service.Settle(ctx, order.SettleInput{EventID: e.ID, OrderID: ids[0], PaymentID: ids[1], Amount: amount(p.Amount)})
	case *eventv1.PaymentFailed:
		ids, err := parse(p.OrderId, p.PaymentId)
		if err != nil {
			return err
		}
		return l.service.Fail(ctx, order.FailInput{EventID: e.ID, OrderID: ids[0], PaymentID: ids[1], Code: p.FailureCode})
	case *eventv1.PaymentRefunded:
		ids, err := parse(p.OrderId, p.PaymentId, p.RefundId)
		if err != nil {
			return err
		}
		return l.service.Refunded(ctx, order.RefundInput{
			EventID: e.ID, OrderID: ids[0], PaymentID: ids[1], RefundID: ids[2], Amount: amount(p.Amount), Total: amount(p.RefundedTotal),
		})
	}
	return nil
}

func (l listener) note(ctx context.Context, e event.Event) error {
	switch p := e.Payload.(type) {
	case *eventv1.InvoiceIssued:
		ids, err := parse(p.OrderId)
		if err != nil {
			return err
		}
		return l.service.Note(ctx, order.NoteInput{
			EventID: e.ID, OrderID: ids[0], Type: order.StepInvoiced, Key: p.InvoiceId, Message: fmt.Sprintf("Invoice %s issued", p.Number),
		})
	case *eventv1.MailSent:
		if p.OrderId == "" {
			return nil
		}
		ids, err := parse(p.OrderId)
		if err != nil {
			return err
		}
		return l.service.Note(ctx, order.NoteInput{
			EventID: e.ID, OrderID: ids[0], Type: order.StepMailSent, Key: p.MailId, Message: "Mail sent: " + strings.ReplaceAll(p.Template, "_", " "),
		})
	}
	return nil
}

func (l listener) account(ctx context.Context, e event.Event) error {
	p, ok := e.Payload.(*eventv1.UserDeleted)
	if !ok {
		return nil
	}
	ids, err := parse(p.UserId)
	if err != nil {
		return err
	}
	return l.service.Erase(ctx, e.ID, ids[0])
}

// parse reads ids of an event; a malformed one makes a dead letter that a person sees.
func parse(texts ...string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, len(texts))
	for i, s := range texts {
		id, err := uuid.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("order: malformed id in an event: %w", err)
		}
		ids[i] = id
	}
	return ids, nil
}

func amount(m *typev1.Money) money.Money {
	return money.Money{CurrencyCode: m.GetCurrencyCode(), AmountMinor: m.GetAmountMinor()}
}
