package conversion_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/api/v1beta1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

var (
	older = v1alpha1.GroupVersion.String()
	newer = v1beta1.GroupVersion.String()
)

// everything that has another shape in v1beta1, and what conversions like to change.
const everything = `
version: "1"
environment: Development
reconcilePolicy: Paused
demoCatalog: false
services:
  - {name: order, replicas: 3, autoscaling: {mode: "Off", minReplicas: 4, maxReplicas: 5}, disruption: {maxUnavailable: 1}}
  - {name: user, autoscaling: {mode: "Off"}, workers: {autoscaling: {mode: "Off", targetCPUUtilization: 70}}}
  - name: gateway
    autoscaling: {minReplicas: 2, maxReplicas: 4}
    patches: [{patch: {spec: {template: {spec: {priorityClassName: high, terminationGracePeriodSeconds: 90}}}}}]
postgres: {mode: Managed, instances: 3, storage: {size: 0.5Gi}}
gateway: {waf: "Off", tls: {mode: "Off"}}
networkPolicy: {mode: "Off"}
observability: {serviceMonitors: "On"}
rollout:
  strategy: Canary
  steps: [{weight: 5, pause: 90m}, {weight: 50}]
  analysis: [{name: error-rate, failAbove: "0.01", interval: 10s}]
  progressDeadline: 90m
  notifications: [{name: team, type: Slack, secretRef: {name: slack}, "on": [Failed, Promoted]}]
backup: {schedule: 0 3 * * *, restoreTest: 0 5 * * 0, retention: 720h}
`

// A stack that was made as v1alpha1, changed as v1beta1 and read as v1alpha1 has
// the change and everything else, to the letter.
func TestChangeByTheOtherVersion(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	if err := shared.Create(t.Context(), manifest(t, older, namespace, "shop", everything)); err != nil {
		t.Fatal(err)
	}
	before := read(t, older, namespace, "shop")
	seen := read(t, newer, namespace, "shop")
	components, _, err := unstructured.NestedSlice(seen.Object, "spec", "components")
	if err != nil || len(components) != 3 {
		t.Fatalf("components: %v, %v", components, err)
	}
	want := map[string]any{"type": "Canary", "canary": map[string]any{
		"steps": []any{map[string]any{"weight": int64(5), "pause": "90m"}, map[string]any{"weight": int64(50)}},
		"analysis": []any{map[string]any{
			"name": "error-rate", "failAbove": "0.01", "interval": "10s", "count": int64(3), "failureLimit": int64(0), "onNoData": "Pause",
		}},
	}}
	if got, _, _ := unstructured.NestedMap(seen.Object, "spec", "rollout", "strategy"); !cmp.Equal(want, got) {
		t.Errorf("strategy (-want +got):\n%s", cmp.Diff(want, got))
	}
	// As kubectl edit does: the whole object, with one field changed.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		edited := read(t, newer, namespace, "shop")
		if err := unstructured.SetNestedField(edited.Object, "2", "spec", "version"); err != nil {
			t.Fatal(err)
		}
		return shared.Update(t.Context(), edited)
	})
	if err != nil {
		t.Fatal(err)
	}
	after := read(t, older, namespace, "shop")
	spec(t, before)["version"] = "2"
	if diff := cmp.Diff(before.Object["spec"], after.Object["spec"]); diff != "" {
		t.Errorf("v1alpha1 afterwards (-want +got):\n%s", diff)
	}
	if after.GetAnnotations()[v1beta1.AnnotationScaling] != "" || seen.GetAnnotations()[v1beta1.AnnotationScaling] == "" {
		t.Errorf("annotations: stored %v, shown %v", after.GetAnnotations(), seen.GetAnnotations())
	}
	if after.GetGeneration() != before.GetGeneration()+1 {
		t.Errorf("generation %d after %d", after.GetGeneration(), before.GetGeneration())
	}
	// A change of the other kind: one that v1alpha1 says in two fields.
	patch := `[{"op":"test","path":"/spec/components/0/name","value":"order"},{"op":"replace","path":"/spec/components/0/replicas","value":6}]`
	if err := shared.Patch(t.Context(), manifest(t, newer, namespace, "shop"), client.RawPatch("application/json-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
	typed := &v1alpha1.CommerceStack{}
	if err := shared.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "shop"}, typed); err != nil {
		t.Fatal(err)
	}
	if order := typed.Spec.Services[0]; *order.Replicas != 6 || order.Autoscaling.Mode != v1alpha1.AutoscalingOff {
		t.Errorf("order is %+v", order)
	}
}

// The operator works on v1alpha1 while people write v1beta1: neither takes away
// what the other owns.
func TestApplyLeavesTheOperatorInPeace(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	const before, after = `{version: "1", environment: Development, deletionPolicy: Delete, postgres: {mode: StatefulSet}, services: [{name: order, autoscaling: {minReplicas: 1, maxReplicas: 1}}, {name: user, wave: 1}]}`,
		`{version: "1", environment: Development, deletionPolicy: Delete, postgres: {mode: StatefulSet}, components: [{name: order, autoscaling: {minReplicas: 1, maxReplicas: 2}}]}`
	apply := func(object *unstructured.Unstructured, owner string) error {
		return shared.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(owner))
	}
	if err := apply(manifest(t, older, namespace, "shop", before), "kubectl"); err != nil {
		t.Fatal(err)
	}
	stack := &v1alpha1.CommerceStack{}
	state := func() *v1alpha1.CommerceStack {
		if err := shared.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "shop"}, stack); err != nil {
			t.Fatal(err)
		}
		return stack
	}
	eventually(t, "the operator's status and finalizer", func() bool {
		s := state()
		return len(s.Finalizers) > 0 && s.Status.PostgresMode == v1alpha1.DataStatefulSet && len(s.Status.Services) > 0
	})
	finalizers := state().Finalizers
	// The same owner goes on with the other version, and leaves a component out.
	if err := apply(manifest(t, newer, namespace, "shop", after), "kubectl"); err != nil {
		t.Fatal(err)
	}
	s := state()
	if !cmp.Equal(s.Finalizers, finalizers) || s.Status.PostgresMode != v1alpha1.DataStatefulSet || len(s.Status.Services) == 0 {
		t.Errorf("the operator's fields are %v, %+v", s.Finalizers, s.Status)
	}
	if len(s.Spec.Services) != 1 || s.Spec.Services[0].Autoscaling.MaxReplicas != 2 || s.Spec.Services[0].Autoscaling.Mode != v1alpha1.AutoscalingHPA {
		t.Errorf("services are %+v", s.Spec.Services)
	}
	// The operator goes on writing, and what it writes shows in both versions.
	eventually(t, "the operator's next visit", func() bool { return state().Status.ObservedGeneration == state().Generation })
	shown := &v1beta1.CommerceStack{}
	if err := shared.Get(t.Context(), client.ObjectKeyFromObject(stack), shown); err != nil {
		t.Fatal(err)
	}
	if shown.Status.PostgresMode != v1beta1.PostgresStatefulSet || len(shown.Status.Components) != len(state().Status.Services) || shown.Status.ComponentsReady == "" {
		t.Errorf("the status is shown as %+v", shown.Status)
	}
	// Applying the same again changes nothing.
	version := state().ResourceVersion
	if err := apply(manifest(t, newer, namespace, "shop", after), "kubectl"); err != nil {
		t.Fatal(err)
	}
	if state().Generation != shown.Generation {
		t.Errorf("an apply of the same made version %s of %s", state().ResourceVersion, version)
	}
	// Whoever owns a field owns it in both versions.
	other := manifest(t, older, namespace, "shop", `{version: "1", environment: Development, services: [{name: order, autoscaling: {maxReplicas: 9}}]}`)
	if err := apply(other, "somebody"); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "kubectl") {
		t.Errorf("a field of another owner is answered with %v", err)
	}
	if owners := managers(state()); !owners["kubectl"] {
		t.Errorf("managers are %v", owners)
	}
}

func managers(object metav1.Object) map[string]bool {
	found := map[string]bool{}
	for _, entry := range object.GetManagedFields() {
		found[entry.Manager] = true
	}
	return found
}

// Lists and watches of a version are of that version.
func TestListAndWatch(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for _, c := range []struct{ version, name string }{{older, "one"}, {newer, "two"}} {
		if err := shared.Create(t.Context(), manifest(t, c.version, namespace, c.name, `{version: "1", environment: Development, reconcilePolicy: Paused}`)); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{older, newer} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(version)
		list.SetKind(v1beta1.Kind + "List")
		if err := shared.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 2 || list.Items[0].GetAPIVersion() != version || list.Items[1].GetAPIVersion() != version {
			t.Errorf("a list of %s has %v", version, list.Items)
		}
	}
}

// The number of pods that v1beta1 shows where v1alpha1 leaves it to the environment
// is the one that the operator runs.
func TestNumbersOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, environment := range []v1alpha1.Environment{v1alpha1.EnvironmentDevelopment, v1alpha1.EnvironmentStaging, v1alpha1.EnvironmentProduction} {
		stack := &v1alpha1.CommerceStack{}
		stack.Spec.Environment = environment
		stack.Spec.Services = []v1alpha1.ServiceSpec{{Name: v1alpha1.ComponentOrder, Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff}}}
		shown := &v1beta1.CommerceStack{}
		if err := shown.ConvertFrom(stack); err != nil {
			t.Fatal(err)
		}
		if want, got := desired.APIScale(desired.Input{Stack: stack}, v1alpha1.ComponentOrder).Min, shown.Spec.Components[0].Replicas; got == nil || *got != want {
			t.Errorf("%s has %d pods, and shows %v", environment, want, got)
		}
	}
}
