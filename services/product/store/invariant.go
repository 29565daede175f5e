package store

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/postgres"
)

// StockAudit compares what is in stock with its ledger, some products at a
// time, so that a large catalog costs each look as little as a small one.
type StockAudit struct {
	db    *postgres.DB
	batch int

	mutex sync.Mutex
	after uuid.UUID
	// found in this pass through the catalog so far, and by the last whole one.
	found, last int64
}

// auditBatch bounds one look: its rows are read by their key, each with its own part of the ledger.
const auditBatch = 500

// NewStockAudit returns an audit that begins with the first product.
func NewStockAudit(db *postgres.DB) *StockAudit { return &StockAudit{db: db, batch: auditBatch} }

// One statement sees one moment, and stock changes together with its ledger.
const auditSQL = `WITH level AS (
		SELECT product_id, on_hand, reserved FROM stock_level WHERE product_id > $1 ORDER BY product_id LIMIT $2
	), audited AS (
		SELECT s.product_id, (s.on_hand, s.reserved) = (l.on_hand, l.reserved) AND 0 <= s.reserved AND s.reserved <= s.on_hand AS holds
		FROM level s CROSS JOIN LATERAL (
			SELECT coalesce(sum(e.on_hand_delta), 0) AS on_hand, coalesce(sum(e.reserved_delta), 0) AS reserved
			FROM stock_entry e WHERE e.product_id = s.product_id) l
	)
	SELECT count(*), count(*) FILTER (WHERE NOT holds), coalesce((array_agg(product_id ORDER BY product_id DESC))[1], $1) FROM audited`

const auditTimeout = 5 * time.Second

// Violations looks at the next products and returns how many contradict their
// ledger: in this pass so far, or in the last one when that found more.
func (a *StockAudit) Violations(ctx context.Context) (int64, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	if _, err := a.look(ctx); err != nil {
		return 0, err
	}
	return max(a.last, a.found), nil
}

// look goes on with the pass, and says whether it came to its end.
func (a *StockAudit) look(ctx context.Context) (over bool, err error) {
	var seen int
	var wrong int64
	if err := a.db.Pool().QueryRow(ctx, auditSQL, a.after, a.batch).Scan(&seen, &wrong, &a.after); err != nil {
		return false, postgres.Fault(err)
	}
	a.found += wrong
	if seen < a.batch {
		a.last, a.found, a.after = a.found, 0, uuid.Nil
		return true, nil
	}
	return false, nil
}

// Whole looks at all products and returns how many contradict their ledger.
func (a *StockAudit) Whole(ctx context.Context) (int64, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for {
		if over, err := a.look(ctx); err != nil || over {
			return a.last, err
		}
	}
}
