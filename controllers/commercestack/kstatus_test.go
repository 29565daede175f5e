package commercestack_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// kstatus is how kubectl wait, Flux and Argo CD read a stack: the rules of
// sigs.k8s.io/cli-utils for a kind that they do not know.
func kstatus(stack *v1alpha1.CommerceStack) string {
	switch {
	case stack.DeletionTimestamp != nil:
		return "Terminating"
	case stack.Status.ObservedGeneration != stack.Generation:
		return "InProgress"
	case isTrue(stack, v1alpha1.ConditionReconciling):
		return "InProgress"
	case isTrue(stack, v1alpha1.ConditionStalled):
		return "Failed"
	}
	for _, c := range stack.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.Status != "True" {
			return "InProgress"
		}
	}
	return "Current"
}

func TestToolsReadTheStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.create(t, w.development())
	expect := func(step, want string) {
		t.Helper()
		stack = w.read(t, stack)
		if got := kstatus(stack); got != want {
			t.Errorf("%s: %s, want %s:%s", step, got, want, describe(stack))
		}
		for _, c := range stack.Status.Conditions {
			if c.Reason == "" || c.LastTransitionTime.IsZero() {
				t.Errorf("%s: condition %s lacks a reason or a time", step, c.Type)
			}
		}
	}
	expect("created", "InProgress")
	if _, err := w.visit(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	expect("accepted", "InProgress")
	w.settle(t, stack)
	expect("installing", "InProgress")
	w.ready(t, stack)
	expect("ready", "Current")

	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Version = "2.0.0" })
	expect("changed, not seen", "InProgress")
	w.settle(t, stack)
	expect("migrating", "InProgress")
	w.ready(t, stack)
	expect("ready again", "Current")

	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Services = []v1alpha1.ServiceSpec{{Name: "order", Env: []v1alpha1.EnvVar{{Name: "COMMERCE_ROLE", Value: "x"}}}}
	})
	w.settle(t, stack)
	expect("refused", "Failed")
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Services = nil })
	w.settle(t, stack)
	expect("repaired", "Current")

	// A pod that cannot start is told by name and reason.
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "postgres", Image: "example.com/none"}}}}
	pod.Namespace, pod.Name, pod.Labels = w.namespace, "shop-postgres-0", map[string]string{
		"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "commercestack-operator", "app.kubernetes.io/component": "postgres",
	}
	if err := w.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "postgres", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image example.com/none"}},
	}}
	if err := w.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.loseServer(t, "shop-postgres")
	w.settle(t, stack)
	expect("without PostgreSQL", "InProgress")
	if c := condition(t, stack, v1alpha1.ConditionPostgresReady); c.Reason != "ImagePullBackOff" || c.Message == "" {
		t.Errorf("PostgresReady: %+v", c)
	}
}
