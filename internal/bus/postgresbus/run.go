package postgresbus

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/commercestack/commercestack/internal/wake"
)

const (
	pollBlind = time.Second
	pollLive  = 5 * time.Second
	// A pause after a claim lets deliveries gather. It grows while there are some every time, so that under load one
	// claim takes many; an event that comes after a while without any is not kept waiting.
	minPause     = 5 * time.Millisecond
	maxPause     = 40 * time.Millisecond
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	purgeEvery   = time.Hour
)

// run is one run of the bus.
type run struct {
	*Bus

	signal   *wake.Signal
	settling chan []settlement
	// handling ends when the handlers' grace is over.
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
	if len(b.lanes) == 0 {
		<-ctx.Done()
		return nil
	}
	handling, stopHandling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHandling()
	r := &run{
		Bus: b, signal: wake.Listen(b.config.DB, "bus_"+b.config.DB.Schema(), b.config.Logger),
		settling: make(chan []settlement, 256), handling: handling, stopping: ctx,
	}
	defer r.signal.Close()
	var loops sync.WaitGroup
	ending, endLoops := context.WithCancel(handling)
	loops.Go(r.settle)
	loops.Go(func() { r.heartbeat(ending) })
	r.fetch(ctx)
	r.release()
	grace := time.AfterFunc(b.config.Drain, stopHandling)
	r.handlers.Wait()
	grace.Stop()
	close(r.settling)
	endLoops()
	loops.Wait()
	return nil
}

// fetch claims deliveries for lanes with room until ctx ends.
func (r *run) fetch(ctx context.Context) {
	backoff, gather := firstBackoff, minPause
	nextPurge := time.Now().Add(time.Minute)
	for ctx.Err() == nil {
		n, more, err := r.claim(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.config.Logger.ErrorContext(ctx, "cannot fetch events", slog.Any("cause", err))
			pause(ctx, backoff)
			backoff = min(2*backoff, maxBackoff)
			continue
		}
		backoff = firstBackoff
		if time.Now().After(nextPurge) {
			r.purge(ctx)
			nextPurge = time.Now().Add(purgeEvery)
		}
		switch {
		case more:
		case n > 0:
			pause(ctx, gather)
			gather = min(2*gather, maxPause)
		default:
			gather = minPause
			r.wait(ctx)
		}
	}
}

// wait returns when a notification, a free lane or the clock gives reason to look.
func (r *run) wait(ctx context.Context) {
	poll := r.config.Poll
	if poll == 0 {
		poll = pollBlind
		if r.signal.Live() {
			poll = pollLive
		}
	}
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.signal.C():
	case <-timer.C:
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (r *run) purge(ctx context.Context) {
	for {
		var n int
		if err := r.config.DB.Pool().QueryRow(ctx, "SELECT bus.purge()").Scan(&n); err != nil {
			if ctx.Err() == nil {
				r.config.Logger.WarnContext(ctx, "cannot purge old events", slog.Any("cause", err))
			}
			return
		}
		if n == 0 {
			return
		}
	}
}

// heartbeat keeps the leases of everything this process holds.
func (r *run) heartbeat(ctx context.Context) {
	ticker := time.NewTicker(r.config.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		names, seqs, attempts := r.held()
		if len(names) == 0 {
			continue
		}
		_, err := r.config.DB.Pool().Exec(ctx, "SELECT bus.extend($1, $2, $3, $4::interval)", names, seqs, attempts, r.config.Lease)
		if err != nil && ctx.Err() == nil {
			r.config.Logger.WarnContext(ctx, "cannot extend leases, others may handle the same events",
				slog.Int("events", len(names)), slog.Any("cause", err))
		}
	}
}
