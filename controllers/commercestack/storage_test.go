package commercestack_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/measure"
)

// newPod makes a pod of a part of the stack, which no kubelet runs.
func (w *world) newPod(t *testing.T, name, part string, ready bool) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: map[string]string{
			"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "commercestack-operator", "app.kubernetes.io/component": part,
		}},
		Spec: corev1.PodSpec{NodeName: "lost", Containers: []corev1.Container{{Name: "main", Image: "image"}}},
	}
	if err := w.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.PodIP, pod.Status.PodIPs = "10.0.0.7", []corev1.PodIP{{IP: "10.0.0.7"}}
	if ready {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	if err := w.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// The status tells that the database's volume fills up before it is full, changes nothing while a figure moves, and takes it back.
func TestAVolumeFillsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.development())
	if got := condition(t, stack, v1alpha1.ConditionStorageHealthy); got.Status != metav1.ConditionUnknown || got.Reason != "NotMeasured" {
		t.Errorf("before anybody knows: %+v", got)
	}
	w.newPod(t, "order", "order", true)
	for _, step := range []struct {
		name           string
		volume         *measure.Volume
		status         metav1.ConditionStatus
		reason         string
		postgres, wait bool
	}{
		{"room", &measure.Volume{Known: true, Free: 0.5}, metav1.ConditionTrue, "Enough", true, false},
		{"a fifth and a little", &measure.Volume{Known: true, Free: 0.21}, metav1.ConditionTrue, "Enough", true, false},
		{"less than a fifth", &measure.Volume{Known: true, Free: 0.19}, metav1.ConditionFalse, "VolumeNearlyFull", true, true},
		{"a little more", &measure.Volume{Known: true, Free: 0.22}, metav1.ConditionFalse, "VolumeNearlyFull", true, true},
		{"nothing", &measure.Volume{Known: true, Free: 0.03, ReadOnly: true}, metav1.ConditionFalse, "VolumeFull", false, true},
		{"no answer", nil, metav1.ConditionFalse, "VolumeFull", false, false},
		{"room again", &measure.Volume{Known: true, Free: 0.4}, metav1.ConditionTrue, "Enough", true, false},
		{"somebody else's server", &measure.Volume{}, metav1.ConditionTrue, "Enough", true, false},
	} {
		w.gateways.holds(step.volume)
		var version string
		for range 3 {
			result, err := w.visit(t.Context(), stack)
			if err != nil {
				t.Fatal(err)
			}
			if step.wait != (result.RequeueAfter <= 15*time.Second) {
				t.Errorf("%s: the volume is looked at again after %s", step.name, result.RequeueAfter)
			}
			stack = w.read(t, stack)
			if version != "" && stack.ResourceVersion != version {
				t.Errorf("%s: the status changes at rest", step.name)
			}
			version = stack.ResourceVersion
		}
		if got := condition(t, stack, v1alpha1.ConditionStorageHealthy); got.Status != step.status || got.Reason != step.reason {
			t.Errorf("%s: %s %s %q", step.name, got.Status, got.Reason, got.Message)
		}
		if got := isTrue(stack, v1alpha1.ConditionPostgresReady); got != step.postgres {
			t.Errorf("%s: PostgresReady %t", step.name, got)
		}
		if got := isTrue(stack, v1alpha1.ConditionReady); got != step.postgres {
			t.Errorf("%s: Ready %t", step.name, got)
		}
	}
}

// Nobody knows the volume of a server that tells nothing: an older one, or another's.
func TestVolumesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.development()
	old := int32(3)
	stack.Spec.RenderRevision = &old
	stack = w.install(t, stack)
	w.gateways.holds(&measure.Volume{Known: true, Free: 0.01, ReadOnly: true})
	stack = w.settle(t, stack)
	if got := condition(t, stack, v1alpha1.ConditionStorageHealthy); got.Status != metav1.ConditionUnknown || got.Reason != "NotMeasured" {
		t.Errorf("of a server of renderRevision 3: %+v", got)
	}
}

// A pod of Redis whose node does not answer is let go, so that another takes its place; one of PostgreSQL never is.
func TestRedisLeavesALostNode(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, func(w *world) { w.clock = clock })
	stack := w.install(t, w.development())
	pods := map[string]*corev1.Pod{}
	for _, part := range []string{"redis", "postgres"} {
		pods[part] = w.newPod(t, part, part, false)
		// Bound to a node, it stays until the kubelet says that it ended, which nobody does here.
		if err := w.Delete(t.Context(), pods[part], client.GracePeriodSeconds(15)); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(part string) bool {
		stack = w.visitOnce(t, stack)
		err := w.Get(t.Context(), client.ObjectKeyFromObject(pods[part]), &corev1.Pod{})
		return apierrors.IsNotFound(err)
	}
	clock.SetTime(time.Now().Add(20 * time.Second))
	if gone("redis") {
		t.Error("the pod is let go while its kubelet may still end it")
	}
	clock.SetTime(time.Now().Add(40 * time.Second))
	if !gone("redis") {
		t.Error("the pod of a lost node is not let go")
	}
	clock.SetTime(time.Now().Add(time.Hour))
	if gone("postgres") {
		t.Error("a pod of PostgreSQL is let go: another could write to its volume while it still runs")
	}
}

// visitOnce takes one visit and reads the stack.
func (w *world) visitOnce(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	if _, err := w.visit(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	return w.read(t, stack)
}
