package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/commercestack/commercestack/internal/telemetry"
)

// flushTimeout bounds sending the last spans at a stop.
const flushTimeout = 5 * time.Second

// openTracing starts tracing when OpenTelemetry's variables name an endpoint.
// close sends what is left.
func openTracing(ctx context.Context, components []string, r *resources) (closeTracing func(), err error) {
	service := "commerce"
	if len(components) == 1 {
		service += "-" + components[0]
	}
	provider, shutdown, err := telemetry.NewTracerProvider(ctx, service)
	if err != nil || provider == nil {
		return func() {}, err
	}
	r.tracing = provider
	// Events and jobs are handled far below, where no option reaches.
	otel.SetTracerProvider(provider)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		r.logger.WarnContext(ctx, "traces are lost", slog.Any("cause", err))
	}))
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			r.logger.WarnContext(ctx, "the last traces are lost", slog.Any("cause", err))
		}
	}, nil
}

// traced begins the trace of each request from outside and hands it on in the
// header, by which components in any process continue it. What a client says of
// a trace of its own is not believed: it could make every request be recorded.
func traced(provider trace.TracerProvider, next http.Handler) http.Handler {
	if provider == nil {
		return next
	}
	tracer := provider.Tracer("github.com/commercestack/commercestack/internal/app")
	propagator := propagation.TraceContext{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(telemetry.RequestIDHeader)
		if !telemetry.ValidRequestID(id) {
			id = telemetry.NewRequestID()
			r.Header.Set(telemetry.RequestIDHeader, id)
		}
		ctx, span := tracer.Start(telemetry.WithRequestID(r.Context(), id), "gateway "+r.Method, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path), attribute.String("commerce.request_id", id)))
		defer span.End()
		r.Header.Del("Tracestate")
		propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
