package measure

import (
	"context"
	"errors"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// The metrics of queues; see docs/metrics.md. Their figures come from the
// database, so every pod of a component tells the same.
const (
	outboxDepth  = "commerce_outbox_depth"
	outboxOldest = "commerce_outbox_oldest_seconds"
	busWaiting   = "commerce_bus_waiting"
	busOldest    = "commerce_bus_oldest_seconds"
	jobDepth     = "commerce_job_depth"
	jobOldest    = "commerce_job_oldest_seconds"

	// jobDue is the state of a job that waits for nothing but a worker.
	jobDue = "available"
)

// ErrNoQueue means that nobody told how long a queue is. It is never 0: that
// would take workers away while nobody knows.
var ErrNoQueue = errors.New("no worker pod tells its queues")

// Queue is what waits for the workers of a component.
type Queue struct {
	// Depth counts events in the outbox, deliveries of the bus and due jobs.
	Depth float64
	// OldestSeconds is the age of the oldest of them. While no more waits than
	// there are pods it is 0: each has its pod already, and one that waits for its
	// next try becomes no younger by another pod.
	OldestSeconds float64
	// At is when the pods were read.
	At time.Time
}

// Queue reads what waits for the workers of a component from the addresses of
// their metrics.
func (m *Measurer) Queue(ctx context.Context, component string, addresses []string) (Queue, error) {
	found := m.readEach(ctx, addresses)
	depths, ages := map[string]float64{}, map[string]float64{}
	known := false
	for _, page := range found {
		if !tells(page, component) {
			continue // its database does not answer
		}
		known = true
		each(page, outboxDepth, "schema", component, greatest(depths, outboxDepth))
		each(page, busWaiting, "component", component, greatest(depths, busWaiting))
		each(page, jobDepth, "schema", component, func(series *dto.Metric) {
			if label(series, "state") == jobDue {
				greatest(depths, jobDepth)(series)
			}
		})
		each(page, outboxOldest, "schema", component, greatest(ages, outboxOldest))
		each(page, busOldest, "component", component, greatest(ages, busOldest))
		each(page, jobOldest, "schema", component, greatest(ages, jobOldest))
	}
	if !known {
		return Queue{}, fmt.Errorf("%w: %s, %d pods asked, %d answered", ErrNoQueue, component, len(addresses), len(found))
	}
	q := Queue{At: m.clock.Now()}
	for _, depth := range depths {
		q.Depth += depth
	}
	if q.Depth > float64(len(found)) {
		for _, age := range ages {
			q.OldestSeconds = max(q.OldestSeconds, age)
		}
	}
	return q, nil
}

// tells reports whether a pod's database answered: each component with queues has
// an outbox, empty or not.
func tells(p page, component string) bool {
	depth, oldest := false, false
	each(p, outboxDepth, "schema", component, func(*dto.Metric) { depth = true })
	each(p, outboxOldest, "schema", component, func(*dto.Metric) { oldest = true })
	return depth && oldest
}

// each calls take for every series of a metric whose label has the value. What is
// no gauge is no depth and no age, and counts as not told.
func each(p page, metric, name, value string, take func(*dto.Metric)) {
	for _, series := range p[metric].GetMetric() {
		if label(series, name) == value && (series.Gauge != nil || series.Untyped != nil) {
			take(series)
		}
	}
}

// greatest keeps the greatest value of each series: pods are read moments apart.
func greatest(values map[string]float64, metric string) func(*dto.Metric) {
	return func(series *dto.Metric) {
		key := metric + identity(series)
		values[key] = max(values[key], series.GetGauge().GetValue(), series.GetUntyped().GetValue())
	}
}
