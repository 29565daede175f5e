package rpc

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/telemetry"
)

const (
	// defaultDeadline ends calls whose caller set none.
	defaultDeadline = 10 * time.Second
	// tries is how often an idempotent call is sent at most.
	tries = 3
	// firstBackoff is the longest pause before the second try; it doubles.
	firstBackoff = 50 * time.Millisecond
	// maxPause is the longest pause a peer may ask for; beyond it the caller is told instead.
	maxPause = time.Second
	// tripAfter is how many failures in a row to reach a target open its circuit breaker.
	tripAfter = 5
	// openFor is how long an open circuit breaker refuses before it tries again.
	openFor = 5 * time.Second
	// countFor is how long an answer counts: what was answered long ago says nothing about a target that is dead now.
	countFor = 5 * time.Second
)

// ClientOptions configure a client.
type ClientOptions struct {
	// Caller is the calling component, such as "order". The target sees it as Identity.Service.
	Caller string
	// Target is the called component, such as "product", for errors and the circuit breaker.
	Target string
	// Remote is true when the target runs in another process. Then the identity
	// travels signed and a circuit breaker watches the target; in one process
	// the target reads the identity from the context.
	Remote bool
	// Signer signs the identity. A remote client without one fails every call.
	Signer *identity.Signer
	// Deadline ends calls whose caller set none; 0 means 10 seconds.
	Deadline time.Duration
	// TracerProvider makes spans; nil turns tracing off.
	TracerProvider trace.TracerProvider
}

// NewClient returns a client that tells the target who calls, sets a deadline,
// retries idempotent calls and fails with *fault.Error.
func NewClient(transport connect.Transport, options ClientOptions) *connect.Client {
	c := &client{options: options, tracer: newTracer(options.TracerProvider)}
	if c.options.Deadline <= 0 {
		c.options.Deadline = defaultDeadline
	}
	if options.Remote {
		c.breaker = newBreaker(options.Target)
	}
	return connect.NewClient(transport, c.intercept)
}

type client struct {
	options ClientOptions
	tracer  tracer
	breaker *gobreaker.CircuitBreaker[struct{}]
}

var (
	// errUnreachable marks a failure to get an answer, which is what counts against the target.
	errUnreachable = errors.New("target not reached")
	errNoSigner    = errors.New("rpc: a remote client needs a signer")
)

// TripAfter opens a circuit breaker after so many failures in a row, if they are at
// least half of all that counts: all that waited for one dead pod fails at the same
// moment, while the pods beside it answer.
func TripAfter(failures uint32) func(gobreaker.Counts) bool {
	return func(counts gobreaker.Counts) bool {
		return counts.ConsecutiveFailures >= failures && 2*counts.TotalFailures >= counts.Requests
	}
}

func newBreaker(target string) *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: target, Timeout: openFor, MaxRequests: 1, Interval: countFor,
		ReadyToTrip:  TripAfter(tripAfter),
		IsSuccessful: func(err error) bool { return !errors.Is(err, errUnreachable) },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
	})
}

func (c *client) intercept(next connect.ClientFunc) connect.ClientFunc {
	return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
		ctx, err := c.introduce(ctx)
		if err != nil {
			return nil, err
		}
		if spec.StreamType == connect.StreamTypeUnary {
			return &call{client: c, parent: ctx, next: next, spec: spec}, nil
		}
		stream, err := next(ctx, spec)
		if err != nil {
			failure, _ := fromWire(c.options.Target, err)
			return nil, failure
		}
		return &translated{ClientStream: stream, target: c.options.Target}, nil
	}
}

// introduce adds who calls and the correlation id. In process the target
// reads the context; over the network it reads the headers.
func (c *client) introduce(ctx context.Context) (context.Context, error) {
	id := identity.From(ctx)
	id.Service = c.options.Caller
	ctx = identity.With(ctx, id)
	request := telemetry.RequestID(ctx)
	if request == "" {
		request = telemetry.NewRequestID()
		ctx = telemetry.WithRequestID(ctx, request)
	}
	if !c.options.Remote {
		return ctx, nil
	}
	if c.options.Signer == nil {
		return nil, fault.New(fault.KindInternal, "", internalText).WithCause(errNoSigner)
	}
	token, err := c.options.Signer.Sign(id)
	if err != nil {
		return nil, fault.New(fault.KindInternal, "", internalText).WithCause(err)
	}
	header := clientHeader(ctx)
	header.Set(identity.Header, token)
	header.Set(telemetry.RequestIDHeader, request)
	return ctx, nil
}

func clientHeader(ctx context.Context) *connect.Header {
	info, ok := connect.CallInfoForClientContext(ctx)
	if !ok { // only a hand-made ClientFunc lacks it
		return &connect.Header{}
	}
	return info.RequestHeader()
}

// call is one unary call. It keeps the request, so that it can be sent again,
// and does all its work in Receive.
type call struct {
	client  *client
	parent  context.Context //nolint:containedctx // the call runs lazily in Receive
	next    connect.ClientFunc
	spec    connect.Spec
	request any
	done    bool
}

func (c *call) SendHeaders() error { return nil }

func (c *call) Send(msg any) error {
	c.request = msg
	return nil
}

func (c *call) CloseSend() error { return nil }

func (c *call) Close() error { return nil }

func (c *call) Receive(msg any) error {
	if c.done {
		return io.EOF
	}
	c.done = true
	ctx, cancel := context.WithCancel(c.parent)
	defer cancel()
	if _, limited := ctx.Deadline(); !limited {
		ctx, cancel = context.WithTimeout(ctx, c.client.options.Deadline)
		defer cancel()
	}
	ctx, span := c.client.tracer.client(ctx, c.spec.Procedure, c.client.options.Target, clientHeader(ctx))
	failure := c.try(ctx, msg)
	if failure == nil {
		c.client.tracer.finish(span, "ok", false)
		return nil
	}
	c.client.tracer.finish(span, codeOf(failure).String(), true)
	return failure
}

// try sends the call, again while that can help and cannot harm.
func (c *call) try(ctx context.Context, msg any) *fault.Error {
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		failure, final := c.guarded(ctx, msg)
		if failure == nil {
			return nil
		}
		if final || attempt == tries || failure.Kind != fault.KindUnavailable || c.spec.IdempotencyLevel == connect.IdempotencyUnknown {
			return failure
		}
		pause := max(backoff/2+rand.N(backoff/2), failure.RetryAfter) //nolint:gosec // jitter needs no secrecy
		backoff *= 2
		if deadline, ok := ctx.Deadline(); pause > maxPause || ok && time.Until(deadline) < pause {
			return failure
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return failure
		}
	}
}

// guarded sends the call once, unless the circuit breaker is open. Final means
// that sending it again cannot help.
func (c *call) guarded(ctx context.Context, msg any) (failure *fault.Error, final bool) {
	if c.client.breaker == nil {
		failure, _ = c.send(ctx, msg)
		return failure, ctx.Err() != nil
	}
	_, err := c.client.breaker.Execute(func() (struct{}, error) {
		var own bool
		failure, own = c.send(ctx, msg)
		switch {
		case failure == nil:
			return struct{}{}, nil
		case failure.Kind == fault.KindUnavailable && !own && failure.Reason != reasonCanceled:
			return struct{}{}, errUnreachable
		default:
			return struct{}{}, failure
		}
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return fault.Unavailable(c.client.options.Target, openFor).WithCause(err), true
	}
	return failure, ctx.Err() != nil
}

func (c *call) send(ctx context.Context, msg any) (failure *fault.Error, own bool) {
	err := exchange(ctx, c.next, c.spec, c.request, msg)
	if err == nil {
		return nil, true
	}
	return fromWire(c.client.options.Target, err)
}

func exchange(ctx context.Context, next connect.ClientFunc, spec connect.Spec, request, response any) (err error) {
	stream, err := next(ctx, spec)
	if err != nil {
		return err
	}
	defer func() {
		if closing := stream.Close(); err == nil {
			err = closing
		}
	}()
	if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) { // EOF: the reason comes with Receive
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.Receive(response)
}

// translated is a stream whose errors are faults.
type translated struct {
	connect.ClientStream
	target string
}

// Send sends the next request message.
func (t *translated) Send(msg any) error { return t.translate(t.ClientStream.Send(msg)) }

// Receive reads the next response message.
func (t *translated) Receive(msg any) error { return t.translate(t.ClientStream.Receive(msg)) }

func (t *translated) translate(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	failure, _ := fromWire(t.target, err)
	return failure
}
