package browser

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
)

const (
	// twinPatience is how long the second of two equal forms waits for the first.
	twinPatience = 15 * time.Second
	// twinPause is the first pause between two questions; each is twice the one before.
	twinPause = 25 * time.Millisecond
	// twinPauseMax bounds the pauses.
	twinPauseMax = time.Second
)

// Once makes a call that acts once for a form, however often the form is sent.
// After a double click a browser shows the answer to the second form only, so
// the second waits for the first and gets the same answer: were it told that
// the first is under way, the person would never see what they ordered. A form
// without a key acts each time.
func Once[Request, Answer any](
	ctx context.Context, v *Visit, form string, call func(context.Context, *Request) (*Answer, error), request *Request,
) (*Answer, error) {
	if form == "" {
		return call(ctx, request)
	}
	patience := time.NewTimer(twinPatience)
	defer patience.Stop()
	for pause := twinPause; ; pause = min(2*pause, twinPauseMax) {
		attempt, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set(idempotency.Header, v.RequestKey(form))
		answer, err := call(attempt, request)
		if !UnderWay(err) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-patience.C:
			return answer, err
		case <-time.After(pause):
		}
	}
}

// UnderWay tells that a form was sent twice and the first is not answered yet,
// so its outcome is open.
func UnderWay(err error) bool {
	failure := fault.From(err)
	return failure != nil && failure.Reason == idempotency.ErrInProgress.Reason
}
