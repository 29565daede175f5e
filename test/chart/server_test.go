package chart_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/test/chart"
)

// warnings collects what the API server warns of: fields it does not know, pods
// that break the namespace's standard, versions that go away.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// TestServerTakesEverything sends what is rendered to an API server, which checks
// it as on the day of the installation and stores nothing.
func TestServerTakesEverything(t *testing.T) {
	t.Parallel()
	cluster := kubetest.New(t, "third_party/prometheus-operator")
	heard := &warnings{}
	config := rest.CopyConfig(cluster.Config)
	config.WarningHandler = heard
	server, err := client.New(config, client.Options{FieldOwner: "helm"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{chart.Namespace, "monitoring", "shop-a", "shop-b"} {
		// Restricted, as config/manager says.
		labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
		if err := server.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, objects []*unstructured.Unstructured, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			//nolint:staticcheck // an apply configuration of a kind that is known by its text only
			err := server.Patch(t.Context(), o, client.Apply, client.DryRunAll, client.ForceOwnership, client.FieldOwner("helm"))
			if err != nil {
				t.Errorf("%s: %s: %v", name, chart.Key(o), err)
			}
		}
		for _, text := range heard.texts {
			t.Errorf("%s: the server warns: %s", name, text)
		}
		heard.texts = nil
	}
	for name, args := range sets(t) {
		objects, err := chart.Template(t.Context(), args...)
		check("helm, "+name, objects, err)
	}
	for _, dir := range []string{"default", "prometheus", "conversion", "v1beta1"} {
		objects, err := chart.Kustomize(dir)
		check("kustomize, "+dir, objects, err)
	}
}

// TestContainerIsHeldShort holds the container to what no server checks.
func TestContainerIsHeldShort(t *testing.T) {
	t.Parallel()
	objects, err := chart.Template(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.GetKind() != "Deployment" {
			continue
		}
		containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) != 1 {
			t.Fatalf("%v, %v", containers, err)
		}
		container, _ := containers[0].(map[string]any)
		security, _ := container["securityContext"].(map[string]any)
		if security["readOnlyRootFilesystem"] != true || security["allowPrivilegeEscalation"] != false {
			t.Errorf("the container may do too much: %v", security)
		}
		for _, need := range []string{"livenessProbe", "readinessProbe", "resources"} {
			if container[need] == nil {
				t.Errorf("the container has no %s", need)
			}
		}
	}
}

func TestMain(m *testing.M) {
	// Build helm once, before tests run side by side and wait for it.
	if _, err := chart.Helm(context.Background(), "version"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
