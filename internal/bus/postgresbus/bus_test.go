package postgresbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

const (
	patience    = 20 * time.Second
	name        = "order.users"
	typeDeleted = "USER_DELETED"
)

type fixture struct {
	database *pgtest.Database
	order    *postgres.DB
	admin    *pgx.Conn
}

func setup(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{database: newDatabase(t)}
	f.order = f.database.DB(t, "order")
	admin, err := pgx.Connect(t.Context(), f.database.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	f.admin = admin
	return f
}

func (f *fixture) bus(t testing.TB, change func(*postgresbus.Config)) *postgresbus.Bus {
	t.Helper()
	config := postgresbus.Config{DB: f.order, Logger: slog.New(slog.DiscardHandler), Drain: 500 * time.Millisecond}
	if change != nil {
		change(&config)
	}
	b, err := postgresbus.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (f *fixture) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := f.admin.Exec(context.Background(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, b bus.Bus) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func deleted(subject string) event.Event {
	return event.New(subject, &eventv1.UserDeleted{UserId: subject})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func denied(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "42501"
}

func TestComponentActsOnlyForItself(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	other := f.database.DB(t, "notification")
	ours := bus.Subscription{Name: name, Types: []string{typeDeleted}}
	b := f.bus(t, nil)
	must(t, b.Register(ctx, ours))
	must(t, b.Publish(ctx, []event.Event{deleted("u")}))
	foreign := f.bus(t, func(c *postgresbus.Config) { c.DB = other })
	if err := foreign.Register(ctx, ours); !denied(err) {
		t.Errorf("Register: %v", err)
	}
	if _, err := foreign.Redrive(ctx, name); !denied(err) {
		t.Errorf("Redrive: %v", err)
	}
	if _, err := foreign.Replay(ctx, name, time.Time{}); !denied(err) {
		t.Errorf("Replay: %v", err)
	}
	if _, err := foreign.Dead(ctx, name, 1); !denied(err) {
		t.Errorf("Dead: %v", err)
	}
	for _, query := range []string{
		"SELECT * FROM bus.claim(ARRAY['order.users'], ARRAY['USER_DELETED'], ARRAY[1], '1 s')",
		"SELECT bus.settle(ARRAY['order.users'], ARRAY[1::bigint], ARRAY[0], ARRAY['done'], ARRAY[0.0], ARRAY[''])",
		"SELECT bus.extend(ARRAY['order.users'], ARRAY[1::bigint], ARRAY[0], '1 h')",
		"SELECT bus.stats(ARRAY['order.users'])",
		"SELECT body FROM bus.event",
		"DELETE FROM bus.delivery",
		"INSERT INTO bus.subscription (name, types) VALUES ('notification.x', '{A}')",
		"CREATE FUNCTION bus.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
	} {
		if _, err := other.Pool().Exec(ctx, query); !denied(err) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if n := f.count(t, "SELECT count(*) FROM bus.delivery WHERE attempts = 0"); n != 1 {
		t.Errorf("%d untouched deliveries", n)
	}
}

func TestRegisterForEverybodyBeforeAnybodyRuns(t *testing.T) {
	t.Parallel()
	f := setup(t)
	declared := []bus.Subscription{
		{Name: name, Types: []string{typeDeleted, typeDeleted}}, {Name: "notification.users", Types: []string{"EMAIL_VERIFIED"}},
	}
	for range 2 {
		must(t, postgresbus.Register(t.Context(), f.database.AdminURL(), declared...))
	}
	must(t, f.bus(t, nil).Publish(t.Context(), []event.Event{deleted("u"), event.New("u", &eventv1.EmailVerified{UserId: "u"})}))
	if n := f.count(t, "SELECT count(*) FROM bus.delivery"); n != 2 {
		t.Errorf("%d deliveries", n)
	}
	if err := postgresbus.Register(t.Context(), f.database.AdminURL(), bus.Subscription{Name: "bad"}); err == nil {
		t.Error("a bad subscription was registered")
	}
	if err := postgresbus.Register(t.Context(), f.database.URL("order"), declared[1]); !denied(err) {
		t.Errorf("as a component: %v", err)
	}
	if err := postgresbus.Register(t.Context(), "postgres://127.0.0.1:1/x?connect_timeout=1", declared...); err == nil {
		t.Error("registered without a database")
	}
}

// During a rollout an older process, which knows fewer types, must neither
// take types away nor swallow their events.
func TestOlderProcessLeavesNewTypesAlone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	const verified = "EMAIL_VERIFIED"
	got := make(chan string, 10)
	handle := func(_ context.Context, e event.Event) error {
		got <- e.Type
		return nil
	}
	newer, older := f.bus(t, nil), f.bus(t, nil)
	must(t, newer.Register(ctx, bus.Subscription{Name: name, Types: []string{typeDeleted, verified}}))
	must(t, older.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: handle}))
	stop := run(t, older)
	must(t, newer.Publish(ctx, []event.Event{event.New("u", &eventv1.EmailVerified{UserId: "u"}), deleted("u")}))
	if kind := <-got; kind != typeDeleted {
		t.Errorf("the older process got %s", kind)
	}
	stop()
	must(t, newer.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted, verified}, Handle: handle}))
	run(t, newer)
	if kind := <-got; kind != verified {
		t.Errorf("the newer process got %s", kind)
	}
}

func TestAddedTypeStartsWithItsBacklog(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	b := f.bus(t, nil)
	must(t, b.Register(ctx, bus.Subscription{Name: name, Types: []string{typeDeleted}}))
	verified := event.New("u", &eventv1.EmailVerified{UserId: "u"})
	must(t, b.Publish(ctx, []event.Event{deleted("u"), verified}))
	for range 2 {
		must(t, b.Register(ctx, bus.Subscription{Name: name, Types: []string{"EMAIL_VERIFIED"}}))
	}
	if n := f.count(t, "SELECT count(*) FROM bus.delivery"); n != 2 {
		t.Errorf("%d deliveries, want each event once", n)
	}
}

func TestEventThatKillsProcessesDies(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var calls atomic.Int32
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, MaxAttempts: 2, Handle: func(context.Context, event.Event) error {
		calls.Add(1)
		return nil
	}}))
	must(t, b.Publish(t.Context(), []event.Event{deleted("u")}))
	// Two processes claimed it and never came back.
	f.exec(t, "UPDATE bus.delivery SET attempts = 2")
	run(t, b)
	eventually(t, "it is dead", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery WHERE dead") == 1 })
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestUnreadableEventDies(t *testing.T) {
	t.Parallel()
	f := setup(t)
	got := make(chan string, 10)
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, MaxAttempts: 1, Handle: func(_ context.Context, e event.Event) error {
		got <- e.Subject
		return nil
	}}))
	bad := deleted("bad")
	must(t, b.Publish(t.Context(), []event.Event{event.Opaque(bad.ID, bad.Type, bad.Subject, []byte(`{"no":"event"}`)), deleted("good")}))
	run(t, b)
	if s := <-got; s != "good" {
		t.Errorf("got %s", s)
	}
	eventually(t, "the unreadable one is dead", func() bool {
		return f.count(t, "SELECT count(*) FROM bus.delivery WHERE dead AND last_error LIKE '%eventType is missing%'") == 1
	})
	if _, err := b.Dead(t.Context(), name, 1); err == nil {
		t.Error("an unreadable event was read")
	}
}

// A slow subscriber holds no connection, and its lease lives as long as it does.
func TestSlowHandlersHoldNoConnections(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const n = 40 // four times the pool
	release := make(chan struct{})
	var entered atomic.Int32
	slow := func(context.Context, event.Event) error {
		entered.Add(1)
		<-release
		return nil
	}
	b := f.bus(t, func(c *postgresbus.Config) { c.Lease = time.Second })
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Concurrency: n, Handle: slow}))
	var events []event.Event
	for i := range n {
		events = append(events, deleted(strconv.Itoa(i)))
	}
	must(t, b.Publish(t.Context(), events))
	run(t, b)
	eventually(t, "all handlers run", func() bool { return entered.Load() == n })
	if s := f.order.Pool().Stat(); s.AcquiredConns() > 2 {
		t.Errorf("%d connections in use", s.AcquiredConns())
	}
	if busy := f.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"); busy > 0 {
		t.Errorf("%d open transactions", busy)
	}
	// Another replica finds nothing to take over, however long the leases would have been.
	twin := f.bus(t, nil)
	var stolen atomic.Int32
	must(t, twin.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error {
		stolen.Add(1)
		return nil
	}}))
	run(t, twin)
	time.Sleep(2500 * time.Millisecond)
	close(release)
	eventually(t, "all are settled", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery") == 0 })
	if entered.Load() != n || stolen.Load() != 0 {
		t.Errorf("%d calls, %d stolen", entered.Load(), stolen.Load())
	}
}

func TestDatabaseThatGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var calls atomic.Int32
	entered, release := make(chan struct{}), make(chan struct{})
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error {
		if calls.Add(1) == 1 {
			close(entered)
			<-release
		}
		return nil
	}}))
	run(t, b)
	must(t, b.Publish(t.Context(), []event.Event{deleted("1")}))
	<-entered
	limit := func(n int) {
		f.exec(t, fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", f.admin.Config().Database, n))
	}
	limit(0)
	kill := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'commerce_order'"
	f.exec(t, kill)
	close(release)
	time.Sleep(700 * time.Millisecond)
	limit(-1)
	eventually(t, "the handled event is settled", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery") == 0 })
	eventually(t, "publishing works", func() bool { return b.Publish(t.Context(), []event.Event{deleted("2")}) == nil })
	eventually(t, "the next event is handled", func() bool { return calls.Load() == 2 })
}

func TestPurgeKeepsWhatIsDue(t *testing.T) {
	t.Parallel()
	f := setup(t)
	b := f.bus(t, nil)
	must(t, b.Publish(t.Context(), []event.Event{deleted("old"), deleted("older")}))
	must(t, b.Register(t.Context(), bus.Subscription{Name: name, Types: []string{typeDeleted}, Backlog: -1}))
	must(t, b.Publish(t.Context(), []event.Event{deleted("waiting"), deleted("dead")}))
	f.exec(t, "UPDATE bus.event SET publish_time = now() - interval '15 days'")
	f.exec(t, "UPDATE bus.delivery d SET dead = true FROM bus.event e WHERE e.seq = d.seq AND e.subject = 'dead'")
	must(t, b.Publish(t.Context(), []event.Event{deleted("new")}))
	purge := func() (n int) {
		t.Helper()
		must(t, f.order.Pool().QueryRow(t.Context(), "SELECT bus.purge()").Scan(&n))
		return n
	}
	if n := purge(); n != 2 {
		t.Errorf("purged %d", n)
	}
	f.exec(t, "UPDATE bus.event SET publish_time = now() - interval '91 days' WHERE subject = 'dead'")
	if n := purge(); n != 1 {
		t.Errorf("purged %d dead letters", n)
	}
	if n := f.count(t, "SELECT count(*) FROM bus.event WHERE subject IN ('waiting', 'new')"); n != 2 {
		t.Errorf("%d events left", n)
	}
}

// No delivery is ever made of an event that purge takes away at the same time.
func TestPurgeWaitsForWhoReadsOldEvents(t *testing.T) {
	t.Parallel()
	f := setup(t)
	b := f.bus(t, nil)
	must(t, b.Register(t.Context(), bus.Subscription{Name: name, Types: []string{typeDeleted}, Backlog: -1}))
	must(t, b.Publish(t.Context(), []event.Event{deleted("a")}))
	f.exec(t, "UPDATE bus.event SET publish_time = now() - interval '15 days'")
	for _, statement := range []string{
		"SELECT bus.replay('" + name + "', now() - interval '20 days', 0, 10)",
		"SELECT bus.register('" + name + "b', ARRAY['" + typeDeleted + "'], interval '20 days')",
	} {
		f.exec(t, "DELETE FROM bus.delivery")
		tx, err := f.order.Pool().Begin(t.Context())
		must(t, err)
		_, err = tx.Exec(t.Context(), statement)
		must(t, err)
		var n int
		must(t, f.order.Pool().QueryRow(t.Context(), "SELECT bus.purge()").Scan(&n))
		must(t, tx.Commit(t.Context()))
		if n != 0 || f.count(t, "SELECT count(*) FROM bus.delivery d JOIN bus.event USING (seq)") != 1 {
			t.Errorf("%s: %d events purged meanwhile", statement, n)
		}
	}
	if n := f.count(t, "SELECT count(*) FROM bus.delivery WHERE seq NOT IN (SELECT seq FROM bus.event)"); n != 0 {
		t.Errorf("%d deliveries without an event", n)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := setup(t)
	registry := prometheus.NewRegistry()
	b := f.bus(t, func(c *postgresbus.Config) { c.Registry = registry })
	if _, err := postgresbus.New(t.Context(), postgresbus.Config{DB: f.order, Registry: registry}); err == nil {
		t.Error("metrics were registered twice")
	}
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, MaxAttempts: 1, Handle: func(_ context.Context, e event.Event) error {
		if e.Subject == "bad" {
			return errors.New("no")
		}
		return nil
	}}))
	must(t, b.Publish(t.Context(), []event.Event{deleted("bad"), deleted("good")}))
	f.exec(t, "UPDATE bus.event SET publish_time = now() - interval '1 minute'")
	values := func() map[string]float64 {
		families, err := registry.Gather()
		must(t, err)
		all := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				key := family.GetName()
				for _, label := range m.GetLabel() {
					if label.GetName() == "outcome" {
						key += " " + label.GetValue()
					}
				}
				all[key] += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		return all
	}
	if v := values(); v["commerce_bus_waiting"] != 2 || v["commerce_bus_oldest_seconds"] < 60 || v["commerce_bus_published_total"] != 2 {
		t.Errorf("before: %v", v)
	}
	run(t, b)
	eventually(t, "both are counted", func() bool {
		v := values()
		return v["commerce_bus_waiting"] == 0 && v["commerce_bus_dead"] == 1 && v["commerce_bus_oldest_seconds"] == 0 &&
			v["commerce_bus_deliveries_total done"] == 1 && v["commerce_bus_deliveries_total dead"] == 1 && v["commerce_bus_handling_seconds"] == 2
	})
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	if _, err := postgresbus.New(t.Context(), postgresbus.Config{}); err == nil {
		t.Error("a bus without a database")
	}
	f := setup(t)
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error { return nil }}))
	run(t, b)
	eventually(t, "it runs", func() bool {
		return b.Subscribe(bus.Subscription{Name: "order.late", Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error { return nil }}) != nil
	})
	if b.Run(t.Context()) == nil {
		t.Error("Run runs twice")
	}
	if b.Publish(t.Context(), []event.Event{{}}) == nil {
		t.Error("an event without an id was published")
	}
	idle := f.bus(t, nil)
	run(t, idle)()
	bare := pgtest.New(t, "order", nil)
	if _, err := postgresbus.New(t.Context(), postgresbus.Config{DB: bare}); err == nil {
		t.Error("a bus without its schema")
	}
}

func BenchmarkDeliver(b *testing.B) {
	f := setup(b)
	end := f.bus(b, nil)
	var handled atomic.Int64
	must(b, end.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Concurrency: 16, Handle: func(context.Context, event.Event) error {
		handled.Add(1)
		return nil
	}}))
	run(b, end)
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		var events []event.Event
		for range min(200, b.N-sent) {
			events = append(events, deleted(fmt.Sprint(sent)))
			sent++
		}
		must(b, end.Publish(context.Background(), events))
	}
	for handled.Load() < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
