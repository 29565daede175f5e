// Package inbox makes a subscriber act once on an event that may arrive twice:
// the event's id is written in the transaction of its effect, so both happen or
// neither does.
package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/commercestack/commercestack/internal/postgres"
)

// Retention is how long ids are remembered. It is longer than any bus keeps
// events for replay, so nothing is done twice.
const Retention = 30 * 24 * time.Hour

// Once reports whether the subscriber sees the event for the first time, and
// remembers it when tx commits. While another transaction handles the same
// event it waits for its outcome. eventID is a UUID.
func Once(ctx context.Context, tx *postgres.Tx, subscriber, eventID string) (bool, error) {
	result, err := tx.ExecContext(ctx,
		"INSERT INTO inbox (subscriber, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", subscriber, eventID)
	if err != nil {
		return false, fmt.Errorf("inbox: %w", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// Forget makes the subscriber see events again that it took in at or after
// since, so that a replay has an effect. It returns how many.
func Forget(ctx context.Context, db *postgres.DB, subscriber string, since time.Time) (int, error) {
	tag, err := db.Pool().Exec(ctx, "DELETE FROM inbox WHERE subscriber = $1 AND create_time >= $2", subscriber, since)
	return int(tag.RowsAffected()), postgres.Fault(err)
}

// Purge drops ids older than Retention and returns how many.
func Purge(ctx context.Context, db *postgres.DB) (int, error) {
	tag, err := db.Pool().Exec(ctx, "DELETE FROM inbox WHERE create_time < now() - $1::interval", Retention)
	return int(tag.RowsAffected()), postgres.Fault(err)
}

// Run purges about once a day until ctx ends. Failures are logged to logger, or slog.Default() when it is nil.
func Run(ctx context.Context, db *postgres.DB, logger *slog.Logger) error {
	if logger == nil {
		logger = slog.Default()
	}
	const every = 24 * time.Hour
	for wait := rand.N(time.Hour); ; wait = every { //nolint:gosec // spreads load, guards nothing
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if _, err := Purge(ctx, db); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "cannot purge the inbox", slog.String("schema", db.Schema()), slog.Any("cause", err))
		}
	}
}
