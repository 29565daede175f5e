package desired

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/observability"
)

const kedaSpec = stagingSpec + "  workerAutoscaler: KEDA\n"

// The autoscalers of workers: by CPU, by queues, by KEDA, and by KEDA while a canary runs.
func TestWorkerAutoscalers(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, c := range []struct {
		what, spec string
		change     func(*Input)
	}{
		{"CPU alone", stagingSpec, func(*Input) {}},
		{"external metrics", stagingSpec, func(in *Input) { in.Capabilities.QueueMetrics = true }},
		{
			"external metrics, targets of its own", stagingSpec + "  services: [{name: order, workers: {targetQueueDepth: 7, targetQueueAgeSeconds: 600}}]\n",
			func(in *Input) { in.Capabilities.QueueMetrics = true },
		},
		{"KEDA", kedaSpec, func(in *Input) { in.Capabilities.KEDA, in.PrometheusURL = true, "http://prometheus.monitoring:9090" }},
		{"KEDA while a canary runs", kedaSpec, func(in *Input) {
			in.Capabilities.KEDA, in.PrometheusURL, in.FreezeScaleDown = true, "http://prometheus.monitoring:9090", true
		}},
	} {
		in := givenSpec(t, c.spec)
		c.change(&in)
		order, err := ForComponent(in, v1alpha1.ComponentOrder)
		if err != nil {
			t.Fatal(err)
		}
		var object any = order.WorkerHPA
		if order.WorkerHPA == nil {
			object = order.WorkerScaledObject.Object
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "--- # %s\n%s", c.what, text)
		// Whatever scales them, the first number is given once and never again.
		if order.Worker.Spec.Replicas != nil || len(order.InitialReplicas) != 2 {
			t.Errorf("%s: the workers' number of pods is applied", c.what)
		}
	}
	path := filepath.Join("testdata", "autoscaling.golden.yaml")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("autoscalers changed (-want +got); if that is meant, run go test with -update:\n%s", diff)
	}
}

// Whatever the cluster has, workers have one autoscaler, and the status says
// whether it follows queues.
func TestOneAutoscaler(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		spec := rapid.SampledFrom([]string{stagingSpec, kedaSpec}).Draw(r, "spec")
		in := givenSpec(t, spec)
		in.Capabilities.KEDA, in.Capabilities.QueueMetrics = rapid.Bool().Draw(r, "keda"), rapid.Bool().Draw(r, "queues")
		in.PrometheusURL = rapid.SampledFrom([]string{"", "http://prometheus:9090"}).Draw(r, "prometheus")
		in.FreezeScaleDown = rapid.Bool().Draw(r, "canary")
		lacking, ok := QueueScaling(in)
		if ok != (lacking == "") {
			r.Fatalf("%v with the text %q", ok, lacking)
		}
		for _, name := range DataComponents() {
			c, err := ForComponent(in, name)
			if err != nil {
				r.Fatal(err)
			}
			if (c.WorkerHPA == nil) == (c.WorkerScaledObject == nil) {
				r.Fatalf("%s has an HPA: %v, a ScaledObject: %v", name, c.WorkerHPA != nil, c.WorkerScaledObject != nil)
			}
			follows := c.WorkerScaledObject != nil || len(c.WorkerHPA.Spec.Metrics) == 3
			// Where KEDA was asked for and is not there, queues are followed by HPA if they can be.
			if ok && !follows || !ok && spec == stagingSpec && follows {
				r.Fatalf("%s follows its queues: %v, and the status says %v (%s)", name, follows, ok, lacking)
			}
			if len(c.HPA.Spec.Metrics) != 1 {
				r.Fatalf("API pods of %s follow queues", name)
			}
		}
	})
}

func TestQueueScalingSaysWhatIsLacking(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   string
		change func(*Input)
		want   string
	}{
		"nothing to scale":       {developmentSpec, func(*Input) {}, ""},
		"no adapter":             {stagingSpec, func(*Input) {}, "externalMetrics.enabled"},
		"an adapter":             {stagingSpec, func(in *Input) { in.Capabilities.QueueMetrics = true }, ""},
		"no KEDA":                {kedaSpec, func(in *Input) { in.PrometheusURL = "http://p" }, "scaledobjects.keda.sh"},
		"KEDA without something": {kedaSpec, func(in *Input) { in.Capabilities.KEDA = true }, "prometheusURL"},
		"KEDA":                   {kedaSpec, func(in *Input) { in.Capabilities.KEDA, in.PrometheusURL = true, "http://p" }, ""},
	} {
		in := givenSpec(t, c.spec)
		c.change(&in)
		if lacking, ok := QueueScaling(in); !strings.Contains(lacking, c.want) || ok != (c.want == "") {
			t.Errorf("%s: %q, %v", name, lacking, ok)
		}
	}
}

// A real Prometheus answers the queries that KEDA asks, of what pods tell.
func TestQueriesOfQueues(t *testing.T) {
	t.Parallel()
	gauge := func(registry *prometheus.Registry, name string, value float64, labels prometheus.Labels) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "x", ConstLabels: labels})
		g.Set(value)
		registry.MustRegister(g)
	}
	target := func(pod, component string, fill func(*prometheus.Registry)) observability.Target {
		registry := prometheus.NewRegistry()
		fill(registry)
		server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		t.Cleanup(server.Close)
		return observability.Target{Job: pod, Address: strings.TrimPrefix(server.URL, "http://"), Labels: map[string]string{
			"namespace": "shops", "stack": "shop", "component": component, "role": "worker", "pod": pod,
		}}
	}
	order := func(registry *prometheus.Registry) {
		gauge(registry, "commerce_outbox_depth", 3, prometheus.Labels{"schema": "order"})
		gauge(registry, "commerce_outbox_oldest_seconds", 4, prometheus.Labels{"schema": "order"})
		gauge(registry, "commerce_bus_waiting", 20, prometheus.Labels{"component": "order", "subscription": "a"})
		gauge(registry, "commerce_bus_waiting", 10, prometheus.Labels{"component": "order", "subscription": "b"})
		gauge(registry, "commerce_bus_oldest_seconds", 77, prometheus.Labels{"component": "order", "subscription": "b"})
		gauge(registry, "commerce_job_depth", 5, prometheus.Labels{"schema": "order", "queue": "default", "state": "available"})
		gauge(registry, "commerce_job_depth", 900, prometheus.Labels{"schema": "order", "queue": "default", "state": "scheduled"})
		gauge(registry, "commerce_job_oldest_seconds", 9, prometheus.Labels{"schema": "order"})
	}
	rules := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(rules, []byte(`{"groups": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := observability.StartPrometheus(t.Context(), t.TempDir(), rules,
		target("order-1", "order", order), target("order-2", "order", order),
		// One delivery waits for its next try, and one pod is there for it.
		target("user-1", "user", func(registry *prometheus.Registry) {
			gauge(registry, "commerce_outbox_depth", 0, prometheus.Labels{"schema": "user"})
			gauge(registry, "commerce_outbox_oldest_seconds", 0, prometheus.Labels{"schema": "user"})
			gauge(registry, "commerce_bus_waiting", 1, prometheus.Labels{"component": "user", "subscription": "c"})
			gauge(registry, "commerce_bus_oldest_seconds", 3600, prometheus.Labels{"component": "user", "subscription": "c"})
		}),
		// The database does not answer.
		target("billing-1", "billing", func(registry *prometheus.Registry) {
			gauge(registry, "commerce_bus_waiting", 1, prometheus.Labels{"component": "billing", "subscription": "d"})
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	ask := func(query string) string {
		answer, err := server.Query(t.Context(), query)
		if err != nil || len(answer) > 1 {
			t.Fatalf("%s: %v, %v, want one value: KEDA refuses several", query, answer, err)
		}
		if len(answer) == 0 {
			return "none"
		}
		return fmt.Sprint(answer[0].Value[1])
	}
	stack := givenSpec(t, stagingSpec).Stack
	for deadline := time.Now().Add(30 * time.Second); ask(`count(up == 1)`) != "4" && time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
	}
	for name, want := range map[v1alpha1.ComponentName][2]string{"order": {"38", "77"}, "user": {"1", "0"}, "billing": {"none", "none"}} {
		depth := queueDepthQuery(stack, name)
		if got := [2]string{ask(depth), ask(queueOldestQuery(stack, name, depth))}; got != want {
			t.Errorf("%s: depth and age %v, want %v", name, got, want)
		}
	}
}
