package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

const insertEvent = "INSERT INTO inbox (subscriber, event_id) VALUES ($1, gen_random_uuid())"

func subscribers(t *testing.T, db *postgres.DB) []string {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), "SELECT subscriber FROM inbox ORDER BY subscriber")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func insert(name string) func(context.Context, *postgres.Tx) error {
	return func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.ExecContext(ctx, insertEvent, name)
		return err
	}
}

func TestInTxCommitsOrRollsBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	ran := 0
	if err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		tx.AfterCommit(func() {
			ran++
			if got := subscribers(t, db); !cmp.Equal(got, []string{"kept"}) {
				t.Errorf("rows when the hook runs: %v", got)
			}
			// The body's context outlives the transaction and may begin the next.
			if err := db.InTx(ctx, insert("next")); err != nil {
				t.Errorf("a transaction after the commit: %v", err)
			}
		})
		return insert("kept")(ctx, tx)
	}); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		tx.AfterCommit(func() { t.Error("hook of a rolled back transaction ran") })
		return errors.Join(insert("lost")(ctx, tx), failure)
	})
	if !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	func() {
		defer func() {
			if cause := recover(); cause != "boom" {
				t.Errorf("recovered %v", cause)
			}
		}()
		_ = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if err := insert("lost")(ctx, tx); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	if got := subscribers(t, db); ran != 1 || !cmp.Equal(got, []string{"kept", "next"}) {
		t.Errorf("rows %v, hook ran %d times", got, ran)
	}
	if used := db.Pool().Stat().AcquiredConns(); used != 0 {
		t.Errorf("%d connections are still in use", used)
	}
}

func TestInTxRefusesToNest(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	err := db.InTx(t.Context(), func(ctx context.Context, _ *postgres.Tx) error {
		return db.InTx(ctx, insert("inner"))
	})
	if !errors.Is(err, postgres.ErrNested) {
		t.Errorf("error %v", err)
	}
}

func TestInTxStopsWithItsContext(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := insert("lost")(ctx, tx); err != nil {
			return err
		}
		cancel()
		_, err := tx.ExecContext(ctx, "SELECT pg_sleep(10)")
		return err
	})
	if !errors.Is(err, context.Canceled) || fault.From(err) != nil {
		t.Errorf("error %v, want the caller's own cancellation", err)
	}
	// Cancelled between the last statement and the commit.
	ctx, cancel = context.WithCancel(t.Context())
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		defer cancel()
		return insert("lost")(ctx, tx)
	})
	if err == nil {
		t.Error("committed although the caller had gone")
	}
	if err := db.InTx(ctx, insert("lost")); !errors.Is(err, context.Canceled) {
		t.Errorf("begun with an ended context: %v", err)
	}
	if got := subscribers(t, db); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
}

func TestDeadlocksRunAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	for _, name := range []string{"a", "b"} {
		if err := db.InTx(t.Context(), insert(name)); err != nil {
			t.Fatal(err)
		}
	}
	const pairs = 4
	runs := make(chan struct{}, 100)
	for range pairs {
		var group errgroup.Group
		ready := make(chan struct{}, 2)
		for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
			first := true
			group.Go(func() error {
				return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
					runs <- struct{}{}
					const touch = "UPDATE inbox SET create_time = create_time + interval '1 hour' WHERE subscriber = $1"
					if _, err := tx.ExecContext(ctx, touch, order[0]); err != nil {
						return err
					}
					if first { // both hold their first row: a certain deadlock
						first = false
						ready <- struct{}{}
						for len(ready) < 2 {
							time.Sleep(time.Millisecond)
						}
					}
					_, err := tx.ExecContext(ctx, touch, order[1])
					return err
				})
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(runs); got < 3*pairs {
		t.Errorf("%d runs for %d transactions: nothing was retried", got, 2*pairs)
	}
	var hours float64
	err := db.Pool().QueryRow(t.Context(),
		"SELECT sum(round(extract(epoch FROM create_time - now()) / 3600)) FROM inbox").Scan(&hours)
	if err != nil || hours != 2*2*pairs {
		t.Errorf("%v updates took effect (%v), want %d", hours, err, 2*2*pairs)
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	for _, code := range []string{"serialization_failure", "deadlock_detected"} {
		runs := 0
		raise := fmt.Sprintf("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '%s'; END $$", code)
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			runs++
			_, err := tx.ExecContext(ctx, raise)
			return fmt.Errorf("wrapped: %w", err)
		})
		if f := fault.From(err); runs != 8 || f == nil || f.Kind != fault.KindUnavailable {
			t.Errorf("%s: %d runs, error %v; want 8 and Unavailable", code, runs, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		runs++
		_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'deadlock_detected'; END $$")
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) || runs != 1 {
		t.Errorf("after cancelling: %d runs, %v", runs, err)
	}
}

// Ent's own transactions inside ours must neither commit nor roll back.
func TestDriverOfATransaction(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	failure := errors.New("no")
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		driver := tx.Driver()
		if driver.Dialect() != dialect.Postgres {
			t.Errorf("dialect %s", driver.Dialect())
		}
		inner, err := driver.Tx(ctx)
		if err != nil {
			return err
		}
		if err := inner.Exec(ctx, insertEvent, []any{"inner"}, nil); err != nil {
			return err
		}
		if err := inner.Commit(); err != nil {
			return err
		}
		beginner, ok := driver.(interface {
			BeginTx(ctx context.Context, options *sql.TxOptions) (dialect.Tx, error)
		})
		if !ok {
			t.Fatal("the driver has no BeginTx")
		}
		second, err := beginner.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := errors.Join(second.Rollback(), driver.Close()); err != nil {
			return err
		}
		var rows entsql.Rows
		if err := driver.Query(ctx, "SELECT count(*) FROM inbox", []any{}, &rows); err != nil {
			return err
		}
		defer rows.Close()
		if count, err := entsql.ScanInt(rows); err != nil || count != 1 {
			t.Errorf("the transaction sees %d rows (%v)", count, err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Fatal(err)
	}
	if got := subscribers(t, db); len(got) != 0 {
		t.Errorf("Ent's commit was real: %v", got)
	}
}
