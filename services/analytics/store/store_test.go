package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/ent/analytics/migrate"
	"github.com/commercestack/commercestack/ent/analytics/migrations"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/analytics"
	"github.com/commercestack/commercestack/services/analytics/store"
)

func wholeYear(t testing.TB) analytics.Range {
	t.Helper()
	r, err := analytics.ParseRange("2026-01-01", "2026-12-31", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "analytics", migrations.FS)
	pgtest.AssertSchemaMatches(t, db, migrate.Tables)
}

func TestAnEventIsCountedOnceHoweverOftenAndInWhateverOrderItComes(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "analytics", migrations.FS)
	counters := store.New(db)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := db.Pool().Exec(t.Context(), "DELETE FROM daily_metric"); err != nil {
			rt.Fatal(err)
		}
		want := make(map[string]analytics.Counters)
		var deliveries []analytics.Increment
		for range rapid.IntRange(1, 8).Draw(rt, "events") {
			increment := analytics.Increment{
				EventID: uuid.NewString(), Time: base.Add(time.Duration(rapid.IntRange(0, 71).Draw(rt, "hour")) * time.Hour),
				CurrencyCode: rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(rt, "currency"),
				Counters:     analytics.Counters{OrdersConfirmed: 1, RevenueMinor: rapid.Int64Range(0, 1<<40).Draw(rt, "revenue")},
			}
			key := increment.Date().Format(time.DateOnly) + increment.CurrencyCode
			want[key] = want[key].Plus(increment.Counters)
			for range rapid.IntRange(1, 3).Draw(rt, "deliveries") {
				deliveries = append(deliveries, increment)
			}
		}
		for left := rapid.Permutation(deliveries).Draw(rt, "order"); len(left) > 0; {
			n := rapid.IntRange(1, len(left)).Draw(rt, "batch")
			if err := counters.Add(t.Context(), left[:n]...); err != nil {
				rt.Fatal(err)
			}
			left = left[n:]
		}
		days, err := counters.Days(t.Context(), wholeYear(t))
		if err != nil {
			rt.Fatal(err)
		}
		got := make(map[string]analytics.Counters)
		for _, day := range days {
			got[day.Date.Format(time.DateOnly)+day.CurrencyCode] = day.Counters
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("counted %v, want %v", got, want)
		}
	})
}

func TestConcurrentDeliveriesOfOneEventCountOnce(t *testing.T) {
	t.Parallel()
	counters := store.New(pgtest.New(t, "analytics", migrations.FS))
	increment := analytics.Increment{
		EventID: uuid.NewString(), Time: time.Date(2026, 5, 5, 5, 0, 0, 0, time.UTC), Counters: analytics.Counters{Registrations: 1},
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := counters.Add(t.Context(), increment); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	days, err := counters.Days(t.Context(), wholeYear(t))
	if err != nil || len(days) != 1 || days[0].Registrations != 1 {
		t.Errorf("counted %v (%v)", days, err)
	}
}

func TestConcurrentBatchesThatOverlapCountOnce(t *testing.T) {
	t.Parallel()
	counters := store.New(pgtest.New(t, "analytics", migrations.FS))
	var increments []analytics.Increment
	for i := range 60 {
		increments = append(increments, analytics.Increment{
			EventID: uuid.NewString(), Time: time.Date(2026, 5, 1+i%3, 5, 0, 0, 0, time.UTC), CurrencyCode: "EUR",
			Counters: analytics.Counters{OrdersPlaced: 1},
		})
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for round := range 20 {
				random := rand.New(rand.NewPCG(uint64(worker), uint64(round)))
				var batch []analytics.Increment
				for _, i := range random.Perm(len(increments))[:20] {
					batch = append(batch, increments[i])
				}
				if err := counters.Add(t.Context(), batch...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := counters.Add(t.Context(), increments...); err != nil {
		t.Error(err)
	}
	days, err := counters.Days(t.Context(), wholeYear(t))
	if err != nil || len(days) != 3 {
		t.Fatalf("counted %v (%v)", days, err)
	}
	for _, day := range days {
		if day.OrdersPlaced != 20 {
			t.Errorf("%d orders on %s, want 20", day.OrdersPlaced, day.Date)
		}
	}
}

func TestABatchCountsAllOrNothing(t *testing.T) {
	t.Parallel()
	counters := store.New(pgtest.New(t, "analytics", migrations.FS))
	at := time.Date(2026, 5, 5, 5, 0, 0, 0, time.UTC)
	good := analytics.Increment{EventID: uuid.NewString(), Time: at, CurrencyCode: "EUR", Counters: analytics.Counters{OrdersPlaced: 1}}
	bad := analytics.Increment{EventID: uuid.NewString(), Time: at, CurrencyCode: "euro", Counters: analytics.Counters{OrdersPlaced: 1}}
	if err := counters.Add(t.Context(), good, bad); err == nil {
		t.Error("a currency that is none was counted")
	}
	if err := counters.Add(t.Context(), good); err != nil {
		t.Error(err)
	}
	days, err := counters.Days(t.Context(), wholeYear(t))
	if err != nil || len(days) != 1 || days[0].OrdersPlaced != 1 {
		t.Errorf("counted %v (%v)", days, err)
	}
}

func TestTheDatabaseRefusesAForeignWriteAndNonsense(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "analytics", Migrations: migrations.FS}, pgtest.Schema{Component: "order"})
	db := database.DB(t, "analytics")
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO "order".outbox (id, event_type, subject, payload) VALUES (gen_random_uuid(), 'X', 'x', '{}')`); err == nil ||
		!strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a write to another component's schema gave %v", err)
	}
	if _, err := db.Pool().Exec(t.Context(), `INSERT INTO daily_metric (day, revenue_minor, update_time) VALUES ('2026-01-01', -1, now())`); err == nil ||
		!strings.Contains(err.Error(), "daily_metric_not_negative") {
		t.Errorf("a negative counter gave %v", err)
	}
}
