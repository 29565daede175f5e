package commercestack_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// production is a spec that the schema accepts in Production; lines are added to it.
const productionSpec = `
version: "1"
environment: Production
rollout: {approval: BeforeStart}
integrations: {stripe: {secretRef: {name: s}}, sendGrid: {secretRef: {name: s}}}
`

const developmentSpec = `
version: "1"
environment: Development
`

// Each rule of the schema is refused once with its message; what it is about is
// accepted in the nearest allowed form.
func TestRulesOfTheSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := map[string]string{"dev": developmentSpec, "prod": productionSpec}
	for i, tt := range []struct {
		base, bad, good, message string
	}{
		{"prod", "deletionPolicy: Delete", "deletionPolicy: Snapshot", "deletionPolicy Delete is not allowed in Production"},
		{"prod", "rollout: {approval: None}", "rollout: {approval: BeforePromote}", "rollout.approval must be"},
		{"prod", "services: [{name: order, autoscaling: {minReplicas: 1}}]", "services: [{name: order, autoscaling: {minReplicas: 2}}]", "autoscaling.minReplicas must be at least 2 in Production"},
		{"prod", "services: [{name: order, replicas: 1, autoscaling: {mode: \"Off\"}}]", "services: [{name: order, replicas: 2, autoscaling: {mode: \"Off\"}}]", "replicas must be at least 2 in Production"},
		{"prod", "integrations: {sendGrid: {secretRef: {name: s}}}", "", "integrations.stripe is required outside Development"},
		{"prod", "integrations: {stripe: {secretRef: {name: s}}}", "integrations: {stripe: {secretRef: {name: s}}, smtp: {address: \"mail:587\"}}", "integrations.sendGrid or integrations.smtp is required"},
		{"prod", "demoCatalog: true", "demoCatalog: false", "demoCatalog is for Development only"},
		{"dev", "services: [{name: order, replicas: 3}]", "services: [{name: order, replicas: 3, autoscaling: {mode: \"Off\"}}]", "replicas is only allowed with autoscaling.mode Off"},
		{"dev", "services: [{name: order, workers: {replicas: 3}}]", "services: [{name: order, workers: {replicas: 3, autoscaling: {mode: \"Off\"}}}]", "workers.replicas is only allowed with"},
		{"dev", "services: [{name: order, autoscaling: {minReplicas: 5, maxReplicas: 4}}]", "services: [{name: order, autoscaling: {minReplicas: 4, maxReplicas: 4}}]", "minReplicas must not be greater than maxReplicas"},
		{"dev", "services: [{name: order, autoscaling: {targetCPUUtilization: 71}}]", "services: [{name: order, autoscaling: {targetCPUUtilization: 70}}]", "less than or equal to 70"},
		{"dev", "services: [{name: order, autoscaling: {targetCPUUtilization: 49}}]", "services: [{name: order, autoscaling: {targetCPUUtilization: 50}}]", "greater than or equal to 50"},
		{"dev", "services: [{name: checkout}]", "services: [{name: gateway}]", "Unsupported value"},
		{"dev", "services: [{name: order}, {name: order}]", "services: [{name: order}, {name: user}]", "Duplicate value"},
		{"dev", "postgres: {mode: External}", "postgres: {mode: External, external: {secretRef: {name: s}}}", "postgres.external is required with mode External"},
		{"dev", "postgres: {mode: StatefulSet, external: {secretRef: {name: s}}}", "postgres: {mode: StatefulSet}", "postgres.external is required with mode External"},
		{"dev", "redis: {mode: External}", "redis: {mode: External, external: {secretRef: {name: s}}}", "redis.external is required with mode External"},
		{"dev", "redis: {mode: Managed}", "redis: {mode: StatefulSet}", "redis.mode must be StatefulSet or External"},
		{"dev", "objectStorage: {mode: S3}", "objectStorage: {mode: S3, s3: {bucket: uploads}}", "objectStorage.s3 is required with mode S3"},
		{"dev", "restore: {from: {recovery: {}}}", "postgres: {mode: Managed}\nrestore: {from: {recovery: {time: \"2026-11-26T03:00:00Z\", server: shop-postgres}}}", "restore.from.recovery needs postgres.mode Managed"},
		{"dev", "postgres: {mode: Managed}\nrestore: {from: {id: 20261126t030000z-00000001, recovery: {}}}", "restore: {from: {id: 20261126t030000z-00000001}}", "give one of them"},
		{"dev", "events: {mode: NATS}", "events: {mode: NATS, nats: {secretRef: {name: s}}}", "events.nats is required with mode NATS"},
		{"dev", "secrets: {source: ExternalSecret}", "secrets: {source: ExternalSecret, external: {secretStoreRef: {name: v}}}", "secrets.external is required with source ExternalSecret"},
		{"dev", "secrets: {external: {secretStoreRef: {name: v}}}", "secrets: {source: Generated}", "secrets.external is required with source ExternalSecret"},
		{"dev", "workerAutoscaler: VPA", "workerAutoscaler: KEDA", "Unsupported value"},
		{"dev", "rollout: {notifications: [{name: a, type: Mail, secretRef: {name: s}}]}", "rollout: {notifications: [{name: a, type: Slack, secretRef: {name: s}, on: [Failed]}]}", "Unsupported value"},
		{"dev", "secrets: {interval: 168h, renewBefore: 168h}", "secrets: {interval: 169h, renewBefore: 168h}", "secrets.renewBefore must be shorter"},
		{"dev", "gateway: {expose: Ingress}", "gateway: {expose: Ingress, host: a.example}", "gateway.host is required"},
		{"dev", "gateway: {expose: HTTPRoute, host: a.example}", "gateway: {expose: HTTPRoute, host: a.example, parentRef: {name: g}}", "gateway.parentRef is required"},
		{"dev", "gateway: {parentRef: {name: g}}", "gateway: {expose: ClusterIP}", "gateway.parentRef is required"},
		{"dev", "gateway: {tls: {mode: Secret}}", "gateway: {tls: {mode: Secret, secretRef: {name: s}}}", "gateway.tls.secretRef is required"},
		{"dev", "gateway: {tls: {mode: CertManager}}", "gateway: {tls: {mode: CertManager, issuerRef: {name: i}}}", "gateway.tls.issuerRef is required"},
		{"dev", "gateway: {publicURL: \"https://a.example/\"}", "gateway: {publicURL: \"https://a.example\"}", "should match"},
		{"dev", "gateway: {rateLimits: {reads: \"200/1s:400\"}}", "gateway: {rateLimits: {read: \"200/1s:400\", write: \"0\"}}", "the names are credentials, payment, read, webhook and write"},
		{"dev", "gateway: {rateLimits: {read: \"200\"}}", "gateway: {rateLimits: {read: \"200/1m30s:400\"}}", "should match"},
		{"dev", "rollout: {strategy: RollingUpdate, steps: [{weight: 5}]}", "rollout: {strategy: Canary, steps: [{weight: 5}]}", "rollout.steps is only allowed with strategy Canary"},
		{"dev", "rollout: {strategy: Canary, steps: [{weight: 5, pods: 1}]}", "rollout: {strategy: Canary, steps: [{pods: 1}]}", "each step has either weight or pods"},
		{"dev", "rollout: {strategy: Canary, steps: [{weight: 25}, {weight: 5}]}", "rollout: {strategy: Canary, steps: [{weight: 5}, {weight: 25}]}", "weights must ascend"},
		{"dev", "version: \"1 2\"", "version: \"1.2\"", "should match"},
		{"dev", "currency: eur", "currency: USD", "should match"},
	} {
		name := fmt.Sprintf("rule-%d", i)
		err := w.createYAML(t, name+"-bad", base[tt.base], tt.bad)
		if err == nil || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s was answered with %v, want %q", tt.bad, err, tt.message)
		}
		if tt.good == "" {
			continue
		}
		if err := w.createYAML(t, name, base[tt.base], tt.good); err != nil {
			t.Errorf("%s was refused: %v", tt.good, err)
		}
	}
	if err := w.createYAML(t, strings.Repeat("x", 31), developmentSpec, "{}"); err == nil || !strings.Contains(err.Error(), "at most 30 characters") {
		t.Errorf("a long name: %v", err)
	}
}

// createYAML creates a stack of two documents, the second laid over the first.
func (w *world) createYAML(t *testing.T, name string, documents ...string) error {
	t.Helper()
	spec := map[string]any{}
	for _, document := range documents {
		if err := yaml.Unmarshal([]byte(document), &spec); err != nil {
			t.Fatal(err)
		}
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("CommerceStack"))
	object.SetNamespace(w.namespace)
	object.SetName(name)
	return w.Create(t.Context(), object)
}

// What cannot change is refused with a sentence.
func TestRulesOfChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, tt := range []struct{ before, after, message string }{
		{"postgres: {mode: StatefulSet}", "postgres: {mode: Managed}", "postgres.mode cannot change"},
		{"postgres: {}", "postgres: {mode: StatefulSet}", "postgres.mode cannot change"},
		{"postgres: {storage: {size: 2Gi}}", "postgres: {storage: {size: 1Gi}}", "cannot shrink"},
		{"redis: {mode: StatefulSet}", "redis: {mode: External, external: {secretRef: {name: s}}}", "redis.mode cannot change"},
	} {
		name := fmt.Sprintf("change-%d", i)
		if err := w.createYAML(t, name, developmentSpec, tt.before); err != nil {
			t.Fatal(err)
		}
		patch := map[string]any{}
		if err := yaml.Unmarshal([]byte(tt.after), &patch); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(map[string]any{"spec": patch})
		if err != nil {
			t.Fatal(err)
		}
		stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
		err = w.Patch(t.Context(), stack, client.RawPatch("application/merge-patch+json", data))
		if err == nil || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s was answered with %v, want %q", tt.after, err, tt.message)
		}
	}
	// Growing is no shrinking.
	grow := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "change-2"}}
	if err := w.Patch(t.Context(), grow, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"postgres":{"storage":{"size":"3Gi"}}}}`))); err != nil {
		t.Error(err)
	}
}

// kubectl get shows something in every column.
func TestColumnsAreNotBlank(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.development())
	config := rest.CopyConfig(cluster)
	config.APIPath, config.GroupVersion = "/apis", &v1alpha1.GroupVersion
	config.NegotiatedSerializer = w.codecs()
	direct, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := direct.Get().Namespace(w.namespace).Resource("commercestacks").Name(stack.Name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Raw()
	if err != nil {
		t.Fatal(err)
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(raw, table); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i, column := range table.ColumnDefinitions {
		got[column.Name] = fmt.Sprint(table.Rows[0].Cells[i])
	}
	for column, want := range map[string]string{
		"Name": "shop", "Ready": "True", "Version": "1.0.0", "Services": "10/10", "Rollout": "Complete", "Postgres": "True", "Reason": "Serving at ",
	} {
		if !strings.HasPrefix(got[column], want) {
			t.Errorf("column %s shows %q, want %q", column, got[column], want)
		}
	}
	if got["Age"] == "" || got["Age"] == "<nil>" {
		t.Errorf("column Age shows %q", got["Age"])
	}
}
