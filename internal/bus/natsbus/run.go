package natsbus

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/telemetry"
)

const (
	// How long a request for events stays open; a new one follows.
	fetchWait    = 30 * time.Second
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// A process that does not know a type leaves it to one that does, and asks again after this long.
	foreignPause = 30 * time.Second
	// Prefetched and foreign deliveries count as attempts in NATS, so only far more of them mean that processes died.
	diedAfter = 20
	maxError  = 1000 // characters kept of an error
)

// lane is one subscription in this process.
type lane struct {
	subscription bus.Subscription
	consumer     jetstream.Consumer
}

// run is one run of the bus.
type run struct {
	*Bus

	handling context.Context //nolint:containedctx // it is the lifetime of this run's handlers, not of a call
	stopping context.Context //nolint:containedctx // its end means that failures are the stop's and not the handlers'
	handlers sync.WaitGroup
}

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context) error {
	if !b.running.CompareAndSwap(false, true) {
		return errRunning
	}
	defer b.running.Store(false)
	handling, stopHandling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHandling()
	r := &run{Bus: b, handling: handling, stopping: ctx}
	var lanes sync.WaitGroup
	for _, l := range b.lanes {
		lanes.Go(func() { r.fetch(ctx, l) })
	}
	<-ctx.Done()
	lanes.Wait()
	grace := time.AfterFunc(b.config.Drain, stopHandling)
	r.handlers.Wait()
	grace.Stop()
	// Acknowledgements are on their way only when they left the buffer.
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := b.conn.FlushWithContext(flush); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.config.Logger.WarnContext(ctx, "some events will be delivered again", slog.Any("cause", err))
	}
	return nil
}

// fetch asks for as many events as there are free handlers, until ctx ends.
func (r *run) fetch(ctx context.Context, l *lane) {
	slots := make(chan struct{}, l.subscription.Concurrency)
	backoff := firstBackoff
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
			<-slots
		case <-ctx.Done():
			return
		}
		free := cap(slots) - len(slots)
		waiting, cancel := context.WithTimeout(ctx, fetchWait)
		err := r.fetchOnce(waiting, l, free, slots)
		cancel()
		if err == nil || ctx.Err() != nil {
			backoff = firstBackoff
			continue
		}
		r.config.Logger.ErrorContext(ctx, "cannot fetch events", slog.String("subscription", l.subscription.Name), slog.Any("cause", err))
		pause(ctx, backoff)
		backoff = min(2*backoff, maxBackoff)
	}
}

func (r *run) fetchOnce(ctx context.Context, l *lane, n int, slots chan struct{}) error {
	batch, err := l.consumer.Fetch(n, jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		if r.stopping.Err() != nil {
			r.check(msg.Nak())
			continue
		}
		slots <- struct{}{}
		r.handlers.Go(func() {
			defer func() { <-slots }()
			r.handle(l, msg)
		})
	}
	err = batch.Error()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) {
		return nil // nothing happened, which is no failure
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// check logs what can only mean that an event is delivered again.
func (r *run) check(err error) {
	if err != nil {
		r.config.Logger.WarnContext(r.handling, "an event will be delivered again", slog.Any("cause", err))
	}
}

func (r *run) handle(l *lane, msg jetstream.Msg) {
	s := l.subscription
	attempts := 1
	if meta, err := msg.Metadata(); err == nil {
		attempts = int(meta.NumDelivered)
	}
	var e event.Event
	err := e.UnmarshalJSON(msg.Data())
	if err == nil && !slices.Contains(s.Types, e.Type) {
		r.check(msg.NakWithDelay(foreignPause))
		return
	}
	if err == nil && attempts > s.MaxAttempts+diedAfter {
		err = errors.New("processes died while they handled it")
	}
	if err == nil {
		stop := r.keep(msg)
		start := time.Now()
		err = s.HandleSafely(r.handling, e)
		r.metrics.Handled(s.Name, time.Since(start))
		stop()
	}
	if err == nil {
		r.check(msg.Ack())
		r.metrics.Settled(s.Name, bus.OutcomeDone)
		return
	}
	r.fail(s, msg, e, attempts, err)
}

// keep extends the lease of a message while it is handled.
func (r *run) keep(msg jetstream.Msg) (stop func()) {
	every := r.config.Lease / 3
	ctx, cancel := context.WithCancel(r.handling)
	timer := time.AfterFunc(every, func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for ctx.Err() == nil {
			r.check(msg.InProgress())
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	return func() {
		cancel()
		timer.Stop()
	}
}

// fail decides what becomes of an event that was not handled.
func (r *run) fail(s bus.Subscription, msg jetstream.Msg, e event.Event, attempts int, err error) {
	outcome, level, delay := bus.OutcomeRetry, slog.LevelWarn, bus.Backoff(attempts)
	switch {
	case r.stopping.Err() != nil && errors.Is(err, context.Canceled):
		outcome, delay = bus.OutcomeRelease, 0
		r.check(msg.Nak())
	case attempts >= s.MaxAttempts && r.bury(s, msg, attempts, err):
		outcome, level, delay = bus.OutcomeDead, slog.LevelError, 0
	default:
		r.check(msg.NakWithDelay(delay))
	}
	r.metrics.Settled(s.Name, outcome)
	ctx := telemetry.WithRequestID(r.handling, e.TraceID)
	r.config.Logger.LogAttrs(ctx, level, "event not handled",
		slog.String("subscription", s.Name), slog.String("event_type", e.Type), slog.String("event_id", e.ID.String()),
		slog.Int("attempt", attempts), slog.String("outcome", outcome), slog.Duration("retry_in", delay), slog.Any("cause", err))
}
