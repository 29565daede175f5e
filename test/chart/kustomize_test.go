package chart_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/test/chart"
)

// same compares as JSON does, which knows one kind of number.
func same(a, b any) bool { return reflect.DeepEqual(plain(a), plain(b)) }

func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// TestKustomizeInstallsTheSame compares everything but labels and annotations,
// which name the tool.
func TestKustomizeInstallsTheSame(t *testing.T) {
	t.Parallel()
	for folder, set := range map[string]string{
		"default": "", "conversion": ",conversion.enabled=true", "v1beta1": ",conversion.enabled=true,conversion.served=true",
	} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			compare(t, folder, "tests.enabled=false,externalMetrics.enabled=true"+set)
		})
	}
}

// compare holds a folder of config against what the chart renders with values.
func compare(t *testing.T, folder, set string) {
	t.Helper()
	rendered, err := chart.Template(t.Context(), append([]string{"--set", set}, chart.Monitoring...)...)
	if err != nil {
		t.Fatal(err)
	}
	built, err := chart.Kustomize(folder)
	if err != nil {
		t.Fatal(err)
	}
	more, err := chart.Kustomize("prometheus")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := chart.Kustomize("external-metrics")
	if err != nil {
		t.Fatal(err)
	}
	byHelm, byKustomize := objects(t, rendered), objects(t, slices.Concat(built, more, metrics))
	// Helm makes the namespace by --create-namespace.
	delete(byKustomize, "Namespace /"+chart.Namespace)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(byHelm)), slices.Sorted(maps.Keys(byKustomize))); diff != "" {
		t.Fatalf("helm and kustomize make different objects (-helm +kustomize):\n%s", diff)
	}
	for key, object := range byHelm {
		if diff := cmp.Diff(plain(bare(object)), plain(bare(byKustomize[key]))); diff != "" {
			t.Errorf("%s (-helm +kustomize):\n%s", key, diff)
		}
	}
}

func objects(t *testing.T, list []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	t.Helper()
	found := make(map[string]*unstructured.Unstructured, len(list))
	for _, o := range list {
		key := chart.Key(o)
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = o
	}
	return found
}

// bare is an object without the labels and annotations that tools add, but with
// those that have a meaning.
func bare(o *unstructured.Unstructured) map[string]any {
	o = o.DeepCopy()
	labels := o.GetLabels()
	for name := range labels {
		if !meaningful(name) {
			delete(labels, name)
		}
	}
	o.SetLabels(labels)
	if o.GetKind() == "CustomResourceDefinition" {
		annotations := o.GetAnnotations()
		delete(annotations, "helm.sh/resource-policy")
		o.SetAnnotations(annotations)
	}
	if template, found, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels"); found {
		for name := range template {
			if !slices.Contains([]string{"app.kubernetes.io/name", "app.kubernetes.io/instance"}, name) {
				delete(template, name)
			}
		}
		_ = unstructured.SetNestedStringMap(o.Object, template, "spec", "template", "metadata", "labels")
	}
	return o.Object
}

func meaningful(label string) bool {
	return label == "grafana_dashboard" || label == "app.kubernetes.io/name" || label == "app.kubernetes.io/instance" ||
		strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-")
}
