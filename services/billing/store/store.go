package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

// Store implements billing.Store.
type Store struct {
	db     *postgres.DB
	client *ent.Client
	codec  codec
}

var _ billing.Store = (*Store)(nil)

// New returns a store on billing's schema.
func New(db *postgres.DB, ring *crypto.Keyring) *Store {
	return &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), codec: codec{ring: ring}}
}

// InTx implements billing.Store.
func (s *Store) InTx(ctx context.Context, body func(ctx context.Context, tx billing.Tx) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, sqlTx *postgres.Tx) error {
		return body(ctx, &tx{Tx: sqlTx, client: ent.NewClient(ent.Driver(sqlTx.Driver())), codec: s.codec})
	})
}

// tx implements billing.Tx.
type tx struct {
	*postgres.Tx

	client *ent.Client
	codec  codec
}

// Once implements billing.Tx.
func (t *tx) Once(ctx context.Context, subscriber, eventID string) (bool, error) {
	return inbox.Once(ctx, t.Tx, subscriber, eventID)
}

// claimSQL leases due rows by moving their time forward: the row of a dead
// worker is due again when the lease is over. SKIP LOCKED lets replicas work side by side.
const claimSQL = `UPDATE %[1]s SET next_poll_time = $2 WHERE id IN (
	SELECT id FROM %[1]s WHERE next_poll_time <= $1 ORDER BY next_poll_time LIMIT $3 FOR UPDATE SKIP LOCKED)
	RETURNING id::text`

// Claim implements billing.Store.
func (s *Store) Claim(ctx context.Context, queue billing.Queue, now time.Time, lease time.Duration, limit int) ([]string, error) {
	rows, err := s.db.Pool().Query(ctx, fmt.Sprintf(claimSQL, string(queue)), now, now.Add(lease), limit)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, postgres.Fault(err)
		}
		ids = append(ids, id)
	}
	return ids, postgres.Fault(rows.Err())
}

func fromID(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

func toID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

func fromTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func fromText(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
