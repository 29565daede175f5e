package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/test/chart"
)

// sets are the value sets of the chart's ci folder, and the defaults.
func sets(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(chart.Dir + "/ci/*-values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	found := map[string][]string{"defaults": nil, "monitoring": chart.Monitoring}
	for _, file := range files {
		found[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = []string{"--values", file}
	}
	return found
}

func TestLint(t *testing.T) {
	t.Parallel()
	for name, args := range sets(t) {
		if name == "monitoring" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := chart.Helm(t.Context(), append([]string{"lint", "--strict", chart.Dir}, args...)...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestSchemaRefuses mistakes that would otherwise show in the cluster, or never.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]string{
		"a name that no value has":        "replica=2",
		"a nested name that no value has": "image.repo=x",
		"a word for a number":             "replicas=two",
		"too many replicas":               "replicas=11",
		"an unknown pull policy":          "image.pullPolicy=Sometimes",
		"a digest that is none":           "image.digest=sha256:abc",
		"a repository with a digest":      "image.repository=a@sha256:b",
		"an unknown log level":            "logLevel=verbose",
		"an unknown mode":                 "metrics.serviceMonitor.mode=auto",
		"a runbook folder that is none":   "prometheusRule.runbookBaseURL=docs",
		"a namespace that cannot be":      "watchNamespaces={Shop}",
		"a port that cannot be":           "metrics.service.port=70000",
		"no port of the API server":       "networkPolicy.apiServerPorts=[]",
		"no image of PostgreSQL":          "defaults.postgresImage=",
		"a port that only root may use":   "conversion.port=443",
		"a version that nobody converts":  "conversion.served=true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flag := "--set"
			if strings.HasSuffix(set, "=[]") {
				flag = "--set-json"
			}
			if _, err := chart.Template(t.Context(), flag, set); err == nil {
				t.Errorf("%s was taken", set)
			}
		})
	}
}

func TestServiceMonitorWithoutServiceIsRefused(t *testing.T) {
	t.Parallel()
	_, err := chart.Template(t.Context(), "--set", "metrics.service.enabled=false,metrics.serviceMonitor.mode=On")
	if err == nil || !strings.Contains(err.Error(), "metrics.service.enabled=true") {
		t.Errorf("it says %v", err)
	}
}

// TestMonitoringFollowsTheCluster is what Auto means.
func TestMonitoringFollowsTheCluster(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want bool
	}{
		"without the kinds":          {nil, false},
		"with the kinds":             {chart.Monitoring, true},
		"with the kinds, but off":    {append([]string{"--set", "metrics.serviceMonitor.mode=Off,prometheusRule.mode=Off"}, chart.Monitoring...), false},
		"without the kinds, but on":  {[]string{"--set", "metrics.serviceMonitor.mode=On,prometheusRule.mode=On"}, true},
		"with dashboards off as set": {append([]string{"--set", "dashboards.enabled=false"}, chart.Monitoring...), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := chart.Template(t.Context(), c.args...)
			if err != nil {
				t.Fatal(err)
			}
			kinds := count(objects)
			if got := kinds["ServiceMonitor"] == 1 && kinds["PrometheusRule"] == 1; got != c.want {
				t.Errorf("rendered %v", kinds)
			}
			if dashboards := kinds["ConfigMap"] == 2; dashboards == strings.Contains(strings.Join(c.args, " "), "dashboards.enabled=false") {
				t.Errorf("rendered %v", kinds)
			}
		})
	}
}

func count(objects []*unstructured.Unstructured) map[string]int {
	kinds := make(map[string]int)
	for _, o := range objects {
		kinds[o.GetKind()]++
	}
	return kinds
}

// TestDefinitionOutlivesTheChart holds the CRD to being upgraded with the chart and kept without it.
func TestDefinitionOutlivesTheChart(t *testing.T) {
	t.Parallel()
	find := func(args ...string) *unstructured.Unstructured {
		t.Helper()
		objects, err := chart.Template(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if o.GetKind() == "CustomResourceDefinition" {
				return o
			}
		}
		return nil
	}
	crd := find()
	if crd == nil || crd.GetAnnotations()["helm.sh/resource-policy"] != "keep" || crd.GetAnnotations()["controller-gen.kubebuilder.io/version"] == "" {
		t.Fatalf("the CRD is %v", crd)
	}
	if crd := find("--set", "crds.keep=false"); crd == nil || crd.GetAnnotations()["helm.sh/resource-policy"] != "" {
		t.Error("crds.keep=false keeps it")
	}
	if crd := find("--set", "crds.install=false"); crd != nil {
		t.Error("crds.install=false installs it")
	}
	// What helm renders is what controller-gen wrote.
	text, err := os.ReadFile(chart.Root + "/config/crd/commercestack.dev_commercestacks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	written := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &written.Object); err != nil {
		t.Fatal(err)
	}
	// But for who converts, which is the release's own.
	unstructured.RemoveNestedField(crd.Object, "spec", "conversion")
	if !same(written.Object["spec"], crd.Object["spec"]) {
		t.Error("the chart's CRD differs from config/crd; run make generate-chart")
	}
}
