//go:build cluster

package cluster_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// worker is the node that can be lost.
const worker = "commercestack-worker"

// Bounds of the loss of a node. Kubernetes gives a silent node up after 50 s, the
// pods wait 30 s more, and two cores start a dozen pods at once.
const (
	failsWithin = 20 * time.Second
	backWithin  = 4 * time.Minute
)

// movable are the components whose pods run on any node. Those of product stay
// with the volume of uploads, which is one node's; with S3 they would move too.
var movable = []v1alpha1.ComponentName{
	"admin", "analytics", "auth", "billing", "gateway", "notification", "order", "storefront", "user",
}

// TestNodeLoss takes away one of two nodes, as a power cut does, while people order.
// Requests that were on their way may fail and are repeated; no accepted order is
// lost, and all pods are soon on the node that is left.
func TestNodeLoss(t *testing.T) {
	tool := clusterTool(t)
	object := sample(t, "development.yaml")
	everyComponent(&object.Spec, 1)
	s := apply(t, "e2e-node-loss", object)
	fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	// The servers and their volumes are on the first node by now.
	tool("node", "add")
	t.Cleanup(func() { tool("node", "remove") })
	s.update(func(spec *v1alpha1.CommerceStackSpec) { everyComponent(spec, 2) })
	fmt.Printf("two pods of each component: %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	onBoth(t, s)

	guest := s.shop()
	flow := startTraffic(t, guest, s.admin(guest), "Sturdy mug", 3, 3)
	time.Sleep(20 * time.Second)
	noFailures(t, "before the loss", flow)
	lost := time.Now()
	tool("node", "lose")
	noticed := s.until(2*time.Minute, "the stack says that pods are missing", func(o *v1alpha1.CommerceStack) (bool, error) {
		return !meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionServicesAvailable), errors.New("it says nothing")
	})
	fmt.Printf("the status tells of it after %.1f s: %s\n", time.Since(lost).Seconds(),
		cmp.Or(meta.FindStatusCondition(noticed.Status.Conditions, v1alpha1.ConditionServicesAvailable).Message, "no message"))
	err := waitFor(t.Context(), backWithin, "all pods run on the node that is left", func(ctx context.Context) (bool, error) {
		return allMoved(ctx, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.waitReady(time.Minute)
	back := time.Since(lost)
	time.Sleep(20 * time.Second)
	flow.stop()
	text, last := flow.story()
	fmt.Printf("a node lost: %s; the last failed after %.1f s; all pods back and Ready after %.1f s\n", text, max(0, last.Sub(lost)).Seconds(), back.Seconds())
	fmt.Println(flow.firstFailures(12))
	if last.Sub(lost) > failsWithin {
		t.Errorf("a request failed %.1f s after the loss, want none after %s", last.Sub(lost).Seconds(), failsWithin)
	}
	flow.verify(t)
	purchase(t, guest)
}

// everyComponent gives each component a fixed number of pods, and order and billing as many workers.
func everyComponent(spec *v1alpha1.CommerceStackSpec, pods int32) {
	unlimited(spec)
	spec.Services = nil
	for _, name := range append(slices.Clone(movable), v1alpha1.ComponentProduct) {
		spec.Services = append(spec.Services, fixed(name, pods, pods))
	}
}

// onBoth checks that each component has pods on both nodes, so that the loss of one is one of half the shop.
func onBoth(t *testing.T, s *stack) {
	t.Helper()
	total := 0
	for _, name := range movable {
		pods, err := s.pods(t.Context(), string(name))
		if err != nil {
			t.Fatal(err)
		}
		there := 0
		for i := range pods {
			if pods[i].Spec.NodeName == worker {
				there++
			}
		}
		if there == 0 || there == len(pods) {
			t.Errorf("%d of %d pods of %s are on the second node", there, len(pods), name)
		}
		total += there
	}
	fmt.Printf("%d pods are on the node that will be lost\n", total)
}

// allMoved holds when every component has its pods ready, none of them on the lost node.
func allMoved(ctx context.Context, s *stack) (bool, error) {
	for _, name := range movable {
		pods, err := s.pods(ctx, string(name))
		if err != nil {
			return false, err
		}
		ready := 0
		for i := range pods {
			if pods[i].Spec.NodeName != worker && podReady(&pods[i]) {
				ready++
			}
		}
		wanted := 2
		if name == v1alpha1.ComponentOrder || name == v1alpha1.ComponentBilling {
			wanted = 4
		}
		if ready < wanted {
			return false, fmt.Errorf("%d of %d pods of %s are ready", ready, wanted, name)
		}
	}
	return true, nil
}

// clusterTool builds the cluster's own command, and returns what runs it: between
// the wish and the loss of a node no compiler shall work.
func clusterTool(t *testing.T) func(args ...string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cluster")
	inRepository(t, "go", "build", "-o", program, "./hack/cluster")
	var nodes corev1.NodeList
	if err := kube.List(t.Context(), &nodes, client.MatchingLabels{"node.kubernetes.io/instance-type": "local"}); err != nil || len(nodes.Items) == 0 {
		t.Skipf("only the cluster of hack/cluster can be given nodes and lose them (%v)", err)
	}
	return func(args ...string) { inRepository(t, program, args...) }
}
