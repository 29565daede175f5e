package pgtest

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

type counterKey struct{}

// CountQueries answers how many statements the DBs of this package sent to the server with the context that body got,
// or one made from it, so that a test can hold a list to a fixed number of queries. BEGIN, COMMIT and the like count.
func CountQueries(ctx context.Context, body func(ctx context.Context)) int {
	var count atomic.Int64
	body(context.WithValue(ctx, counterKey{}, &count))
	return int(count.Load())
}

type tracer struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if count, ok := ctx.Value(counterKey{}).(*atomic.Int64); ok {
		count.Add(1)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
