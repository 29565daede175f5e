package store

import (
	"context"
	"time"

	"github.com/commercestack/commercestack/internal/postgres"
)

const (
	// settleWithin is how long an order may still be PENDING after its time was over.
	settleWithin     = 10 * time.Minute
	unsettledTimeout = 5 * time.Second
	// The index of pending orders by expire_time holds what was not settled and little else.
	unsettledSQL = `SELECT count(*) FROM orders WHERE status = 'PENDING' AND expire_time < coalesce($2, now()) - $1::interval
		AND (payment_hold_until IS NULL OR payment_hold_until < coalesce($2, now()) - $1::interval)`
)

// Unsettled counts orders that are neither confirmed nor expired long after
// their time was over: they hold stock that nobody gets.
func Unsettled(ctx context.Context, db *postgres.DB) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, unsettledTimeout)
	defer cancel()
	return UnsettledAt(ctx, db, nil)
}

// UnsettledAt is Unsettled as it was at a time, such as that of a backup; nil is now.
func UnsettledAt(ctx context.Context, db *postgres.DB, at *time.Time) (n int64, err error) {
	err = db.Pool().QueryRow(ctx, unsettledSQL, settleWithin, at).Scan(&n)
	return n, postgres.Fault(err)
}
