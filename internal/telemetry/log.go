package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes JSON lines to w and adds requestId
// and traceId from the context of each line. Level is "debug", "info", "warn"
// or "error"; anything else counts as "info", so that a typo hides no error.
func NewLogger(w io.Writer, level string) *slog.Logger {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		threshold = slog.LevelInfo
	}
	return slog.New(contextHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: threshold})})
}

// Attrs returns what the context tells about its request: requestId and traceId.
func Attrs(ctx context.Context) []slog.Attr {
	var attrs []slog.Attr
	if id := RequestID(ctx); id != "" {
		attrs = append(attrs, slog.String("requestId", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		attrs = append(attrs, slog.String("traceId", span.TraceID().String()))
	}
	return attrs
}

// contextHandler adds the context's attributes to every record that has none of its own.
type contextHandler struct{ slog.Handler }

// Handle adds requestId and traceId and writes the record.
func (h contextHandler) Handle(ctx context.Context, record slog.Record) error {
	present := false
	record.Attrs(func(attr slog.Attr) bool {
		present = attr.Key == "requestId"
		return !present
	})
	if !present {
		record.AddAttrs(Attrs(ctx)...)
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns a handler whose lines carry more attributes.
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler that nests further attributes.
func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
