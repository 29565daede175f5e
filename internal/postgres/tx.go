package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

const (
	maxAttempts  = 8
	firstBackoff = 4 * time.Millisecond
	maxBackoff   = 250 * time.Millisecond
)

// ErrNested says that InTx was called with the context of a transaction's body. The inner transaction would not
// belong to the outer one and could wait for its locks forever.
var ErrNested = errors.New("postgres: InTx inside the body of another InTx")

// Tx is one transaction on the primary. It embeds *sql.Tx, so it can be handed to River's InsertTx as it is.
type Tx struct {
	*sql.Tx

	afterCommit []func()
	ended       atomic.Bool
}

// Driver is an Ent driver bound to the transaction. Ent's own Tx on it begins nothing and commits nothing.
func (tx *Tx) Driver() dialect.Driver {
	return txDriver{Conn: entsql.Conn{ExecQuerier: tx.Tx}}
}

// AfterCommit runs f once the transaction has committed, and never when it has not. A crash between the two loses f,
// so it is for wake-ups and caches; what must happen belongs into the outbox or a job.
func (tx *Tx) AfterCommit(f func()) { tx.afterCommit = append(tx.afterCommit, f) }

type txDriver struct{ entsql.Conn }

func (d txDriver) Dialect() string                        { return dialect.Postgres }
func (d txDriver) Tx(context.Context) (dialect.Tx, error) { return dialect.NopTx(d), nil }
func (d txDriver) Close() error                           { return nil }

// BeginTx is what Ent's BeginTx with options looks for; the options are those of the outer transaction.
func (d txDriver) BeginTx(context.Context, *sql.TxOptions) (dialect.Tx, error) {
	return dialect.NopTx(d), nil
}

type txKey struct{}

// InTx runs body in a transaction and commits it when body returns nil. Serialization failures and deadlocks run body
// again, from its start, up to 8 times with a growing random pause: body must have no effect outside the transaction
// except through AfterCommit. A panic rolls back and goes on.
//
// Errors come back as [Fault] makes them. When the connection is lost during the commit it is unknown whether the
// transaction happened; that is why every use case is idempotent by the id of the fact it creates.
func (db *DB) InTx(ctx context.Context, body func(ctx context.Context, tx *Tx) error) error {
	if outer, ok := ctx.Value(txKey{}).(*Tx); ok && !outer.ended.Load() {
		return ErrNested
	}
	for attempt := 1; ; attempt++ {
		tx, err := db.attempt(ctx, body)
		if err == nil {
			for _, f := range tx.afterCommit {
				f()
			}
			return nil
		}
		if !retryable(err) || attempt == maxAttempts {
			return Fault(err)
		}
		db.retries.inc()
		db.logger.DebugContext(ctx, "transaction runs again", slog.Int("attempt", attempt), slog.Any("cause", err))
		if err := pause(ctx, attempt); err != nil {
			return Fault(err)
		}
	}
}

func (db *DB) attempt(ctx context.Context, body func(context.Context, *Tx) error) (tx *Tx, err error) {
	sqlTx, err := db.sql.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	tx = &Tx{Tx: sqlTx}
	defer tx.ended.Store(true)
	committed := false
	defer func() {
		if !committed {
			// Also runs when body panics. The connection is discarded when the rollback fails, which rolls back too.
			_ = sqlTx.Rollback()
		}
	}()
	if err := body(context.WithValue(ctx, txKey{}, tx), tx); err != nil {
		return nil, err
	}
	if err := sqlTx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	committed = true
	return tx, nil
}

func pause(ctx context.Context, attempt int) error {
	limit := min(firstBackoff<<attempt, maxBackoff)
	timer := time.NewTimer(limit/2 + rand.N(limit/2)) //nolint:gosec // jitter guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
