package outbox

import "context"

// Round hands over one batch and returns its size.
func (r *Relay) Round(ctx context.Context) (int, error) { return r.withDefaults().round(ctx) }
