package pgtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	start := time.Now()
	other := pgtest.New(t, "order", nil)
	t.Logf("second database after %s", time.Since(start))
	if _, err := db.Pool().Exec(t.Context(), "INSERT INTO inbox (subscriber, event_id) VALUES ('a', gen_random_uuid())"); err != nil {
		t.Fatal(err)
	}
	var n int
	queries := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
		if err := other.Pool().QueryRow(ctx, "SELECT count(*) FROM inbox").Scan(&n); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 || queries != 1 {
		t.Errorf("other database has %d rows, want 0; %d queries, want 1", n, queries)
	}
}
