package desired

import (
	"slices"
	"strings"
	"testing"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// environment of a component's API pods, and of its workers.
func environment(t *testing.T, in Input, name v1alpha1.ComponentName) (api, worker map[string]string) {
	t.Helper()
	component, err := ForComponent(in, name)
	if err != nil {
		t.Fatal(err)
	}
	api = variables(t, component.Deployment.Spec.Template.Spec.Containers[0].Env)
	if component.Worker != nil {
		worker = variables(t, component.Worker.Spec.Template.Spec.Containers[0].Env)
	}
	return api, worker
}

func variables(t *testing.T, env []corev1ac.EnvVarApplyConfiguration) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, one := range env {
		if _, ok := all[*one.Name]; ok {
			t.Errorf("%s is set twice", *one.Name)
		}
		all[*one.Name] = *one.Value
	}
	return all
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const absent = "\x00"
	for name, c := range map[string]struct {
		spec      string
		component v1alpha1.ComponentName
		api       map[string]string
		worker    map[string]string
	}{
		"in development one pod does all": {
			spec: developmentSpec, component: "order",
			api: map[string]string{"COMMERCE_ROLE": "all", "COMMERCE_LISTEN": ":8080", "COMMERCE_METRICS_LISTEN": ":9090", "COMMERCE_DEVELOPMENT": "true"},
		},
		"workers have no address": {
			spec: productionSpec, component: "order",
			api:    map[string]string{"COMMERCE_ROLE": "api", "COMMERCE_DEVELOPMENT": absent, "COMMERCE_DRAIN_DELAY": "5s"},
			worker: map[string]string{"COMMERCE_ROLE": "worker", "COMMERCE_LISTEN": absent, "COMMERCE_METRICS_LISTEN": ":9090"},
		},
		"a component without queues only serves": {
			spec: developmentSpec, component: "storefront",
			api: map[string]string{"COMMERCE_ROLE": "api", "COMMERCE_STOREFRONT_DATABASE_URL_FILE": absent, "COMMERCE_DATABASE_MAX_CONNS": absent},
		},
		"addresses of those that are called": {
			spec: developmentSpec, component: "user",
			api: map[string]string{"COMMERCE_AUTH_URL": "https://shop-auth:8080", "COMMERCE_ORDER_URL": "https://shop-order:8080", "COMMERCE_PRODUCT_URL": absent},
		},
		"the simulator in development": {
			spec: developmentSpec, component: "billing",
			api: map[string]string{"COMMERCE_BILLING_STRIPE_URL": "https://shop-stripesim:8080/dev/stripe", "STRIPE_SECRET_KEY_FILE": "/etc/commerce/secrets/stripe-secret-key"},
		},
		"Stripe with a key in development": {
			spec: developmentSpec + "  integrations: {stripe: {secretRef: {name: stripe}}}\n", component: "billing",
			api: map[string]string{"COMMERCE_BILLING_STRIPE_URL": absent, "COMMERCE_DEVELOPMENT": "true"},
		},
		"Stripe's budget is shared by the pods that there always are": {
			spec: productionSpec, component: "billing", api: map[string]string{"COMMERCE_BILLING_STRIPE_CALLS": "22.5"},
		},
		"what is proposed can be replaced": {
			spec: productionSpec + "  services: [{name: billing, env: [{name: COMMERCE_BILLING_STRIPE_CALLS, value: \"5\"}, {name: GOMEMLIMIT, value: 1GiB}]}]\n", component: "billing",
			api:    map[string]string{"COMMERCE_BILLING_STRIPE_CALLS": "5", "GOMEMLIMIT": "1GiB"},
			worker: map[string]string{"COMMERCE_BILLING_STRIPE_CALLS": "5", "GOMEMLIMIT": "1GiB"},
		},
		"Go gives memory back before the limit": {
			spec:      developmentSpec + "  services: [{name: order, resources: {limits: {memory: 1000Mi}}}]\n",
			component: "order", api: map[string]string{"GOMEMLIMIT": "943718400"},
		},
		"mail": {
			spec:      developmentSpec + "  integrations: {smtp: {address: \"mail:25\", tls: none}, mail: {fromName: Shop, fromAddress: shop@example.com}}\n",
			component: "notification",
			api: map[string]string{
				"COMMERCE_NOTIFICATION_SMTP_ADDRESS": "mail:25", "COMMERCE_NOTIFICATION_SMTP_TLS": "none", "COMMERCE_NOTIFICATION_FROM_NAME": "Shop",
				"COMMERCE_NOTIFICATION_FROM_ADDRESS": "shop@example.com", "COMMERCE_NOTIFICATION_SMTP_PASSWORD_FILE": absent,
			},
		},
		"uploads on a volume": {
			spec: developmentSpec, component: "product", api: map[string]string{"COMMERCE_OBJECTS_URL": "file:///var/lib/commerce/objects"},
		},
		"uploads in S3": {
			spec:      developmentSpec + "  objectStorage: {mode: S3, s3: {bucket: shop, region: eu-west-1, endpoint: \"minio:9000\", secretRef: {name: s3}}}\n",
			component: "product",
			api: map[string]string{
				"COMMERCE_OBJECTS_URL":        "s3://shop?endpoint=https%3A%2F%2Fminio%3A9000&region=eu-west-1&use_path_style=true",
				"AWS_SHARED_CREDENTIALS_FILE": "/etc/commerce/secrets/aws-credentials",
			},
		},
		"events over NATS": {
			spec:      developmentSpec + "  events: {mode: NATS, nats: {secretRef: {name: nats}}}\n",
			component: "order", api: map[string]string{"COMMERCE_NATS_URL_FILE": "/etc/commerce/secrets/nats-url"},
		},
		"the gateway's own certificate": {
			spec: developmentSpec, component: "gateway",
			api: map[string]string{
				"COMMERCE_GATEWAY_TLS_CERT_FILE": "/etc/commerce/tls/tls.crt", "COMMERCE_PUBLIC_URL": "https://shop-gateway.shops.svc",
				"COMMERCE_STRIPESIM_URL": "https://shop-stripesim:8080", "COMMERCE_GATEWAY_HSTS": absent,
			},
		},
		"a given certificate": {
			spec: productionSpec + "  gateway: {host: shop.example.com, tls: {mode: Secret, secretRef: {name: public}}}\n", component: "gateway",
			api: map[string]string{
				"COMMERCE_GATEWAY_TLS_KEY_FILE": "/etc/commerce/gateway-tls/tls.key", "COMMERCE_PUBLIC_URL": "https://shop.example.com",
				"COMMERCE_GATEWAY_HSTS": "true", "COMMERCE_STRIPESIM_URL": absent,
			},
		},
		"no TLS at the gateway": {
			spec: productionSpec + "  gateway: {host: shop.example.com, tls: {mode: \"Off\"}}\n", component: "gateway",
			api: map[string]string{"COMMERCE_GATEWAY_TLS_CERT_FILE": absent, "COMMERCE_PUBLIC_URL": "http://shop.example.com", "COMMERCE_GATEWAY_HSTS": absent},
		},
		"lists are sorted": {
			spec: developmentSpec + "  gateway: {waf: Detect, rateLimits: {write: 1/1s:2, read: 200/1s:400}, trustedProxies: [10.0.0.0/8, 1.2.3.4]," +
				" corsOrigins: [\"https://b.example.com\", \"https://a.example.com\"]}\n",
			component: "gateway",
			api: map[string]string{
				"COMMERCE_GATEWAY_RATE_LIMITS": "read=200/1s:400;write=1/1s:2", "COMMERCE_GATEWAY_TRUSTED_PROXIES": "1.2.3.4,10.0.0.0/8",
				"COMMERCE_GATEWAY_CORS_ORIGINS": "https://a.example.com,https://b.example.com", "COMMERCE_GATEWAY_WAF": "detect",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, worker := environment(t, givenSpec(t, c.spec), c.component)
			for _, side := range []struct{ want, got map[string]string }{{c.api, api}, {c.worker, worker}} {
				for variable, want := range side.want {
					got, ok := side.got[variable]
					if !ok {
						got = absent
					}
					if got != want {
						t.Errorf("%s = %q, want %q", variable, got, want)
					}
				}
			}
		})
	}
}

func TestSecretsHaveTheFilesThatPodsName(t *testing.T) {
	t.Parallel()
	full := developmentSpec + "  events: {mode: NATS, nats: {secretRef: {name: nats}}}\n" +
		"  objectStorage: {mode: S3, s3: {bucket: shop, secretRef: {name: s3}}}\n" +
		"  integrations: {sendGrid: {secretRef: {name: a}}, smtp: {address: \"mail:25\", secretRef: {name: b}}}\n"
	for _, spec := range []string{developmentSpec, productionSpec, full} {
		in := givenSpec(t, spec)
		for _, name := range Components() {
			api, _ := environment(t, in, name)
			var keys []string
			for variable, value := range api {
				if key, ok := strings.CutPrefix(value, SecretsFolder+"/"); ok {
					if !strings.HasSuffix(variable, "_FILE") {
						t.Errorf("%s names a file", variable)
					}
					keys = append(keys, key)
				}
			}
			slices.Sort(keys)
			if want := SecretKeys(in, name); !slices.Equal(keys, want) {
				t.Errorf("%s names the files %v, and its Secret has %v", name, keys, want)
			}
		}
	}
}

func TestNobodySeesSecretsOfOthers(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, productionSpec)
	for _, name := range Components() {
		keys := SecretKeys(in, name)
		if slices.Contains(keys, KeyDatabaseURL) != HasData(name) {
			t.Errorf("%s has %v", name, keys)
		}
		if slices.Contains(keys, KeyStripeSecretKey) != (name == "billing") {
			t.Errorf("%s has %v", name, keys)
		}
		if slices.Contains(keys, KeySendGridAPIKey) != (name == "notification") {
			t.Errorf("%s has %v", name, keys)
		}
		if slices.Contains(keys, KeyDatabaseAdminURL) {
			t.Errorf("%s has %v", name, keys)
		}
	}
}
