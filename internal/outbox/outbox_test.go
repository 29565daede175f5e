package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 20 * time.Second

// recorder is a bus elsewhere: it remembers what was published, once by id.
type recorder struct {
	bus.Bus

	mutex    sync.Mutex
	fail     error
	calls    int
	subjects []string
	traces   []string
	seen     map[uuid.UUID]bool
}

func (r *recorder) Publish(_ context.Context, events []event.Event) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.calls++
	if r.fail != nil {
		return r.fail
	}
	for _, e := range events {
		if r.seen[e.ID] {
			continue
		}
		if r.seen == nil {
			r.seen = map[uuid.UUID]bool{}
		}
		r.seen[e.ID] = true
		data, err := e.MarshalJSON()
		if err != nil {
			return err
		}
		var decoded event.Event
		if err := decoded.UnmarshalJSON(data); err != nil {
			return err
		}
		r.subjects, r.traces = append(r.subjects, decoded.Subject), append(r.traces, decoded.TraceID)
	}
	return nil
}

func (r *recorder) setFail(err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.fail = err
}

func (r *recorder) published() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append([]string{}, r.subjects...)
}

func deleted(subject string) event.Event {
	return event.New(subject, &eventv1.UserDeleted{UserId: subject})
}

func write(t *testing.T, db *postgres.DB, outcome error, events ...event.Event) {
	t.Helper()
	ctx := telemetry.WithRequestID(context.Background(), "req-1")
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := outbox.Write(ctx, tx, events...); err != nil {
			t.Errorf("Write: %v", err)
		}
		return outcome
	})
	if !errors.Is(err, outcome) {
		t.Errorf("transaction: %v", err)
	}
}

func start(t *testing.T, r *outbox.Relay) (stop func()) {
	t.Helper()
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func depth(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	if err := db.Pool().QueryRow(context.Background(), "SELECT count(*) FROM outbox").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCommittedEventsLeaveInOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	start(t, &outbox.Relay{DB: db, Bus: r, Batch: 7, Poll: time.Hour})
	var want []string
	for i := range 50 {
		write(t, db, errors.New("undone"), deleted("never"))
		first, second := strconv.Itoa(2*i), strconv.Itoa(2*i+1)
		write(t, db, nil, deleted(first), deleted(second))
		want = append(want, first, second)
	}
	write(t, db, nil)
	eventually(t, "all are published", func() bool { return len(r.published()) == len(want) })
	for i, subject := range r.published() {
		if subject != want[i] {
			t.Fatalf("place %d: %s, want %s", i, subject, want[i])
		}
	}
	if r.traces[0] != "req-1" {
		t.Errorf("trace id %q", r.traces[0])
	}
	eventually(t, "the outbox is empty", func() bool { return depth(t, db) == 0 })
}

func TestWriteWakesTheRelay(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	start(t, &outbox.Relay{DB: db, Bus: r, Poll: time.Hour})
	time.Sleep(100 * time.Millisecond)
	begin := time.Now()
	write(t, db, nil, deleted("u").WithTraceID("own"))
	eventually(t, "published", func() bool { return len(r.published()) == 1 })
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("took %s", d)
	}
	if r.traces[0] != "own" {
		t.Errorf("trace id %q", r.traces[0])
	}
}

func TestPollFindsWhatOtherProcessesWrote(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	start(t, &outbox.Relay{DB: db, Bus: r})
	e := deleted("u")
	data, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Pool().Exec(t.Context(), "INSERT INTO outbox (id, event_type, subject, payload) VALUES ($1, $2, $3, $4)",
		e.ID, e.Type, e.Subject, string(data))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return len(r.published()) == 1 })
}

func TestRowOfAForeignStatementLeavesWhenWoken(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	start(t, &outbox.Relay{DB: db, Bus: r, Poll: time.Hour})
	time.Sleep(100 * time.Millisecond)
	row, err := outbox.NewRow(telemetry.WithRequestID(t.Context(), "req-9"), deleted("u"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Pool().Exec(t.Context(), "INSERT INTO outbox (id, event_type, subject, payload) VALUES ($1, $2, $3, $4::text::jsonb)",
		row.ID, row.Type, row.Subject, row.Payload)
	if err != nil {
		t.Fatal(err)
	}
	outbox.Wake(db)
	eventually(t, "published", func() bool { return len(r.published()) == 1 })
	if r.traces[0] != "req-9" {
		t.Errorf("trace id %q", r.traces[0])
	}
	if _, err := outbox.NewRow(t.Context(), event.Event{}); err == nil {
		t.Error("an event without an id became a row")
	}
}

func TestBusThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{fail: errors.New("the bus is away")}
	start(t, &outbox.Relay{DB: db, Bus: r})
	write(t, db, nil, deleted("1"), deleted("2"))
	eventually(t, "the relay has tried", func() bool {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		return r.calls >= 2
	})
	if n := depth(t, db); n != 2 {
		t.Errorf("%d events in the outbox", n)
	}
	r.setFail(nil)
	eventually(t, "published", func() bool { return len(r.published()) == 2 })
}

func TestLostConnectionIsSurvived(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	start(t, &outbox.Relay{DB: db, Bus: r, Poll: 50 * time.Millisecond})
	for i := range 3 {
		admin, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.Of(t, db).AdminURL(), Schema: "order"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = admin.Pool().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'commerce_order'`)
		admin.Close()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a write succeeds again", func() bool {
			return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				return outbox.Write(ctx, tx, deleted(strconv.Itoa(i)))
			}) == nil
		})
	}
	eventually(t, "published", func() bool { return len(r.published()) == 3 })
}

func TestReplicasPublishEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	r := &recorder{}
	for range 3 {
		start(t, &outbox.Relay{DB: db, Bus: r, Batch: 5, Poll: 10 * time.Millisecond})
	}
	const n = 200
	for i := range n {
		write(t, db, nil, deleted(strconv.Itoa(i)))
	}
	eventually(t, "all are published", func() bool { return len(r.published()) == n })
	for i, subject := range r.published() {
		if subject != strconv.Itoa(i) {
			t.Fatalf("place %d: %s", i, subject)
		}
	}
}

func TestEventIsRefusedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	for name, e := range map[string]event.Event{
		"zero": {},
		"NUL":  deleted("\x00"),
	} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { return outbox.Write(ctx, tx, e) })
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := depth(t, db); n != 0 {
		t.Errorf("%d events in the outbox", n)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	registry := prometheus.NewRegistry()
	registry.MustRegister(outbox.Collector(db))
	gather := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, family := range families {
			values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
		}
		return values
	}
	if v := gather(); v["commerce_outbox_depth"] != 0 || v["commerce_outbox_oldest_seconds"] != 0 || len(v) != 2 {
		t.Errorf("empty: %v", v)
	}
	write(t, db, nil, deleted("1"), deleted("2"))
	if _, err := db.Pool().Exec(t.Context(), "UPDATE outbox SET create_time = now() - interval '1 minute'"); err != nil {
		t.Fatal(err)
	}
	if v := gather(); v["commerce_outbox_depth"] != 2 || v["commerce_outbox_oldest_seconds"] < 60 {
		t.Errorf("two events: %v", v)
	}
	db.Close()
	if v := gather(); len(v) != 0 {
		t.Errorf("without a database: %v", v)
	}
}

// The whole way of an event: written with a fact, relayed in one transaction
// of the shared database, delivered to another component.
func TestFromTheTransactionToAnotherComponent(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"}, pgtest.Schema{Component: "notification", Plain: true},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	order, notification := database.DB(t, "order"), database.DB(t, "notification")
	ends := map[string]*postgresbus.Bus{}
	for _, db := range []*postgres.DB{order, notification} {
		b, err := postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ends[db.Schema()] = b
	}
	type arrival struct {
		subject, request string
		at               time.Time
	}
	arrived := make(chan arrival, 100)
	err := ends["notification"].Subscribe(bus.Subscription{
		Name: "notification.users", Types: []string{"USER_DELETED"}, Handle: func(ctx context.Context, e event.Event) error {
			arrived <- arrival{e.Subject, telemetry.RequestID(ctx), time.Now()}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !ends["order"].Shares(order) || ends["order"].Shares(notification) {
		t.Error("Shares")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- ends["notification"].Run(ctx) }()
	start(t, &outbox.Relay{DB: order, Bus: ends["order"], Poll: time.Hour})
	time.Sleep(300 * time.Millisecond)
	var total time.Duration
	const n = 20
	for i := range n {
		begin := time.Now()
		write(t, order, nil, deleted(strconv.Itoa(i)))
		a := <-arrived
		if a.subject != strconv.Itoa(i) || a.request != "req-1" {
			t.Errorf("arrived: %+v", a)
		}
		total += a.at.Sub(begin)
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("%s from the start of the transaction to the handler", total/n)
	if total/n > time.Second {
		t.Errorf("an idle bus takes %s", total/n)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
