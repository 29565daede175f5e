package postgresbus

import (
	"log/slog"
	"time"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/event"
)

// next takes what a worker handles next: one delivery, or all that wait for the first time when the subscription handles
// batches. The caller holds the mutex, and the queue is not empty.
func (l *lane) next() []delivery {
	n := 1
	if l.subscription.HandleBatch != nil && l.queue[0].attempts == 1 {
		for n < len(l.queue) && l.queue[n].attempts == 1 {
			n++
		}
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

// handleAll handles a batch together, or each delivery alone when that fails.
func (r *run) handleAll(l *lane, batch []delivery) {
	if len(batch) > 1 && r.handleBatch(l, batch) {
		r.settling <- ended(l, batch, bus.OutcomeDone)
		return
	}
	for i, d := range batch {
		if i > 0 && r.stopping.Err() != nil {
			r.settling <- ended(l, batch[i:], bus.OutcomeRelease)
			return
		}
		r.settling <- []settlement{r.handle(l, d)}
	}
}

// ended are settlements of one outcome.
func ended(l *lane, batch []delivery, outcome string) []settlement {
	settlements := make([]settlement, len(batch))
	for i, d := range batch {
		settlements[i] = settlement{delivery: d, lane: l, outcome: outcome}
	}
	return settlements
}

// handleBatch tells whether all were handled.
func (r *run) handleBatch(l *lane, batch []delivery) bool {
	events := make([]event.Event, len(batch))
	for i, d := range batch {
		if events[i].UnmarshalJSON([]byte(d.body)) != nil {
			return false
		}
	}
	start := time.Now()
	if err := l.subscription.HandleBatchSafely(r.handling, events); err != nil {
		r.config.Logger.LogAttrs(r.handling, slog.LevelWarn, "events not handled together, trying each alone",
			slog.String("subscription", l.subscription.Name), slog.Int("events", len(batch)), slog.Any("cause", err))
		return false
	}
	each := time.Since(start) / time.Duration(len(batch))
	for range batch {
		r.metrics.Handled(l.subscription.Name, each)
	}
	return true
}
