package conversion_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1beta1"
)

const (
	production = `{version: "1", environment: Production, rollout: {approval: BeforeStart},
integrations: {stripe: {secretRef: {name: s}}, sendGrid: {secretRef: {name: s}}}}`
	development = `{version: "1", environment: Development}`
)

// Each rule of v1beta1 refuses with its message what v1alpha1 refuses, and both
// accept the nearest allowed form.
func TestRulesOfBothVersions(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for i, tt := range []struct {
		base, bad, good, message string
	}{
		{production, `deletionPolicy: Delete`, `deletionPolicy: Snapshot`, "deletionPolicy Delete is not allowed in Production"},
		{production, `rollout: {approval: None}`, `rollout: {approval: BeforePromote}`, "rollout.approval must be"},
		{production, `components: [{name: order, autoscaling: {minReplicas: 1}}]`, `components: [{name: order, autoscaling: {minReplicas: 2}}]`, "components: autoscaling.minReplicas must be at least 2 in Production"},
		{production, `components: [{name: order, replicas: 1}]`, `components: [{name: order, replicas: 2}]`, "components: replicas must be at least 2 in Production"},
		{production, `integrations: {sendGrid: {secretRef: {name: s}}}`, ``, "integrations.stripe is required outside Development"},
		{production, `integrations: {stripe: {secretRef: {name: s}}}`, `integrations: {stripe: {secretRef: {name: s}}, smtp: {address: "mail:587"}}`, "integrations.sendGrid or integrations.smtp is required"},
		{production, `demoCatalog: true`, `demoCatalog: false`, "demoCatalog is for Development only"},
		{development, `migrations: {requireBackup: true}`, `{migrations: {requireBackup: true}, backup: {schedule: 0 3 * * *}}`, "migrations.requireBackup needs backup"},
		{development, `components: [{name: order, replicas: 3, autoscaling: {}}]`, `components: [{name: order, replicas: 3}]`, "only one of them is allowed"},
		{development, `components: [{name: order, workers: {replicas: 3, autoscaling: {}}}]`, `components: [{name: order, workers: {replicas: 3}}]`, "workers.replicas fixes the number of pods"},
		{development, `components: [{name: order, autoscaling: {minReplicas: 5, maxReplicas: 4}}]`, `components: [{name: order, autoscaling: {minReplicas: 4, maxReplicas: 4}}]`, "minReplicas must not be greater than maxReplicas"},
		{development, `components: [{name: order, autoscaling: {targetCPUUtilization: 71}}]`, `components: [{name: order, autoscaling: {targetCPUUtilization: 70}}]`, "less than or equal to 70"},
		{development, `components: [{name: order, autoscaling: {targetCPUUtilization: 49}}]`, `components: [{name: order, autoscaling: {targetCPUUtilization: 50}}]`, "greater than or equal to 50"},
		{development, `components: [{name: checkout}]`, `components: [{name: gateway}]`, "Unsupported value"},
		{development, `components: [{name: order}, {name: order}]`, `components: [{name: order}, {name: user}]`, "Duplicate value"},
		{development, `postgres: {mode: External}`, `postgres: {mode: External, external: {secretRef: {name: s}}}`, "postgres.external is required with mode External"},
		{development, `postgres: {mode: StatefulSet, external: {secretRef: {name: s}}}`, `postgres: {mode: StatefulSet}`, "postgres.external is required with mode External"},
		{development, `postgres: {mode: RDS}`, `postgres: {mode: CloudNativePG}`, "Unsupported value"},
		{development, `redis: {mode: External}`, `redis: {mode: External, external: {secretRef: {name: s}}}`, "redis.external is required with mode External"},
		{development, `redis: {mode: Managed}`, `redis: {mode: StatefulSet}`, "Unsupported value"},
		{development, `objectStorage: {mode: S3}`, `objectStorage: {mode: S3, s3: {bucket: uploads}}`, "objectStorage.s3 is required with mode S3"},
		{development, `restore: {from: {recovery: {}}}`, `{postgres: {mode: CloudNativePG}, restore: {from: {recovery: {time: "2026-11-26T03:00:00Z", server: shop-postgres}}}}`, "restore.from.recovery needs postgres.mode"},
		{development, `{postgres: {mode: CloudNativePG}, restore: {from: {id: 20261126t030000z-00000001, recovery: {}}}}`, `restore: {from: {id: 20261126t030000z-00000001}}`, "give one of them"},
		{development, `events: {mode: NATS}`, `events: {mode: NATS, nats: {secretRef: {name: s}}}`, "events.nats is required with mode NATS"},
		{development, `secrets: {source: ExternalSecret}`, `secrets: {source: ExternalSecret, external: {secretStoreRef: {name: v}}}`, "secrets.external is required with source ExternalSecret"},
		{development, `secrets: {external: {secretStoreRef: {name: v}}}`, `secrets: {source: Generated}`, "secrets.external is required with source ExternalSecret"},
		{development, `secrets: {interval: 168h, renewBefore: 168h}`, `secrets: {interval: 169h, renewBefore: 168h}`, "secrets.renewBefore must be shorter"},
		{development, `workerAutoscaler: VPA`, `workerAutoscaler: KEDA`, "Unsupported value"},
		{development, `rollout: {notifications: [{name: a, type: Mail, secretRef: {name: s}}]}`, `rollout: {notifications: [{name: a, type: Slack, secretRef: {name: s}, events: [Failed]}]}`, "Unsupported value"},
		{development, `rollout: {notifications: [{name: a, type: Slack, secretRef: {name: s}, events: [Ended]}]}`, ``, "Unsupported value"},
		{development, `gateway: {expose: Ingress}`, `gateway: {expose: Ingress, host: a.example}`, "gateway.host is required"},
		{development, `gateway: {expose: HTTPRoute, host: a.example}`, `gateway: {expose: HTTPRoute, host: a.example, parentRef: {name: g}}`, "gateway.parentRef is required"},
		{development, `gateway: {parentRef: {name: g}}`, `gateway: {expose: ClusterIP}`, "gateway.parentRef is required"},
		{development, `gateway: {tls: {mode: Secret}}`, `gateway: {tls: {mode: Secret, secretRef: {name: s}}}`, "gateway.tls.secretRef is required"},
		{development, `gateway: {tls: {mode: CertManager}}`, `gateway: {tls: {mode: CertManager, issuerRef: {name: i}}}`, "gateway.tls.issuerRef is required"},
		{development, `gateway: {tls: {mode: None}}`, `gateway: {tls: {mode: Disabled}}`, "Unsupported value"},
		{development, `gateway: {waf: None}`, `gateway: {waf: Disabled}`, "Unsupported value"},
		{development, `networkPolicy: {mode: None}`, `networkPolicy: {mode: Disabled}`, "Unsupported value"},
		{development, `observability: {serviceMonitors: None}`, `observability: {serviceMonitors: Enabled}`, "Unsupported value"},
		{development, `gateway: {publicURL: "https://a.example/"}`, `gateway: {publicURL: "https://a.example"}`, "should match"},
		{development, `gateway: {rateLimits: {reads: "200/1s:400"}}`, `gateway: {rateLimits: {read: "200/1s:400", write: "0"}}`, "the names are credentials, payment, read, webhook and write"},
		{development, `gateway: {rateLimits: {read: "200"}}`, `gateway: {rateLimits: {read: "200/1m30s:400"}}`, "should match"},
		{development, `rollout: {strategy: {type: RollingUpdate, canary: {steps: [{weight: 5}]}}}`, `rollout: {strategy: {type: Canary, canary: {steps: [{weight: 5}]}}}`, "rollout.strategy.canary.steps is only allowed with type Canary"},
		{development, `rollout: {strategy: {type: Canary, canary: {steps: [{weight: 5, pods: 1}]}}}`, `rollout: {strategy: {type: Canary, canary: {steps: [{pods: 1}]}}}`, "each step has either weight or pods"},
		{development, `rollout: {strategy: {type: Canary, canary: {steps: [{weight: 25}, {weight: 5}]}}}`, `rollout: {strategy: {type: Canary, canary: {steps: [{weight: 5}, {weight: 25}]}}}`, "weights must ascend"},
		{development, `rollout: {strategy: {canary: {analysis: [{name: x, failAbove: "1"}]}}}`, `rollout: {strategy: {canary: {analysis: [{name: error-rate, failAbove: "1"}]}}}`, "a measure without a query"},
		{development, `rollout: {strategy: {canary: {analysis: [{name: error-rate}]}}}`, `rollout: {strategy: {canary: {analysis: [{name: x, query: up, successBelow: "1"}]}}}`, "a measure needs successBelow or failAbove"},
		{development, `rollout: {windows: [{from: "22:00", until: "22:00"}]}`, `rollout: {windows: [{days: [Monday], from: "22:00", until: "02:00"}]}`, "a window needs a length"},
		{development, `version: "1 2"`, `version: "1.2"`, "should match"},
		{development, `currency: eur`, `currency: USD`, "should match"},
	} {
		name := fmt.Sprintf("rule-%d", i)
		refused, alike := inBoth(t, namespace, name, tt.base, tt.bad)
		for version, object := range map[string]*unstructured.Unstructured{"v1beta1": refused, "v1alpha1": alike} {
			err := shared.Create(t.Context(), object, client.DryRunAll)
			if err == nil || (version == "v1beta1" && !strings.Contains(err.Error(), tt.message)) {
				t.Errorf("%s as %s was answered with %v, want %q", tt.bad, version, err, tt.message)
			}
		}
		if tt.good == "" {
			continue
		}
		accepted, alike := inBoth(t, namespace, name, tt.base, tt.good)
		for version, object := range map[string]*unstructured.Unstructured{"v1beta1": accepted, "v1alpha1": alike} {
			if err := shared.Create(t.Context(), object, client.DryRunAll); err != nil {
				t.Errorf("%s as %s was refused: %v", tt.good, version, err)
			}
		}
	}
	long := manifest(t, newer, namespace, strings.Repeat("x", 31), development)
	if err := shared.Create(t.Context(), long); err == nil || !strings.Contains(err.Error(), "at most 30 characters") {
		t.Errorf("a long name: %v", err)
	}
	empty := manifest(t, newer, namespace, "empty", development, `rollout: {strategy: {canary: {}}}`)
	if err := shared.Create(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "at least 1 properties") {
		t.Errorf("a canary that says nothing: %v", err)
	}
}

// inBoth is the same stack in both versions.
func inBoth(t *testing.T, namespace, name string, documents ...string) (beta, alpha *unstructured.Unstructured) {
	t.Helper()
	beta = manifest(t, newer, namespace, name, documents...)
	// Numbers as they come from the API server.
	text, err := json.Marshal(beta.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := beta.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	alpha = beta.DeepCopy()
	if err := v1beta1.Convert(alpha.Object, older); err != nil {
		t.Fatal(err)
	}
	return beta, alpha
}

// What cannot change cannot change by the other version either.
func TestRulesOfChangeInBothVersions(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	const paused = `{version: "1", environment: Development, reconcilePolicy: Paused}`
	for i, tt := range []struct{ before, patch, message string }{
		{`postgres: {mode: StatefulSet}`, `{"postgres":{"mode":"CloudNativePG"}}`, "postgres.mode cannot change"},
		{`postgres: {}`, `{"postgres":{"mode":"StatefulSet"}}`, "postgres.mode cannot change"},
		{`postgres: {storage: {size: 2Gi}}`, `{"postgres":{"storage":{"size":"1Gi"}}}`, "cannot shrink"},
		{`postgres: {storage: {size: 2Gi}}`, `{"postgres":{"storage":{"size":"3Gi"}}}`, ""},
		{`redis: {mode: StatefulSet}`, `{"redis":{"mode":"External","external":{"secretRef":{"name":"s"}}}}`, "redis.mode cannot change"},
		{`restore: {from: {path: .backups/a/b}}`, `{"restore":{"from":{"path":".backups/a/c"}}}`, "restore cannot change"},
		{`restore: {from: {path: .backups/a/b}}`, `{"version":"2"}`, ""},
	} {
		name := fmt.Sprintf("change-%d", i)
		if err := shared.Create(t.Context(), manifest(t, older, namespace, name, paused, tt.before)); err != nil {
			t.Fatal(err)
		}
		err := shared.Patch(t.Context(), manifest(t, newer, namespace, name), client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+tt.patch+`}`)))
		if tt.message == "" && err != nil || tt.message != "" && (err == nil || !strings.Contains(err.Error(), tt.message)) {
			t.Errorf("%s was answered with %v, want %q", tt.patch, err, tt.message)
		}
	}
}

// A stack that says little gets the same defaults in both versions.
func TestDefaultsOfBothVersions(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for i, document := range []string{
		`{}`,
		`{rollout: {}, secrets: {}, gateway: {}, observability: {}, networkPolicy: {}, migrations: {}, events: {}, objectStorage: {}, redis: {}, postgres: {}}`,
		`{rollout: {strategy: {}}, gateway: {tls: {}}, secrets: {jwt: {}}}`,
		`components: [{name: order, autoscaling: {}, workers: {autoscaling: {}}}, {name: user, workers: {}}, {name: auth}]`,
		`rollout: {strategy: {type: Canary, canary: {steps: [{weight: 5}], analysis: [{name: error-rate, failAbove: "1"}]}}}`,
		`{backup: {schedule: 0 3 * * *}, restore: {from: {}}}`,
		`{integrations: {smtp: {address: "mail:587"}}, gateway: {tls: {mode: CertManager, issuerRef: {name: i}}}}`,
		`secrets: {source: ExternalSecret, external: {secretStoreRef: {name: v}}}`,
		`{postgres: {mode: External, external: {secretRef: {name: s}}}}`,
	} {
		name := fmt.Sprintf("default-%d", i)
		beta, alpha := inBoth(t, namespace, name, `{version: "1", environment: Development, reconcilePolicy: Paused}`, document)
		beta.SetName(name + "-b")
		for _, object := range []*unstructured.Unstructured{alpha, beta} {
			if err := shared.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
		for _, version := range []string{older, newer} {
			one, two := read(t, version, namespace, name), read(t, version, namespace, name+"-b")
			if diff := cmp.Diff(spec(t, one), spec(t, two)); diff != "" {
				t.Errorf("%s in %s (-made as v1alpha1 +made as v1beta1):\n%s", document, version, diff)
			}
		}
	}
}
