package postgresbus

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/bus"
)

// depths counts in the database, so the numbers hold for all replicas together.
func (b *Bus) depths(ctx context.Context) ([]bus.Depth, error) {
	b.mutex.Lock()
	names := slices.Collect(maps.Keys(b.lanes))
	b.mutex.Unlock()
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := b.config.DB.Pool().Query(ctx, "SELECT stats_subscription, waiting, dead_letters, oldest_seconds FROM bus.stats($1)", names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[bus.Depth])
}
