// Package combine lets calls that come at the same time share one run: while a
// run is under way those that come wait for the next and go together. A call
// that comes alone runs at once. It pays where a run for many costs little more
// than one for a single call, as a statement of the database does.
package combine

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Patience is how long a call waits for a run that is under way. Then it starts
// another one, so that a run that hangs holds up nobody for longer.
const Patience = 50 * time.Millisecond

// Combiner runs calls together. The zero value is not usable.
type Combiner[In, Out any] struct {
	run   func(ctx context.Context, calls []In) ([]Out, error)
	limit int

	mutex   sync.Mutex
	queue   []*call[In, Out]
	running int
}

type call[In, Out any] struct {
	ctx  context.Context //nolint:containedctx // the run of the first call takes its values
	in   In
	out  Out
	err  error
	done chan struct{}
}

// New returns a combiner of up to limit calls. run answers them in their order,
// all or none: after an error of several calls each of them runs alone, so a
// repetition of what may have happened must be harmless.
func New[In, Out any](limit int, run func(ctx context.Context, calls []In) ([]Out, error)) *Combiner[In, Out] {
	return &Combiner[In, Out]{run: run, limit: limit}
}

// Do runs the call, with others or alone. The run outlives its callers: when ctx
// ends first, the call may happen or not.
func (c *Combiner[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	mine := &call[In, Out]{ctx: ctx, in: in, done: make(chan struct{})}
	c.mutex.Lock()
	c.queue = append(c.queue, mine)
	if c.running == 0 {
		c.start()
	}
	c.mutex.Unlock()
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	for {
		select {
		case <-mine.done:
			return mine.out, mine.err
		case <-patience.C:
			c.mutex.Lock()
			if slices.Contains(c.queue, mine) {
				c.start()
			}
			c.mutex.Unlock()
		case <-ctx.Done():
			c.mutex.Lock()
			if i := slices.Index(c.queue, mine); i >= 0 {
				c.queue = slices.Delete(c.queue, i, i+1)
			}
			c.mutex.Unlock()
			var none Out
			return none, ctx.Err()
		}
	}
}

// start works off the queue. The caller holds the mutex.
func (c *Combiner[In, Out]) start() {
	c.running++
	go func() {
		for {
			c.mutex.Lock()
			n := min(len(c.queue), c.limit)
			if n == 0 {
				c.running--
				c.mutex.Unlock()
				return
			}
			batch := c.queue[:n:n]
			c.queue = c.queue[n:]
			c.mutex.Unlock()
			c.serve(batch)
		}
	}()
}

func (c *Combiner[In, Out]) serve(batch []*call[In, Out]) {
	if c.attempt(batch) == nil || len(batch) == 1 {
		finish(batch)
		return
	}
	for i := range batch {
		_ = c.attempt(batch[i : i+1]) // the call has it
		finish(batch[i : i+1])
	}
}

func finish[In, Out any](batch []*call[In, Out]) {
	for _, each := range batch {
		close(each.done)
	}
}

// attempt leaves the answers, or the failure, with the calls.
func (c *Combiner[In, Out]) attempt(batch []*call[In, Out]) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("combine: panic: %v\n%s", cause, debug.Stack())
		}
		for _, each := range batch {
			each.err = err
		}
	}()
	ins := make([]In, len(batch))
	for i, each := range batch {
		ins[i] = each.in
	}
	outs, err := c.run(context.WithoutCancel(batch[0].ctx), ins)
	if err != nil {
		return err
	}
	for i, each := range batch {
		each.out = outs[i]
	}
	return nil
}
