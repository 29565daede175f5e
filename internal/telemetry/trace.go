package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// instrumentation names this package as the origin of spans.
const instrumentation = "github.com/commercestack/commercestack/internal/telemetry"

// NewTracerProvider returns a provider that exports spans over OTLP/HTTP as
// OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME,
// …). Without an endpoint, or with OTEL_SDK_DISABLED=true, it returns nil:
// tracing is off. Shutdown sends what is left; it is never nil.
func NewTracerProvider(ctx context.Context, service string) (provider trace.TracerProvider, shutdown func(context.Context) error, err error) {
	none := func(context.Context) error { return nil }
	if os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" ||
		os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, none, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, none, fmt.Errorf("trace exporter: %w", err)
	}
	version, _, _ := Build()
	origin, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, none, fmt.Errorf("trace resource: %w", err)
	}
	sdk := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(origin), sdktrace.WithIDGenerator(requestIDs{}))
	return sdk, sdk.Shutdown, nil
}

// requestIDs makes the trace of everything that belongs to one request the
// same: its id is derived from the correlation id, which also travels with
// events and jobs. What happens minutes later is found in the same trace.
type requestIDs struct{}

// NewIDs implements sdktrace.IDGenerator.
func (g requestIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	var id trace.TraceID
	if request := RequestID(ctx); request != "" {
		sum := sha256.Sum256([]byte(request))
		copy(id[:], sum[:])
	} else {
		_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (requestIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	var id trace.SpanID
	_, _ = rand.Read(id[:])
	return id
}

// StartWork begins the span of an event or a job that is handled, in the trace
// of the request that caused it. end ends it with its outcome. It costs next to
// nothing while tracing is off.
func StartWork(ctx context.Context, name string) (work context.Context, end func(error)) {
	work, span := otel.Tracer(instrumentation).Start(ctx, name, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("commerce.request_id", RequestID(ctx))))
	return work, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "failed") // the log has the reason
		}
		span.End()
	}
}
