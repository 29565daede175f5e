package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/postgres"
)

const (
	defaultBatch = 200
	defaultPoll  = time.Second
	// A pause after a batch lets the next one grow, and is longer after every batch that follows another: under load one
	// round takes many events; one that is written after a while without any is not kept waiting.
	minPause = 5 * time.Millisecond
	maxPause = 40 * time.Millisecond
	// A relay that finds another one at work looks again: the other may have missed the newest rows.
	busyPause    = 20 * time.Millisecond
	busy         = -1
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// Relay hands a component's outbox to the bus. Every replica runs one; one at
// a time works, so events keep the order they were written in.
type Relay struct {
	// DB holds the outbox.
	DB *postgres.DB
	// Bus takes the events.
	Bus bus.Bus
	// Logger takes failures; slog.Default().
	Logger *slog.Logger
	// Batch is the largest number of events handed over at once; 200.
	Batch int
	// Poll is how often the table is looked at without being woken; 1 s. It bounds the
	// delay of events written by processes that run no relay.
	Poll time.Duration
}

// Run relays until ctx ends. Failures are logged and tried again; it returns nil.
func (r *Relay) Run(ctx context.Context) error {
	relay := r.withDefaults()
	waker := make(chan struct{}, 1)
	defer relays.add(relay.DB.Schema(), waker)()
	backoff, pause := firstBackoff, minPause
	for {
		n, err := relay.round(ctx)
		var wait time.Duration
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			relay.Logger.ErrorContext(ctx, "events wait in the outbox", slog.Any("cause", err))
			wait, backoff = backoff, min(2*backoff, maxBackoff)
		case n == relay.Batch:
			backoff = firstBackoff
			continue
		case n == busy:
			wait, backoff = busyPause, firstBackoff
		case n > 0:
			wait, backoff = pause, firstBackoff
			pause = min(2*pause, maxPause)
		default:
			backoff, pause = firstBackoff, minPause
			if !sleep(ctx, waker, relay.Poll) {
				return nil
			}
			continue
		}
		if !sleep(ctx, nil, wait) {
			return nil
		}
	}
}

func (r *Relay) withDefaults() *Relay {
	c := *r
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Logger = c.Logger.With(slog.String("schema", c.DB.Schema()))
	if c.Batch <= 0 {
		c.Batch = defaultBatch
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	return &c
}

func sleep(ctx context.Context, waker <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-waker:
	case <-timer.C:
	}
	return true
}

// round hands over one batch and returns its size. An idle round is one
// statement and no transaction.
func (r *Relay) round(ctx context.Context) (n int, err error) {
	if b, ok := r.Bus.(sharedBus); ok && b.Shares(r.DB) {
		return r.roundShared(ctx, b)
	}
	var waiting bool
	if err := r.DB.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM outbox)").Scan(&waiting); err != nil || !waiting {
		return 0, err
	}
	err = r.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		n = busy
		if mine, err := lock(ctx, tx); err != nil || !mine {
			return err
		}
		n = 0
		ids, events, err := r.take(ctx, tx)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := r.Bus.Publish(ctx, events); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE id = ANY ($1::uuid[])", ids); err != nil {
			return fmt.Errorf("delete published events: %w", err)
		}
		n = len(events)
		return nil
	})
	return n, err
}

// lock keeps replicas from overtaking each other until the transaction ends.
// The commit need not reach the disk: a server that crashes right after it
// still has the events in the outbox.
func lock(ctx context.Context, tx *postgres.Tx) (mine bool, err error) {
	var mode string
	err = tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('outbox ' || current_schema(), 0)),
		set_config('synchronous_commit', 'off', true)`).Scan(&mine, &mode)
	return mine, err
}

// take locks the oldest events. SKIP LOCKED steps over rows that an operator's session holds.
func (r *Relay) take(ctx context.Context, tx *postgres.Tx) (ids []string, events []event.Event, err error) {
	rows, err := tx.QueryContext(ctx,
		"SELECT id, event_type, subject, payload::text FROM outbox ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED", r.Batch)
	if err != nil {
		return nil, nil, fmt.Errorf("read the outbox: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind, subject, payload string
		if err := rows.Scan(&id, &kind, &subject, &payload); err != nil {
			return nil, nil, err
		}
		parsed, err := uuid.Parse(id)
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, id)
		// Not decoded: an event this version cannot read must not hold up those behind it.
		events = append(events, event.Opaque(parsed, kind, subject, []byte(payload)))
	}
	return ids, events, rows.Err()
}
