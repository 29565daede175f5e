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
func (s Subscription) HandleSafely(ctx context.Context, e event.Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if e.TraceID != "" {
		ctx = telemetry.WithRequestID(ctx, e.TraceID)
	}
	ctx, end := telemetry.StartWork(ctx, s.Name+" "+e.Type)
	defer func() { end(err) }()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return s.Handle(ctx, e)
}
