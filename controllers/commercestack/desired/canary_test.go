package desired

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// selects reports whether a selector finds pods with the labels.
func selects(selector, pod map[string]string) bool {
	return labels.SelectorFromSet(selector).Matches(labels.Set(pod))
}

func TestCanaryStandsBesideItsComponent(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, stagingSpec)
	in.RenderRevision = 2
	for _, name := range Components() {
		canary, err := ForCanary(in, name, 3)
		if err != nil {
			t.Fatal(err)
		}
		stable, err := ForComponent(in, name)
		if err != nil {
			t.Fatal(err)
		}
		pod := canary.Deployment.Spec.Template.Labels
		if *canary.Deployment.Spec.Replicas != 3 || *canary.Deployment.Name != "shop-"+string(name)+"-canary" {
			t.Errorf("%s: %s with %d pods", name, *canary.Deployment.Name, *canary.Deployment.Spec.Replicas)
		}
		if !selects(canary.Deployment.Spec.Selector.MatchLabels, pod) || selects(canary.Deployment.Spec.Selector.MatchLabels, stable.Deployment.Spec.Template.Labels) {
			t.Errorf("%s: the canary's Deployment selects the wrong pods", name)
		}
		// The policies of the component hold for its canary.
		if !selects(Selector("shop", string(name)), pod) {
			t.Errorf("%s: network policies do not know the canary: %v", name, pod)
		}
		behind := selects(stable.Service.Spec.Selector, pod)
		if behind != (name == v1alpha1.ComponentGateway) {
			t.Errorf("%s: its canary stands behind its Service: %v", name, behind)
		}
		for _, env := range canary.Deployment.Spec.Template.Spec.Containers[0].Env {
			if *env.Name == "COMMERCE_ROLE" && *env.Value != RoleAPI {
				t.Errorf("%s: the canary's role is %s", name, *env.Value)
			}
		}
		if name == v1alpha1.ComponentGateway {
			if canary.Service != nil {
				t.Error("the gateway's canary has a Service of its own")
			}
			continue
		}
		if !selects(canary.Service.Spec.Selector, pod) || selects(canary.Service.Spec.Selector, stable.Deployment.Spec.Template.Labels) {
			t.Errorf("%s: the canary's Service selects the wrong pods", name)
		}
		if selects(stable.Deployment.Spec.Selector.MatchLabels, pod) {
			t.Errorf("%s: its own Deployment selects the canary", name)
		}
		if names := CertificateNames(in, string(name)); !slices.Contains(names, "shop-"+string(name)+"-canary") {
			t.Errorf("%s: its certificate does not hold for the canary: %v", name, names)
		}
	}
}

// In Development API pods work on the queues too; a canary leaves them alone.
func TestCanaryLeavesQueuesAlone(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	canary, err := ForCanary(in, "order", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range canary.Deployment.Spec.Template.Spec.Containers[0].Env {
		if *env.Name == "COMMERCE_ROLE" && *env.Value != RoleAPI {
			t.Errorf("the canary's role is %s", *env.Value)
		}
	}
}

func TestRoutingTable(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	if got := Routes(in, nil).Data[RoutesKey]; got != `{"canaries":[]}` {
		t.Errorf("empty table: %s", got)
	}
	routes := []CanaryRoute{{Component: "order", URL: CanaryURL(in, "order"), Weight: 5}}
	want := `{"canaries":[{"component":"order","url":"https://shop-order-canary:8080","weight":5}]}`
	if got := Routes(in, routes).Data[RoutesKey]; got != want {
		t.Errorf("table: %s", got)
	}
	if got := ParseRoutes(want); !slices.Equal(got, routes) {
		t.Errorf("read as %+v", got)
	}
	if got := ParseRoutes("nonsense"); got != nil {
		t.Errorf("nonsense was read as %+v", got)
	}
}

func TestOperatorMayMeasure(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+"  networkPolicy: {metricsPeers: [{namespaceSelector: {matchLabels: {team: sre}}}]}\n")
	in.OperatorNamespace = "commercestack-system"
	for _, p := range NetworkPolicies(in) {
		if *p.Name != "shop-gateway" {
			continue
		}
		from := p.Spec.Ingress[1].From
		if len(from) != 2 || from[1].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "commercestack-system" {
			t.Errorf("the metrics of the gateway are open to %+v", from)
		}
	}
}
