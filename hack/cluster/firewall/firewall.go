// Package firewall enforces NetworkPolicies on the local cluster's node with
// nftables. It turns pods, namespaces and policies into one table, which replaces
// the former in one transaction, so that no packet ever meets half a policy.
//
// Pods are routed (the CNI plug-in ptp), so every packet between them passes the
// node's forward hook, and those to the node itself its input hook. kube-proxy has
// translated service addresses before, so rules see pods' addresses. What the node
// sends is never filtered: the kubelet's probes must get through.
package firewall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// table is the name of the nftables table.
const table = "commercestack-policy"

// State is what the rules are made from.
type State struct {
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	Policies   []*networkingv1.NetworkPolicy
}

// Ruleset is the input of `nft -f` that enforces the state.
func Ruleset(state State) (string, error) {
	compiled := &compiler{labels: namespaceLabels(state.Namespaces), pods: routedPods(state.Pods)}
	policies := slices.Clone(state.Policies)
	// The same state gives the same text, which tells whether anything changed.
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	var chains, ingress, egress, self []string
	for _, pod := range compiled.pods {
		rules, isolated, err := compiled.podRules(pod, policies)
		if err != nil {
			return "", err
		}
		ip := pod.Status.PodIP
		for _, side := range []struct {
			name     string
			isolated bool
			rules    []string
			elements *[]string
		}{{"in", isolated.ingress, rules.ingress, &ingress}, {"out", isolated.egress, rules.egress, &egress}} {
			if !side.isolated {
				continue
			}
			chain := side.name + "-" + strings.ReplaceAll(ip, ".", "-")
			chains = append(chains, writeChain(chain, pod, side.rules))
			*side.elements = append(*side.elements, ip+" : jump "+chain)
		}
		// A pod may always talk to itself, as through its own service.
		if isolated.ingress || isolated.egress {
			self = append(self, ip+" . "+ip)
		}
	}
	var out strings.Builder
	// Declaring the table first lets it be deleted whether or not it was there.
	fmt.Fprintf(&out, "table ip %s {}\ndelete table ip %[1]s\ntable ip %[1]s {\n", table)
	for _, chain := range chains {
		out.WriteString(chain)
	}
	writeHook(&out, "forward", self, egress, ingress)
	writeHook(&out, "input", self, egress, nil)
	out.WriteString("}\n")
	return out.String(), nil
}

// writeChain writes the rules of one direction of a pod: each accepts by returning
// to the hook, and what none accepts is dropped.
func writeChain(name string, pod *corev1.Pod, rules []string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "  chain %s { # %s/%s\n", name, pod.Namespace, pod.Name)
	for _, rule := range rules {
		fmt.Fprintf(&out, "    %s return\n", rule)
	}
	out.WriteString("    drop\n  }\n")
	return out.String()
}

func writeHook(out *strings.Builder, hook string, self, egress, ingress []string) {
	fmt.Fprintf(out, "  chain %s {\n    type filter hook %[1]s priority filter; policy accept;\n", hook)
	out.WriteString("    ct state established,related accept\n")
	if len(self) > 0 {
		fmt.Fprintf(out, "    ip saddr . ip daddr { %s } accept\n", strings.Join(self, ", "))
	}
	// A packet must pass both: its sender's egress and its receiver's ingress.
	if len(egress) > 0 {
		fmt.Fprintf(out, "    ip saddr vmap { %s }\n", strings.Join(egress, ", "))
	}
	if len(ingress) > 0 {
		fmt.Fprintf(out, "    ip daddr vmap { %s }\n", strings.Join(ingress, ", "))
	}
	out.WriteString("  }\n")
}

// routedPods are the pods with an address of their own, by name.
func routedPods(pods []*corev1.Pod) []*corev1.Pod {
	var routed []*corev1.Pod
	for _, pod := range pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !ended && !pod.Spec.HostNetwork && pod.Status.PodIP != "" {
			routed = append(routed, pod)
		}
	}
	// An address is handed on while the API still shows its last holder: those that
	// leave come last and give way.
	leaving := func(pod *corev1.Pod) int {
		if pod.DeletionTimestamp != nil {
			return 1
		}
		return 0
	}
	slices.SortFunc(routed, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(leaving(a), leaving(b)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(routed, func(pod *corev1.Pod) bool {
		double := seen[pod.Status.PodIP]
		seen[pod.Status.PodIP] = true
		return double
	})
}

func namespaceLabels(namespaces []*corev1.Namespace) map[string]map[string]string {
	found := make(map[string]map[string]string, len(namespaces))
	for _, namespace := range namespaces {
		found[namespace.Name] = namespace.Labels
	}
	return found
}
