package job

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type greetArgs struct {
	Name string `json:"name"`
}

func (greetArgs) Kind() string { return "greet" }

type tickArgs struct{}

func (tickArgs) Kind() string { return "tick" }

const patience = 20 * time.Second

func newClient(t *testing.T, db *postgres.DB, config Config) *Client {
	t.Helper()
	config.quick = true
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Drain == 0 {
		config.Drain = 200 * time.Millisecond
	}
	c, err := New(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

func insert(t *testing.T, db *postgres.DB, c *Client, opts *Opts, jobs ...Args) {
	t.Helper()
	ctx := telemetry.WithRequestID(t.Context(), "req-7")
	err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if len(jobs) == 1 {
			return c.Insert(ctx, tx, jobs[0], opts)
		}
		return c.InsertMany(ctx, tx, jobs, opts)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}

func TestJobRunsWhenItsTransactionCommits(t *testing.T) {
	t.Parallel()
	// "order" is a word of SQL.
	db := pgtest.New(t, "order", nil)
	c := newClient(t, db, Config{})
	type seen struct{ name, request string }
	got := make(chan seen, 10)
	Register(c, func(ctx context.Context, j *Job[greetArgs]) error {
		got <- seen{j.Args.Name, telemetry.RequestID(ctx)}
		return nil
	})
	start(t, c)
	undo := errors.New("undo")
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if err := c.Insert(ctx, tx, greetArgs{"nobody"}, nil); err != nil {
			t.Error(err)
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	insert(t, db, c, nil, greetArgs{"Ada"})
	if s := receive(t, got); s != (seen{"Ada", "req-7"}) {
		t.Errorf("got %+v", s)
	}
	insert(t, db, c, nil, greetArgs{"Bob"}, greetArgs{"Cid"})
	receive(t, got)
	receive(t, got)
	insert(t, db, c, nil, []Args{}...)
	begin := time.Now()
	insert(t, db, c, &Opts{At: time.Now().Add(200 * time.Millisecond)}, greetArgs{"Dan"})
	receive(t, got)
	if d := time.Since(begin); d < 150*time.Millisecond {
		t.Errorf("ran after %s, before its time", d)
	}
}

func TestFailingJobIsTriedAgainAndLogged(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	var logged lockedBuffer
	c := newClient(t, db, Config{Logger: slog.New(slog.NewJSONHandler(&logged, nil))})
	var calls atomic.Int32
	done := make(chan int, 1)
	Register(c, func(_ context.Context, j *Job[greetArgs]) error {
		switch calls.Add(1) {
		case 1:
			return errors.New("the line is busy")
		case 2:
			panic("dropped the phone")
		default:
			done <- j.Attempt
			return nil
		}
	}, WithRetry(func(int) time.Duration { return 10 * time.Millisecond }), WithTimeout(time.Second))
	start(t, c)
	insert(t, db, c, nil, greetArgs{"Ada"})
	if attempt := receive(t, done); attempt != 3 {
		t.Errorf("attempt %d", attempt)
	}
	for _, want := range []string{"the line is busy", "dropped the phone", `"requestId":"req-7"`, `"job":"greet"`, "order"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, logged.String())
		}
	}
}

func TestJobGivenUpOnIsCountedAndCanBeRetried(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	registry := prometheus.NewRegistry()
	c := newClient(t, db, Config{Registry: registry})
	var healthy atomic.Bool
	ids := make(chan int64, 10)
	Register(c, func(_ context.Context, j *Job[greetArgs]) error {
		defer func() { ids <- j.ID }()
		if healthy.Load() {
			return nil
		}
		return Cancel(errors.New("no such person"))
	})
	stop := start(t, c)
	insert(t, db, c, nil, greetArgs{"Ada"})
	id := receive(t, ids)
	insert(t, db, c, &Opts{MaxAttempts: 1, At: time.Now().Add(time.Hour)}, greetArgs{"Later"})
	healthy.Store(true)
	eventually(t, "the job is cancelled", func() bool {
		var state string
		err := db.Pool().QueryRow(t.Context(), "SELECT state::text FROM river_job WHERE id = $1", id).Scan(&state)
		return err == nil && state == "cancelled"
	})
	if err := c.Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if again := receive(t, ids); again != id {
		t.Errorf("job %d ran, want %d", again, id)
	}
	stop()
	if err := c.Retry(t.Context(), id+1000); err == nil {
		t.Error("retried a job that does not exist")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, family := range families {
		found[family.GetName()] = len(family.GetMetric())
	}
	if found["commerce_job_depth"] != 1 || found["commerce_job_oldest_seconds"] != 1 || found["commerce_job_seconds"] == 0 {
		t.Errorf("metrics %v", found)
	}
}

func TestUniqueJobIsQueuedOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	c := newClient(t, db, Config{})
	got := make(chan string, 10)
	Register(c, func(_ context.Context, j *Job[greetArgs]) error {
		got <- j.Args.Name
		return nil
	})
	for range 3 {
		insert(t, db, c, &Opts{Unique: true}, greetArgs{"Ada"})
	}
	insert(t, db, c, &Opts{Unique: true}, greetArgs{"Bob"})
	start(t, c)
	receive(t, got)
	receive(t, got)
	eventually(t, "both jobs are recorded as done", func() bool {
		var n int
		return db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&n) == nil && n == 2
	})
	insert(t, db, c, &Opts{Unique: true}, greetArgs{"Ada"})
	if name := receive(t, got); name != "Ada" {
		t.Errorf("got %s", name)
	}
	if len(got) > 0 {
		t.Error("a unique job ran twice")
	}
}

func TestPeriodicJobRunsOncePerIntervalForAllReplicas(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	const interval = 2 * time.Second
	ticks := make(chan int64, 100)
	var stops []func()
	begin := time.Now()
	for range 3 {
		c := newClient(t, db, Config{Poll: 100 * time.Millisecond})
		Register(c, func(_ context.Context, j *Job[tickArgs]) error {
			ticks <- j.ID
			return nil
		})
		if err := c.Periodic(interval, tickArgs{}); err != nil {
			t.Fatal(err)
		}
		stops = append(stops, start(t, c))
	}
	receive(t, ticks)
	// A change of leaders must not queue the interval again.
	stops[0]()
	receive(t, ticks)
	receive(t, ticks)
	for _, stop := range stops {
		stop()
	}
	intervals := int(time.Since(begin)/interval) + 2
	var n int
	if err := db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM river_job").Scan(&n); err != nil || n > intervals {
		t.Errorf("%d jobs in %d intervals, %v", n, intervals, err)
	}
}

func TestStopLetsRunningJobsFinish(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	c := newClient(t, db, Config{Drain: 5 * time.Second})
	entered := make(chan struct{})
	var finished atomic.Bool
	Register(c, func(ctx context.Context, _ *Job[greetArgs]) error {
		close(entered)
		time.Sleep(200 * time.Millisecond)
		finished.Store(ctx.Err() == nil)
		return nil
	})
	stop := start(t, c)
	insert(t, db, c, nil, greetArgs{"Ada"})
	receive(t, entered)
	stop()
	if !finished.Load() {
		t.Error("the job was cut off")
	}
	if err := c.Run(func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx }()); err != nil {
		t.Errorf("second Run: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	c := newClient(t, db, Config{Registry: prometheus.NewRegistry()})
	try := func(opts *Opts, args ...Args) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if len(args) == 1 {
				return c.Insert(ctx, tx, args[0], opts)
			}
			return c.InsertMany(ctx, tx, args, opts)
		})
	}
	if try(nil, greetArgs{}) == nil || try(nil, greetArgs{}, greetArgs{}) == nil {
		t.Error("a job without a worker was queued")
	}
	if c.Periodic(time.Hour, greetArgs{}) == nil {
		t.Error("a periodic job without a worker was accepted")
	}
	Register(c, func(context.Context, *Job[greetArgs]) error { return Snooze(time.Hour) })
	if try(&Opts{Queue: "fast"}, greetArgs{}) == nil {
		t.Error("an unknown queue was accepted")
	}
	if try(&Opts{Priority: 9}, greetArgs{}) == nil || try(&Opts{Priority: 9}, greetArgs{}, greetArgs{}) == nil {
		t.Error("an impossible priority was accepted")
	}
	for _, interval := range []time.Duration{0, 25 * time.Hour} {
		if c.Periodic(interval, greetArgs{}) == nil {
			t.Errorf("an interval of %s was accepted", interval)
		}
	}
	if _, err := New(db, Config{Registry: c.config.Registry, Logger: c.config.Logger}); err == nil {
		t.Error("metrics were registered twice")
	}
	idle := newClient(t, db, Config{})
	stop := start(t, idle)
	eventually(t, "it runs", func() bool { return idle.running.Load() })
	if idle.Run(t.Context()) == nil {
		t.Error("Run runs twice")
	}
	stop()
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 5: 32 * time.Second, 12: time.Hour, 99: time.Hour,
	} {
		if got := Backoff(attempt); got < want*9/10 || got > want*11/10 {
			t.Errorf("attempt %d: %s, want about %s", attempt, got, want)
		}
	}
	next := aligned(time.Hour).Next(time.Date(2025, 1, 1, 10, 59, 59, 0, time.UTC))
	if !next.Equal(time.Date(2025, 1, 1, 11, 0, 0, 0, time.UTC)) {
		t.Errorf("next hour is %s", next)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

type lockedBuffer struct {
	mutex sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.Buffer.String()
}
