package outbox

import (
	"context"
	"fmt"
)

// Round hands over one batch and returns its size.
func (r *Relay) Round(ctx context.Context) (int, error) { return r.withDefaults().round(ctx) }

// SharedStatement is the statement of a round with a bus in the same database.
func SharedStatement(publish string) string { return fmt.Sprintf(relayShared, publish) }
