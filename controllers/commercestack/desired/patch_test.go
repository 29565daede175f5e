package desired

import (
	"strings"
	"testing"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
)

func TestPatches(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, productionSpec+`  services:
    - name: order
      patches:
        - patch: {spec: {template: {spec: {priorityClassName: first, nodeSelector: {disk: fast}}}}}
        - target: API
          patch: {spec: {template: {spec: {priorityClassName: second, containers: [{name: commerce, resources: {limits: {cpu: "2"}}, env: [{name: EXTRA, value: "1"}]}]}}}}
        - target: Worker
          patch: {metadata: {annotations: {team: orders}}, spec: {template: {spec: {terminationGracePeriodSeconds: 90}}}}
`)
	order, err := ForComponent(in, "order")
	if err != nil {
		t.Fatal(err)
	}
	pod := order.Deployment.Spec.Template.Spec
	if *pod.PriorityClassName != "second" || pod.NodeSelector["disk"] != "fast" {
		t.Errorf("the patches of the API pods were not applied in order: %+v", pod)
	}
	if len(pod.Containers) != 1 {
		t.Fatalf("the container was not merged by its name: %+v", pod.Containers)
	}
	limits := *pod.Containers[0].Resources.Limits
	if cpu := limits["cpu"]; cpu.String() != "2" || limits.Memory().String() != "512Mi" {
		t.Errorf("limits = %v, want 2 CPUs added", limits)
	}
	env := variables(t, pod.Containers[0].Env)
	if env["EXTRA"] != "1" || env["COMMERCE_COMPONENTS"] != "order" {
		t.Errorf("the variable was not merged by its name: %v", env)
	}
	worker := order.Worker
	if *worker.Spec.Template.Spec.PriorityClassName != "first" || *worker.Spec.Template.Spec.TerminationGracePeriodSeconds != 90 || worker.Annotations["team"] != "orders" {
		t.Errorf("the patches of the workers were not applied: %+v", worker)
	}
	if order.Deployment.Annotations["team"] != "" || *pod.TerminationGracePeriodSeconds != 45 {
		t.Error("a patch of the workers reached the API pods")
	}
	if user, err := ForComponent(in, "user"); err != nil || user.Deployment.Spec.Template.Spec.PriorityClassName != nil {
		t.Errorf("a patch of order reached user: %v", err)
	}
}

func TestPatchesCannotMakeAnotherObject(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, productionSpec)
	order, err := ForComponent(in, "order")
	if err != nil {
		t.Fatal(err)
	}
	for patch, want := range map[string]string{
		`{"metadata":{"name":"other"}}`:                                                 "metadata.name",
		`{"metadata":{"namespace":"kube-system"}}`:                                      "metadata.namespace",
		`{"kind":"DaemonSet"}`:                                                          "kind",
		`{"apiVersion":"apps/v2"}`:                                                      "apiVersion",
		`{"metadata":{"ownerReferences":[{"uid":"1","name":"x"}]}}`:                     "ownerReferences",
		`{"spec":{"selector":{"matchLabels":{"a":"b"}}}}`:                               "spec.selector",
		`{"spec":{"selector":null}}`:                                                    "selector",
		`{"spec":{"template":{"metadata":{"labels":{"commercestack.dev/role":null}}}}}`: "label commercestack.dev/role",
		`{"metadata":{"labels":{"app.kubernetes.io/instance":"b"}}}`:                    "label app.kubernetes.io/instance",
		`{"spec":{"replicas":7}}`:                                                       "spec.replicas",
		`{"spec":{"template":{"spec":{"containres":[]}}}}`:                              "containres",
		`{"spec":{"template":{"spec":{"containers":[{"image":"without a name"}]}}}}`:    "merge patch",
		`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":"soon"}}}}`:       "terminationGracePeriodSeconds",
		`[]`: "merge patch",
	} {
		patched, err := applyPatch(order.Deployment, []byte(patch))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %v, want an error about %s (%v)", patch, err, want, nameOf(patched))
		}
	}
	if patched, err := applyPatch(order.Deployment, []byte(`{"metadata":{"name":"shop-order","annotations":{"a":"b"}}}`)); err != nil || patched.Annotations["a"] != "b" {
		t.Errorf("a patch that repeats the name was refused: %v", err)
	}
}

func nameOf(d *appsv1ac.DeploymentApplyConfiguration) string {
	if d == nil || d.GetName() == nil {
		return ""
	}
	return *d.GetName()
}
