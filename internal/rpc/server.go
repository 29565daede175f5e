package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// defaultTimeout ends calls whose client set no deadline.
const defaultTimeout = 30 * time.Second

// ServerOptions configure a server.
type ServerOptions struct {
	// Logger takes one line a call; nil means slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics; nil means none are exported.
	Registry prometheus.Registerer
	// TracerProvider makes spans; nil turns tracing off.
	TracerProvider trace.TracerProvider
	// Signer verifies identities that come over the network. Without one only
	// identities in the context are accepted.
	Signer *identity.Signer
	// AllowAnonymous serves calls without an identity as an anonymous guest. It is for tests.
	AllowAnonymous bool
	// Timeout ends unary calls without a deadline; 0 means 30 seconds.
	Timeout time.Duration
	// Interceptors run inside the platform's own, after the caller is known and authorised.
	Interceptors []connect.ServerInterceptor
}

// NewServer returns a server on which every call is observed, identified,
// authorised and validated before its handler runs.
func NewServer(options ServerOptions) *connect.Server {
	s := &server{
		logger: options.Logger, metrics: newMetrics(options.Registry), tracer: newTracer(options.TracerProvider),
		signer: options.Signer, allowAnonymous: options.AllowAnonymous, timeout: options.Timeout,
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	return connect.NewServer(append([]connect.ServerInterceptor{s.intercept}, options.Interceptors...)...)
}

type server struct {
	logger         *slog.Logger
	metrics        metrics
	tracer         tracer
	signer         *identity.Signer
	allowAnonymous bool
	timeout        time.Duration
}

// intercept wraps one method. What is known of the method is read once.
func (s *server) intercept(next connect.ServerFunc) connect.ServerFunc {
	var known atomic.Pointer[method]
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		m := known.Load()
		if m == nil || m.spec.Procedure != spec.Procedure {
			m = newMethod(spec, s.metrics)
			known.Store(m)
		}
		return s.serve(ctx, m, next, stream)
	}
}

// serve runs one call. The order of the steps is the order of trust: nothing
// of the payload is read before the caller may call.
func (s *server) serve(ctx context.Context, m *method, next connect.ServerFunc, stream connect.ServerStream) error {
	start := time.Now()
	m.inFlight.Inc()
	defer m.inFlight.Dec()
	info, _ := connect.CallInfoForServerContext(ctx)
	ctx = correlate(ctx, info)
	ctx, span := s.tracer.server(ctx, m, info.RequestHeader())
	if _, limited := ctx.Deadline(); !limited && m.spec.StreamType == connect.StreamTypeUnary {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	err := s.handle(ctx, m, next, stream)
	if err == nil {
		s.finish(ctx, m, span, start, nil)
		return nil
	}
	failure := redact(classify(ctx, err), m.request())
	s.finish(ctx, m, span, start, failure)
	return toWire(failure)
}

// handle identifies, authorises, validates and serves, and survives a panic.
func (s *server) handle(ctx context.Context, m *method, next connect.ServerFunc, stream connect.ServerStream) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &panicError{cause: cause, stack: debug.Stack()}
		}
	}()
	if m.open {
		return next(ctx, m.spec, stream)
	}
	ctx, err = s.identify(ctx)
	if err != nil {
		return err
	}
	if err := access.Check(m.rule, identity.From(ctx)); err != nil {
		return err
	}
	return next(ctx, m.spec, &validated{ServerStream: stream, method: m})
}

// identify returns a context that says who calls: the gateway or a client of
// this process put it there, or the signed header proves it.
func (s *server) identify(ctx context.Context) (context.Context, error) {
	id, known := identity.Lookup(ctx)
	if !known {
		token := RequestHeader(ctx).Get(identity.Header)
		switch {
		case token != "" && s.signer != nil:
			var err error
			if id, err = s.signer.Verify(token); err != nil {
				return ctx, fault.AuthFailed("the caller's identity is not valid").WithCause(err)
			}
		case !s.allowAnonymous:
			return ctx, fault.AuthFailed("the caller's identity is missing")
		}
		ctx = identity.With(ctx, id)
	}
	if exchange := exchangeOf(ctx); exchange != nil {
		exchange.Anonymous = id.Anonymous() && id.GuestToken == "" && id.Service == ""
	}
	return ctx, nil
}

// correlate makes sure that the call has a request id and that its caller learns it.
func correlate(ctx context.Context, info *connect.CallInfo) context.Context {
	id := telemetry.RequestID(ctx)
	if id == "" {
		id = info.RequestHeader().Get(telemetry.RequestIDHeader)
		if !telemetry.ValidRequestID(id) {
			id = telemetry.NewRequestID()
		}
		ctx = telemetry.WithRequestID(ctx, id)
	}
	if info.TransportInfo != nil { // in process the caller is the one who knows
		info.ResponseHeader().Set(telemetry.RequestIDHeader, id)
	}
	return ctx
}

// finish counts and logs one call. It is the only place that logs a failure.
func (s *server) finish(ctx context.Context, m *method, span trace.Span, start time.Time, failure *fault.Error) {
	elapsed := time.Since(start)
	m.duration.Observe(elapsed.Seconds())
	code, level := "ok", slog.LevelDebug
	if failure == nil {
		m.ok.Inc()
	} else {
		code, level = codeOf(failure).String(), severity(failure)
		s.metrics.requests.WithLabelValues(m.component, m.short, code).Inc()
	}
	defer s.tracer.finish(span, code, level >= slog.LevelWarn)
	if !s.logger.Enabled(ctx, level) {
		return
	}
	attributes := make([]slog.Attr, 0, 10)
	attributes = append(attributes, slog.String("component", m.component), slog.String("procedure", m.spec.Procedure),
		slog.String("code", code), slog.Duration("duration", elapsed))
	if failure != nil {
		attributes = append(attributes, slog.String("reason", failure.Reason), slog.String("error", failure.Error()))
		if panicked, ok := errors.AsType[*panicError](failure); ok {
			attributes = append(attributes, slog.String("stack", string(panicked.stack)))
		}
	}
	s.logger.LogAttrs(ctx, level, "call", append(attributes, telemetry.Attrs(ctx)...)...)
}

// severity separates what we must repair from what callers did wrong.
func severity(failure *fault.Error) slog.Level {
	switch {
	case failure.Reason == reasonCanceled:
		return slog.LevelInfo
	case failure.Kind == fault.KindInternal:
		return slog.LevelError
	case failure.Kind == fault.KindUnavailable:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// panicError is a recovered panic with the stack of its origin.
type panicError struct {
	cause any
	stack []byte
}

// Error returns the value of the panic.
func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.cause) }
