package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/audit"
)

// Audit writes what the platform found by itself; what callers asked for is written by the audit interceptor.
func (t *tx) Audit(ctx context.Context, action string, accountID uuid.UUID, detail map[string]string) error {
	details := make(map[string]any, len(detail))
	for key, value := range detail {
		details[key] = value
	}
	return audit.Write(ctx, t.Tx, audit.Entry{Action: action, Resource: "account/" + accountID.String(), Details: details})
}
