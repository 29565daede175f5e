package notification

import (
	"context"
	"maps"
	"net/mail"
	"strings"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// SendInput asks for one mail.
type SendInput struct {
	To             string
	Template       string
	Params         map[string]string
	IdempotencyKey string
	Locale         string
	OrderID        string
	UserID         string
}

// Enqueue queues a mail, once for each idempotency key, and returns its id. It
// renders the texts first: a missing parameter is the caller's error now, not a
// dead letter later.
func (s *Service) Enqueue(ctx context.Context, input SendInput) (uuid.UUID, error) {
	queued, err := s.prepare(input)
	if err != nil {
		return uuid.Nil, err
	}
	stored, err := s.Store.Enqueue(ctx, queued)
	if err != nil {
		return uuid.Nil, err
	}
	s.Wake()
	return stored.ID, nil
}

// EnqueueFor queues the mail of an event, once for each event. A nil input only
// remembers the event.
func (s *Service) EnqueueFor(ctx context.Context, subscriber, eventID string, input *SendInput) error {
	var queued *Mail
	if input != nil {
		prepared, err := s.prepare(*input)
		if err != nil {
			return err
		}
		queued = &prepared
	}
	if err := s.Store.EnqueueOnce(ctx, subscriber, eventID, queued); err != nil {
		return err
	}
	s.Wake()
	return nil
}

func (s *Service) prepare(input SendInput) (Mail, error) {
	address, err := mail.ParseAddress(input.To)
	if err != nil || address.Address != input.To || strings.ContainsAny(input.To, "\r\n") {
		return Mail{}, fault.Invalid("to", "is not an e-mail address")
	}
	version, ok := s.Renderer.Latest(input.Template)
	if !ok {
		return Mail{}, fault.Invalid("template", "there is no template with this name").WithField("template", input.Template)
	}
	id := uuid.Must(uuid.NewV7())
	now := s.Now()
	prepared := Mail{
		ID: id, IdempotencyKey: input.IdempotencyKey, To: input.To, Template: input.Template, TemplateVersion: version,
		Params: input.Params, Locale: input.Locale, Status: StatusQueued, NextAttemptTime: now, CreateTime: now,
		OrderID: input.OrderID, UserID: input.UserID,
	}
	if _, err := s.message(prepared); err != nil {
		return Mail{}, fault.Invalid("params", "%v", err)
	}
	return prepared, nil
}

// message renders a mail.
func (s *Service) message(m Mail) (Message, error) {
	params := map[string]string{"shop": s.Shop, "shop_url": s.PublicURL}
	maps.Copy(params, m.Params)
	subject, text, html, err := s.Renderer.Render(m.Template, m.TemplateVersion, params)
	if err != nil {
		return Message{}, err
	}
	return Message{
		ID: m.ID, To: m.To, Subject: subject, Text: text, HTML: html, FromName: s.FromName, FromAddress: s.FromAddress,
	}, nil
}
