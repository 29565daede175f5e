package desired

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

func revisionOf(t *testing.T, in Input) string {
	t.Helper()
	revision, err := RevisionOf(in)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// A new operator must not roll anything out: the revision of an unchanged spec
// stays what it was, for as long as there are stacks of its shape.
func TestRevisionsOfSamplesStay(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[int32]string{
		"development": {1: "60af5b92814f2ea9", 2: "049a62ffb983163f", 3: "1694113c4db7f7bc", 4: "e9e581558c467657"},
		"staging":     {1: "f1a73dd3b6eb4868", 2: "44cefe2271e0a2da", 3: "44cefe2271e0a2da", 4: "9e2276a0bbe2c581"},
		"production":  {1: "922e5330051e08f8", 2: "43c09d1f0b9431fd", 3: "43c09d1f0b9431fd", 4: "bcc488a5d5836885"},
	} {
		for render, want := range want {
			in := newInput(sample(t, name))
			in.RenderRevision = render
			if got := revisionOf(t, in); got != want {
				t.Errorf("%s, renderRevision %d: revision %s, was %s", name, render, got, want)
			}
		}
	}
}

func TestRevisionIsWhatPodsAreMadeOf(t *testing.T) {
	t.Parallel()
	base := func() Input { return givenSpec(t, stagingSpec) }
	before := revisionOf(t, base())
	for name, tt := range map[string]struct {
		change func(*Input)
		same   bool
	}{
		"nothing":           {func(*Input) {}, true},
		"version":           {func(in *Input) { in.Stack.Spec.Version = "0.2.0" }, false},
		"image":             {func(in *Input) { in.Stack.Spec.Services = []v1alpha1.ServiceSpec{{Name: "order", Image: "x:1"}} }, false},
		"setting":           {func(in *Input) { in.Stack.Spec.Observability.LogLevel = "debug" }, false},
		"shape":             {func(in *Input) { in.RenderRevision = 1 }, false},
		"versions of keys":  {func(in *Input) { in.Secrets.Components["order"] = "shop-order-other" }, true},
		"authority":         {func(in *Input) { in.RedisCertificate = "other" }, true},
		"way to the shop":   {func(in *Input) { in.Stack.Spec.Gateway.Expose = v1alpha1.ExposeLoadBalancer }, true},
		"network policies":  {func(in *Input) { in.Stack.Spec.NetworkPolicy.Mode = v1alpha1.NetworkPolicyOff }, true},
		"policy of rollout": {func(in *Input) { in.Stack.Spec.Rollout.Strategy = v1alpha1.RolloutCanary }, true},
	} {
		in := base()
		tt.change(&in)
		if after := revisionOf(t, in); (after == before) != tt.same {
			t.Errorf("%s: revision %s became %s", name, before, after)
		}
	}
}

// A revision is rendered again from its record, whatever the spec says now.
func TestSnapshotsRestoreTheirRevision(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"development", "staging", "production"} {
		old := newInput(sample(t, name))
		want := revisionOf(t, old)
		content, err := json.Marshal(SnapshotOf(old))
		if err != nil {
			t.Fatal(err)
		}
		var kept Snapshot
		if err := json.Unmarshal(content, &kept); err != nil {
			t.Fatal(err)
		}
		now := newInput(sample(t, name))
		now.RenderRevision, now.Images.Platform = 2, "elsewhere/commerce"
		now.Stack.Spec.Version = "9.9.9"
		now.Stack.Spec.Gateway = v1alpha1.GatewaySpec{Expose: v1alpha1.ExposeLoadBalancer}
		now.Stack.Spec.Services = []v1alpha1.ServiceSpec{{Name: "order", Autoscaling: &v1alpha1.AutoscalingSpec{MinReplicas: 7, MaxReplicas: 50}}}
		restored := kept.Restore(now)
		if got := revisionOf(t, restored); got != want {
			t.Errorf("%s: restored as revision %s, was %s", name, got, want)
		}
		// Numbers of pods are those of now.
		order, err := ForComponent(restored, "order")
		if err != nil {
			t.Fatal(err)
		}
		if order.HPA == nil || *order.HPA.Spec.MinReplicas != 7 || order.Deployment.Spec.Replicas != nil {
			t.Errorf("%s: the restored revision has another number of pods", name)
		}
	}
}

// Only the gateway's pods are of another shape since revision 2.
func TestRoutingTableChangesTheGatewayAlone(t *testing.T) {
	t.Parallel()
	for _, component := range Components() {
		in := atRevision(newInput(sample(t, "production")), 1)
		before, err := ForComponent(in, component)
		if err != nil {
			t.Fatal(err)
		}
		in.RenderRevision = 2
		after, err := ForComponent(in, component)
		if err != nil {
			t.Fatal(err)
		}
		a, b := text(t, before.Objects()), text(t, after.Objects())
		if (a == b) != (component != v1alpha1.ComponentGateway) {
			t.Errorf("%s:\n%s", component, cmp.Diff(a, b))
		}
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	content, err := canonical(raw)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A hash that is known is the one that is made, and only so many are known.
func TestHashesAreRemembered(t *testing.T) {
	t.Parallel()
	m := &memo{known: map[[sha256.Size]byte]string{}}
	for range 2 {
		for i := range memory + 10 {
			if got, err := m.of(map[string]int{"n": i}); err != nil || got != Hash(fmt.Sprintf(`{"n":%d}`, i)) {
				t.Fatalf("%d: %q, %v", i, got, err)
			}
		}
		if len(m.known) > memory {
			t.Errorf("%d hashes are known", len(m.known))
		}
	}
	if _, err := m.of(make(chan int)); err == nil {
		t.Error("what has no JSON has a hash")
	}
}
