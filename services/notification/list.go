package notification

import (
	"context"

	"github.com/google/uuid"
)

// List returns mails, newest first.
func (s *Service) List(ctx context.Context, filter Filter) ([]Mail, error) {
	return s.Store.List(ctx, filter)
}

// Redrive queues a DEAD mail again with three more tries.
func (s *Service) Redrive(ctx context.Context, id uuid.UUID) (Mail, error) {
	m, err := s.Store.Redrive(ctx, id, s.Now())
	if err == nil {
		s.Wake()
	}
	return m, err
}

// Erase removes what identifies a user who was deleted.
func (s *Service) Erase(ctx context.Context, userID string) error { return s.Store.Erase(ctx, userID) }
