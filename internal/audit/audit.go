// Package audit records who did what. Rows are added and never changed; the
// database refuses anything else. They hold ids, names of fields and outcomes,
// never a secret and never free text, because an erased person could not be
// taken out of them again.
package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Entry is one row. Empty Actor, ActorID, RequestID and IP are taken from the context.
type Entry struct {
	// Actor is the kind of caller: "admin", "user", "service" or "guest".
	Actor string
	// ActorID is the person's id or the calling component's name, "" for guests.
	ActorID string
	// Action is what was done, such as "OrderService/CancelOrder" or "account.locked".
	Action string
	// Resource is what it was done to, such as "order/0194…".
	Resource string
	// RequestID is the correlation id of the call.
	RequestID string
	// IP is the address of the outside client.
	IP string
	// Details are further facts. They hold no secret.
	Details map[string]any
}

const insert = `INSERT INTO audit_log (id, actor_id, actor, action, resource, request_id, ip, details)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

func (e Entry) args(ctx context.Context) ([]any, error) {
	id := identity.From(ctx)
	if e.Actor == "" {
		e.Actor = id.Actor()
		if e.ActorID == "" {
			e.ActorID = id.UserID
		}
		if e.ActorID == "" {
			e.ActorID = id.Service
		}
	}
	if e.RequestID == "" {
		e.RequestID = telemetry.RequestID(ctx)
	}
	if e.IP == "" {
		e.IP = id.ClientIP
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	details, err := json.Marshal(e.Details)
	if err != nil {
		return nil, fmt.Errorf("audit: %s: %w", e.Action, err)
	}
	return []any{uuid.Must(uuid.NewV7()), e.ActorID, e.Actor, e.Action, e.Resource, e.RequestID, e.IP, string(details)}, nil
}

// Write records an entry that commits with tx.
func Write(ctx context.Context, tx *postgres.Tx, entry Entry) error {
	args, err := entry.args(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, insert, args...); err != nil {
		return fmt.Errorf("audit: %s: %w", entry.Action, err)
	}
	return nil
}

// Record writes an entry on its own.
func Record(ctx context.Context, db *postgres.DB, entry Entry) error {
	args, err := entry.args(ctx)
	if err != nil {
		return err
	}
	if _, err := db.Pool().Exec(ctx, insert, args...); err != nil {
		return fmt.Errorf("audit: %s: %w", entry.Action, postgres.Fault(err))
	}
	return nil
}
