package postgresbus

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/bus"
)

const (
	settleBatch = 500
	// A crash while settlements wait repeats their deliveries, as one at any other moment does.
	settleLinger = 5 * time.Millisecond
	// How long a stopping process tries to settle before it leaves the rest to the end of the leases.
	settleWithin = 5 * time.Second
)

// settlement is the end of a claim.
type settlement struct {
	delivery

	lane    *lane
	outcome string
	delay   time.Duration
	reason  string
}

// settle writes settlements in batches until the channel is closed. A database
// that is away is waited for: giving up would handle the events a second time.
func (r *run) settle() {
	for first := range r.settling {
		r.write(r.gather(first))
	}
}

// gather waits a moment for more settlements, unless a lane waits for the room that these take.
func (r *run) gather(batch []settlement) []settlement {
	linger := time.NewTimer(settleLinger)
	defer linger.Stop()
	for len(batch) < settleBatch {
		var more []settlement
		var open bool
		if starved(batch) {
			select {
			case more, open = <-r.settling:
			default:
			}
		} else {
			select {
			case more, open = <-r.settling:
			case <-linger.C:
			}
		}
		if !open {
			break
		}
		batch = append(batch, more...)
	}
	return batch
}

// starved says whether a lane of the batch left deliveries behind for want of room.
func starved(batch []settlement) bool {
	for _, s := range batch {
		s.lane.mutex.Lock()
		more := s.lane.more
		s.lane.mutex.Unlock()
		if more {
			return true
		}
	}
	return false
}

func (r *run) write(batch []settlement) {
	var deadline time.Time
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		err := r.writeOnce(batch)
		if err == nil {
			break
		}
		r.config.Logger.ErrorContext(r.handling, "cannot settle events", slog.Int("events", len(batch)), slog.Any("cause", err))
		if r.stopping.Err() != nil {
			if deadline.IsZero() {
				deadline = time.Now().Add(settleWithin)
			}
			backoff = firstBackoff
			if time.Now().After(deadline) {
				break
			}
		}
		pause(context.WithoutCancel(r.handling), backoff)
	}
	r.settled(batch)
}

func (r *run) writeOnce(batch []settlement) error {
	n := len(batch)
	names, outcomes, reasons := make([]string, n), make([]string, n), make([]string, n)
	seqs, attempts, delays := make([]int64, n), make([]int, n), make([]float64, n)
	for i, s := range batch {
		names[i], seqs[i], attempts[i], outcomes[i] = s.name, s.seq, s.attempts, s.outcome
		// PostgreSQL's text refuses both NUL and broken UTF-8.
		delays[i], reasons[i] = s.delay.Seconds(), strings.ToValidUTF8(strings.ReplaceAll(s.reason, "\x00", ""), "�")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.handling), settleWithin)
	defer cancel()
	_, err := r.config.DB.Pool().Exec(ctx, "SELECT bus.settle($1, $2, $3, $4, $5, $6)", names, seqs, attempts, outcomes, delays, reasons)
	return err
}

// settled frees the room that the batch took and sees that retries are looked for in time.
func (r *run) settled(batch []settlement) {
	var refill bool
	for _, s := range batch {
		r.metrics.Settled(s.name, s.outcome)
		s.lane.mutex.Lock()
		delete(s.lane.held, s.seq)
		refill = refill || s.lane.more
		s.lane.mutex.Unlock()
		if s.outcome == bus.OutcomeRetry && s.delay < pollLive {
			time.AfterFunc(s.delay+time.Millisecond, r.signal.Wake)
		}
	}
	if refill {
		r.signal.Wake()
	}
}
