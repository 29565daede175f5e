package store

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Audit writes what the platform found by itself; what callers asked for is written by the audit interceptor.
func (t *tx) Audit(ctx context.Context, action string, accountID uuid.UUID, detail map[string]string) error {
	details, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	id := identity.From(ctx)
	_, err = t.ExecContext(ctx, `INSERT INTO audit_log (id, actor_id, actor, action, resource, request_id, ip, details)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, uuid.Must(uuid.NewV7()), id.UserID, id.Actor(), action,
		"account/"+accountID.String(), telemetry.RequestID(ctx), id.ClientIP, string(details))
	return err
}
