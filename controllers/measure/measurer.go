package measure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"k8s.io/utils/clock"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

var (
	// ErrEarly means that less than an interval was observed yet.
	ErrEarly = errors.New("too early to measure")
	// ErrNoPrometheus means that a query was asked and nobody answers queries.
	ErrNoPrometheus = errors.New("the operator knows no Prometheus: set --prometheus-url")
	// ErrUnknown is a measure that has no query and is not built in.
	ErrUnknown = errors.New("not a built-in measure")
)

const (
	// requestTimeout bounds one look at one pod.
	requestTimeout = 3 * time.Second
	// forgotten is after how long without a question what was read is dropped.
	forgotten = time.Hour
)

// Question is what is asked about the canary of one wave in one step.
type Question struct {
	// ID of the step, the same for all measures of it.
	ID string
	// Measure is the name of a built-in one, unless there is a Query.
	Measure string
	// Query in PromQL, with {{stack}}, {{namespace}} and {{revision}}.
	Query string
	// Interval that one measurement covers.
	Interval time.Duration
	// Stack, Namespace and Revision it is about.
	Stack, Namespace, Revision string
	// Components of the wave that the gateway sends requests to.
	Components []string
	// Gateways are the addresses of the metrics of the gateway's own pods.
	Gateways []string
	// Canaries are the addresses of the metrics of canary pods, by component.
	Canaries map[string][]string
	// Stable are those of the component's own pods, where they are compared.
	Stable map[string][]string
}

// Config of a Measurer.
type Config struct {
	// Prometheus is the address of one, empty without.
	Prometheus string
	// Clock is the time.
	Clock clock.PassiveClock
}

// Measurer answers questions.
type Measurer struct {
	clock   clock.PassiveClock
	client  *http.Client
	queries prometheus.API

	mu    sync.Mutex
	bases map[string]base
}

// base is what was read at the beginning of an interval.
type base struct {
	at    time.Time
	pages pages
}

// New returns a Measurer.
func New(config Config) (*Measurer, error) {
	m := &Measurer{clock: config.Clock, client: &http.Client{Timeout: requestTimeout}, bases: map[string]base{}}
	if config.Prometheus != "" {
		client, err := api.NewClient(api.Config{Address: config.Prometheus, Client: m.client})
		if err != nil {
			return nil, fmt.Errorf("address of Prometheus: %w", err)
		}
		m.queries = prometheus.NewAPI(client)
	}
	return m, nil
}

// Weights are the shares in percent that a gateway's pod gives canaries, by component.
func (m *Measurer) Weights(ctx context.Context, address string) (map[string]int32, error) {
	page, err := m.read(ctx, address)
	if err != nil {
		return nil, err
	}
	weights := map[string]int32{}
	for _, metric := range page[gatewayWeight].GetMetric() {
		weights[label(metric, "component")] = int32(metric.GetGauge().GetValue())
	}
	return weights, nil
}

// Volume is what pods know of their database's volume.
type Volume struct {
	// Known is false where the server tells nothing, as one that somebody else runs.
	Known bool
	// Free is the part of the volume that is free.
	Free float64
	// ReadOnly says that the server takes no writes.
	ReadOnly bool
}

// Metrics of the database's volume.
const (
	volumeFree = "commerce_postgres_volume_free_ratio"
	readOnly   = "commerce_postgres_read_only"
)

// Volume asks pods that have a database about its volume, one after the other
// until one has an answer from it.
func (m *Measurer) Volume(ctx context.Context, addresses []string) (Volume, error) {
	var failures []error
	for _, address := range addresses {
		page, err := m.read(ctx, address)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		for _, metric := range page[readOnly].GetMetric() {
			volume := Volume{ReadOnly: metric.GetGauge().GetValue() == 1}
			for _, free := range page[volumeFree].GetMetric() {
				volume.Known, volume.Free = true, free.GetGauge().GetValue()
			}
			return volume, nil
		}
	}
	return Volume{}, errors.Join(append(failures, errNoVolume)...)
}

// errNoVolume says that no pod has an answer from its database.
var errNoVolume = errors.New("no pod knows its database's volume")

// Begin reads what the first interval of a question begins with, once.
func (m *Measurer) Begin(ctx context.Context, q Question) {
	if q.Query != "" || m.has(q) {
		return
	}
	m.store(q, base{at: m.clock.Now(), pages: m.readAll(ctx, q)})
}

// Measure answers a question about the interval since it was answered last, nil
// without data.
func (m *Measurer) Measure(ctx context.Context, q Question) (*float64, error) {
	if q.Query != "" {
		return m.ask(ctx, q)
	}
	compute, ok := builtIn[q.Measure]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, q.Measure)
	}
	if !m.has(q) {
		m.Begin(ctx, q)
		return nil, ErrEarly
	}
	before := m.load(q)
	if m.clock.Since(before.at) < q.Interval {
		return nil, ErrEarly
	}
	now := base{at: m.clock.Now(), pages: m.readAll(ctx, q)}
	m.store(q, now)
	if len(now.pages) == 0 {
		return nil, errors.New("no pod tells its metrics")
	}
	return compute(q, window{before: before.pages, now: now.pages}), nil
}

func (q Question) key() string { return q.ID + "/" + q.Measure }

func (m *Measurer) has(q Question) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.bases[q.key()]
	return ok
}

func (m *Measurer) load(q Question) base {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bases[q.key()]
}

// store keeps what was read, and drops what nobody asks for any more.
func (m *Measurer) store(q Question, b base) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bases[q.key()] = b
	for key, old := range m.bases {
		if b.at.Sub(old.at) > forgotten {
			delete(m.bases, key)
		}
	}
}

// The built-in measures.
var builtIn = map[string]func(Question, window) *float64{
	v1alpha1.MeasureErrorRate:      errorRate,
	v1alpha1.MeasureLatencyP95:     latency,
	v1alpha1.MeasurePaymentSuccess: paymentLoss,
}
