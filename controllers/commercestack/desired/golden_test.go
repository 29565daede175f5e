package desired

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// everything are all objects of a stack, in the order in which they are applied.
func everything(t testingT, in Input) []any {
	t.Helper()
	var all []any
	add := func(object any) { all = append(all, object) }
	for _, build := range []func(Input) (Server, bool){Postgres, Redis, Simulator} {
		if server, ok := build(in); ok {
			for _, object := range server.Objects() {
				add(object)
			}
		}
	}
	if cluster := CloudNativePG(in); cluster != nil {
		add(cluster.Object)
	}
	if claim := ObjectVolume(in); claim != nil {
		add(claim)
	}
	add(JobServiceAccount(in))
	if job := MigrateJob(in); job != nil {
		add(job)
	}
	add(CreateAdminJob(in))
	if job := DemoJob(in); job != nil {
		add(job)
	}
	for _, name := range Components() {
		component, err := ForComponent(in, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, object := range component.Objects() {
			add(object)
		}
		for _, initial := range component.InitialReplicas {
			add(initial)
		}
	}
	exposure := Expose(in)
	if exposure.Ingress != nil {
		add(exposure.Ingress)
	}
	if exposure.HTTPRoute != nil {
		add(exposure.HTTPRoute.Object)
	}
	if exposure.Certificate != nil {
		add(exposure.Certificate.Object)
	}
	for _, policy := range NetworkPolicies(in) {
		add(policy)
	}
	add(MetricsService(in))
	for _, monitor := range ServiceMonitors(in) {
		add(monitor.Object)
	}
	return all
}

// testingT is what tests and property tests have in common.
type testingT interface {
	Helper()
	Fatalf(format string, args ...any)
}

func render(t testingT, in Input) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, object := range everything(t, in) {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes()
}

// All but the last hold the pod templates of stacks of older revisions: an
// upgrade of the operator must not change one byte of them.
func TestSamples(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sample   string
		revision int32
	}{
		"development": {"development", 1}, "staging": {"staging", 1}, "production": {"production", 1},
		"second": {"production", 2}, "third": {"production", 3}, "current": {"production", CurrentRenderRevision},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := atRevision(newInput(sample(t, c.sample)), c.revision)
			if invalid := Validate(in); len(invalid) > 0 {
				t.Fatalf("the sample is refused: %v", invalid.ToAggregate())
			}
			got := render(t, in)
			for range 3 {
				if again := render(t, in); !bytes.Equal(got, again) {
					t.Fatalf("the same input gave different objects:\n%s", cmp.Diff(string(got), string(again)))
				}
			}
			path := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("the objects of the sample changed (-want +got); if that is meant, run go test with -update:\n%s", diff)
			}
		})
	}
}
