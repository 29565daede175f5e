package analytics

import (
	"context"
	"time"
)

// Store keeps the counters.
type Store interface {
	// Add counts each increment unless its event was counted before. All are counted or none.
	Add(ctx context.Context, increments ...Increment) error
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

// Count adds what events tell, all of them or none.
func (s *Service) Count(ctx context.Context, increments ...Increment) error {
	for _, increment := range increments {
		if err := increment.Validate(); err != nil {
			return err
		}
	}
	return s.store.Add(ctx, increments...)
}

// Days returns the metrics of a range given as ISO 8601 dates; see ParseRange.
func (s *Service) Days(ctx context.Context, start, end string) ([]Day, error) {
	r, err := ParseRange(start, end, s.now())
	if err != nil {
		return nil, err
	}
	return s.store.Days(ctx, r)
}
