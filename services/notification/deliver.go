package notification

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	claimSize = 20
	// lease outlives the longest try, so that two workers never send one mail.
	lease       = 2 * time.Minute
	sendTimeout = 30 * time.Second
	pollEvery   = 2 * time.Second
	parallel    = 8
)

// Deliver sends what is due until the context ends. A mail being sent then is
// finished first.
func (s *Service) Deliver(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		sent, err := s.deliverDue(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "the mail queue cannot be read", slog.Any("error", err))
		}
		if err == nil && sent == claimSize {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// deliverDue claims one batch and sends it, several mails at a time.
func (s *Service) deliverDue(ctx context.Context) (int, error) {
	due, err := s.Store.Claim(ctx, claimSize, lease)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, m := range due {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			s.deliver(context.WithoutCancel(ctx), m)
		})
	}
	all.Wait()
	return len(due), nil
}

// deliver makes one try and records it.
func (s *Service) deliver(ctx context.Context, m Mail) {
	sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	outcome := s.try(sendCtx, m)
	switch outcome.Status {
	case StatusSent:
		s.Sent("sent")
	case StatusDead:
		s.Sent("dead")
		s.Logger.ErrorContext(ctx, "a mail is dead after its last try", slog.String("mailId", m.ID.String()),
			slog.String("template", m.Template), slog.String("error", outcome.LastError))
	case StatusQueued:
		s.Sent("failed")
		s.Logger.WarnContext(ctx, "a mail was not sent and is tried again", slog.String("mailId", m.ID.String()),
			slog.String("template", m.Template), slog.Int("attempt", outcome.Attempts), slog.String("error", outcome.LastError))
	}
	if err := s.Store.Finish(ctx, outcome); err != nil {
		s.Logger.ErrorContext(ctx, "the outcome of a mail was not recorded; it is tried again when its lease ends",
			slog.String("mailId", m.ID.String()), slog.Any("error", err))
	}
}

// try sends a mail once. A sender that panics on a mail must not take down the
// others with it, again and again each time the process starts.
func (s *Service) try(ctx context.Context, m Mail) (outcome Mail) {
	defer func() {
		if cause := recover(); cause != nil {
			outcome = m.Failed(s.Now(), fmt.Errorf("sending panicked: %v", cause))
		}
	}()
	if m.Unreadable != nil {
		return m.Failed(s.Now(), m.Unreadable)
	}
	message, err := s.message(m)
	if err != nil {
		return m.Failed(s.Now(), err)
	}
	reference, err := s.Sender.Send(ctx, message)
	if err != nil {
		return m.Failed(s.Now(), err)
	}
	return m.Delivered(s.Now(), reference)
}
