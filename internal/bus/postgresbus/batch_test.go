package postgresbus_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/postgres"
)

// calls are what a subscription's handlers were given.
type calls struct {
	mutex   sync.Mutex
	alone   []string
	batches [][]string
}

func (c *calls) handle(e event.Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.alone = append(c.alone, e.Subject)
}

func (c *calls) handleBatch(events []event.Event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var subjects []string
	for _, e := range events {
		subjects = append(subjects, e.Subject)
	}
	c.batches = append(c.batches, subjects)
}

func (c *calls) get() (alone []string, batches [][]string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.alone), slices.Clone(c.batches)
}

func many(n int) (events []event.Event) {
	for i := range n {
		events = append(events, deleted(strconv.Itoa(i)))
	}
	return events
}

func TestWaitingEventsAreHandledTogether(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var got calls
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{
		Name: name, Types: []string{typeDeleted}, Concurrency: 1,
		Handle:      func(_ context.Context, e event.Event) error { got.handle(e); return nil },
		HandleBatch: func(_ context.Context, events []event.Event) error { got.handleBatch(events); return nil },
	}))
	must(t, b.Publish(t.Context(), many(600)))
	run(t, b)
	eventually(t, "all are settled", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery") == 0 })
	alone, batches := got.get()
	seen := map[string]int{}
	for _, subject := range slices.Concat(append(batches, alone)...) {
		seen[subject]++
	}
	if len(seen) != 600 || len(batches) > 20 {
		t.Errorf("%d events in %d batches and %d alone", len(seen), len(batches), len(alone))
	}
	if !slices.Contains(batches[0], "0") || !slices.IsSortedFunc(batches[0], func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	}) {
		t.Errorf("the first batch is %v", batches[0])
	}
}

func TestPoisonedEventDoesNotHoldUpItsBatch(t *testing.T) {
	t.Parallel()
	for what, poison := range map[string]func() error{
		"error": func() error { return errors.New("cannot be counted") },
		"panic": func() error { panic("cannot be counted") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			var got calls
			b := f.bus(t, nil)
			handle := func(events ...event.Event) error {
				for _, e := range events {
					if e.Subject == "7" {
						return poison()
					}
				}
				return nil
			}
			must(t, b.Subscribe(bus.Subscription{
				Name: name, Types: []string{typeDeleted}, Concurrency: 1, MaxAttempts: 2,
				Handle: func(_ context.Context, e event.Event) error {
					got.handle(e)
					return handle(e)
				},
				HandleBatch: func(_ context.Context, events []event.Event) error {
					got.handleBatch(events)
					return handle(events...)
				},
			}))
			must(t, b.Publish(t.Context(), many(20)))
			run(t, b)
			eventually(t, "only the poisoned one is left, dead", func() bool {
				return f.count(t, "SELECT count(*) FROM bus.delivery") == 1 &&
					f.count(t, "SELECT count(*) FROM bus.delivery WHERE dead AND attempts = 2 AND last_error LIKE '%cannot be counted%'") == 1
			})
			alone, batches := got.get()
			// Twenty after the batch, and the poisoned one once more.
			if len(batches) != 1 || len(alone) != 21 {
				t.Errorf("%d batches, %d alone", len(batches), len(alone))
			}
		})
	}
}

// An event that ended a process is not given the chance to take others with it.
func TestEventTriedBeforeIsHandledAlone(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var got calls
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{
		Name: name, Types: []string{typeDeleted}, Concurrency: 1,
		Handle:      func(_ context.Context, e event.Event) error { got.handle(e); return nil },
		HandleBatch: func(_ context.Context, events []event.Event) error { got.handleBatch(events); return nil },
	}))
	must(t, b.Publish(t.Context(), many(10)))
	f.exec(t, "UPDATE bus.delivery SET attempts = 1 WHERE seq = (SELECT seq FROM bus.event WHERE subject = '4')")
	bad := deleted("bad")
	must(t, b.Publish(t.Context(), []event.Event{event.Opaque(bad.ID, bad.Type, bad.Subject, []byte(`{"no":"event"}`))}))
	run(t, b)
	eventually(t, "all but the unreadable one are settled", func() bool {
		return f.count(t, "SELECT count(*) FROM bus.delivery") == 1 && f.count(t, "SELECT count(*) FROM bus.delivery WHERE last_error <> ''") == 1
	})
	alone, batches := got.get()
	for _, batch := range batches {
		if slices.Contains(batch, "4") {
			t.Errorf("it was in the batch %v", batch)
		}
	}
	if !slices.Contains(alone, "4") {
		t.Errorf("alone were %v", alone)
	}
}

// A process that dies after the batch's effect and before it settled leaves the effect once: the events come again, and
// the inbox knows them.
func TestCrashBetweenABatchAndItsSettlement(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.exec(t, `CREATE TABLE "order".effect (event_id uuid); GRANT ALL ON "order".effect TO commerce_order`)
	var handled atomic.Int32
	act := func(ctx context.Context, db *postgres.DB, events []event.Event) error {
		return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			for _, e := range events {
				first, err := inbox.Once(ctx, tx, name, e.ID.String())
				if err != nil {
					return err
				}
				if first {
					if _, err := tx.ExecContext(ctx, "INSERT INTO effect VALUES ($1)", e.ID); err != nil {
						return err
					}
				}
				handled.Add(1)
			}
			return nil
		})
	}
	lease := func(c *postgresbus.Config) { c.Lease = 600 * time.Millisecond }
	doomed := f.database.DB(t, "order")
	first := f.bus(t, func(c *postgresbus.Config) { lease(c); c.DB = doomed })
	subscription := bus.Subscription{Name: name, Types: []string{typeDeleted}, Concurrency: 1}
	subscription.Handle = func(context.Context, event.Event) error { return errors.New("not alone") }
	subscription.HandleBatch = func(ctx context.Context, events []event.Event) error {
		defer doomed.Close() // cut off from the database, it cannot settle
		return act(ctx, f.order, events)
	}
	must(t, first.Subscribe(subscription))
	must(t, first.Publish(t.Context(), many(30)))
	ctx, cancel := context.WithCancel(context.Background())
	died := make(chan struct{})
	go func() {
		defer close(died)
		_ = first.Run(ctx) // cut off, it may fail or not
	}()
	eventually(t, "the effect", func() bool { return handled.Load() == 30 })
	cancel()
	if n := f.count(t, "SELECT count(*) FROM bus.delivery"); n != 30 {
		t.Errorf("%d deliveries are left, want 30", n)
	}
	second := f.bus(t, lease)
	subscription.Handle = func(ctx context.Context, e event.Event) error { return act(ctx, f.order, []event.Event{e}) }
	subscription.HandleBatch = func(ctx context.Context, events []event.Event) error { return act(ctx, f.order, events) }
	must(t, second.Subscribe(subscription))
	run(t, second)
	eventually(t, "all are settled", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery") == 0 })
	if n := f.count(t, `SELECT count(*) FROM "order".effect`); n != 30 || handled.Load() != 60 {
		t.Errorf("%d effects of %d deliveries, want 30 of 60", n, handled.Load())
	}
	<-died
}

// However long the pauses grew under load, an event that comes after a while is handled at once.
func TestIdleSubscriberIsQuick(t *testing.T) {
	t.Parallel()
	f := setup(t)
	got := make(chan time.Time, 100)
	b := f.bus(t, nil)
	must(t, b.Subscribe(bus.Subscription{Name: name, Types: []string{typeDeleted}, Handle: func(context.Context, event.Event) error {
		got <- time.Now()
		return nil
	}}))
	run(t, b)
	must(t, b.Publish(t.Context(), many(50)))
	for range 50 {
		<-got
	}
	best := time.Hour
	for range 10 {
		time.Sleep(100 * time.Millisecond) // nothing is on the way
		sent := time.Now()
		must(t, b.Publish(t.Context(), many(1)))
		best = min(best, (<-got).Sub(sent))
	}
	// The best of ten, since the machine may be busy; the longest pause under load alone would be more.
	if best > 30*time.Millisecond {
		t.Errorf("an event to an idle subscriber took %s", best)
	}
	eventually(t, "all are settled", func() bool { return f.count(t, "SELECT count(*) FROM bus.delivery") == 0 })
}
