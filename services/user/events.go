package user

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// The names under which the component subscribes.
const (
	SubscriptionRegistered = "user.registered"
	SubscriptionDeleted    = "user.deleted"
)

// Registered is what auth says of a new account.
type Registered struct {
	EventID     string
	UserID      uuid.UUID
	DisplayName string
	Time        time.Time
}

// OnRegistered makes the profile of a new account.
func (s *Service) OnRegistered(ctx context.Context, event Registered) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		first, err := tx.Once(ctx, SubscriptionRegistered, event.EventID)
		if err != nil || !first {
			return err
		}
		return tx.CreateProfile(ctx, Profile{
			ID: event.UserID, DisplayName: event.DisplayName, Version: 1, CreateTime: event.Time, UpdateTime: event.Time,
		})
	})
}

// OnDeleted erases what the component holds of an erased account.
func (s *Service) OnDeleted(ctx context.Context, eventID string, userID uuid.UUID) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		first, err := tx.Once(ctx, SubscriptionDeleted, eventID)
		if err != nil || !first {
			return err
		}
		return tx.EraseProfile(ctx, userID, s.now())
	})
}
