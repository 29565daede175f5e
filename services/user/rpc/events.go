package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/services/user"
)

// Subscriptions are what the component wants to hear of.
func Subscriptions(service *user.Service) []bus.Subscription {
	return []bus.Subscription{
		{Name: user.SubscriptionRegistered, Types: []string{"USER_REGISTERED"}, Handle: func(ctx context.Context, e event.Event) error {
			payload, ok := e.Payload.(*eventv1.UserRegistered)
			if !ok {
				return fmt.Errorf("rpc: event %s has payload %T", e.ID, e.Payload)
			}
			id, err := uuid.Parse(payload.GetUserId())
			if err != nil {
				return fmt.Errorf("rpc: event %s: %w", e.ID, err)
			}
			return service.OnRegistered(ctx, user.Registered{
				EventID: e.ID.String(), UserID: id, DisplayName: payload.GetDisplayName(), Time: e.Time,
			})
		}},
		{Name: user.SubscriptionDeleted, Types: []string{"USER_DELETED"}, Handle: func(ctx context.Context, e event.Event) error {
			payload, ok := e.Payload.(*eventv1.UserDeleted)
			if !ok {
				return fmt.Errorf("rpc: event %s has payload %T", e.ID, e.Payload)
			}
			id, err := uuid.Parse(payload.GetUserId())
			if err != nil {
				return fmt.Errorf("rpc: event %s: %w", e.ID, err)
			}
			return service.OnDeleted(ctx, e.ID.String(), id)
		}},
	}
}
