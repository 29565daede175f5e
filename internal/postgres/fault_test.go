package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

func isUnavailable(err error) bool {
	f := fault.From(err)
	return f != nil && f.Kind == fault.KindUnavailable && f.RetryAfter > 0
}

func TestFault(t *testing.T) {
	t.Parallel()
	outOfStock := fault.New(fault.KindConflict, "OUT_OF_STOCK", "out of stock").WithCause(io.EOF)
	for _, test := range []struct {
		err         error
		unavailable bool
	}{
		{nil, false},
		{errors.New("other"), false},
		{sql.ErrNoRows, false},
		{pgx.ErrNoRows, false},
		{outOfStock, false},
		{context.Canceled, false},
		{fmt.Errorf("query: %w", &pgconn.PgError{Code: "23505"}), false},
		{&pgconn.PgError{Code: "42P01"}, false},
		{&pgconn.PgError{Code: ""}, false},
		{fmt.Errorf("%w: %w", context.Canceled, &pgconn.PgError{Code: "57014"}), false},
		{&pgconn.PgError{Code: "57014"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{Code: "40P01"}, true},
		{context.DeadlineExceeded, true},
		{driver.ErrBadConn, true},
		{sql.ErrConnDone, true},
		{io.ErrUnexpectedEOF, true},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, true},
		{fmt.Errorf("exec: %w", errors.New("conn closed")), true},
	} {
		got := postgres.Fault(test.err)
		if isUnavailable(got) != test.unavailable {
			t.Errorf("Fault(%v) = %v, want unavailable %t", test.err, got, test.unavailable)
		}
		if !errors.Is(got, test.err) {
			t.Errorf("Fault(%v) lost its cause", test.err)
		}
	}
}

// What the driver really says when a server behaves badly.
func TestFaultOfARealServer(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"})
	short := postgres.Config{
		URL: database.URL("order"), Schema: "order", MaxConns: 2,
		StatementTimeout: 300 * time.Millisecond, LockTimeout: 100 * time.Millisecond, IdleInTransactionTimeout: 200 * time.Millisecond,
	}
	t.Run("statement timeout", func(t *testing.T) {
		t.Parallel()
		_, err := open(t, short).SQL().ExecContext(t.Context(), "SELECT pg_sleep(10)")
		if !isUnavailable(postgres.Fault(err)) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("lock timeout", func(t *testing.T) {
		t.Parallel()
		db := open(t, short)
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.ExecContext(ctx, "LOCK TABLE outbox IN ROW EXCLUSIVE MODE"); err != nil {
				return err
			}
			return pgx.BeginFunc(ctx, db.Pool(), func(other pgx.Tx) error {
				_, err := other.Exec(ctx, "LOCK TABLE outbox IN SHARE MODE")
				return err
			})
		})
		if !isUnavailable(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("idle in a transaction", func(t *testing.T) {
		t.Parallel()
		err := open(t, short).InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			time.Sleep(400 * time.Millisecond)
			_, err := tx.ExecContext(ctx, "SELECT 1")
			return err
		})
		if !isUnavailable(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("pool exhausted", func(t *testing.T) {
		t.Parallel()
		db := open(t, short)
		for range 2 {
			conn, err := db.Pool().Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := db.InTx(ctx, insert("a")); !isUnavailable(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("session ended by the administrator", func(t *testing.T) {
		t.Parallel()
		db := open(t, short)
		admin := connect(t, database.AdminURL())
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			var pid int
			if err := tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
				return err
			}
			if _, err := admin.Exec(ctx, "SELECT pg_terminate_backend($1, 5000)", pid); err != nil {
				t.Error(err)
			}
			return insert("a")(ctx, tx)
		})
		if !isUnavailable(err) {
			t.Errorf("error %v", err)
		}
		// The pool replaces the lost connection.
		if err := db.InTx(t.Context(), insert("b")); err != nil {
			t.Errorf("after the loss: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		db := open(t, short)
		db.Close()
		if err := db.Ping(t.Context()); !isUnavailable(err) {
			t.Errorf("error %v", err)
		}
	})
}

func TestViolations(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	const key = "INSERT INTO idempotency_key (scope, procedure, key, params_hash, resource_id, state) " +
		"VALUES ('s', 'p', 'k', '', gen_random_uuid(), $1)"
	if _, err := db.SQL().ExecContext(t.Context(), key, "done"); err != nil {
		t.Fatal(err)
	}
	_, twice := db.SQL().ExecContext(t.Context(), key, "done")
	_, state := db.SQL().ExecContext(t.Context(), key, "elsewhere")
	for name, test := range map[string]struct{ got, want bool }{
		"the key":           {postgres.IsUnique(twice, "idempotency_key_pkey"), true},
		"any key":           {postgres.IsUnique(fmt.Errorf("insert: %w", twice), ""), true},
		"another key":       {postgres.IsUnique(twice, "outbox_pkey"), false},
		"key, no check":     {postgres.IsCheck(twice, ""), false},
		"the check":         {postgres.IsCheck(state, "idempotency_key_state"), true},
		"another check":     {postgres.IsCheck(state, "x"), false},
		"check, no key":     {postgres.IsUnique(state, ""), false},
		"no foreign key":    {postgres.IsForeignKey(state, ""), false},
		"a foreign key":     {postgres.IsForeignKey(&pgconn.PgError{Code: "23503", ConstraintName: "a"}, "a"), true},
		"nothing violated":  {postgres.IsUnique(nil, ""), false},
		"stays what it was": {fault.From(postgres.Fault(twice)) == nil, true},
	} {
		if test.got != test.want {
			t.Errorf("%s: %t, want %t", name, test.got, test.want)
		}
	}
}
