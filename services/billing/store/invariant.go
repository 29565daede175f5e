package store

import (
	"context"
	"time"

	"github.com/commercestack/commercestack/internal/postgres"
)

// reconcileWithin is how long money may be with us before its order is known to
// be confirmed (there is an invoice) or it is on its way back, and how long a
// row may be due before somebody looks at it.
const reconcileWithin = 10 * time.Minute

// Only recent payments are looked at by their time; a refund or an invoice is found by its key.
const (
	unreconciledSQL = `SELECT
		(SELECT count(*) FROM payment p
			WHERE p.create_time > coalesce($2, now()) - interval '7 days' AND p.status = 'SUCCEEDED' AND p.update_time < coalesce($2, now()) - $1::interval
				AND NOT EXISTS (SELECT FROM invoice i WHERE i.order_id = p.order_id AND i.kind = 'INVOICE')
				AND NOT EXISTS (SELECT FROM refund r WHERE r.payment_id = p.id AND r.status <> 'FAILED'))
		+ (SELECT count(*) FROM payment WHERE next_poll_time < coalesce($2, now()) - $1::interval)`
	unreconciledTimeout = 5 * time.Second
)

// Unreconciled counts payments that took money for an order nobody heard of
// again, and payments whose outcome nobody asks for.
func Unreconciled(ctx context.Context, db *postgres.DB) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, unreconciledTimeout)
	defer cancel()
	return UnreconciledAt(ctx, db, nil)
}

// UnreconciledAt is Unreconciled as it was at a time, such as that of a backup; nil is now.
func UnreconciledAt(ctx context.Context, db *postgres.DB, at *time.Time) (n int64, err error) {
	err = db.Pool().QueryRow(ctx, unreconciledSQL, reconcileWithin, at).Scan(&n)
	return n, postgres.Fault(err)
}
