package desired

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	everywhere := func(*Input) {}
	for name, c := range map[string]struct {
		spec   string
		change func(*Input)
		want   string // part of the only error; "" is none
	}{
		"development": {developmentSpec, everywhere, ""},
		"production":  {productionSpec, everywhere, ""},
		"a name with a dot": {
			developmentSpec, func(in *Input) { in.Stack.Name = "my.shop" }, "metadata.name: Invalid value: \"my.shop\": names of Services are made from it",
		},
		"a name that begins with a digit": {
			developmentSpec, func(in *Input) { in.Stack.Name = "1shop" }, "metadata.name",
		},
		"a shape of the future": {
			developmentSpec, func(in *Input) { in.RenderRevision = CurrentRenderRevision + 1 }, "spec.renderRevision: Invalid value: 5: this operator knows the revisions 1 to 4",
		},
		"a variable of the operator": {
			developmentSpec + "  services: [{name: order}, {name: user, env: [{name: COMMERCE_X}, {name: COMMERCE_COMPONENTS, value: order}]}]\n", everywhere,
			"spec.services[1].env[1].name: Forbidden: COMMERCE_COMPONENTS is set by the operator",
		},
		"a secret as a value": {
			productionSpec + "  services: [{name: billing, env: [{name: STRIPE_SECRET_KEY, value: sk_live_x}]}]\n", everywhere,
			"spec.services[0].env[0].name: Forbidden: STRIPE_SECRET_KEY is set by the operator",
		},
		"development in production": {
			productionSpec + "  services: [{name: auth, env: [{name: COMMERCE_DEVELOPMENT, value: \"true\"}]}]\n", everywhere,
			"COMMERCE_DEVELOPMENT is set by the operator",
		},
		"workers of a component without queues": {
			developmentSpec + "  services: [{name: gateway, workers: {}}]\n", everywhere, "spec.services[0].workers: Forbidden: gateway has no queues to work on",
		},
		"no workers of a component without queues": {
			developmentSpec + "  services: [{name: gateway, workers: {mode: Shared}}]\n", everywhere, "",
		},
		"a parameter of the operator": {
			developmentSpec + "  postgres: {parameters: {SSL_cert_file: /tmp/x}}\n", everywhere, "spec.postgres.parameters[SSL_cert_file]: Forbidden",
		},
		"not a parameter": {
			developmentSpec + "  postgres: {parameters: {\"work_mem=1MB -c x\": \"1\"}}\n", everywhere, "not the name of a parameter",
		},
		"a parameter of two lines": {
			developmentSpec + "  postgres: {parameters: {log_line_prefix: \"a\\nb\"}}\n", everywhere, "must be one line",
		},
		"a parameter of an extension": {
			developmentSpec + "  postgres: {parameters: {auto_explain.log_min_duration: 1s, DateStyle: ISO}}\n", everywhere, "",
		},
		"connections that are no number": {
			developmentSpec + "  postgres: {parameters: {max_connections: many}}\n", everywhere, "spec.postgres.parameters[max_connections]: Invalid value: \"many\"",
		},
		"more pods than connections": {
			productionSpec + "  services: [{name: order, autoscaling: {maxReplicas: 100}}]\n", everywhere, "the pods of order need more connections than its share",
		},
		"a patch that cannot be": {
			developmentSpec + "  services: [{name: user}, {name: order, patches: [{patch: {spec: {minReadySeconds: 3}}}, {patch: {spec: {replicas: 3}}}]}]\n", everywhere,
			"spec.services[1].patches[1]: Invalid value: the patch changes spec.replicas",
		},
		"a log of changes without a bucket": {
			productionSpec + "  postgres: {mode: Managed}\n  restore: {from: {recovery: {}}}\n",
			func(in *Input) { in.Stack.Spec.ObjectStorage.Mode = "" }, "spec.restore.from.destination: Required value",
		},
		"CloudNativePG is missing": {
			productionSpec + "  postgres: {mode: Managed}\n", func(in *Input) { in.Capabilities = Capabilities{} }, "CloudNativePG is not in the cluster",
		},
		"the Gateway API is missing": {
			developmentSpec + "  gateway: {expose: HTTPRoute, host: a.example.com, parentRef: {name: edge}}\n", func(in *Input) { in.Capabilities = Capabilities{} },
			"the Gateway API is not in the cluster",
		},
		"cert-manager is missing": {
			developmentSpec + "  gateway: {host: a.example.com, tls: {mode: CertManager, issuerRef: {name: le}}}\n", func(in *Input) { in.Capabilities = Capabilities{} },
			"cert-manager is not in the cluster",
		},
		"a certificate for nothing": {
			developmentSpec + "  gateway: {tls: {mode: CertManager, issuerRef: {name: le}}}\n", everywhere, "spec.gateway.host: Required value",
		},
		"a mail server without a port": {
			developmentSpec + "  integrations: {smtp: {address: mail.example.com}}\n", everywhere, "must be host:port",
		},
		"a mail server with a port that is none": {
			developmentSpec + "  integrations: {smtp: {address: \"mail.example.com:smtp\"}}\n", everywhere, "must be host:port",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := givenSpec(t, c.spec)
			c.change(&in)
			invalid := Validate(in)
			switch {
			case c.want == "" && len(invalid) > 0:
				t.Errorf("refused: %v", invalid.ToAggregate())
			case c.want != "" && (len(invalid) != 1 || !strings.Contains(invalid[0].Error(), c.want)):
				t.Errorf("Validate = %v, want one error with %q", invalid, c.want)
			}
		})
	}
}
