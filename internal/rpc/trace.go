package rpc

import (
	"context"

	"connectrpc.com/connect/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// instrumentation names this package as the origin of spans.
const instrumentation = "github.com/commercestack/commercestack/internal/rpc"

var propagator = propagation.TraceContext{}

// carrier lets the propagator read and write call headers.
type carrier struct{ header *connect.Header }

func (c carrier) Get(key string) string { return c.header.Get(key) }

func (c carrier) Set(key, value string) { c.header.Set(key, value) }

func (c carrier) Keys() []string {
	keys := make([]string, 0, c.header.Len())
	for key := range c.header.All() {
		keys = append(keys, key)
	}
	return keys
}

// tracer starts spans; the zero value starts none.
type tracer struct{ trace.Tracer }

func newTracer(provider trace.TracerProvider) tracer {
	if provider == nil {
		return tracer{}
	}
	return tracer{provider.Tracer(instrumentation)}
}

// server continues the caller's trace. Without tracing it returns ctx and a span that does nothing.
func (t tracer) server(ctx context.Context, m *method, header *connect.Header) (context.Context, trace.Span) {
	if t.Tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	if header.Has("Traceparent") {
		ctx = propagator.Extract(ctx, carrier{header})
	}
	return t.Start(ctx, m.name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(m.attributes...))
}

// client starts the span of an outgoing call and hands the trace on.
func (t tracer) client(ctx context.Context, procedure, target string, header *connect.Header) (context.Context, trace.Span) {
	if t.Tracer == nil {
		return ctx, nil
	}
	ctx, span := t.Start(ctx, procedure[1:], trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("rpc.system", "connect_rpc"), attribute.String("server.address", target)))
	propagator.Inject(ctx, carrier{header})
	return ctx, span
}

// finish ends a span that this package started.
func (t tracer) finish(span trace.Span, code string, failed bool) {
	if t.Tracer == nil || span == nil {
		return
	}
	span.SetAttributes(attribute.String("rpc.connect_rpc.error_code", code))
	if failed {
		span.SetStatus(codes.Error, code)
	}
	span.End()
}
