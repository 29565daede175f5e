package measure

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	clocktesting "k8s.io/utils/clock/testing"
)

// pod is a pod that serves metrics as the platform's do.
type pod struct {
	address  string
	weights  *prometheus.GaugeVec
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	http     *prometheus.CounterVec
	payments *prometheus.CounterVec
}

func newPod(t *testing.T) *pod {
	t.Helper()
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "x"}, labels)
	}
	p := &pod{
		weights:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: gatewayWeight, Help: "x"}, []string{"component"}),
		requests: counter(gatewayRequests, "component", "variant", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: gatewaySeconds, Help: "x", Buckets: []float64{.1, .5, 1, 5},
		}, []string{"component", "variant"}),
		http:     counter(httpRequests, "component", "endpoint", "status"),
		payments: counter(payments, "status"),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(p.weights, p.requests, p.seconds, p.http, p.payments)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.address = strings.TrimPrefix(server.URL, "http://")
	return p
}

// answer counts answers of a component's canary.
func (p *pod) answer(component, variant, code string, n int) {
	p.requests.WithLabelValues(component, variant, code).Add(float64(n))
}

func newMeasurer(t *testing.T, prometheusURL string) (*Measurer, *clocktesting.FakePassiveClock) {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Now())
	m, err := New(Config{Prometheus: prometheusURL, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return m, clock
}

func text(value *float64) string {
	if value == nil {
		return "none"
	}
	return fmt.Sprintf("%.3f", *value)
}

func TestErrorRateIsOfTheCanaryAndOfTheInterval(t *testing.T) {
	t.Parallel()
	one, two := newPod(t), newPod(t)
	m, clock := newMeasurer(t, "")
	q := Question{
		ID: "step", Measure: "error-rate", Interval: 10 * time.Second, Components: []string{"order", "billing"}, Gateways: []string{one.address, two.address},
	}
	one.answer("billing", "canary", "500", 1000) // a canary of last week
	m.Begin(t.Context(), q)
	if _, err := m.Measure(t.Context(), q); !errors.Is(err, ErrEarly) {
		t.Fatalf("measured before the interval: %v", err)
	}
	measure := func(want string) {
		t.Helper()
		clock.SetTime(clock.Now().Add(10 * time.Second))
		value, err := m.Measure(t.Context(), q)
		if err != nil || text(value) != want {
			t.Errorf("error rate %s, %v, want %s", text(value), err, want)
		}
	}
	measure("none")
	one.answer("order", "stable", "500", 500)  // not the canary
	one.answer("admin", "canary", "500", 500)  // not of the wave
	one.answer("order", "canary", "200", 9000) // hides nobody else's
	one.answer("billing", "canary", "200", 49)
	two.answer("billing", "canary", "502", 1)
	two.answer("order", "canary", "404", 10) // the customer's mistake
	measure("0.020")
	one.answer("billing", "canary", "200", 10)
	measure("0.000")
}

func TestRestartedAndNewPodsCountFromZero(t *testing.T) {
	t.Parallel()
	p, fresh := newPod(t), newPod(t)
	m, clock := newMeasurer(t, "")
	q := Question{ID: "step", Measure: "error-rate", Interval: time.Second, Components: []string{"order"}, Gateways: []string{p.address}}
	p.answer("order", "canary", "200", 100)
	m.Begin(t.Context(), q)
	p.requests.Reset() // the process began anew
	p.answer("order", "canary", "500", 5)
	p.answer("order", "canary", "200", 15)
	fresh.answer("order", "canary", "200", 20)
	q.Gateways = append(q.Gateways, fresh.address)
	clock.SetTime(clock.Now().Add(time.Minute))
	if value, err := m.Measure(t.Context(), q); err != nil || text(value) != "0.125" {
		t.Errorf("error rate %s, %v, want 5 of 40", text(value), err)
	}
}

func TestGatewaysCanaryCountsItsOwnAnswers(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	m, clock := newMeasurer(t, "")
	q := Question{ID: "step", Measure: "error-rate", Interval: time.Second, Canaries: map[string][]string{"gateway": {p.address}}}
	m.Begin(t.Context(), q)
	p.http.WithLabelValues("order", "x", "503").Add(1)
	p.http.WithLabelValues("order", "x", "200").Add(3)
	clock.SetTime(clock.Now().Add(time.Second))
	if value, err := m.Measure(t.Context(), q); err != nil || text(value) != "0.250" {
		t.Errorf("error rate %s, %v", text(value), err)
	}
}

func TestLatencyIsOfTheSlowestComponent(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	m, clock := newMeasurer(t, "")
	q := Question{ID: "step", Measure: "latency-p95", Interval: time.Second, Components: []string{"order", "user"}, Gateways: []string{p.address}}
	observe := func(component, variant string, seconds float64, n int) {
		for range n {
			p.seconds.WithLabelValues(component, variant).Observe(seconds)
		}
	}
	observe("order", "canary", 4, 100) // before
	m.Begin(t.Context(), q)
	observe("order", "stable", 4, 100)
	observe("order", "canary", .05, 100)
	observe("user", "canary", .05, 90)
	observe("user", "canary", .9, 10)
	clock.SetTime(clock.Now().Add(time.Second))
	if value, err := m.Measure(t.Context(), q); err != nil || value == nil || *value < .5 || *value > 1 {
		t.Errorf("p95 %s, %v, want between 0.5 and 1", text(value), err)
	}
}

func TestPaymentLossForgivesWhatCustomersDo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lost, won, stableLost, stableWon int
		bad                              bool
	}{
		"one refused card of five":  {1, 4, 3, 97, false},
		"as many as always":         {5, 95, 50, 950, false},
		"every payment of a few":    {4, 0, 3, 97, true},
		"a fifth of many":           {40, 160, 30, 970, true},
		"everything is paid":        {0, 50, 3, 97, false},
		"nobody to compare with":    {1, 9, 0, 0, false},
		"the provider is down":      {50, 50, 500, 500, false},
		"two of a hundred, no more": {2, 98, 20, 980, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			canary, stable := newPod(t), newPod(t)
			m, clock := newMeasurer(t, "")
			q := Question{
				ID: "step", Measure: "payment-success", Interval: time.Second,
				Canaries: map[string][]string{"billing": {canary.address}}, Stable: map[string][]string{"billing": {stable.address}},
			}
			m.Begin(t.Context(), q)
			canary.payments.WithLabelValues("FAILED").Add(float64(tt.lost))
			canary.payments.WithLabelValues("SUCCEEDED").Add(float64(tt.won))
			canary.payments.WithLabelValues("PENDING").Add(1000)
			stable.payments.WithLabelValues("FAILED").Add(float64(tt.stableLost))
			stable.payments.WithLabelValues("SUCCEEDED").Add(float64(tt.stableWon))
			clock.SetTime(clock.Now().Add(time.Second))
			value, err := m.Measure(t.Context(), q)
			if err != nil || value == nil || (*value > 0.01) != tt.bad {
				t.Errorf("lost %s, %v, want bad: %v", text(value), err, tt.bad)
			}
		})
	}
}

func TestWhatCannotBeMeasuredIsNoNumber(t *testing.T) {
	t.Parallel()
	m, clock := newMeasurer(t, "")
	for name, q := range map[string]Question{
		"a query without Prometheus": {ID: "a", Measure: "mine", Query: "up"},
		"an unknown measure":         {ID: "b", Measure: "mine"},
		"pods that do not answer":    {ID: "c", Measure: "error-rate", Gateways: []string{"127.0.0.1:1"}},
	} {
		m.Begin(t.Context(), q)
		clock.SetTime(clock.Now().Add(time.Minute))
		if value, err := m.Measure(t.Context(), q); value != nil || err == nil {
			t.Errorf("%s: %s, %v", name, text(value), err)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := m.Weights(t.Context(), strings.TrimPrefix(server.URL, "http://")); err == nil {
		t.Error("a pod without metrics has weights")
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	m, _ := newMeasurer(t, "")
	p.weights.WithLabelValues("order").Set(25)
	weights, err := m.Weights(t.Context(), p.address)
	if err != nil || len(weights) != 1 || weights["order"] != 25 {
		t.Errorf("weights %v, %v", weights, err)
	}
}

// Many stacks are measured at once.
func TestConcurrentMeasurements(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	m, clock := newMeasurer(t, "")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			q := Question{ID: fmt.Sprint(i), Measure: "error-rate", Components: []string{"order"}, Gateways: []string{p.address}}
			m.Begin(t.Context(), q)
			p.answer("order", "canary", "200", 1)
			if _, err := m.Measure(t.Context(), q); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_ = clock
}

// One pod that has an answer from the database is enough; a database that does not answer is no volume.
func TestVolume(t *testing.T) {
	t.Parallel()
	tell := func(text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	const answers = "# TYPE commerce_postgres_read_only gauge\ncommerce_postgres_read_only{schema=\"order\",server=\"primary\"} "
	const free = "# TYPE commerce_postgres_volume_free_ratio gauge\ncommerce_postgres_volume_free_ratio{schema=\"order\",server=\"primary\"} "
	silent := tell("commerce_build_info 1\n")
	m, _ := newMeasurer(t, "")
	for name, test := range map[string]struct {
		addresses []string
		want      Volume
		fails     bool
	}{
		"nobody":                   {fails: true},
		"no database":              {addresses: []string{silent}, fails: true},
		"no pod":                   {addresses: []string{"127.0.0.1:1"}, fails: true},
		"somebody else's server":   {addresses: []string{tell(answers + "0\n")}},
		"room":                     {addresses: []string{tell(answers + "0\n" + free + "0.47\n")}, want: Volume{Known: true, Free: 0.47}},
		"full":                     {addresses: []string{tell(answers + "1\n" + free + "0.03\n")}, want: Volume{Known: true, Free: 0.03, ReadOnly: true}},
		"the second has an answer": {addresses: []string{silent, tell(answers + "0\n" + free + "0.5\n")}, want: Volume{Known: true, Free: 0.5}},
	} {
		got, err := m.Volume(t.Context(), test.addresses)
		if (err != nil) != test.fails || got != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
