package firewall_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/commercestack/commercestack/hack/cluster/firewall"
)

const (
	ingress = networkingv1.PolicyTypeIngress
	egress  = networkingv1.PolicyTypeEgress
)

func newPod(namespace, name, ip string, ports ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
		Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
	}
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func tcp(port intstr.IntOrString) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: &port}
}

func newPolicy(spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "policy"}, Spec: spec}
}

// newState has a server and a client in one namespace, and a client of the same
// label in another.
func newState(policies ...*networkingv1.NetworkPolicy) firewall.State {
	return firewall.State{
		Pods: []*corev1.Pod{
			newPod("shop", "server", "10.0.0.1", corev1.ContainerPort{Name: "http", ContainerPort: 8080}),
			newPod("shop", "client", "10.0.0.2"),
			newPod("other", "client", "10.0.0.3", corev1.ContainerPort{Name: "http", ContainerPort: 9090}),
		},
		Namespaces: []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"team": "other"}}},
		},
		Policies: policies,
	}
}

// chain is the body of a chain, without its comment.
func chain(t *testing.T, rules, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(rules, "chain "+name+" {")
	if !found {
		return ""
	}
	body, _, _ := strings.Cut(rest, "\n  }")
	var lines []string
	for line := range strings.Lines(body) {
		if text, _, _ := strings.Cut(strings.TrimSpace(line), "#"); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "; ")
}

func TestIngress(t *testing.T) {
	t.Parallel()
	end, udp := int32(9000), corev1.ProtocolUDP
	tests := map[string]struct {
		from  []networkingv1.NetworkPolicyPeer
		ports []networkingv1.NetworkPolicyPort
		want  string
	}{
		"everybody": {want: "return; drop"},
		"pods of the namespace": {
			from: []networkingv1.NetworkPolicyPeer{{PodSelector: app("client")}},
			want: "ip saddr { 10.0.0.2 } return; drop",
		},
		"pods of every namespace": {
			from: []networkingv1.NetworkPolicyPeer{{PodSelector: app("client"), NamespaceSelector: &metav1.LabelSelector{}}},
			want: "ip saddr { 10.0.0.2, 10.0.0.3 } return; drop",
		},
		"all pods of a namespace": {
			from: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "other"}}}},
			want: "ip saddr { 10.0.0.3 } return; drop",
		},
		"nobody that exists": {
			from: []networkingv1.NetworkPolicyPeer{{PodSelector: app("absent")}},
			want: "drop",
		},
		"a range without a part": {
			from: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.0.0/16", Except: []string{"10.1.2.0/24"}}}},
			want: "ip saddr 10.1.0.0/16 ip saddr != { 10.1.2.0/24 } return; drop",
		},
		"a range of the other family": {
			from: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "fd00::/8"}}},
			want: "drop",
		},
		"a number, a range, a name and a protocol": {
			from: []networkingv1.NetworkPolicyPeer{{PodSelector: app("client")}},
			ports: []networkingv1.NetworkPolicyPort{
				tcp(intstr.FromInt32(80)),
				{Port: new(intstr.FromInt32(8000)), EndPort: &end},
				tcp(intstr.FromString("http")),
				{Protocol: &udp},
			},
			want: "ip saddr { 10.0.0.2 } tcp dport 80 return; ip saddr { 10.0.0.2 } tcp dport 8000-9000 return; " +
				"ip saddr { 10.0.0.2 } tcp dport 8080 return; ip saddr { 10.0.0.2 } meta l4proto udp return; drop",
		},
		"a name that the pod has not": {
			ports: []networkingv1.NetworkPolicyPort{tcp(intstr.FromString("grpc"))},
			want:  "drop",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules, err := firewall.Ruleset(newState(newPolicy(networkingv1.NetworkPolicySpec{
				PodSelector: *app("server"), PolicyTypes: []networkingv1.PolicyType{ingress},
				Ingress: []networkingv1.NetworkPolicyIngressRule{{From: test.from, Ports: test.ports}},
			})))
			if err != nil {
				t.Fatal(err)
			}
			if got := chain(t, rules, "in-10-0-0-1"); got != test.want {
				t.Errorf("rules = %q\nwant    %q", got, test.want)
			}
			if got := chain(t, rules, "out-10-0-0-1"); got != "" {
				t.Errorf("egress is isolated too: %q", got)
			}
			if got := chain(t, rules, "in-10-0-0-2"); got != "" {
				t.Errorf("a pod that no policy selects is isolated: %q", got)
			}
		})
	}
}

func TestEgress(t *testing.T) {
	t.Parallel()
	rules, err := firewall.Ruleset(newState(newPolicy(networkingv1.NetworkPolicySpec{
		PodSelector: *app("client"), PolicyTypes: []networkingv1.PolicyType{egress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			// Each receiver has its own number for the name.
			To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}},
			Ports: []networkingv1.NetworkPolicyPort{tcp(intstr.FromString("http"))},
		}},
	})))
	if err != nil {
		t.Fatal(err)
	}
	want := "ip daddr { 10.0.0.1 } tcp dport 8080 return; ip daddr { 10.0.0.3 } tcp dport 9090 return; drop"
	if got := chain(t, rules, "out-10-0-0-2"); got != want {
		t.Errorf("rules = %q\nwant    %q", got, want)
	}
	// Both hooks ask the sender's rules; only forwarded packets have a receiver here.
	for _, hook := range []string{"forward", "input"} {
		if got := chain(t, rules, hook); !strings.Contains(got, "ip saddr vmap { 10.0.0.2 : jump out-10-0-0-2 }") || strings.Contains(got, "ip daddr vmap") {
			t.Errorf("%s = %q", hook, got)
		}
	}
}

func TestPoliciesAddUp(t *testing.T) {
	t.Parallel()
	deny := newPolicy(networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{ingress, egress}})
	allow := newPolicy(networkingv1.NetworkPolicySpec{
		PodSelector: *app("server"), PolicyTypes: []networkingv1.PolicyType{ingress},
		Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("client")}}}},
	})
	rules, err := firewall.Ruleset(newState(deny, allow))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"in-10-0-0-1":  "ip saddr { 10.0.0.2 } return; drop",
		"out-10-0-0-1": "drop",
		"in-10-0-0-2":  "drop",
		"in-10-0-0-3":  "", // another namespace
	} {
		if got := chain(t, rules, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(rules, "ip saddr . ip daddr { 10.0.0.2 . 10.0.0.2, 10.0.0.1 . 10.0.0.1 } accept") {
		t.Errorf("a pod can't talk to itself:\n%s", rules)
	}
}

func TestPodsWithoutAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	state := newState(newPolicy(networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{ingress}}))
	state.Pods[0].Spec.HostNetwork = true
	state.Pods[1].Status.Phase = corev1.PodSucceeded
	leaving := newPod("shop", "leaving", "10.0.0.9")
	leaving.DeletionTimestamp = new(metav1.Now())
	state.Pods = append(state.Pods, leaving, newPod("shop", "arriving", "10.0.0.9"), newPod("shop", "waiting", ""))
	rules, err := firewall.Ruleset(state)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(rules, "10.0.0.1 ") || strings.Contains(rules, "10.0.0.2 ") {
		t.Errorf("rules for pods that have no address of their own:\n%s", rules)
	}
	if count := strings.Count(rules, "chain in-10-0-0-9"); count != 1 {
		t.Errorf("%d chains for an address that was handed on", count)
	}
}

func TestBadSelectorNamesThePolicy(t *testing.T) {
	t.Parallel()
	bad := metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Near"}}}
	for name, spec := range map[string]networkingv1.NetworkPolicySpec{
		"of pods": {PodSelector: bad, PolicyTypes: []networkingv1.PolicyType{ingress}},
		"of peers": {PolicyTypes: []networkingv1.PolicyType{ingress}, Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: &bad}},
		}}},
		"of namespaces": {PolicyTypes: []networkingv1.PolicyType{egress}, Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &bad}},
		}}},
	} {
		if _, err := firewall.Ruleset(newState(newPolicy(spec))); err == nil || !strings.Contains(err.Error(), "shop/policy") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}
