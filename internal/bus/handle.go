package bus

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Outcomes of a delivery, as the metrics name them.
const (
	// OutcomeDone means that the handler succeeded.
	OutcomeDone = "done"
	// OutcomeRetry means that the event is delivered again after a pause.
	OutcomeRetry = "retry"
	// OutcomeDead means that the subscription gave up on the event.
	OutcomeDead = "dead"
	// OutcomeRelease means that a stopping process gave the event back.
	OutcomeRelease = "release"
)

// HandleSafely calls the subscription's handler within its Timeout, under the
// event's correlation id. A panic becomes an error, so that one poisoned event
// does not end the process.
func (s Subscription) HandleSafely(ctx context.Context, e event.Event) error {
	if e.TraceID != "" {
		ctx = telemetry.WithRequestID(ctx, e.TraceID)
	}
	return s.safely(ctx, e.Type, func(ctx context.Context) error { return s.Handle(ctx, e) })
}

// HandleBatchSafely calls HandleBatch as HandleSafely calls Handle. Events of
// many requests have no correlation id in common.
func (s Subscription) HandleBatchSafely(ctx context.Context, events []event.Event) error {
	return s.safely(ctx, "batch", func(ctx context.Context) error { return s.HandleBatch(ctx, events) })
}

func (s Subscription) safely(ctx context.Context, what string, call func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	ctx, end := telemetry.StartWork(ctx, s.Name+" "+what)
	defer func() { end(err) }()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return call(ctx)
}
