package firewall

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// compiler turns policies into rules.
type compiler struct {
	labels map[string]map[string]string
	pods   []*corev1.Pod
}

// directions holds one value for each direction.
type directions[T any] struct{ ingress, egress T }

// podRules collects what all policies that select a pod allow it, and in which
// directions they isolate it.
func (c *compiler) podRules(pod *corev1.Pod, policies []*networkingv1.NetworkPolicy) (directions[[]string], directions[bool], error) {
	var rules directions[[]string]
	var isolated directions[bool]
	for _, policy := range policies {
		if policy.Namespace != pod.Namespace {
			continue
		}
		selected, err := matches(&policy.Spec.PodSelector, pod.Labels)
		if err != nil {
			return rules, isolated, fmt.Errorf("policy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		if !selected {
			continue
		}
		if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			isolated.ingress = true
			for _, rule := range policy.Spec.Ingress {
				found, err := c.rules(policy, "saddr", rule.From, rule.Ports, pod)
				if err != nil {
					return rules, isolated, err
				}
				rules.ingress = append(rules.ingress, found...)
			}
		}
		if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			isolated.egress = true
			for _, rule := range policy.Spec.Egress {
				found, err := c.rules(policy, "daddr", rule.To, rule.Ports, nil)
				if err != nil {
					return rules, isolated, err
				}
				rules.egress = append(rules.egress, found...)
			}
		}
	}
	return rules, isolated, nil
}

// rules are the matches of one rule of a policy. target is the pod whose port names
// count; without it each peer's own do.
func (c *compiler) rules(policy *networkingv1.NetworkPolicy, field string, peers []networkingv1.NetworkPolicyPeer,
	ports []networkingv1.NetworkPolicyPort, target *corev1.Pod,
) ([]string, error) {
	if len(peers) == 0 {
		// Everybody; names of ports are then those of any pod.
		return withPorts("", ports, portHolders(target, c.pods), field), nil
	}
	var rules []string
	var members []*corev1.Pod
	for _, peer := range peers {
		if peer.IPBlock != nil {
			match := blockMatch(field, peer.IPBlock)
			if match != "" {
				rules = append(rules, withPorts(match, ports, portHolders(target, nil), field)...)
			}
			continue
		}
		found, err := c.peerPods(policy.Namespace, peer)
		if err != nil {
			return nil, fmt.Errorf("policy %s/%s: %w", policy.Namespace, policy.Name, err)
		}
		members = append(members, found...)
	}
	if len(members) > 0 {
		match := "ip " + field + " " + set(addresses(members))
		rules = append(rules, withPorts(match, ports, portHolders(target, members), field)...)
	}
	return rules, nil
}

// peerPods are the pods that a peer selects. No namespace selector means the
// policy's own namespace; an empty one means all.
func (c *compiler) peerPods(namespace string, peer networkingv1.NetworkPolicyPeer) ([]*corev1.Pod, error) {
	var found []*corev1.Pod
	for _, pod := range c.pods {
		if peer.NamespaceSelector == nil {
			if pod.Namespace != namespace {
				continue
			}
		} else if selected, err := matches(peer.NamespaceSelector, c.labels[pod.Namespace]); err != nil || !selected {
			if err != nil {
				return nil, err
			}
			continue
		}
		if peer.PodSelector != nil {
			selected, err := matches(peer.PodSelector, pod.Labels)
			if err != nil {
				return nil, err
			}
			if !selected {
				continue
			}
		}
		found = append(found, pod)
	}
	return found, nil
}

// withPorts narrows a match to ports. A named port has a number per pod, so it
// becomes a rule per number.
func withPorts(match string, ports []networkingv1.NetworkPolicyPort, named []*corev1.Pod, field string) []string {
	if len(ports) == 0 {
		return []string{strings.TrimSpace(match)}
	}
	var rules []string
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		name := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			rules = append(rules, strings.TrimSpace(match+" meta l4proto "+name))
		case port.Port.Type == intstr.Int:
			number := strconv.Itoa(int(port.Port.IntVal))
			if port.EndPort != nil {
				number += "-" + strconv.Itoa(int(*port.EndPort))
			}
			rules = append(rules, strings.TrimSpace(match+" "+name+" dport "+number))
		default:
			rules = append(rules, namedPort(match, name, protocol, port.Port.StrVal, named, field)...)
		}
	}
	return rules
}

// namedPort groups pods by the number that the name has in them.
func namedPort(match, protocolName string, protocol corev1.Protocol, name string, pods []*corev1.Pod, field string) []string {
	holders := map[int32][]*corev1.Pod{}
	for _, pod := range pods {
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == corev1.ProtocolTCP) {
					holders[port.ContainerPort] = append(holders[port.ContainerPort], pod)
				}
			}
		}
	}
	var rules []string
	for _, number := range slices.Sorted(maps.Keys(holders)) {
		rule := match
		if field == "daddr" {
			// Going out, the port belongs to the receivers and only they are meant.
			rule = "ip daddr " + set(addresses(holders[number]))
		}
		rules = append(rules, strings.TrimSpace(fmt.Sprintf("%s %s dport %d", rule, protocolName, number)))
	}
	return rules
}

// blockMatch matches a range of addresses; other families are never routed here.
func blockMatch(field string, block *networkingv1.IPBlock) string {
	if strings.Contains(block.CIDR, ":") {
		return ""
	}
	match := "ip " + field + " " + block.CIDR
	if len(block.Except) > 0 {
		match += " ip " + field + " != " + set(block.Except)
	}
	return match
}

func matches(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("its selector: %w", err)
	}
	return compiled.Matches(labels.Set(of)), nil
}

func addresses(pods []*corev1.Pod) []string {
	found := make([]string, 0, len(pods))
	for _, pod := range pods {
		found = append(found, pod.Status.PodIP)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func set(elements []string) string { return "{ " + strings.Join(elements, ", ") + " }" }

// portHolders are the pods whose port names count: going in the pod itself, going out the peers.
func portHolders(pod *corev1.Pod, otherwise []*corev1.Pod) []*corev1.Pod {
	if pod == nil {
		return otherwise
	}
	return []*corev1.Pod{pod}
}
