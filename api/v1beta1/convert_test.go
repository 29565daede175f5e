package v1beta1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/api/v1beta1"
)

var (
	_ conversion.Hub         = &v1alpha1.CommerceStack{}
	_ conversion.Convertible = &v1beta1.CommerceStack{}
)

const (
	olderVersion = "commercestack.dev/v1alpha1"
	newerVersion = "commercestack.dev/v1beta1"
)

func parse(t *testing.T, version, text string) map[string]any {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	// Numbers as the API server reads them.
	for name, content := range object {
		object[name] = integers(content)
	}
	object["apiVersion"], object["kind"] = version, v1beta1.Kind
	return object
}

func integers(content any) any {
	switch content := content.(type) {
	case float64:
		return int64(content)
	case map[string]any:
		for name, below := range content {
			content[name] = integers(below)
		}
	case []any:
		for i, below := range content {
			content[i] = integers(below)
		}
	}
	return content
}

// Each field that is another is told in both versions, and read both ways.
func TestFieldsThatDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ older, newer string }{
		"the list of components": {
			`spec: {services: [{name: order, wave: 1}, {name: user}]}`, `spec: {components: [{name: order, wave: 1}, {name: user}]}`,
		},
		"the state of components": {
			`status: {servicesReady: 9/10, services: [{name: order, ready: 1, desired: 2}]}`,
			`status: {componentsReady: 9/10, components: [{name: order, ready: 1, desired: 2}]}`,
		},
		"an empty list": {`spec: {services: []}`, `spec: {components: []}`},
		"autoscaling": {
			`spec: {services: [{name: order, autoscaling: {mode: HPA, minReplicas: 3}}]}`,
			`spec: {components: [{name: order, autoscaling: {minReplicas: 3}}]}`,
		},
		"a fixed number": {
			`spec: {services: [{name: order, replicas: 3, autoscaling: {mode: "Off"}}]}`, `spec: {components: [{name: order, replicas: 3}]}`,
		},
		"a fixed number and what it replaces": {
			`spec: {services: [{name: order, replicas: 3, autoscaling: {mode: "Off", minReplicas: 2, maxReplicas: 10, targetCPUUtilization: 60}}]}`,
			`metadata: {annotations: {commercestack.dev/v1alpha1-scaling: '{"order":{"autoscaling":{"maxReplicas":10,"minReplicas":2,"mode":"Off","targetCPUUtilization":60},"replicas":3}}'}}
spec: {components: [{name: order, replicas: 3}]}`,
		},
		"a number left to Production": {
			`spec: {environment: Production, services: [{name: order, autoscaling: {mode: "Off"}}]}`,
			`metadata: {annotations: {commercestack.dev/v1alpha1-scaling: '{"order":{"autoscaling":{"mode":"Off"}}}'}}
spec: {environment: Production, components: [{name: order, replicas: 2}]}`,
		},
		"a number left to Development, of workers": {
			`metadata: {annotations: {a: b}}
spec: {environment: Development, services: [{name: order, workers: {mode: Separate, autoscaling: {mode: "Off"}}}]}`,
			`metadata: {annotations: {a: b, commercestack.dev/v1alpha1-scaling: '{"order/workers":{"autoscaling":{"mode":"Off"}}}'}}
spec: {environment: Development, components: [{name: order, workers: {mode: Separate, replicas: 1}}]}`,
		},
		"CloudNativePG": {
			`{spec: {postgres: {mode: Managed, instances: 3}}, status: {postgresMode: Managed}}`,
			`{spec: {postgres: {mode: CloudNativePG, instances: 3}}, status: {postgresMode: CloudNativePG}}`,
		},
		"other databases": {
			`{spec: {postgres: {mode: External}, redis: {mode: StatefulSet}}, status: {postgresMode: StatefulSet}}`,
			`{spec: {postgres: {mode: External}, redis: {mode: StatefulSet}}, status: {postgresMode: StatefulSet}}`,
		},
		"what is off": {
			`spec: {gateway: {waf: "Off", tls: {mode: "Off"}}, networkPolicy: {mode: "Off"}, observability: {serviceMonitors: "Off"}}`,
			`spec: {gateway: {waf: Disabled, tls: {mode: Disabled}}, networkPolicy: {mode: Disabled}, observability: {serviceMonitors: Disabled}}`,
		},
		"what is on": {
			`spec: {gateway: {waf: Block, tls: {mode: Secret}}, networkPolicy: {mode: Enforced}, observability: {serviceMonitors: "On"}}`,
			`spec: {gateway: {waf: Block, tls: {mode: Secret}}, networkPolicy: {mode: Enforced}, observability: {serviceMonitors: Enabled}}`,
		},
		"what follows the cluster": {
			`spec: {observability: {serviceMonitors: Auto}}`, `spec: {observability: {serviceMonitors: Auto}}`,
		},
		"a canary": {
			`spec: {rollout: {strategy: Canary, steps: [{weight: 5}], analysis: [{name: error-rate}], historyLimit: 3}}`,
			`spec: {rollout: {strategy: {type: Canary, canary: {steps: [{weight: 5}], analysis: [{name: error-rate}]}}, historyLimit: 3}}`,
		},
		"a rolling update with an analysis": {
			`spec: {rollout: {strategy: RollingUpdate, analysis: [{name: error-rate}]}}`,
			`spec: {rollout: {strategy: {type: RollingUpdate, canary: {analysis: [{name: error-rate}]}}}}`,
		},
		"a rollout without a strategy": {`spec: {rollout: {approval: None}}`, `spec: {rollout: {approval: None}}`},
		"events that are told": {
			`spec: {rollout: {notifications: [{name: a, "on": [Failed]}, {name: b}]}}`, `spec: {rollout: {notifications: [{name: a, events: [Failed]}, {name: b}]}}`,
		},
		"drills": {
			`spec: {backup: {schedule: 0 3 * * *, restoreTest: 0 5 * * 0}}`, `spec: {backup: {schedule: 0 3 * * *, drillSchedule: 0 5 * * 0}}`,
		},
		"what was written": {
			`spec: {demoCatalog: false, rollout: {progressDeadline: 90m}, postgres: {storage: {size: 0.5Gi}}, services: [{name: order, disruption: {maxUnavailable: 1}}]}`,
			`spec: {demoCatalog: false, rollout: {progressDeadline: 90m}, postgres: {storage: {size: 0.5Gi}}, components: [{name: order, disruption: {maxUnavailable: 1}}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, down := parse(t, olderVersion, c.older), parse(t, newerVersion, c.newer)
			if err := v1beta1.Convert(up, newerVersion); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, newerVersion, c.newer), up); diff != "" {
				t.Errorf("v1beta1 (-want +got):\n%s", diff)
			}
			if err := v1beta1.Convert(down, olderVersion); err != nil {
				t.Fatal(err)
			}
			want := parse(t, olderVersion, c.older)
			if diff := cmp.Diff(prune(want), prune(down)); diff != "" {
				t.Errorf("v1alpha1 (-want +got):\n%s", diff)
			}
		})
	}
}

// prune drops metadata without anything in it.
func prune(object map[string]any) map[string]any {
	if metadata, ok := object["metadata"].(map[string]any); ok && len(metadata) == 0 {
		delete(object, "metadata")
	}
	return object
}

// What the annotation keeps counts only as long as it still means what the stack
// says, and never brings in anything that decides.
func TestAnnotationIsNotObeyedBlindly(t *testing.T) {
	t.Parallel()
	const plain = `services: [{name: order, replicas: 3, autoscaling: {mode: "Off"}}]`
	for name, c := range map[string]struct{ annotation, components, want string }{
		"what it keeps": {
			`{"order":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":4,"scaleDownStabilizationSeconds":0}}}`, `replicas: 3`,
			`services: [{name: order, replicas: 3, autoscaling: {mode: "Off", minReplicas: 4, scaleDownStabilizationSeconds: 0}}]`,
		},
		"another number since":      {`{"order":{"replicas":5,"autoscaling":{"mode":"Off","minReplicas":4}}}`, `replicas: 3`, plain},
		"another component":         {`{"user":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":4}}}`, `replicas: 3`, plain},
		"an environment since":      {`{"order":{"autoscaling":{"mode":"Off","minReplicas":4}}}`, `replicas: 3`, plain},
		"an autoscaling that is on": {`{"order":{"replicas":3,"autoscaling":{"mode":"HPA","minReplicas":4}}}`, `replicas: 3`, plain},
		"no autoscaling":            {`{"order":{"replicas":3}}`, `replicas: 3`, plain},
		"too many":                  {`{"order":{"replicas":3,"autoscaling":{"mode":"Off","maxReplicas":400}}}`, `replicas: 3`, plain},
		"too few":                   {`{"order":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":0}}}`, `replicas: 3`, plain},
		"the wrong way round":       {`{"order":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":5,"maxReplicas":4}}}`, `replicas: 3`, plain},
		"no number":                 {`{"order":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":"4"}}}`, `replicas: 3`, plain},
		"an unknown field":          {`{"order":{"replicas":3,"autoscaling":{"mode":"Off","behavior":1}}}`, `replicas: 3`, plain},
		"another field": {
			`{"order":{"replicas":3,"image":"example.com/other","autoscaling":{"mode":"Off"}}}`, `replicas: 3`, plain,
		},
		"no JSON": {`{`, `replicas: 3`, plain},
		"autoscaling since": {
			`{"order":{"replicas":3,"autoscaling":{"mode":"Off","minReplicas":4}}}`, `autoscaling: {minReplicas: 2}`,
			`services: [{name: order, autoscaling: {mode: HPA, minReplicas: 2}}]`,
		},
		"neither since": {`{"order":{"replicas":3,"autoscaling":{"mode":"Off"}}}`, `wave: 1`, `services: [{name: order, wave: 1}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := parse(t, newerVersion, `spec: {components: [{name: order, `+c.components+`}]}`)
			object["metadata"] = map[string]any{"annotations": map[string]any{v1beta1.AnnotationScaling: c.annotation}}
			if err := v1beta1.Convert(object, olderVersion); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, olderVersion, `spec: {`+c.want+`}`), prune(object)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConvertRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, from, to, want string }{
		"another kind":      {"SaleEvent", olderVersion, newerVersion, "kind is SaleEvent"},
		"no kind":           {"", olderVersion, newerVersion, "kind is"},
		"an unknown origin": {v1beta1.Kind, "commercestack.dev/v1", newerVersion, "apiVersion is commercestack.dev/v1"},
		"an unknown aim":    {v1beta1.Kind, olderVersion, "commercestack.dev/v2", "the version asked for commercestack.dev/v2"},
		"another group":     {v1beta1.Kind, "apps/v1", "apps/v1", "apiVersion is apps/v1"},
	} {
		object := map[string]any{"kind": c.kind, "apiVersion": c.from}
		if err := v1beta1.Convert(object, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error = %v, want %q", name, err, c.want)
		}
	}
	for _, version := range []string{olderVersion, newerVersion} {
		object := parse(t, version, `spec: {gateway: {waf: "Off"}, components: []}`)
		if err := v1beta1.Convert(object, version); err != nil || !cmp.Equal(object, parse(t, version, `spec: {gateway: {waf: "Off"}, components: []}`)) {
			t.Errorf("to its own version: %v, %v", object, err)
		}
	}
}

// strange is a hub that no stack is.
type strange struct{ v1alpha1.CommerceStack }

// MarshalJSON fails.
func (strange) MarshalJSON() ([]byte, error) { return nil, errStrange }

// UnmarshalJSON fails.
func (*strange) UnmarshalJSON([]byte) error { return errStrange }

var errStrange = runtime.NewNotRegisteredErrForKind("test", v1beta1.GroupVersion.WithKind("Strange"))

func TestConvertingToSomethingElseFails(t *testing.T) {
	t.Parallel()
	stack := &v1beta1.CommerceStack{}
	if err := stack.ConvertFrom(&strange{}); err == nil {
		t.Error("ConvertFrom took it")
	}
	if err := stack.ConvertTo(&strange{}); err == nil {
		t.Error("ConvertTo took it")
	}
}
