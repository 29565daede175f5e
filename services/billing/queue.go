package billing

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

var queues = []Queue{QueuePayments, QueueRefunds, QueueRefundOrders, QueueWebhooks}

// batch is how many rows of a queue one process works on at once.
const batch = 8

// Wake makes a queue be looked at now.
func (s *Service) Wake(queue Queue) {
	select {
	case s.wake[queue] <- struct{}{}:
	default:
	}
}

// Work works on all queues until ctx ends. Failures are logged and tried again.
func (s *Service) Work(ctx context.Context) error {
	var group sync.WaitGroup
	for _, queue := range queues {
		group.Go(func() { s.loop(ctx, queue) })
	}
	group.Go(func() { s.purge(ctx) })
	group.Wait()
	return nil
}

const (
	// remembered is how long handled webhooks are known: longer than Stripe
	// repeats an event, and long enough to look into one.
	remembered = 90 * 24 * time.Hour
	purgeEvery = 24 * time.Hour
)

// purge forgets old webhooks at the start and once a day.
func (s *Service) purge(ctx context.Context) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		if err := s.Store.Purge(ctx, s.now().Add(-remembered)); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "old webhooks cannot be forgotten", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) loop(ctx context.Context, queue Queue) {
	ticker := time.NewTicker(s.Poll)
	defer ticker.Stop()
	for {
		n, err := s.Drain(ctx, queue)
		if err != nil && ctx.Err() == nil {
			s.Logger.ErrorContext(ctx, "a queue of billing cannot be read", "queue", queue, "error", err)
		}
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake[queue]:
		case <-ticker.C:
		}
	}
}

// Drain works on the rows of a queue that are due, at most one batch, and
// returns how many there were.
func (s *Service) Drain(ctx context.Context, queue Queue) (int, error) {
	ids, err := s.Store.Claim(ctx, queue, s.now(), s.Lease, batch)
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	for _, id := range ids {
		group.Go(func() {
			if err := s.handle(ctx, queue, id); err != nil && ctx.Err() == nil {
				s.Logger.WarnContext(ctx, "work of billing failed and is tried again", "queue", queue, "id", id, "error", err)
			}
		})
	}
	group.Wait()
	return len(ids), nil
}

func (s *Service) handle(ctx context.Context, queue Queue, text string) error {
	if queue == QueueWebhooks {
		return s.takeIn(ctx, text)
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return err
	}
	switch queue {
	case QueuePayments:
		return s.advance(ctx, id)
	case QueueRefunds:
		return s.advanceRefund(ctx, id)
	default:
		return s.unwind(ctx, id)
	}
}
