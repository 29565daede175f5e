//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

// killPods kills one pod of each component after the other, without grace,
// while people order. Requests may fail; accepted orders may not be lost.
func killPods(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Survivor mug", 2, 1)
	for _, component := range []string{"gateway", "order", "billing", "product", "auth", "notification", "stripesim"} {
		kill(t, s, component)
		time.Sleep(2 * time.Second)
	}
	s.waitReady(2 * time.Minute)
	time.Sleep(3 * time.Second)
	flow.stop()
	requests, failures, orders := flow.counts()
	fmt.Printf("pods killed: %d requests, %d orders, %d failed and were repeated\n", requests, orders, failures)
	flow.verify(t)
}

// kill removes a random pod of a component at once, as a lost node would.
func kill(t *testing.T, s *stack, component string) {
	t.Helper()
	pods, err := s.pods(t.Context(), component)
	if err != nil || len(pods) == 0 {
		t.Fatalf("no pod of %s (%v)", component, err)
	}
	pod := pods[rand.IntN(len(pods))]
	if err := kube.Delete(t.Context(), &pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

// killPostgres kills the database while people order.
func killPostgres(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Phoenix mug", 2, 1)
	time.Sleep(2 * time.Second)
	_, _, before := flow.counts()
	started := time.Now()
	kill(t, s, "postgres")
	err := waitFor(t.Context(), 2*time.Minute, "people order again", func(context.Context) (bool, error) {
		_, _, now := flow.counts()
		return now > before+4, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	recovered := time.Since(started)
	s.waitReady(2 * time.Minute)
	flow.stop()
	requests, failures, orders := flow.counts()
	fmt.Printf("PostgreSQL killed: orders again after %.1f s; %d requests, %d orders, %d failed and were repeated\n",
		recovered.Seconds(), requests, orders, failures)
	flow.verify(t)
}

// killOperator kills the operator in the middle of a change, again and again.
func killOperator(t *testing.T, s *stack) {
	for round := range 4 {
		s.update(func(spec *v1alpha1.CommerceStackSpec) {
			spec.Observability.LogLevel = []string{"debug", "info", "warn", "info"}[round]
		})
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		killOperatorPods(t)
	}
	fmt.Printf("Ready %.1f s after the operator was killed four times\n", s.waitReady(4*time.Minute).Seconds())
}

// killOperatorPods removes every pod of the operator at once.
func killOperatorPods(t *testing.T) {
	t.Helper()
	var pods corev1.PodList
	if err := kube.List(t.Context(), &pods, client.InNamespace(operatorNamespace),
		client.MatchingLabels{"app.kubernetes.io/instance": release}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) == 0 {
		t.Fatal(errors.New("the operator has no pod"))
	}
	for i := range pods.Items {
		if err := kube.Delete(t.Context(), &pods.Items[i], client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
}

// upgradeOperator rolls out the operator anew with other settings; no pod of the stack may change.
func upgradeOperator(t *testing.T, s *stack) {
	before := podIDs(t, s)
	if err := upgradeOperatorTo("podAnnotations.upgraded=yes"); err != nil {
		t.Fatal(err)
	}
	if err := installOperator(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Second)
	s.waitReady(time.Minute)
	after := podIDs(t, s)
	noneReplaced(t, before, after)
	if len(after) != len(before) {
		t.Errorf("%d pods, before %d", len(after), len(before))
	}
}

// noneReplaced checks that all pods of before are there.
func noneReplaced(t *testing.T, before, after map[string]string) {
	t.Helper()
	for id, name := range before {
		if after[id] == "" {
			t.Errorf("pod %s was replaced", name)
		}
	}
}

// podIDs are the pods that serve or work, by uid; those of Jobs come and go by themselves.
func podIDs(t *testing.T, s *stack) map[string]string {
	t.Helper()
	pods, err := s.pods(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]string)
	for i := range pods {
		owner := metav1.GetControllerOf(&pods[i])
		if pods[i].Status.Phase == corev1.PodRunning && pods[i].DeletionTimestamp == nil && owner != nil && owner.Kind != "Job" {
			ids[string(pods[i].UID)] = pods[i].Name
		}
	}
	return ids
}
