package desired

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Exposure is how the shop is reached. The gateway's Service belongs to its
// Component. HTTPRoute and Certificate are kinds of others. What is nil must not
// be in the cluster.
type Exposure struct {
	Ingress     *networkingv1ac.IngressApplyConfiguration
	HTTPRoute   *unstructured.Unstructured
	Certificate *unstructured.Unstructured
}

// backendProtocol tells the most common ingress controller that the gateway speaks TLS.
const backendProtocol = "nginx.ingress.kubernetes.io/backend-protocol"

const partGateway = string(v1alpha1.ComponentGateway)

// PublicCertificateName is the name of the Secret in which cert-manager keeps the public certificate.
func PublicCertificateName(stack string) string {
	return ObjectName(stack, partGateway) + "-public-tls"
}

// Expose returns what makes the gateway reachable from outside the cluster.
func Expose(in Input) Exposure {
	var e Exposure
	switch in.Stack.Spec.Gateway.Expose {
	case v1alpha1.ExposeIngress:
		e.Ingress = ingress(in)
	case v1alpha1.ExposeHTTPRoute:
		e.HTTPRoute = httpRoute(in)
	}
	if tls := in.Stack.Spec.Gateway.TLS; tls.Mode == v1alpha1.GatewayTLSCertManager && tls.IssuerRef != nil {
		e.Certificate = publicCertificateRequest(in, *tls.IssuerRef)
	}
	return e
}

// gatewayService is the public Service. The annotations of the spec are for
// whatever customers come through first.
func gatewayService(in Input, s *corev1ac.ServiceApplyConfiguration, selector map[string]string) *corev1ac.ServiceApplyConfiguration {
	// Who may come is decided at once; what pods speak is their revision's.
	gateway := in.current().Stack.Spec.Gateway
	name, port := gatewayPort(in)
	spec := corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(selector).
		WithPorts(servicePort(name, port, "rpc").WithAppProtocol(name))
	switch gateway.Expose {
	case v1alpha1.ExposeLoadBalancer:
		// Local keeps the customer's address, by which calls are limited.
		spec = spec.WithType(corev1.ServiceTypeLoadBalancer).WithExternalTrafficPolicy(corev1.ServiceExternalTrafficPolicyLocal)
		s = s.WithAnnotations(gateway.Annotations)
	case v1alpha1.ExposeIngress, v1alpha1.ExposeHTTPRoute:
	default:
		s = s.WithAnnotations(gateway.Annotations)
	}
	return s.WithSpec(spec)
}

func ingress(in Input) *networkingv1ac.IngressApplyConfiguration {
	gateway := in.Stack.Spec.Gateway
	port, _ := gatewayPort(in)
	annotations := map[string]string{}
	if gatewayTLS(in) {
		annotations[backendProtocol] = "HTTPS"
	}
	maps.Copy(annotations, gateway.Annotations)
	service := networkingv1ac.IngressServiceBackend().WithName(ComponentName(in.Stack.Name, v1alpha1.ComponentGateway)).
		WithPort(networkingv1ac.ServiceBackendPort().WithName(port))
	path := networkingv1ac.HTTPIngressPath().WithPath("/").WithPathType(networkingv1.PathTypePrefix).
		WithBackend(networkingv1ac.IngressBackend().WithService(service))
	spec := networkingv1ac.IngressSpec().WithRules(networkingv1ac.IngressRule().WithHost(gateway.Host).
		WithHTTP(networkingv1ac.HTTPIngressRuleValue().WithPaths(path)))
	if gateway.IngressClassName != nil {
		spec = spec.WithIngressClassName(*gateway.IngressClassName)
	}
	// Customers see the same certificate as the gateway's own listener shows. With
	// TLS off the controller shows its default.
	tls := networkingv1ac.IngressTLS().WithHosts(gateway.Host)
	if secret := publicCertificate(in); secret != "" {
		tls = tls.WithSecretName(secret)
	} else if gatewayTLS(in) {
		tls = tls.WithSecretName(TLSName(in.Stack.Name, partGateway))
	}
	i := own(in, partGateway, networkingv1ac.Ingress(ObjectName(in.Stack.Name, partGateway), in.Stack.Namespace)).WithSpec(spec.WithTLS(tls))
	return i.WithAnnotations(annotations)
}

func httpRoute(in Input) *unstructured.Unstructured {
	gateway := in.Stack.Spec.Gateway
	if gateway.ParentRef == nil {
		return nil
	}
	_, port := gatewayPort(in)
	parent := map[string]any{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway.ParentRef.Name}
	if gateway.ParentRef.Namespace != "" {
		parent["namespace"] = gateway.ParentRef.Namespace
	}
	if gateway.ParentRef.SectionName != "" {
		parent["sectionName"] = gateway.ParentRef.SectionName
	}
	route := foreign(in, "gateway.networking.k8s.io/v1", "HTTPRoute", ObjectName(in.Stack.Name, partGateway), partGateway, true)
	if len(gateway.Annotations) > 0 {
		route.SetAnnotations(maps.Clone(gateway.Annotations))
	}
	route.Object["spec"] = map[string]any{
		"parentRefs": []any{parent},
		"hostnames":  []any{gateway.Host},
		"rules": []any{map[string]any{
			"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}},
			"backendRefs": []any{map[string]any{"name": ComponentName(in.Stack.Name, v1alpha1.ComponentGateway), "port": int64(port)}},
		}},
	}
	return route
}

// publicCertificateRequest asks for the public name only: a public issuer refuses
// names inside the cluster.
func publicCertificateRequest(in Input, issuer v1alpha1.IssuerRef) *unstructured.Unstructured {
	kind := issuer.Kind
	if kind == "" {
		kind = "Issuer"
	}
	name := PublicCertificateName(in.Stack.Name)
	certificate := foreign(in, "cert-manager.io/v1", "Certificate", name, partGateway, true)
	certificate.Object["spec"] = map[string]any{
		"secretName": name,
		"dnsNames":   []any{in.Stack.Spec.Gateway.Host},
		"usages":     []any{"digital signature", "server auth"},
		"privateKey": map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"},
		"issuerRef":  map[string]any{"name": issuer.Name, "kind": kind, "group": "cert-manager.io"},
	}
	return certificate
}
