package analytics

import (
	"context"
	"time"
)

// Store keeps the counters.
type Store interface {
	// Add counts an increment unless its event was counted before.
	Add(ctx context.Context, increment Increment) error
	// Days returns the rows of a range, oldest first, in one query.
	Days(ctx context.Context, r Range) ([]Day, error)
}

// Service answers how the shop is doing.
type Service struct {
	store Store
	now   func() time.Time
}

// New returns a service over a store.
func New(store Store, now func() time.Time) *Service {
	return &Service{store: store, now: now}
}

// Count adds what one event tells.
func (s *Service) Count(ctx context.Context, increment Increment) error {
	if err := increment.Validate(); err != nil {
		return err
	}
	return s.store.Add(ctx, increment)
}

// Days returns the metrics of a range given as ISO 8601 dates; see ParseRange.
func (s *Service) Days(ctx context.Context, start, end string) ([]Day, error) {
	r, err := ParseRange(start, end, s.now())
	if err != nil {
		return nil, err
	}
	return s.store.Days(ctx, r)
}
