package measure

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/commercestack/commercestack/test/observability"
)

// A real Prometheus scrapes a pod and answers the queries of a spec.
func TestQueriesGoToPrometheus(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	p.answer("order", "canary", "500", 3)
	folder := t.TempDir()
	rules := filepath.Join(folder, "none.yaml")
	content, err := json.Marshal(map[string]any{"groups": []any{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, content, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := observability.StartPrometheus(t.Context(), folder, rules, observability.Target{
		Job: "shop", Address: p.address, Labels: map[string]string{"stack": "shop", "namespace": "shops", "version": "0a1b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	m, err := New(Config{Prometheus: server.URL(), Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(query string) (*float64, error) {
		return m.Measure(t.Context(), Question{Measure: "mine", Query: query, Stack: "shop", Namespace: "shops", Revision: "0a1b"})
	}
	filled := `sum(commerce_gateway_upstream_requests_total{stack="{{stack}}",namespace="{{namespace}}",version="{{revision}}",variant="canary"})`
	var value *float64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && value == nil; time.Sleep(200 * time.Millisecond) {
		if value, err = ask(filled); err != nil {
			t.Fatal(err)
		}
	}
	if text(value) != "3.000" {
		t.Fatalf("the query found %s, want 3", text(value))
	}
	for query, want := range map[string]string{
		"vector(0) / 0":       "none", // not a number
		"commerce_nothing":    "none",
		"scalar(vector(0.5))": "0.500",
		`label_replace(vector(1), "a", "b", "", "") or vector(7)`: "7.000",
	} {
		if value, err := ask(query); err != nil || text(value) != want {
			t.Errorf("%s is %s, %v, want %s", query, text(value), err, want)
		}
	}
	if _, err := ask("sum("); err == nil {
		t.Error("a query that cannot be read has an answer")
	}
	if _, err := ask("commerce_nothing[1m]"); err == nil {
		t.Error("a range is a number")
	}
}
