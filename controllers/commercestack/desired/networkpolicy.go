package desired

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/topology"
)

// NetworkPolicies are all policies of a stack, none when they are off: one that
// denies everything to all of its pods, and one for each part that opens the
// edges of the architecture and no others. The probes of kubelets need no edge:
// they come from the pod's own node.
func NetworkPolicies(in Input) []*networkingv1ac.NetworkPolicyApplyConfiguration {
	if in.Stack.Spec.NetworkPolicy.Mode == v1alpha1.NetworkPolicyOff {
		return nil
	}
	policies := []*networkingv1ac.NetworkPolicyApplyConfiguration{defaultDeny(in)}
	for _, name := range Components() {
		policies = append(policies, componentPolicy(in, name))
	}
	policies = append(policies, postgresPolicy(in), redisPolicy(in), simulatorPolicy(in),
		jobPolicy(in, JobMigrate, toPostgres(in)), jobPolicy(in, JobCreateAdmin, toPostgres(in)),
		jobPolicy(in, JobRotate, toPostgres(in)))
	if RedisUsers(in) {
		policies = append(policies, jobPolicy(in, JobRotateCache, toRedis(in)))
	}
	if in.Stack.Spec.DemoCatalog {
		policies = append(policies, jobPolicy(in, JobDemo, edgeTo(peer(in, partGateway), PortRPC)))
	}
	policies = append(policies, backupPolicies(in)...)
	var present []*networkingv1ac.NetworkPolicyApplyConfiguration
	for _, policy := range policies {
		if policy != nil {
			present = append(present, policy)
		}
	}
	return present
}

// The parts of a policy have long names.
type (
	policyPeer    = networkingv1ac.NetworkPolicyPeerApplyConfiguration
	policyIngress = networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration
	policyEgress  = networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration
)

// policy selects the pods of a part; what it does not open stays closed.
func policy(in Input, name, part string, selector map[string]string) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return own(in, part, networkingv1ac.NetworkPolicy(name, in.Stack.Namespace)).
		WithSpec(networkingv1ac.NetworkPolicySpec().WithPodSelector(selectorOf(selector)).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress))
}

func defaultDeny(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	return policy(in, ObjectName(in.Stack.Name, "default-deny"), "network-policy", map[string]string{LabelName: AppName, LabelInstance: in.Stack.Name})
}

func componentPolicy(in Input, name v1alpha1.ComponentName) *networkingv1ac.NetworkPolicyApplyConfiguration {
	component := topology.Find(string(name))
	p := policy(in, ComponentName(in.Stack.Name, name), component.Name, Selector(in.Stack.Name, component.Name))
	var callers []*policyPeer
	for _, caller := range topology.Callers(component.Name) {
		callers = append(callers, peer(in, caller))
	}
	callers = append(callers, given(in.Stack.Spec.NetworkPolicy.ExtraPeers)...)
	if component.Name == topology.Gateway {
		callers = nil // nobody named is everybody
	}
	p.Spec.WithIngress(edgeFrom(PortRPC, callers...), metricsIngress(in)).WithEgress(toDNS())
	if len(component.Calls) > 0 {
		var callees []*policyPeer
		for _, callee := range component.Calls {
			callees = append(callees, peer(in, callee))
		}
		p.Spec.WithEgress(edgeTo(callees[0], PortRPC).WithTo(callees[1:]...))
	}
	if component.Data {
		p.Spec.WithEgress(toPostgres(in))
		if in.Stack.Spec.Events.Mode == v1alpha1.EventsNATS {
			p.Spec.WithEgress(anywhere(cmp.Or(in.External.NATS, portNATS)))
		}
	}
	if component.Redis {
		p.Spec.WithEgress(toRedis(in))
	}
	if endpoint := in.Stack.Spec.Observability.OTLPEndpoint; endpoint != "" {
		p.Spec.WithEgress(anywhere(portOf(endpoint, portOTLP)))
	}
	p.Spec.WithEgress(outside(in, name)...)
	return p
}

// outside are a component's ways to what is neither the platform nor its data.
func outside(in Input, name v1alpha1.ComponentName) []*policyEgress {
	integrations := integrations(in)
	var ways []*policyEgress
	switch name {
	case v1alpha1.ComponentBilling:
		if Simulated(in) {
			return append(ways, edgeTo(peer(in, NameSimulator), PortRPC))
		}
		ways = append(ways, internet())
	case v1alpha1.ComponentGateway:
		if Simulated(in) {
			ways = append(ways, edgeTo(peer(in, NameSimulator), PortRPC))
		}
	case v1alpha1.ComponentNotification:
		if integrations.SendGrid != nil {
			ways = append(ways, internet())
		}
		if integrations.SMTP != nil {
			ways = append(ways, anywhere(portOf(integrations.SMTP.Address, portSubmission)))
		}
	case v1alpha1.ComponentProduct:
		if s3 := in.Stack.Spec.ObjectStorage.S3; s3 != nil && s3.Endpoint != "" {
			ways = append(ways, anywhere(portOf(endpointURL(s3.Endpoint), portHTTPS)))
		} else if s3 != nil {
			ways = append(ways, internet())
		}
	case v1alpha1.ComponentAuth, v1alpha1.ComponentUser, v1alpha1.ComponentOrder, v1alpha1.ComponentAnalytics,
		v1alpha1.ComponentAdmin, v1alpha1.ComponentStorefront:
	}
	return ways
}

// portSubmission is the port of a mail server that does not name one.
const portSubmission int32 = 587

func postgresPolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	if in.PostgresMode == v1alpha1.DataExternal {
		return nil
	}
	var clients []*policyPeer
	for _, name := range DataComponents() {
		clients = append(clients, peer(in, string(name)))
	}
	clients = append(clients, jobPeer(in, JobMigrate), jobPeer(in, JobCreateAdmin), jobPeer(in, JobRotate))
	clients = append(clients, backupPeers(in)...)
	if Simulated(in) {
		clients = append(clients, peer(in, NameSimulator))
	}
	name := ObjectName(in.Stack.Name, NamePostgres)
	if in.PostgresMode != v1alpha1.DataManaged {
		p := policy(in, name, NamePostgres, Selector(in.Stack.Name, NamePostgres))
		p.Spec.WithIngress(edgeFrom(PortPostgres, clients...))
		return p
	}
	// CloudNativePG's pods replicate to each other, are watched by its operator and
	// back up to somewhere: only who may come to the database is decided here.
	selector := map[string]string{labelCluster: name}
	clients = append(clients, networkingv1ac.NetworkPolicyPeer().WithPodSelector(selectorOf(selector)))
	p := policy(in, name, NamePostgres, selector)
	p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	p.Spec.WithIngress(edgeFrom(PortPostgres, clients...), edgeFrom(portManagedStatus, everyNamespace()), metricsEdge(in, portManagedMetrics))
	return p
}

const (
	portManagedStatus  int32 = 8000
	portManagedMetrics int32 = 9187
)

func redisPolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	if redisExternal(in) {
		return nil
	}
	var clients []*policyPeer
	for _, component := range topology.Components() {
		if component.Redis {
			clients = append(clients, peer(in, component.Name))
		}
	}
	if RedisUsers(in) {
		clients = append(clients, jobPeer(in, JobRotateCache))
	}
	p := policy(in, ObjectName(in.Stack.Name, NameRedis), NameRedis, Selector(in.Stack.Name, NameRedis))
	p.Spec.WithIngress(edgeFrom(PortRedis, clients...))
	return p
}

func simulatorPolicy(in Input) *networkingv1ac.NetworkPolicyApplyConfiguration {
	if !Simulated(in) {
		return nil
	}
	p := policy(in, ObjectName(in.Stack.Name, NameSimulator), NameSimulator, Selector(in.Stack.Name, NameSimulator))
	p.Spec.WithIngress(edgeFrom(PortRPC, peer(in, string(v1alpha1.ComponentBilling)), peer(in, partGateway)), metricsIngress(in)).
		WithEgress(toDNS(), toPostgres(in), edgeTo(peer(in, partGateway), PortRPC))
	return p
}

func jobPolicy(in Input, job string, way *policyEgress) *networkingv1ac.NetworkPolicyApplyConfiguration {
	selector := Selector(in.Stack.Name, NameJob)
	selector[LabelJob] = job
	p := policy(in, ObjectName(in.Stack.Name, job), NameJob, selector)
	p.Spec.WithEgress(toDNS(), way)
	return p
}

func peer(in Input, part string) *policyPeer {
	return networkingv1ac.NetworkPolicyPeer().WithPodSelector(selectorOf(Selector(in.Stack.Name, part)))
}

func jobPeer(in Input, job string) *policyPeer {
	p := peer(in, NameJob)
	p.PodSelector.WithMatchLabels(map[string]string{LabelJob: job})
	return p
}

func everyNamespace() *policyPeer {
	return networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(metav1ac.LabelSelector())
}

func tcp(port int32) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(intstr.FromInt32(port))
}

func edgeFrom(port int32, peers ...*policyPeer) *policyIngress {
	return networkingv1ac.NetworkPolicyIngressRule().WithPorts(tcp(port)).WithFrom(peers...)
}

func edgeTo(to *policyPeer, port int32) *policyEgress {
	return networkingv1ac.NetworkPolicyEgressRule().WithPorts(tcp(port)).WithTo(to)
}

func metricsIngress(in Input) *policyIngress { return metricsEdge(in, PortMetrics) }

func metricsEdge(in Input, port int32) *policyIngress {
	peers := given(in.Stack.Spec.NetworkPolicy.MetricsPeers)
	switch {
	case len(peers) == 0:
		peers = append(peers, everyNamespace())
	case in.OperatorNamespace != "":
		// The operator measures canaries by it.
		own := metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: in.OperatorNamespace})
		peers = append(peers, networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(own))
	}
	return edgeFrom(port, peers...)
}

func toPostgres(in Input) *policyEgress {
	switch in.PostgresMode {
	case v1alpha1.DataExternal:
		return anywhere(cmp.Or(in.External.Postgres, PortPostgres))
	case v1alpha1.DataManaged:
		cluster := map[string]string{labelCluster: ObjectName(in.Stack.Name, NamePostgres)}
		return edgeTo(networkingv1ac.NetworkPolicyPeer().WithPodSelector(selectorOf(cluster)), PortPostgres)
	case v1alpha1.DataStatefulSet:
	}
	return edgeTo(peer(in, NamePostgres), PortPostgres)
}

func toRedis(in Input) *policyEgress {
	if redisExternal(in) {
		return anywhere(cmp.Or(in.External.Redis, PortRedis))
	}
	return edgeTo(peer(in, NameRedis), PortRedis)
}

// toDNS is open to everybody's port 53, because a node's own cache of names has
// no pod to select.
func toDNS() *policyEgress {
	udp := networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolUDP).WithPort(intstr.FromInt32(portDNS))
	return networkingv1ac.NetworkPolicyEgressRule().WithPorts(udp, tcp(portDNS))
}

// anywhere is for servers whose address is known to the spec's author only; they
// may be inside the cluster.
func anywhere(port int32) *policyEgress {
	return networkingv1ac.NetworkPolicyEgressRule().WithPorts(tcp(port))
}

// internet is HTTPS to everything but private networks, where the cluster and the cloud's
// own services are.
func internet() *policyEgress {
	return edgeTo(networkingv1ac.NetworkPolicyPeer().WithIPBlock(networkingv1ac.IPBlock().WithCIDR("0.0.0.0/0").
		WithExcept("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")), portHTTPS).
		WithTo(networkingv1ac.NetworkPolicyPeer().WithIPBlock(networkingv1ac.IPBlock().WithCIDR("::/0").WithExcept("fc00::/7", "fe80::/10")))
}

// given converts peers of the spec.
func given(peers []networkingv1.NetworkPolicyPeer) []*policyPeer {
	var converted []*policyPeer
	for _, one := range peers {
		p := networkingv1ac.NetworkPolicyPeer()
		if one.PodSelector != nil {
			p = p.WithPodSelector(convertSelector(*one.PodSelector))
		}
		if one.NamespaceSelector != nil {
			p = p.WithNamespaceSelector(convertSelector(*one.NamespaceSelector))
		}
		if one.IPBlock != nil {
			p = p.WithIPBlock(networkingv1ac.IPBlock().WithCIDR(one.IPBlock.CIDR).WithExcept(one.IPBlock.Except...))
		}
		converted = append(converted, p)
	}
	return converted
}
