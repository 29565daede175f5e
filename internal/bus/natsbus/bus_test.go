package natsbus_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/bustest"
	"github.com/commercestack/commercestack/internal/bus/natsbus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience    = 20 * time.Second
	name        = "order.users"
	typeDeleted = "USER_DELETED"
	verified    = "EMAIL_VERIFIED"
)

// startServer runs a NATS server of the test's own. Port -1 takes a free one.
func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func newBus(t *testing.T, url string, change func(*natsbus.Config)) *natsbus.Bus {
	t.Helper()
	config := natsbus.Config{
		URL: url, Component: "order", Logger: slog.New(slog.DiscardHandler), Lease: 2 * time.Second, Drain: 500 * time.Millisecond,
	}
	if change != nil {
		change(&config)
	}
	b, err := natsbus.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

type harness struct{ url string }

func (h harness) New(t *testing.T, component string) bus.Bus {
	t.Helper()
	return newBus(t, h.url, func(c *natsbus.Config) { c.Component = component })
}

func (h harness) Kill(_ *testing.T, b bus.Bus) { b.Close() }

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(t *testing.T) bustest.Harness {
		t.Helper()
		return harness{url: startServer(t, t.TempDir(), -1).ClientURL()}
	})
}

func run(t *testing.T, b bus.Bus) (stop func()) {
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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

func receive(t *testing.T, c <-chan event.Event) event.Event {
	t.Helper()
	select {
	case e := <-c:
		return e
	case <-time.After(patience):
		t.Fatal("no event arrived")
		return event.Event{}
	}
}

func TestServerThatGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startServer(t, dir, -1)
	b := newBus(t, first.ClientURL(), nil)
	got := make(chan event.Event, 10)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(_ context.Context, e event.Event) error {
		got <- e
		return nil
	}}))
	run(t, b)
	must(t, b.Publish(t.Context(), []event.Event{deleted("1")}))
	receive(t, got)
	address, ok := first.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address %v", first.Addr())
	}
	first.Shutdown()
	first.WaitForShutdown()
	err := b.Publish(t.Context(), []event.Event{deleted("lost")})
	if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable {
		t.Errorf("without a server: %v", err)
	}
	startServer(t, dir, address.Port)
	later := deleted("2")
	eventually(t, "publishing works", func() bool { return b.Publish(t.Context(), []event.Event{later}) == nil })
	if e := receive(t, got); e.ID != later.ID {
		t.Errorf("got %s", e.Subject)
	}
}

func TestOlderProcessLeavesNewTypesAlone(t *testing.T) {
	t.Parallel()
	url := startServer(t, t.TempDir(), -1).ClientURL()
	got := make(chan event.Event, 10)
	handle := func(_ context.Context, e event.Event) error {
		got <- e
		return nil
	}
	newer, older := newBus(t, url, nil), newBus(t, url, nil)
	must(t, older.Register(t.Context(), bus.Subscription{Name: name, Types: []string{typeDeleted}}))
	must(t, newer.Publish(t.Context(), []event.Event{event.New("early", &eventv1.EmailVerified{UserId: "u"})}))
	// What was published before the type was added comes from the backlog.
	for range 2 {
		must(t, newer.Register(t.Context(), bus.Subscription{Name: name, Types: []string{typeDeleted, verified}}))
	}
	must(t, older.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: handle}))
	stop := run(t, older)
	must(t, newer.Publish(t.Context(), []event.Event{deleted("u")}))
	if e := receive(t, got); e.Type != typeDeleted {
		t.Errorf("the older process got %s", e.Type)
	}
	stop()
	if len(got) > 0 {
		t.Errorf("the older process got %s", (<-got).Type)
	}
	must(t, newer.Subscribe(bus.Subscription{Name: "order.verified", Types: []string{verified}, Handle: handle}))
	run(t, newer)
	if e := receive(t, got); e.Subject != "early" {
		t.Errorf("got %s", e.Subject)
	}
}

func TestSlowHandlerKeepsItsLease(t *testing.T) {
	t.Parallel()
	url := startServer(t, t.TempDir(), -1).ClientURL()
	var calls atomic.Int32
	subscription := bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error {
		calls.Add(1)
		time.Sleep(1500 * time.Millisecond)
		return nil
	}}
	short := func(c *natsbus.Config) { c.Lease = 600 * time.Millisecond; c.Drain = 5 * time.Second }
	var stops []func()
	for range 2 {
		b := newBus(t, url, short)
		must(t, b.Subscribe(subscription))
		stops = append(stops, run(t, b))
		if len(stops) == 1 {
			must(t, b.Publish(t.Context(), []event.Event{deleted("u")}))
		}
	}
	time.Sleep(2 * time.Second)
	for _, stop := range stops {
		stop()
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestUnreadableEventDies(t *testing.T) {
	t.Parallel()
	url := startServer(t, t.TempDir(), -1).ClientURL()
	registry := prometheus.NewRegistry()
	b := newBus(t, url, func(c *natsbus.Config) { c.Registry = registry })
	got := make(chan event.Event, 10)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, MaxAttempts: 1, Handle: func(_ context.Context, e event.Event) error {
		got <- e
		return nil
	}}))
	bad := deleted("bad")
	must(t, b.Publish(t.Context(), []event.Event{event.Opaque(bad.ID, bad.Type, bad.Subject, []byte(`{"no":"event"}`)), deleted("good")}))
	depth := func() map[string]float64 {
		families, err := registry.Gather()
		must(t, err)
		all := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				all[family.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		return all
	}
	if v := depth(); v["commerce_bus_waiting"] != 2 || v["commerce_bus_published_total"] != 2 {
		t.Errorf("before: %v", v)
	}
	run(t, b)
	if e := receive(t, got); e.Subject != "good" {
		t.Errorf("got %s", e.Subject)
	}
	eventually(t, "the unreadable one is dead", func() bool {
		v := depth()
		return v["commerce_bus_dead"] == 1 && v["commerce_bus_waiting"] == 0 && v["commerce_bus_deliveries_total"] == 2
	})
	if _, err := b.Dead(t.Context(), name, 1); err == nil {
		t.Error("an unreadable event was read")
	}
	if letters, err := b.Dead(t.Context(), name, 0); err != nil || len(letters) != 0 {
		t.Errorf("no letters: %v, %v", letters, err)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for what, config := range map[string]natsbus.Config{
		"no URL": {}, "nobody there": {URL: "nats://127.0.0.1:1"}, "no such file": {URL: "nats://127.0.0.1:1", Credentials: "/nonexistent"},
	} {
		if _, err := natsbus.New(ctx, config); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
	url := startServer(t, t.TempDir(), -1).ClientURL()
	registry := prometheus.NewRegistry()
	b := newBus(t, url, func(c *natsbus.Config) { c.Registry = registry })
	if _, err := natsbus.New(ctx, natsbus.Config{URL: url, Component: "order", Registry: registry}); err == nil {
		t.Error("metrics were registered twice")
	}
	if b.Publish(ctx, []event.Event{{}}) == nil {
		t.Error("an event without an id was published")
	}
	if b.Register(ctx, bus.Subscription{Name: "bad"}) == nil {
		t.Error("a bad subscription was registered")
	}
	if _, err := b.Replay(ctx, "order.nobody", time.Now()); err == nil {
		t.Error("replayed to nobody")
	}
	got := make(chan event.Event, 1)
	late := bus.Subscription{Name: "order.late", Types: []string{typeDeleted}, Handle: func(_ context.Context, e event.Event) error {
		got <- e
		return nil
	}}
	first := late
	first.Name = name
	must(t, b.Subscribe(first))
	run(t, b)
	must(t, b.Publish(ctx, []event.Event{deleted("u")}))
	receive(t, got)
	if b.Run(ctx) == nil {
		t.Error("Run runs twice")
	}
	if b.Subscribe(late) == nil {
		t.Error("subscribed while running")
	}
	gone := newBus(t, url, nil)
	gone.Close()
	var errs []error
	_, err := gone.Redrive(ctx, name)
	errs = append(errs, err)
	_, err = gone.Dead(ctx, name, 1)
	errs = append(errs, err, gone.Subscribe(late), gone.Register(ctx, late))
	for i, err := range errs {
		if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable || errors.Is(err, context.Canceled) {
			t.Errorf("%d without a connection: %v", i, err)
		}
	}
}
