// Package bustest is what every event bus of the platform must hold to.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
)

// Patience is how long a delivery may take before a test fails. Leases of the buses under test are at most a fifth of it.
const Patience = 20 * time.Second

// quiet is how long a test waits to see that nothing happens.
const quiet = 700 * time.Millisecond

// Harness makes ends of one bus.
type Harness interface {
	// New returns another process's end of the bus for "order" or "notification", to be closed when the test ends.
	New(t *testing.T, component string) bus.Bus
	// Kill cuts a running end off from the bus, as when its process dies.
	Kill(t *testing.T, b bus.Bus)
}

// Run runs the suite. setup returns a harness over an empty bus.
func Run(t *testing.T, setup func(t *testing.T) Harness) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, h Harness){
		"TwoSubscribers":          twoSubscribers,
		"PublishTwiceIsOnce":      publishTwice,
		"RedeliversAfterError":    redelivers,
		"RedeliversAfterPanic":    redeliversAfterPanic,
		"CrashRedelivers":         crashRedelivers,
		"ReplicasShareTheWork":    replicasShare,
		"RegisteredBeforeItRuns":  registeredBefore,
		"BacklogOfANewSubscriber": backlog,
		"PoisonDoesNotBlock":      poison,
		"RedriveAndReplay":        redrive,
		"Concurrency":             concurrency,
		"ShutdownDrains":          shutdownDrains,
		"ShutdownEndsStuck":       shutdownEndsStuck,
		"RefusesBadSubscriptions": refuses,
		"ManyEvents":              manyEvents,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

const (
	typeDeleted  = "USER_DELETED"
	typeVerified = "EMAIL_VERIFIED"
)

func deleted(subject string) event.Event {
	return event.New(subject, &eventv1.UserDeleted{UserId: subject})
}

func publish(t *testing.T, b bus.Bus, events ...event.Event) {
	t.Helper()
	if err := b.Publish(t.Context(), events); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func subscribe(t *testing.T, b bus.Bus, s bus.Subscription) {
	t.Helper()
	if err := b.Subscribe(s); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
}

// start runs b and returns a function that stops it and waits.
func start(t *testing.T, b bus.Bus) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(Patience):
			t.Error("Run does not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// inbox records what handlers got.
type inbox struct{ c chan event.Event }

func newInbox() *inbox { return &inbox{c: make(chan event.Event, 20000)} }

func (i *inbox) handle(_ context.Context, e event.Event) error {
	i.c <- e
	return nil
}

func (i *inbox) next(t *testing.T) event.Event {
	t.Helper()
	select {
	case e := <-i.c:
		return e
	case <-time.After(Patience):
		t.Fatal("no event arrived")
		return event.Event{}
	}
}

func (i *inbox) none(t *testing.T) {
	t.Helper()
	select {
	case e := <-i.c:
		t.Fatalf("an unexpected event arrived: %s about %s", e.Type, e.Subject)
	case <-time.After(quiet):
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func twoSubscribers(t *testing.T, h Harness) {
	orders, mails, others := newInbox(), newInbox(), newInbox()
	o, n := h.New(t, "order"), h.New(t, "notification")
	subscribe(t, o, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: orders.handle})
	subscribe(t, n, bus.Subscription{Name: "notification.users", Types: []string{typeDeleted, typeVerified}, Handle: mails.handle})
	subscribe(t, n, bus.Subscription{Name: "notification.verified", Types: []string{typeVerified}, Handle: others.handle})
	start(t, o)
	start(t, n)
	sent := deleted("u1").WithTraceID("req-1")
	publish(t, o, sent)
	for _, in := range []*inbox{orders, mails} {
		got := in.next(t)
		if !got.Equal(sent) {
			t.Errorf("got %+v, want %+v", got, sent)
		}
	}
	others.none(t)
	publish(t, o, event.New("u2", &eventv1.EmailVerified{UserId: "u2"}))
	if e := others.next(t); e.Type != typeVerified {
		t.Errorf("got %s", e.Type)
	}
	orders.none(t)
}

func publishTwice(t *testing.T, h Harness) {
	in := newInbox()
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: in.handle})
	start(t, b)
	e, other := deleted("u1"), deleted("u2")
	publish(t, b, e)
	in.next(t)
	publish(t, b, e, other)
	if got := in.next(t); got.ID != other.ID {
		t.Errorf("got the same event again")
	}
	in.none(t)
	publish(t, b)
}

func redelivers(t *testing.T, h Harness) {
	in := newInbox()
	var calls atomic.Int32
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: func(ctx context.Context, e event.Event) error {
		if calls.Add(1) < 3 {
			return errors.New("not yet: \x00\xff")
		}
		return in.handle(ctx, e)
	}})
	start(t, b)
	sent := deleted("u1")
	publish(t, b, sent)
	if got := in.next(t); got.ID != sent.ID {
		t.Error("another event arrived")
	}
	in.none(t)
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func redeliversAfterPanic(t *testing.T, h Harness) {
	in := newInbox()
	var calls atomic.Int32
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: func(ctx context.Context, e event.Event) error {
		if calls.Add(1) == 1 {
			panic("boom")
		}
		return in.handle(ctx, e)
	}})
	start(t, b)
	publish(t, b, deleted("u1"))
	in.next(t)
}

func crashRedelivers(t *testing.T, h Harness) {
	entered, release := make(chan struct{}), make(chan struct{})
	first := h.New(t, "order")
	subscription := bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error {
		close(entered)
		<-release
		return errors.New("too late")
	}}
	subscribe(t, first, subscription)
	ctx, cancel := context.WithCancel(context.Background())
	died := make(chan struct{})
	go func() {
		defer close(died)
		_ = first.Run(ctx) // cut off, it may fail or not
	}()
	defer func() {
		close(release)
		cancel()
		<-died
	}()
	sent := deleted("u1")
	publish(t, first, sent)
	<-entered
	h.Kill(t, first)
	in := newInbox()
	second := h.New(t, "order")
	subscription.Handle = in.handle
	subscribe(t, second, subscription)
	start(t, second)
	if got := in.next(t); got.ID != sent.ID {
		t.Error("another event arrived")
	}
}

func replicasShare(t *testing.T, h Harness) {
	in := newInbox()
	subscription := bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: in.handle}
	var ends []bus.Bus
	for range 3 {
		b := h.New(t, "order")
		subscribe(t, b, subscription)
		start(t, b)
		ends = append(ends, b)
	}
	const n = 60
	for i := range n {
		publish(t, ends[i%len(ends)], deleted(strconv.Itoa(i)))
	}
	seen := map[string]bool{}
	for range n {
		seen[in.next(t).Subject] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d events arrived", len(seen), n)
	}
	in.none(t)
}

func registeredBefore(t *testing.T, h Harness) {
	publisher := h.New(t, "notification")
	declared := bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Backlog: -1}
	registrar, ok := h.New(t, "order").(bus.Registrar)
	if !ok {
		t.Fatal("not a Registrar")
	}
	for range 2 {
		if err := registrar.Register(t.Context(), declared); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, publisher, deleted("u1"))
	in := newInbox()
	late := h.New(t, "order")
	declared.Handle = in.handle
	subscribe(t, late, declared)
	stop := start(t, late)
	in.next(t)
	stop()
	// The same holds between two runs.
	publish(t, publisher, deleted("u2"))
	again := h.New(t, "order")
	subscribe(t, again, declared)
	start(t, again)
	if e := in.next(t); e.Subject != "u2" {
		t.Errorf("got %s again", e.Subject)
	}
}

func backlog(t *testing.T, h Harness) {
	b := h.New(t, "order")
	publish(t, b, deleted("u1"))
	with, without := newInbox(), newInbox()
	subscribe(t, b, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: with.handle})
	subscribe(t, b, bus.Subscription{Name: "order.fresh", Types: []string{typeDeleted}, Backlog: -1, Handle: without.handle})
	start(t, b)
	with.next(t)
	without.none(t)
	publish(t, b, deleted("u2"))
	without.next(t)
}

func poison(t *testing.T, h Harness) {
	in := newInbox()
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{
		Name: "order.users", Types: []string{typeDeleted}, Concurrency: 1, Handle: func(ctx context.Context, e event.Event) error {
			if e.Subject == "poison" {
				return errors.New("poisoned")
			}
			return in.handle(ctx, e)
		},
	})
	start(t, b)
	for i := range 20 {
		publish(t, b, deleted("poison"), deleted(strconv.Itoa(i)))
	}
	seen := map[string]bool{}
	for range 20 {
		seen[in.next(t).Subject] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 events passed the poison", len(seen))
	}
}

func redrive(t *testing.T, h Harness) {
	in := newInbox()
	var healthy atomic.Bool
	b := h.New(t, "order")
	operator, ok := b.(bus.Operator)
	if !ok {
		t.Fatal("not an Operator")
	}
	const name = "order.users"
	subscribe(t, b, bus.Subscription{Name: name, Types: []string{typeDeleted}, MaxAttempts: 2, Handle: func(ctx context.Context, e event.Event) error {
		if e.Subject == "bad" && !healthy.Load() {
			return errors.New("the dependency is broken")
		}
		return in.handle(ctx, e)
	}})
	start(t, b)
	before := time.Now().Add(-time.Minute)
	bad := deleted("bad")
	publish(t, b, bad, deleted("good"))
	in.next(t)
	var letters []bus.DeadLetter
	eventually(t, "the event is dead", func() bool {
		var err error
		if letters, err = operator.Dead(t.Context(), name, 10); err != nil {
			t.Fatal(err)
		}
		return len(letters) == 1
	})
	if l := letters[0]; !l.Event.Equal(bad) || l.Attempts != 2 || l.LastError != "the dependency is broken" {
		t.Errorf("dead letter %+v", l)
	}
	in.none(t)
	healthy.Store(true)
	if n, err := operator.Redrive(t.Context(), name); n != 1 || err != nil {
		t.Fatalf("Redrive: %d, %v", n, err)
	}
	if e := in.next(t); e.ID != bad.ID {
		t.Error("another event arrived")
	}
	if n, err := operator.Redrive(t.Context(), name); n != 0 || err != nil {
		t.Errorf("second Redrive: %d, %v", n, err)
	}
	in.none(t)
	if n, err := operator.Replay(t.Context(), name, before); n != 2 || err != nil {
		t.Fatalf("Replay: %d, %v", n, err)
	}
	subjects := map[string]bool{in.next(t).Subject: true, in.next(t).Subject: true}
	if len(subjects) != 2 {
		t.Errorf("replayed %v", subjects)
	}
	if n, err := operator.Replay(t.Context(), name, time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("Replay of the future: %d, %v", n, err)
	}
	in.none(t)
}

func concurrency(t *testing.T, h Harness) {
	const limit = 3
	var now, highest atomic.Int32
	in := newInbox()
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{
		Name: "order.users", Types: []string{typeDeleted}, Concurrency: limit, Handle: func(ctx context.Context, e event.Event) error {
			n := now.Add(1)
			defer now.Add(-1)
			for old := highest.Load(); n > old && !highest.CompareAndSwap(old, n); old = highest.Load() {
			}
			time.Sleep(30 * time.Millisecond)
			return in.handle(ctx, e)
		},
	})
	start(t, b)
	var events []event.Event
	for i := range 30 {
		events = append(events, deleted(strconv.Itoa(i)))
	}
	publish(t, b, events...)
	for range events {
		in.next(t)
	}
	if n := highest.Load(); n != limit {
		t.Errorf("%d handlers at once, want %d", n, limit)
	}
}

func shutdownDrains(t *testing.T, h Harness) {
	entered, release := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	first := h.New(t, "order")
	subscription := bus.Subscription{
		Name: "order.users", Types: []string{typeDeleted}, Concurrency: 1, Handle: func(ctx context.Context, _ event.Event) error {
			close(entered)
			<-release
			ended.Store(ctx.Err() == nil)
			return ctx.Err()
		},
	}
	subscribe(t, first, subscription)
	stop := start(t, first)
	publish(t, first, deleted("running"), deleted("waiting"))
	<-entered
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	stop()
	if !ended.Load() {
		t.Error("the handler was not left to end")
	}
	in := newInbox()
	second := h.New(t, "order")
	subscription.Handle = in.handle
	subscribe(t, second, subscription)
	start(t, second)
	in.next(t)
	in.none(t)
}

func shutdownEndsStuck(t *testing.T, h Harness) {
	entered := make(chan struct{})
	first := h.New(t, "order")
	subscription := bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: func(ctx context.Context, _ event.Event) error {
		close(entered)
		<-ctx.Done()
		return fmt.Errorf("stopped: %w", ctx.Err())
	}}
	subscribe(t, first, subscription)
	stop := start(t, first)
	publish(t, first, deleted("u1"))
	<-entered
	stop()
	in := newInbox()
	second := h.New(t, "order")
	subscription.Handle = in.handle
	subscribe(t, second, subscription)
	start(t, second)
	in.next(t)
}

func refuses(t *testing.T, h Harness) {
	b := h.New(t, "order")
	handle := newInbox().handle
	for name, s := range map[string]bus.Subscription{
		"no handler": {Name: "order.users", Types: []string{typeDeleted}},
		"no types":   {Name: "order.users", Handle: handle},
		"no purpose": {Name: "order", Types: []string{typeDeleted}, Handle: handle},
		"bad type":   {Name: "order.users", Types: []string{"user deleted"}, Handle: handle},
		"negative":   {Name: "order.users", Types: []string{typeDeleted}, Handle: handle, MaxAttempts: -1},
	} {
		if err := b.Subscribe(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Handle: handle}
	subscribe(t, b, good)
	if err := b.Subscribe(good); err == nil {
		t.Error("subscribed twice")
	}
}

func manyEvents(t *testing.T, h Harness) {
	const batches, size = 20, 100
	in := newInbox()
	b := h.New(t, "order")
	subscribe(t, b, bus.Subscription{Name: "order.users", Types: []string{typeDeleted}, Concurrency: 8, Handle: in.handle})
	start(t, b)
	begin := time.Now()
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range batches / 4 {
				var events []event.Event
				for range size {
					events = append(events, deleted("u"))
				}
				if err := b.Publish(context.Background(), events); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for range batches * size {
		seen[in.next(t).ID.String()] = true
	}
	writers.Wait()
	if len(seen) != batches*size {
		t.Errorf("%d of %d events arrived", len(seen), batches*size)
	}
	t.Logf("%.0f events/s", batches*size/time.Since(begin).Seconds())
}
