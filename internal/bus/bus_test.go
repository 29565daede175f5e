package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/telemetry"
)

func handled(context.Context, event.Event) error { return nil }

func TestSubscriptionDefaults(t *testing.T) {
	t.Parallel()
	s := bus.Subscription{Name: "order.payments", Types: []string{"PAYMENT_SUCCEEDED"}, Handle: handled}
	if err := s.ValidateHandler(); err != nil {
		t.Fatal(err)
	}
	d := s.WithDefaults()
	if d.MaxAttempts != bus.DefaultMaxAttempts || d.Concurrency != bus.DefaultConcurrency || d.Timeout != bus.DefaultTimeout || d.Backlog != bus.DefaultBacklog {
		t.Errorf("defaults %+v", d)
	}
	s.Backlog = -1
	if d := s.WithDefaults(); d.Backlog != 0 {
		t.Errorf("no backlog became %s", d.Backlog)
	}
	if s.Component() != "order" {
		t.Errorf("component %q", s.Component())
	}
}

func TestSubscriptionRefusals(t *testing.T) {
	t.Parallel()
	good := bus.Subscription{Name: "order.payments", Types: []string{"PAYMENT_SUCCEEDED"}, Handle: handled}
	for what, change := range map[string]func(*bus.Subscription){
		"no handler":   func(s *bus.Subscription) { s.Handle = nil },
		"no purpose":   func(s *bus.Subscription) { s.Name = "order" },
		"upper case":   func(s *bus.Subscription) { s.Name = "Order.payments" },
		"long":         func(s *bus.Subscription) { s.Name = "order." + strings.Repeat("x", 100) },
		"no types":     func(s *bus.Subscription) { s.Types = nil },
		"bad type":     func(s *bus.Subscription) { s.Types = []string{"PaymentSucceeded"} },
		"comma":        func(s *bus.Subscription) { s.Types = []string{"A,B"} },
		"attempts":     func(s *bus.Subscription) { s.MaxAttempts = -1 },
		"concurrency":  func(s *bus.Subscription) { s.Concurrency = -1 },
		"time to pass": func(s *bus.Subscription) { s.Timeout = -1 },
	} {
		s := good
		change(&s)
		if s.ValidateHandler() == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestBackoffDoublesUpToTenMinutes(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 11: 10 * time.Minute, 1000: 10 * time.Minute,
	} {
		for range 50 {
			if got := bus.Backoff(attempt); got < want*3/4 || got > want*5/4 {
				t.Fatalf("attempt %d: %s, want %s give or take a quarter", attempt, got, want)
			}
		}
	}
}

func TestHandleSafely(t *testing.T) {
	t.Parallel()
	s := bus.Subscription{Handle: func(ctx context.Context, e event.Event) error {
		switch e.Subject {
		case "panic":
			panic("boom")
		case "slow":
			<-ctx.Done()
			return ctx.Err()
		default:
			if id := telemetry.RequestID(ctx); id != e.TraceID {
				t.Errorf("request id %q, want %q", id, e.TraceID)
			}
			return nil
		}
	}, Timeout: 50 * time.Millisecond}
	for _, trace := range []string{"", "req-1"} {
		if err := s.HandleSafely(t.Context(), event.Event{TraceID: trace}); err != nil {
			t.Error(err)
		}
	}
	if err := s.HandleSafely(t.Context(), event.Event{Subject: "panic"}); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("panic: %v", err)
	}
	if err := s.HandleSafely(t.Context(), event.Event{Subject: "slow"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	var away error
	m := bus.NewMetrics("order", func(context.Context) ([]bus.Depth, error) {
		return []bus.Depth{
			{Subscription: "order.a", Waiting: 3, Dead: 1, OldestSeconds: 60}, {Subscription: "order.b", OldestSeconds: -1},
		}, away
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	m.Settled("order.a", bus.OutcomeDone)
	m.Handled("order.a", time.Second)
	series := func() map[string]int {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := map[string]int{}
		for _, family := range families {
			n[strings.TrimPrefix(family.GetName(), "commerce_bus_")] = len(family.GetMetric())
		}
		return n
	}
	if n := series(); n["waiting"] != 2 || n["dead"] != 2 || n["oldest_seconds"] != 1 || n["deliveries_total"] != 1 || n["handling_seconds"] != 1 {
		t.Errorf("series %v", n)
	}
	away = errors.New("away")
	if n := series(); n["waiting"] != 0 || n["published_total"] != 1 {
		t.Errorf("without a bus: %v", n)
	}
}
