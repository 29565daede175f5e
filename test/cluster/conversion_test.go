//go:build cluster

package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// newer is a small shop in the words of v1beta1.
const newer = `
apiVersion: commercestack.dev/v1beta1
kind: CommerceStack
metadata:
  name: shop
spec:
  version: 0.1.0
  environment: Development
  deletionPolicy: Delete
  demoCatalog: true
  postgres: {mode: StatefulSet, storage: {size: 1Gi}}
  objectStorage: {storage: {size: 1Gi}}
  components:
    - name: analytics
      replicas: 1
`

// TestConversion serves v1beta1 as docs/operator.md says. A stack that was applied in
// it lives, both versions say the same of it, a change in one is obeyed while an
// operator pod dies, and the shop stays when v1beta1 goes.
func TestConversion(t *testing.T) {
	t.Cleanup(func() {
		if err := installOperator(); err != nil { // the values of before
			t.Error(err)
		}
	})
	s := place(t, "e2e-conversion", "shop")
	story(t, s, []step{
		{"v1beta1 is served", func(t *testing.T) { serveNewer(t) }},
		{"a stack in v1beta1 becomes ready", func(t *testing.T) {
			if err := kubectl(newer, "apply", "-n", s.namespace, "-f", "-"); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(3*time.Minute).Seconds())
			purchase(t, s.shop())
		}},
		{"both versions say the same", func(t *testing.T) {
			s.says("v1alpha1", "services", 1)
			s.says("v1beta1", "components", 1)
		}},
		{"a change in v1beta1 is obeyed while an operator pod dies", func(t *testing.T) {
			killOperatorPods(t)
			err := waitFor(t.Context(), time.Minute, "the change is taken", func(context.Context) (bool, error) {
				err := kubectl(strings.Replace(newer, "replicas: 1", "replicas: 2", 1), "apply", "-n", s.namespace, "-f", "-")
				return err == nil, err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.waitReady(2 * time.Minute)
			pods, err := s.pods(t.Context(), "analytics")
			if err != nil || len(pods) != 2 {
				t.Errorf("%d pods of analytics, want 2 (%v)", len(pods), err)
			}
			s.says("v1alpha1", "services", 2)
		}},
		{"v1beta1 goes and the shop stays", func(t *testing.T) {
			before := podIDs(t, s)
			for _, values := range []string{"conversion.served=false", "conversion.enabled=false"} {
				if err := upgradeOperatorTo(values); err != nil {
					t.Fatal(err)
				}
			}
			s.waitReady(time.Minute)
			noneReplaced(t, before, podIDs(t, s))
			purchase(t, s.shop())
			if err := kubectl("", "get", "commercestacks.v1beta1.commercestack.dev", "-n", s.namespace, "shop"); err == nil {
				t.Error("v1beta1 is still served")
			}
			s.says("v1alpha1", "services", 2)
		}},
	})
}

// serveNewer brings the webhook, waits until the API server trusts it, and has v1beta1 served.
func serveNewer(t *testing.T) {
	t.Helper()
	if err := upgradeOperatorTo("replicas=2", "conversion.enabled=true"); err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	err := waitFor(t.Context(), time.Minute, "the API server knows the webhook's authority", func(ctx context.Context) (bool, error) {
		if err := kube.Get(ctx, client.ObjectKey{Name: "commercestacks.commercestack.dev"}, definition); err != nil {
			return false, err
		}
		bundle, _, err := unstructured.NestedString(definition.Object, "spec", "conversion", "webhook", "clientConfig", "caBundle")
		return bundle != "", err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := upgradeOperatorTo("conversion.served=true"); err != nil {
		t.Fatal(err)
	}
	err = waitFor(t.Context(), time.Minute, "v1beta1 is served", func(context.Context) (bool, error) {
		err := kubectl("", "get", "commercestacks.v1beta1.commercestack.dev", "-A")
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// says checks the number of pods of analytics in the list that a version of the API has of components.
func (s *stack) says(version, list string, replicas int64) {
	s.t.Helper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("commercestack.dev/" + version)
	object.SetKind("CommerceStack")
	if err := kube.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name}, object); err != nil {
		s.t.Fatal(err)
	}
	parts, _, err := unstructured.NestedSlice(object.Object, "spec", list)
	if err != nil || len(parts) != 1 {
		s.t.Fatalf("%s says %v (%v)", version, parts, err)
	}
	part, _ := parts[0].(map[string]any)
	if part["name"] != "analytics" || part["replicas"] != replicas {
		s.t.Errorf("%s says %v, want %d pods of analytics", version, part, replicas)
	}
}
