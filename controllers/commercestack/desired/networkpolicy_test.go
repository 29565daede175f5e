package desired

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/commercestack/commercestack/internal/topology"
)

// edge is a way that two policies open: the caller's and the callee's.
type edge struct {
	from, to string
	port     int32
}

// partOf names who a peer is: a part of the stack, a Job, or where it is otherwise.
func partOf(p networkingv1ac.NetworkPolicyPeerApplyConfiguration) string {
	switch {
	case p.IPBlock != nil:
		return *p.IPBlock.CIDR
	case p.PodSelector == nil:
		return "any namespace"
	case p.PodSelector.MatchLabels[LabelJob] != "":
		return p.PodSelector.MatchLabels[LabelJob]
	case p.PodSelector.MatchLabels[labelCluster] != "":
		return "cluster"
	default:
		return p.PodSelector.MatchLabels[LabelComponent]
	}
}

// ways lists what policies open for incoming and outgoing calls.
func ways(policies []*networkingv1ac.NetworkPolicyApplyConfiguration) (in, out []edge) {
	for _, policy := range policies {
		self := partOf(networkingv1ac.NetworkPolicyPeerApplyConfiguration{PodSelector: policy.Spec.PodSelector})
		for _, rule := range policy.Spec.Ingress {
			peers := []string{"everybody"}
			if len(rule.From) > 0 {
				peers = nil
			}
			for _, peer := range rule.From {
				peers = append(peers, partOf(peer))
			}
			for _, peer := range peers {
				for _, port := range rule.Ports {
					in = append(in, edge{peer, self, port.Port.IntVal})
				}
			}
		}
		for _, rule := range policy.Spec.Egress {
			peers := []string{"everybody"}
			if len(rule.To) > 0 {
				peers = nil
			}
			for _, peer := range rule.To {
				peers = append(peers, partOf(peer))
			}
			for _, peer := range peers {
				for _, port := range rule.Ports {
					out = append(out, edge{self, peer, port.Port.IntVal})
				}
			}
		}
	}
	return in, out
}

// architecture are the edges inside a development stack that runs its own servers.
func architecture() map[edge]bool {
	all := make(map[edge]bool)
	for _, component := range topology.Components() {
		for _, callee := range component.Calls {
			all[edge{component.Name, callee, 8080}] = true
		}
		if component.Data {
			all[edge{component.Name, "postgres", 5432}] = true
		}
		if component.Redis {
			all[edge{component.Name, "redis", 6379}] = true
		}
	}
	for _, e := range []edge{
		{"billing", "stripesim", 8080},
		{"gateway", "stripesim", 8080},
		{"stripesim", "gateway", 8080},
		{"stripesim", "postgres", 5432},
		{"migrate", "postgres", 5432},
		{"create-admin", "postgres", 5432},
		{"rotate", "postgres", 5432},
		{"rotate-cache", "redis", 6379},
		{"demo", "gateway", 8080},
	} {
		all[e] = true
	}
	return all
}

func TestPoliciesOpenTheEdgesOfTheArchitectureAndNoOthers(t *testing.T) {
	t.Parallel()
	in, out := ways(NetworkPolicies(givenSpec(t, developmentSpec+"  demoCatalog: true\n")))
	for name, direction := range map[string][]edge{"ingress": in, "egress": out} {
		want := architecture()
		for _, e := range direction {
			outside := e.from == "everybody" || e.from == "any namespace" || e.to == "everybody"
			switch {
			case want[e]:
				delete(want, e)
			case e.from == "everybody" && (e.to != "gateway" || e.port != 8080):
				t.Errorf("%s: everybody reaches %s:%d", name, e.to, e.port)
			case e.from == "any namespace" && e.port != 9090:
				t.Errorf("%s: every namespace reaches %s:%d", name, e.to, e.port)
			case e.to == "everybody" && e.port != 53:
				t.Errorf("%s: %s reaches everybody's port %d", name, e.from, e.port)
			case !outside && name == "ingress" && e.to == "gateway":
				t.Errorf("%s: the gateway names who may come: %+v", name, e)
			case !outside:
				t.Errorf("%s: %+v is not of the architecture", name, e)
			}
		}
		for missing := range want {
			// The gateway takes everybody, so it names nobody.
			if name != "ingress" || missing.to != "gateway" {
				t.Errorf("%s: %+v is closed", name, missing)
			}
		}
	}
}

func TestPoliciesDenyByDefault(t *testing.T) {
	t.Parallel()
	policies := NetworkPolicies(givenSpec(t, developmentSpec))
	deny := policies[0]
	if len(deny.Spec.Ingress)+len(deny.Spec.Egress) != 0 || len(deny.Spec.PodSelector.MatchLabels) != 2 ||
		!slices.Equal(deny.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}) {
		t.Errorf("the first policy does not deny everything to all pods of the stack: %+v", deny.Spec)
	}
}

func TestWaysOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		part string
		// ways of the part, as place:port, besides its peers in the stack and DNS.
		want []string
	}{
		"billing reaches Stripe":                     {productionSpec, "billing", []string{"0.0.0.0/0:443", "::/0:443"}},
		"billing reaches the simulator only":         {developmentSpec, "billing", nil},
		"order reaches nobody outside":               {productionSpec, "order", nil},
		"notification reaches SendGrid":              {productionSpec, "notification", []string{"0.0.0.0/0:443", "::/0:443"}},
		"captured mail goes nowhere":                 {developmentSpec, "notification", nil},
		"notification reaches a mail server":         {developmentSpec + "  integrations: {smtp: {address: \"mail:465\"}}\n", "notification", []string{"everybody:465"}},
		"product reaches S3":                         {developmentSpec + "  objectStorage: {mode: S3, s3: {bucket: shop}}\n", "product", []string{"0.0.0.0/0:443", "::/0:443"}},
		"product reaches an endpoint":                {developmentSpec + "  objectStorage: {mode: S3, s3: {bucket: shop, endpoint: \"http://minio:9000\"}}\n", "product", []string{"everybody:9000"}},
		"traces":                                     {developmentSpec + "  observability: {otlpEndpoint: \"http://collector:4318\"}\n", "order", []string{"everybody:4318"}},
		"NATS":                                       {developmentSpec + "  events: {mode: NATS, nats: {secretRef: {name: nats}}}\n", "order", []string{"everybody:4222"}},
		"NATS is nothing to the gateway":             {developmentSpec + "  events: {mode: NATS, nats: {secretRef: {name: nats}}}\n", "gateway", nil},
		"an external PostgreSQL":                     {developmentSpec + "  postgres: {mode: External, external: {secretRef: {name: pg}}}\n", "order", []string{"everybody:5432"}},
		"an external Redis":                          {developmentSpec + "  redis: {mode: External, external: {secretRef: {name: r}}}\n", "gateway", []string{"everybody:6379"}},
		"an external Redis is nothing to order":      {developmentSpec + "  redis: {mode: External, external: {secretRef: {name: r}}}\n", "order", nil},
		"CloudNativePG":                              {productionSpec + "  postgres: {mode: Managed}\n", "order", []string{"cluster:5432"}},
		"migrations reach an external PostgreSQL":    {developmentSpec + "  postgres: {mode: External, external: {secretRef: {name: pg}}}\n", "migrate", []string{"everybody:5432"}},
		"nothing leaves PostgreSQL and the database": {developmentSpec, "postgres", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, out := ways(NetworkPolicies(givenSpec(t, c.spec)))
			inside := architecture()
			var got []string
			for _, e := range out {
				if e.from == c.part && e.port != 53 && !inside[e] {
					got = append(got, e.to+":"+strconv.Itoa(int(e.port)))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s reaches %v, want %v", c.part, got, c.want)
			}
		})
	}
}

func TestPeersOfTheSpec(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+`  networkPolicy:
    metricsPeers: [{namespaceSelector: {matchLabels: {name: monitoring}, matchExpressions: [{key: a, operator: In, values: [b]}]}, podSelector: {}}]
    extraPeers: [{ipBlock: {cidr: 10.1.0.0/16, except: [10.1.2.0/24]}}]
`)
	byName := make(map[string]*networkingv1ac.NetworkPolicyApplyConfiguration)
	for _, policy := range NetworkPolicies(in) {
		byName[*policy.GetName()] = policy
	}
	order := byName["shop-order"].Spec.Ingress
	last := order[0].From[len(order[0].From)-1]
	if last.IPBlock == nil || *last.IPBlock.CIDR != "10.1.0.0/16" || !slices.Equal(last.IPBlock.Except, []string{"10.1.2.0/24"}) {
		t.Errorf("the extra peer does not reach order: %+v", order[0].From)
	}
	metrics := order[1]
	if len(metrics.From) != 1 || !maps.Equal(metrics.From[0].NamespaceSelector.MatchLabels, map[string]string{"name": "monitoring"}) ||
		len(metrics.From[0].NamespaceSelector.MatchExpressions) != 1 {
		t.Errorf("metrics are open to %+v", metrics.From)
	}
	if gateway := byName["shop-gateway"].Spec.Ingress[0]; len(gateway.From) != 0 {
		t.Errorf("the gateway is closed to everybody but %+v", gateway.From)
	}
	if policies := NetworkPolicies(givenSpec(t, developmentSpec+"  networkPolicy: {mode: \"Off\"}\n")); policies != nil {
		t.Errorf("switched off, there are still %d policies", len(policies))
	}
}
