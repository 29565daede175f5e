package measure

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// series of a worker pod, as its database answers them.
type series struct {
	name   string
	labels prometheus.Labels
	value  float64
}

func newWorker(t *testing.T, all ...series) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	for _, one := range all {
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: one.name, Help: "x", ConstLabels: one.labels})
		gauge.Set(one.value)
		registry.MustRegister(gauge)
	}
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func outbox(component string, depth, oldest float64) []series {
	labels := prometheus.Labels{"schema": component}
	return []series{{outboxDepth, labels, depth}, {outboxOldest, labels, oldest}}
}

func deliveries(component, subscription string, waiting, oldest float64) []series {
	labels := prometheus.Labels{"component": component, "subscription": subscription}
	return []series{{busWaiting, labels, waiting}, {busOldest, labels, oldest}}
}

func jobs(component, state string, depth, oldest float64) []series {
	return []series{
		{jobDepth, prometheus.Labels{"schema": component, "queue": "default", "state": state}, depth},
		{jobOldest, prometheus.Labels{"schema": component}, oldest},
	}
}

func join(groups ...[]series) []series {
	var all []series
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func TestQueue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pods          [][]series
		depth, oldest float64
	}{
		"nothing waits":                      {[][]series{outbox("order", 0, 0)}, 0, 0},
		"events, deliveries and due jobs":    {[][]series{join(outbox("order", 3, 4), deliveries("order", "a", 20, 2), deliveries("order", "b", 10, 77), jobs("order", "available", 5, 9))}, 38, 77},
		"jobs that are not due":              {[][]series{join(outbox("order", 0, 0), jobs("order", "scheduled", 900, 0))}, 0, 0},
		"every pod tells the same":           {[][]series{outbox("order", 8, 1), outbox("order", 8, 2), outbox("order", 7, 1)}, 8, 2},
		"others' queues":                     {[][]series{join(outbox("order", 2, 1), outbox("user", 50, 60))}, 2, 1},
		"one delivery that is tried again":   {[][]series{join(outbox("order", 0, 0), deliveries("order", "a", 1, 3600))}, 1, 0},
		"as many as there are pods":          {[][]series{join(outbox("order", 0, 0), deliveries("order", "a", 2, 3600)), outbox("order", 0, 0)}, 2, 0},
		"a pod whose database does not tell": {[][]series{outbox("order", 30, 5), deliveries("order", "a", 1000, 3600)}, 30, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, clock := newMeasurer(t, "")
			var addresses []string
			for _, pod := range c.pods {
				addresses = append(addresses, newWorker(t, pod...))
			}
			q, err := m.Queue(t.Context(), "order", addresses)
			if err != nil || q.Depth != c.depth || q.OldestSeconds != c.oldest || !q.At.Equal(clock.Now()) {
				t.Errorf("%+v, %v, want depth %v and age %v", q, err, c.depth, c.oldest)
			}
		})
	}
}

// Whoever does not know how long a queue is must not say that it is empty.
func TestQueueWithoutAnAnswerIsAnError(t *testing.T) {
	t.Parallel()
	m, _ := newMeasurer(t, "")
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, addresses := range map[string][]string{
		"no pod":                        nil,
		"a pod that does not answer":    {strings.TrimPrefix(gone.URL, "http://")},
		"no database":                   {newWorker(t, deliveries("order", "a", 1, 1)...)},
		"half an answer":                {newWorker(t, outbox("order", 1, 1)[0])},
		"the queues of others":          {newWorker(t, outbox("user", 1, 1)...)},
		"one without and one not there": {newWorker(t), strings.TrimPrefix(gone.URL, "http://")},
	} {
		if q, err := m.Queue(t.Context(), "order", addresses); !errors.Is(err, ErrNoQueue) || q != (Queue{}) {
			t.Errorf("%s: %+v, %v", name, q, err)
		}
	}
}

// The metrics are those that the platform exports: docs/metrics.md is made of them.
func TestQueuesAreThoseOfThePlatform(t *testing.T) {
	t.Parallel()
	known, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for metric, labels := range map[string]string{
		outboxDepth: "`schema`", outboxOldest: "`schema`", busWaiting: "`component` `subscription`", busOldest: "`component` `subscription`",
		jobDepth: "`queue` `schema` `state`", jobOldest: "`schema`",
	} {
		if !strings.Contains(string(known), fmt.Sprintf("| `%s` | %s |", metric, labels)) {
			t.Errorf("docs/metrics.md has no %s with the labels %s", metric, labels)
		}
	}
}
