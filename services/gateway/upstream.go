package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The versions of a component, as metrics name them.
const (
	variantStable = "stable"
	variantCanary = "canary"
)

// Codes of requests that got no answer.
const (
	codeError    = "error"
	codeCanceled = "canceled"
)

const (
	firstStatus = 100
	lastStatus  = 599
)

// upstreamMetrics are the figures of what components answer, by version.
type upstreamMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newUpstreamMetrics(registry prometheus.Registerer) *upstreamMetrics {
	m := &upstreamMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commerce_gateway_upstream_requests_total",
			Help: "Tries of requests to components in other processes by version (stable, canary) and status; error and canceled are those without an answer.",
		}, []string{"component", "variant", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "commerce_gateway_upstream_seconds", Help: "Time until a component in another process began to answer, by version.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10},
		}, []string{"component", "variant"}),
	}
	registry.MustRegister(m.requests, m.seconds)
	return m
}

// figures are the metrics of one version of a component, looked up once: a
// request costs two atomic additions and no allocation.
type figures struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Observer
	byStatus [lastStatus - firstStatus + 1]atomic.Pointer[prometheus.Counter]
}

func (m *upstreamMetrics) of(component, variant string) *figures {
	return &figures{
		requests: m.requests.MustCurryWith(prometheus.Labels{"component": component, "variant": variant}),
		seconds:  m.seconds.WithLabelValues(component, variant),
	}
}

// observe counts one try.
func (f *figures) observe(response *http.Response, err error, took time.Duration) {
	if f == nil {
		return
	}
	switch {
	case errors.Is(err, context.Canceled):
		f.requests.WithLabelValues(codeCanceled).Inc()
		return
	case err != nil || response.StatusCode < firstStatus || response.StatusCode > lastStatus:
		f.requests.WithLabelValues(codeError).Inc()
	default:
		f.counter(response.StatusCode).Inc()
	}
	f.seconds.Observe(took.Seconds())
}

func (f *figures) counter(status int) prometheus.Counter {
	at := &f.byStatus[status-firstStatus]
	if known := at.Load(); known != nil {
		return *known
	}
	found := f.requests.WithLabelValues(strconv.Itoa(status))
	at.Store(&found)
	return found
}
