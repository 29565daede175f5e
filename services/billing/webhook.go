package billing

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Notice is a webhook of the provider whose signature was verified. It says
// where to look; what is true is refetched.
type Notice struct {
	// EventID is the provider's; an event is handled once.
	EventID, Type string
	// IntentID is what it is about, "" when it does not concern payments.
	IntentID string
}

// Notify stores a webhook and returns once it cannot be lost any more. It is
// handled afterwards, so that a burst of events does not wait for the provider.
func (s *Service) Notify(ctx context.Context, n Notice) error {
	if n.IntentID == "" {
		return nil
	}
	now := s.now()
	fresh, err := s.Store.AddWebhook(ctx, WebhookEvent{ID: n.EventID, Type: n.Type, IntentID: n.IntentID, NextPollTime: now, CreateTime: now})
	if err == nil && fresh {
		s.Wake(QueueWebhooks)
	}
	return err
}

// takeIn handles one stored webhook. One that fails stays due and is tried again.
func (s *Service) takeIn(ctx context.Context, id string) error {
	event, err := s.Store.Webhook(ctx, id)
	if err != nil {
		return err
	}
	cause := s.refetch(ctx, event)
	event.Attempts++
	event.LastError, event.NextPollTime = "", time.Time{}
	if cause != nil {
		event.LastError = cause.Error()
		event.NextPollTime = s.now().Add(s.pause(event.Attempts - 1))
	}
	return errors.Join(cause, s.Store.SaveWebhook(context.WithoutCancel(ctx), event))
}

// refetch asks the provider how things are now, so that the order in which
// events come does not matter.
func (s *Service) refetch(ctx context.Context, event WebhookEvent) error {
	ctx, cancel := s.detach(ctx)
	defer cancel()
	intent, err := s.Provider.Intent(ctx, event.IntentID)
	var refusal *ProviderError
	if errors.As(err, &refusal) && refusal.Outage == Missing {
		return nil
	}
	if err != nil {
		return err
	}
	p, found, err := s.Store.PaymentByIntent(ctx, intent.ID)
	if err != nil {
		return err
	}
	id := p.ID
	if !found {
		// The answer of the call that made the intent may still be on its way.
		if id = intent.PaymentID; id == uuid.Nil {
			return nil
		}
	}
	if _, err = s.apply(ctx, id, intent, applying{}); err != nil {
		if final(err) {
			s.Logger.WarnContext(ctx, "an event tells of a payment that is not ours", "intent", intent.ID)
			return nil
		}
		return err
	}
	if !strings.Contains(event.Type, "refund") {
		return nil
	}
	refunds, err := s.Provider.Refunds(ctx, intent.ID)
	if err != nil {
		return err
	}
	for _, refund := range refunds {
		if err := s.observe(ctx, id, refund); err != nil {
			return err
		}
	}
	return nil
}
