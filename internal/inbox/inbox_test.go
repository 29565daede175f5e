package inbox_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func once(ctx context.Context, t *testing.T, db *postgres.DB, subscriber, id string, outcome error) bool {
	t.Helper()
	var first bool
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if first, err = inbox.Once(ctx, tx, subscriber, id); err != nil {
			t.Error(err)
		}
		return outcome
	})
	if !errors.Is(err, outcome) {
		t.Error(err)
	}
	return first
}

func TestOnceWithItsEffect(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	id := uuid.NewString()
	for i, c := range []struct {
		subscriber string
		outcome    error
		want       bool
	}{
		{"order.payments", errors.New("undone"), true},
		{"order.payments", nil, true},
		{"order.payments", nil, false},
		{"order.history", nil, true},
	} {
		if got := once(t.Context(), t, db, c.subscriber, id, c.outcome); got != c.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := inbox.Once(ctx, tx, "order.payments", "not a uuid")
		return err
	})
	if err == nil {
		t.Error("a bad id was accepted")
	}
}

func TestConcurrentTwins(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	id := uuid.NewString()
	var firsts atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if once(context.Background(), t, db, "order.payments", id, nil) {
				firsts.Add(1)
			}
		})
	}
	group.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d twins were first", n)
	}
}

func TestForgetAndPurge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	ctx := t.Context()
	old, recent := uuid.NewString(), uuid.NewString()
	once(ctx, t, db, "order.payments", old, nil)
	if _, err := db.Pool().Exec(ctx, "UPDATE inbox SET create_time = now() - interval '31 days'"); err != nil {
		t.Fatal(err)
	}
	once(ctx, t, db, "order.payments", recent, nil)
	once(ctx, t, db, "order.history", recent, nil)
	if n, err := inbox.Forget(ctx, db, "order.payments", time.Now().Add(-time.Hour)); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if !once(ctx, t, db, "order.payments", recent, nil) {
		t.Error("a forgotten event counts as seen")
	}
	if n, err := inbox.Purge(ctx, db); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := inbox.Run(stopped, db, nil); err != nil {
		t.Error(err)
	}
}
