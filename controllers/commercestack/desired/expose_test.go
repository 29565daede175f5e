package desired

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestExpose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec string
		// kind of the Service, its port, what stands before it, the shop's address
		service, port, before, url string
	}{
		"inside the cluster": {developmentSpec, "ClusterIP", "https 443", "", "https://shop-gateway.shops.svc"},
		"by a load balancer": {
			developmentSpec + "  gateway: {expose: LoadBalancer, host: shop.example.com, annotations: {lb: internal}}\n", "LoadBalancer", "https 443", "",
			"https://shop.example.com",
		},
		"without TLS": {developmentSpec + "  gateway: {tls: {mode: \"Off\"}}\n", "ClusterIP", "http 80", "", "http://shop-gateway.shops.svc"},
		"by an Ingress": {
			developmentSpec + "  gateway: {expose: Ingress, host: shop.example.com, tls: {mode: \"Off\"}}\n", "ClusterIP", "http 80", "Ingress http ",
			"https://shop.example.com",
		},
		"by an Ingress with TLS behind it": {
			developmentSpec + "  gateway: {expose: Ingress, host: shop.example.com}\n", "ClusterIP", "https 443", "Ingress https shop-gateway-tls", "https://shop.example.com",
		},
		"by an Ingress with a given certificate": {
			developmentSpec + "  gateway: {expose: Ingress, host: shop.example.com, tls: {mode: Secret, secretRef: {name: public}}}\n", "ClusterIP", "https 443",
			"Ingress https public", "https://shop.example.com",
		},
		"by a route": {
			developmentSpec + "  gateway: {expose: HTTPRoute, host: shop.example.com, parentRef: {name: edge, namespace: infra, sectionName: web}, tls: {mode: \"Off\"}}\n",
			"ClusterIP", "http 80", "HTTPRoute 80", "https://shop.example.com",
		},
		"under an address of its own": {
			developmentSpec + "  gateway: {publicURL: \"https://shop.example.com:8443\"}\n", "ClusterIP", "https 443", "", "https://shop.example.com:8443",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, c.spec)
			gateway, err := ForComponent(in, "gateway")
			if err != nil {
				t.Fatal(err)
			}
			spec := gateway.Service.Spec
			port := *spec.Ports[0].Name + " " + asText(t, *spec.Ports[0].Port)
			if string(*spec.Type) != c.service || port != c.port+"\n" || spec.Ports[0].TargetPort.StrVal != "rpc" {
				t.Errorf("the Service is %s at %s", *spec.Type, port)
			}
			exposure, before := Expose(in), ""
			switch {
			case exposure.Ingress != nil:
				before = "Ingress " + *exposure.Ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port.Name + " "
				if secret := exposure.Ingress.Spec.TLS[0].SecretName; secret != nil {
					before += *secret
				}
			case exposure.HTTPRoute != nil:
				rules, _, _ := unstructured.NestedSlice(exposure.HTTPRoute.Object, "spec", "rules")
				backends, _, _ := unstructured.NestedSlice(rules[0].(map[string]any), "backendRefs")
				before = "HTTPRoute " + asText(t, backends[0].(map[string]any)["port"])
				before = before[:len(before)-1]
			}
			if before != c.before {
				t.Errorf("before the gateway stands %q, want %q", before, c.before)
			}
			if PublicURL(in) != c.url {
				t.Errorf("PublicURL = %s, want %s", PublicURL(in), c.url)
			}
		})
	}
}

func TestAnnotationsAreForWhatComesFirst(t *testing.T) {
	t.Parallel()
	const annotations = "annotations: {a: b}"
	for name, c := range map[string]struct{ gateway, on string }{
		"Service":   {"{" + annotations + "}", "service"},
		"balancer":  {"{expose: LoadBalancer, " + annotations + "}", "service"},
		"Ingress":   {"{expose: Ingress, host: a.example.com, " + annotations + "}", "ingress"},
		"HTTPRoute": {"{expose: HTTPRoute, host: a.example.com, parentRef: {name: edge}, " + annotations + "}", "route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, developmentSpec+"  gateway: "+c.gateway+"\n")
			gateway, err := ForComponent(in, "gateway")
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]string{"service": gateway.Service.Annotations["a"]}
			if ingress := Expose(in).Ingress; ingress != nil {
				found["ingress"] = ingress.Annotations["a"]
			}
			if route := Expose(in).HTTPRoute; route != nil {
				found["route"] = route.GetAnnotations()["a"]
			}
			for where, value := range found {
				if (value == "b") != (where == c.on) {
					t.Errorf("the annotation on the %s is %q", where, value)
				}
			}
		})
	}
}

func TestServiceMonitors(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec)
	if len(ServiceMonitors(in)) != 1 {
		t.Error("nothing is scraped although the cluster could")
	}
	in.Stack.Spec.Observability.ServiceMonitors = "Off"
	if ServiceMonitors(in) != nil {
		t.Error("switched off, it is scraped all the same")
	}
	in = givenSpec(t, developmentSpec)
	in.Capabilities.ServiceMonitor = false
	if ServiceMonitors(in) != nil {
		t.Error("a kind that the cluster does not know")
	}
	for _, name := range Components() {
		component, err := ForComponent(in, name)
		if err != nil {
			t.Fatal(err)
		}
		for label, value := range MetricsService(in).Spec.Selector {
			if component.Deployment.Spec.Template.Labels[label] != value {
				t.Errorf("the metrics of %s are not found: %s", name, label)
			}
		}
	}
}
