package gateway

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commercestack/commercestack/internal/identity"
)

// metrics are the gateway's own figures. Labels come from the route table, not
// from the request, so a scan cannot grow them.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	limited  *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_http_requests_total", Help: "Requests at the gateway by component, endpoint and status.",
		}, []string{"component", "endpoint", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_http_request_duration_seconds", Help: "Time from the first byte in to the last byte out, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10},
		}, []string{"component", "endpoint"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_http_rate_limited_total", Help: "Requests refused by a rate limit, by policy.",
		}, []string{"policy"}),
	}
	registry.MustRegister(m.requests, m.duration, m.limited)
	return m
}

// statusRecorder remembers what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	wrote  bool
}

// WriteHeader implements http.ResponseWriter.
func (s *statusRecorder) WriteHeader(status int) {
	if !s.wrote && status >= http.StatusOK {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusRecorder) Write(p []byte) (int, error) {
	if !s.wrote {
		s.status, s.wrote = http.StatusOK, true
	}
	n, err := s.ResponseWriter.Write(p)
	s.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush implements http.Flusher, which gRPC handlers ask for.
func (s *statusRecorder) Flush() {
	_ = http.NewResponseController(s.ResponseWriter).Flush()
}

// record writes the access log line and the figures of one request.
func (g *Gateway) record(r *http.Request, answer *statusRecorder, to endpoint, caller identity.Identity, took time.Duration) {
	status := answer.status
	if status == 0 {
		status = http.StatusOK
	}
	g.metrics.requests.WithLabelValues(to.component, to.name, strconv.Itoa(status)).Inc()
	g.metrics.duration.WithLabelValues(to.component, to.name).Observe(took.Seconds())
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	if !g.logger.Enabled(r.Context(), level) {
		return
	}
	g.logger.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("endpoint", to.name),
		slog.String("component", to.component), slog.Int("status", status), slog.Int64("bytes", answer.bytes),
		slog.Float64("seconds", took.Seconds()), slog.String("clientIp", caller.ClientIP), slog.String("userId", caller.UserID))
}
