package desired

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/topology"
)

const (
	objectsFolder   = "/var/lib/commerce/objects"
	publicTLSFolder = "/etc/commerce/gateway-tls"
	tmpFolder       = "/tmp"
	webhookPath     = "/api/v1/billing/webhooks/stripe"
	drainDelay      = "5s"
)

// setting is one variable of a container.
type setting struct {
	name, value string
	// free may be set by the spec instead.
	free bool
}

// settings collect variables in the order in which they are written.
type settings []setting

func (s *settings) set(name, value string) { *s = append(*s, setting{name: name, value: value}) }

// setUnlessEmpty leaves a variable out rather than setting it to nothing, which
// would replace the program's own default.
func (s *settings) setUnlessEmpty(name, value string) {
	if value != "" {
		s.set(name, value)
	}
}

// propose sets what the spec may set otherwise.
func (s *settings) propose(name, value string) {
	*s = append(*s, setting{name: name, value: value, free: true})
}

// files name each secret's file in its variable.
func (s *settings) files(files []secretFile) {
	for _, file := range files {
		s.set(file.env, SecretsFolder+"/"+file.key)
	}
}

// with adds the spec's own variables.
func (s settings) with(extra []v1alpha1.EnvVar) settings {
	var all settings
	for _, own := range s {
		replaced := own.free && slices.ContainsFunc(extra, func(e v1alpha1.EnvVar) bool { return e.Name == own.name })
		if !replaced {
			all = append(all, own)
		}
	}
	for _, e := range extra {
		all.set(e.Name, e.Value)
	}
	return all
}

func (s settings) configuration() []*corev1ac.EnvVarApplyConfiguration {
	list := make([]*corev1ac.EnvVarApplyConfiguration, 0, len(s))
	for _, one := range s {
		list = append(list, corev1ac.EnvVar().WithName(one.name).WithValue(one.value))
	}
	return list
}

// componentSettings are the variables of a component's pods in a role of the program.
func componentSettings(in Input, name v1alpha1.ComponentName, role string, n needs) settings {
	var s settings
	s.set("COMMERCE_COMPONENTS", string(name))
	s.set("COMMERCE_ROLE", role)
	if role != RoleWorker {
		s.set("COMMERCE_LISTEN", portAddress(PortRPC))
	}
	commonSettings(in, &s)
	s.set("COMMERCE_CURRENCY", in.Stack.Spec.Currency)
	if development(in) {
		s.set("COMMERCE_DEVELOPMENT", "true")
	}
	s.set("COMMERCE_TLS_CERT_FILE", TLSFolder+"/tls.crt")
	s.set("COMMERCE_TLS_KEY_FILE", TLSFolder+"/tls.key")
	s.set("COMMERCE_TLS_CA_FILE", CAFile)
	s.files(componentFiles(in, name))
	if HasData(name) {
		size, _ := pool(in, name)
		s.set("COMMERCE_DATABASE_MAX_CONNS", strconv.Itoa(int(size)))
	}
	for _, callee := range topology.Find(string(name)).Calls {
		s.set("COMMERCE_"+strings.ToUpper(callee)+"_URL", peerURL(in, callee))
	}
	s.setUnlessEmpty("OTEL_EXPORTER_OTLP_ENDPOINT", in.Stack.Spec.Observability.OTLPEndpoint)
	ownSettings(in, name, &s)
	s.propose("GOMEMLIMIT", n.goMemoryLimit())
	return s
}

// commonSettings are those of every process that serves.
func commonSettings(in Input, s *settings) {
	s.set("COMMERCE_METRICS_LISTEN", portAddress(PortMetrics))
	s.set("COMMERCE_DRAIN_DELAY", drainDelay)
	s.setUnlessEmpty("COMMERCE_LOG_LEVEL", in.Stack.Spec.Observability.LogLevel)
	s.set("COMMERCE_PUBLIC_URL", PublicURL(in))
}

// ownSettings are those of one component alone.
func ownSettings(in Input, name v1alpha1.ComponentName, s *settings) {
	switch name {
	case v1alpha1.ComponentProduct:
		s.set("COMMERCE_OBJECTS_URL", objectsURL(in))
	case v1alpha1.ComponentBilling:
		if Simulated(in) {
			s.set("COMMERCE_BILLING_STRIPE_URL", peerURL(in, NameSimulator)+simulatorPath)
		}
		s.propose("COMMERCE_BILLING_STRIPE_CALLS", stripeShare(in))
	case v1alpha1.ComponentNotification:
		mailSettings(in, s)
	case v1alpha1.ComponentGateway:
		gatewaySettings(in, s)
	case v1alpha1.ComponentAuth:
		s.setUnlessEmpty(SigningKeyVariable, in.SigningKeyRequest)
	case v1alpha1.ComponentUser, v1alpha1.ComponentOrder, v1alpha1.ComponentAnalytics,
		v1alpha1.ComponentAdmin, v1alpha1.ComponentStorefront:
	}
}

// stripeCalls is what Stripe allows an account each second, but for a reserve.
const stripeCalls = 90

// stripeShare divides Stripe's budget by the pods that there always are. More
// pods may ask for more than it; Stripe then refuses before it acts, and the call
// is tried again. Dividing by the most there could be would slow down every day
// for the sake of a rare one.
func stripeShare(in Input) string {
	pods := APIScale(in, v1alpha1.ComponentBilling).Min
	if workers, ok := WorkerScale(in, v1alpha1.ComponentBilling); ok {
		pods += workers.Min
	}
	return strconv.FormatFloat(stripeCalls/float64(max(pods, 1)), 'f', 1, 64)
}

func mailSettings(in Input, s *settings) {
	given := integrations(in)
	if mail := given.Mail; mail != nil {
		s.setUnlessEmpty("COMMERCE_NOTIFICATION_FROM_ADDRESS", mail.FromAddress)
		s.setUnlessEmpty("COMMERCE_NOTIFICATION_FROM_NAME", mail.FromName)
	}
	if smtp := given.SMTP; smtp != nil {
		s.set("COMMERCE_NOTIFICATION_SMTP_ADDRESS", smtp.Address)
		s.setUnlessEmpty("COMMERCE_NOTIFICATION_SMTP_TLS", smtp.TLS)
	}
}

func gatewaySettings(in Input, s *settings) {
	gateway := in.Stack.Spec.Gateway
	switch gateway.TLS.Mode {
	case v1alpha1.GatewayTLSOff:
	case v1alpha1.GatewayTLSSecret, v1alpha1.GatewayTLSCertManager:
		s.set("COMMERCE_GATEWAY_TLS_CERT_FILE", publicTLSFolder+"/tls.crt")
		s.set("COMMERCE_GATEWAY_TLS_KEY_FILE", publicTLSFolder+"/tls.key")
	default:
		s.set("COMMERCE_GATEWAY_TLS_CERT_FILE", TLSFolder+"/tls.crt")
		s.set("COMMERCE_GATEWAY_TLS_KEY_FILE", TLSFolder+"/tls.key")
	}
	if Simulated(in) {
		s.set("COMMERCE_STRIPESIM_URL", peerURL(in, NameSimulator))
	}
	if ReadsRoutes(in) {
		s.set("COMMERCE_GATEWAY_ROUTES_FILE", routesFolder+"/"+RoutesKey)
	}
	s.setUnlessEmpty("COMMERCE_GATEWAY_WAF", strings.ToLower(gateway.WAF))
	s.setUnlessEmpty("COMMERCE_GATEWAY_CORS_ORIGINS", strings.Join(slices.Sorted(slices.Values(gateway.CORSOrigins)), ","))
	s.setUnlessEmpty("COMMERCE_GATEWAY_TRUSTED_PROXIES", strings.Join(slices.Sorted(slices.Values(gateway.TrustedProxies)), ","))
	var limits []string
	for _, policy := range slices.Sorted(maps.Keys(gateway.RateLimits)) {
		limits = append(limits, policy+"="+string(gateway.RateLimits[policy]))
	}
	s.setUnlessEmpty("COMMERCE_GATEWAY_RATE_LIMITS", strings.Join(limits, ";"))
	if insistOnTLS(in) {
		s.propose("COMMERCE_GATEWAY_HSTS", "true")
	}
}

// insistOnTLS holds where browsers may be told never to come without TLS again:
// only under a name that is the shop's for good.
func insistOnTLS(in Input) bool {
	named := in.Stack.Spec.Gateway.Host != "" || in.Stack.Spec.Gateway.PublicURL != ""
	return production(in) && named && strings.HasPrefix(PublicURL(in), "https://")
}

func peerURL(in Input, part string) string {
	return "https://" + ObjectName(in.Stack.Name, part) + portAddress(PortRPC)
}

func portAddress(port int32) string { return ":" + strconv.Itoa(int(port)) }
