package postgresbus

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// A lane prefetches, so that handlers need not wait for the database between two events.
const (
	prefetch    = 8
	maxPrefetch = 256

	claimTimeout = 10 * time.Second
)

var errDied = errors.New("processes died while they handled it")

// delivery is a claimed event of one subscription.
type delivery struct {
	name     string
	seq      int64
	attempts int
	body     string
}

// lane is one subscription in this process.
type lane struct {
	subscription bus.Subscription
	types        string

	mutex   sync.Mutex
	queue   []delivery
	held    map[int64]delivery // claimed and not settled, including the queue
	running int
	// more says that the last claim was cut off by its limit.
	more bool
}

func (l *lane) capacity() int {
	if l.subscription.HandleBatch != nil {
		return maxPrefetch
	}
	return min(prefetch*l.subscription.Concurrency, maxPrefetch)
}

// room is how many deliveries the lane would take now. It is 0 until half is used up, so claims stay large.
func (l *lane) room() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	free := l.capacity() - len(l.held)
	if free*2 < l.capacity() {
		return 0
	}
	return free
}

// held lists every claim of this process for the heartbeat.
func (r *run) held() (names []string, seqs []int64, attempts []int) {
	for _, l := range r.lanes {
		l.mutex.Lock()
		for _, d := range l.held {
			names, seqs, attempts = append(names, d.name), append(seqs, d.seq), append(attempts, d.attempts)
		}
		l.mutex.Unlock()
	}
	return names, seqs, attempts
}

// claim fetches for all lanes at once. more reports whether some lane has both
// room and, presumably, deliveries left.
func (r *run) claim(ctx context.Context) (n int, more bool, err error) {
	var names, types []string
	var limits []int
	for name, l := range r.lanes {
		if room := l.room(); room > 0 {
			names, types, limits = append(names, name), append(types, l.types), append(limits, room)
		}
	}
	if len(names) == 0 {
		return 0, false, nil
	}
	// A stop must not cut the claim off: what the server leased would wait for the end of the lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	rows, err := r.config.DB.Pool().Query(ctx,
		"SELECT claimed_subscription, claimed_seq, claimed_attempts, claimed_body FROM bus.claim($1, $2, $3, $4::interval)",
		names, types, limits, r.config.Lease)
	if err != nil {
		return 0, false, err
	}
	got := map[string][]delivery{}
	for rows.Next() {
		var d delivery
		if err := rows.Scan(&d.name, &d.seq, &d.attempts, &d.body); err != nil {
			rows.Close()
			return 0, false, err
		}
		got[d.name] = append(got[d.name], d)
		n++
	}
	// Rows that arrived before an error are leased to nobody then, and come back when the lease ends.
	if err := rows.Err(); err != nil {
		return 0, false, err
	}
	for i, name := range names {
		batch := got[name]
		slices.SortFunc(batch, func(a, b delivery) int { return cmp.Compare(a.seq, b.seq) })
		l := r.lanes[name]
		l.mutex.Lock()
		l.more = len(batch) == limits[i]
		l.add(batch)
		r.start(l)
		l.mutex.Unlock()
		more = more || (l.more && l.room() > 0)
	}
	return n, more, nil
}

func (l *lane) add(batch []delivery) {
	if l.held == nil {
		l.held = map[int64]delivery{}
	}
	for _, d := range batch {
		l.held[d.seq] = d
	}
	l.queue = append(l.queue, batch...)
}

// start runs handlers while there is work and concurrency left. The caller holds the mutex.
func (r *run) start(l *lane) {
	for l.running < l.subscription.Concurrency && len(l.queue) > 0 && r.stopping.Err() == nil {
		batch := l.next()
		l.running++
		r.handlers.Go(func() { r.work(l, batch) })
	}
}

// work handles the batch and then whatever the lane has queued, until that is nothing.
func (r *run) work(l *lane, batch []delivery) {
	for {
		r.handleAll(l, batch)
		l.mutex.Lock()
		if len(l.queue) == 0 || r.stopping.Err() != nil {
			l.running--
			l.mutex.Unlock()
			return
		}
		batch = l.next()
		l.mutex.Unlock()
	}
}

// release gives back what was claimed and not started.
func (r *run) release() {
	for _, l := range r.lanes {
		l.mutex.Lock()
		queue := l.queue
		l.queue = nil
		l.mutex.Unlock()
		if len(queue) > 0 {
			r.settling <- ended(l, queue, bus.OutcomeRelease)
		}
	}
}

// handle calls the handler once and decides what becomes of the delivery.
func (r *run) handle(l *lane, d delivery) settlement {
	s := settlement{delivery: d, lane: l, outcome: bus.OutcomeDone}
	var e event.Event
	err := e.UnmarshalJSON([]byte(d.body))
	if err == nil && d.attempts > l.subscription.MaxAttempts {
		err = errDied // nobody settled the last attempt; a next one might end this process too
	}
	if err == nil {
		start := time.Now()
		err = l.subscription.HandleSafely(r.handling, e)
		r.metrics.Handled(d.name, time.Since(start))
	}
	if err == nil {
		return s
	}
	s.reason = err.Error()
	level := slog.LevelWarn
	switch {
	case r.stopping.Err() != nil && errors.Is(err, context.Canceled):
		s.outcome = bus.OutcomeRelease
	case d.attempts >= l.subscription.MaxAttempts:
		s.outcome, level = bus.OutcomeDead, slog.LevelError
	default:
		s.outcome, s.delay = bus.OutcomeRetry, bus.Backoff(d.attempts)
	}
	ctx := telemetry.WithRequestID(r.handling, e.TraceID)
	r.config.Logger.LogAttrs(ctx, level, "event not handled",
		slog.String("subscription", d.name), slog.String("event_type", e.Type), slog.String("event_id", e.ID.String()),
		slog.Int("attempt", d.attempts), slog.String("outcome", s.outcome), slog.Duration("retry_in", s.delay), slog.Any("cause", err))
	return s
}
