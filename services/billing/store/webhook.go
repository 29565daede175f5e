package store

import (
	"context"
	"time"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

// AddWebhook implements billing.Store.
func (s *Store) AddWebhook(ctx context.Context, e billing.WebhookEvent) (bool, error) {
	tag, err := s.db.Pool().Exec(ctx, `INSERT INTO webhook_event (id, type, intent_id, next_poll_time, create_time)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`, e.ID, e.Type, e.IntentID, e.NextPollTime, e.CreateTime)
	if err != nil {
		return false, postgres.Fault(err)
	}
	return tag.RowsAffected() == 1, nil
}

// Webhook implements billing.Store.
func (s *Store) Webhook(ctx context.Context, id string) (billing.WebhookEvent, error) {
	row, err := s.client.WebhookEvent.Get(ctx, id)
	if err != nil {
		return billing.WebhookEvent{}, postgres.Fault(err)
	}
	return billing.WebhookEvent{
		ID: row.ID, Type: row.Type, IntentID: row.IntentID, Attempts: row.Attempts, LastError: row.LastError,
		NextPollTime: fromTime(row.NextPollTime), CreateTime: row.CreateTime.UTC(),
	}, nil
}

// SaveWebhook implements billing.Store.
func (s *Store) SaveWebhook(ctx context.Context, e billing.WebhookEvent) error {
	update := s.client.WebhookEvent.UpdateOneID(e.ID).SetAttempts(e.Attempts).SetLastError(clip(e.LastError, 500))
	when(e.NextPollTime, update.SetNextPollTime, update.ClearNextPollTime)
	return postgres.Fault(update.Exec(ctx))
}

// Purge implements billing.Store.
func (s *Store) Purge(ctx context.Context, before time.Time) error {
	_, err := s.db.Pool().Exec(ctx, `DELETE FROM webhook_event WHERE next_poll_time IS NULL AND create_time < $1`, before)
	return postgres.Fault(err)
}
