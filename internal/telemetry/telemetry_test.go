package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/commercestack/commercestack/internal/telemetry"
)

func spanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, "info").With("component", "order")
	ctx := trace.ContextWithSpanContext(telemetry.WithRequestID(t.Context(), "req-1"), spanContext())
	logger.DebugContext(ctx, "quiet")
	logger.InfoContext(ctx, "stored", "id", 1)
	logger.LogAttrs(ctx, slog.LevelWarn, "call", telemetry.Attrs(ctx)...)
	logger.WithGroup("g").Info("outside", "a", 1)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), out.String())
	}
	for _, line := range lines[:2] {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["requestId"] != "req-1" || record["traceId"] != "01000000000000000000000000000000" || record["component"] != "order" {
			t.Errorf("%s", line)
		}
		if strings.Count(line, "requestId") != 1 {
			t.Errorf("the id stands there twice: %s", line)
		}
	}
	if strings.Contains(lines[2], "requestId") || !strings.Contains(lines[2], `"g":{"a":1}`) {
		t.Errorf("%s", lines[2])
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for level, lowest := range map[string]slog.Level{
		"debug": slog.LevelDebug, "INFO": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "loud": slog.LevelInfo, "": slog.LevelInfo,
	} {
		logger := telemetry.NewLogger(io.Discard, level)
		if !logger.Enabled(t.Context(), lowest) || logger.Enabled(t.Context(), lowest-1) {
			t.Errorf("%q does not start at %v", level, lowest)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	if telemetry.RequestID(t.Context()) != "" {
		t.Error("an id from nowhere")
	}
	first, second := telemetry.NewRequestID(), telemetry.NewRequestID()
	if first == second || !telemetry.ValidRequestID(first) || !strings.HasPrefix(first, "req-") {
		t.Errorf("%q %q", first, second)
	}
	for id, want := range map[string]bool{
		"req-abc-123": true, "A.b_c:1": true, "": false, "a b": false, "a\n": false, `"`: false, "ä": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if telemetry.ValidRequestID(id) != want {
			t.Errorf("%q: valid is %v", id, !want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	telemetry.MetricsHandler(telemetry.NewRegistry()).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, name := range []string{"commerce_build_info{goversion=\"go", "go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(recorder.Body.String(), name) {
			t.Errorf("no %s", name)
		}
	}
	if _, _, goVersion := telemetry.Build(); !strings.HasPrefix(goVersion, "go") {
		t.Errorf("go version %q", goVersion)
	}
}

func TestTracingIsOffWithoutAnEndpoint(t *testing.T) {
	for name, env := range map[string][2]string{
		"nothing set": {"", ""}, "disabled": {"OTEL_SDK_DISABLED", "true"}, "no exporter": {"OTEL_TRACES_EXPORTER", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
			if env[0] != "" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
				t.Setenv(env[0], env[1])
			}
			provider, shutdown, err := telemetry.NewTracerProvider(t.Context(), "order")
			if provider != nil || err != nil {
				t.Errorf("%v, %v", provider, err)
			}
			if err := shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTracingExports(t *testing.T) {
	received := make(chan []byte, 4)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- append([]byte(r.URL.Path+" "), body...)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	provider, shutdown, err := telemetry.NewTracerProvider(t.Context(), "order")
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer("test").Start(t.Context(), "place order")
	span.End()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	got := <-received
	if !bytes.HasPrefix(got, []byte("/v1/traces ")) || !bytes.Contains(got, []byte("place order")) || !bytes.Contains(got, []byte("order")) {
		t.Errorf("%q", got)
	}
}
