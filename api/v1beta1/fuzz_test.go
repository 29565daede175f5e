package v1beta1_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/api/v1beta1"
)

// rounds are how many stacks are made of each version.
const rounds = 2000

// fillers make what the schemas allow where the versions differ, and anything else
// elsewhere.
func fillers(codecs serializer.CodecFactory) []any {
	all := metafuzzer.Funcs(codecs)
	all = append(all, olderFillers()...)
	all = append(all, newerFillers()...)
	return append(all,
		func(n *intstr.IntOrString, c randfill.Continue) {
			*n = intstr.FromInt32(c.Int31())
			if c.Bool() {
				*n = intstr.FromString(fmt.Sprintf("%d%%", c.Intn(100)))
			}
		},
		func(j *apiextensionsv1.JSON, c randfill.Continue) {
			j.Raw = fmt.Appendf(nil, `{"spec":{"names":["a",null,1.5],"paused":%t,"replicas":%d}}`, c.Bool(), c.Int31())
		},
	)
}

func pick[T any](c randfill.Continue, from ...T) T { return from[c.Intn(len(from))] }

func olderFillers() []any {
	return []any{
		func(s *v1alpha1.CommerceStack, c randfill.Continue) {
			c.FillNoCustom(s)
			s.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1beta1.Kind))
			for i := range s.Spec.Services {
				s.Spec.Services[i].Name = v1alpha1.ComponentName(fmt.Sprint("component-", i))
			}
		},
		func(p *v1alpha1.PostgresSpec, c randfill.Continue) {
			c.FillNoCustom(p)
			p.Mode = pick(c, "", v1alpha1.DataManaged, v1alpha1.DataStatefulSet, v1alpha1.DataExternal)
		},
		func(r *v1alpha1.RedisSpec, c randfill.Continue) {
			c.FillNoCustom(r)
			r.Mode = pick(c, v1alpha1.DataStatefulSet, v1alpha1.DataExternal)
		},
		func(s *v1alpha1.CommerceStackStatus, c randfill.Continue) {
			c.FillNoCustom(s)
			s.PostgresMode = pick(c, "", v1alpha1.DataManaged, v1alpha1.DataStatefulSet, v1alpha1.DataExternal)
		},
		func(g *v1alpha1.GatewaySpec, c randfill.Continue) {
			c.FillNoCustom(g)
			g.WAF, g.TLS.Mode = pick(c, "Off", "Detect", "Block"), pick(c, "Internal", "Secret", "CertManager", "Off")
		},
		func(n *v1alpha1.NetworkPolicySpec, c randfill.Continue) {
			c.FillNoCustom(n)
			n.Mode = pick(c, v1alpha1.NetworkPolicyEnforced, v1alpha1.NetworkPolicyOff)
		},
		func(o *v1alpha1.ObservabilitySpec, c randfill.Continue) {
			c.FillNoCustom(o)
			o.ServiceMonitors = pick(c, v1alpha1.ToggleAuto, v1alpha1.ToggleOn, v1alpha1.ToggleOff)
		},
		func(e *v1alpha1.Environment, c randfill.Continue) {
			*e = pick(c, v1alpha1.EnvironmentDevelopment, v1alpha1.EnvironmentStaging, v1alpha1.EnvironmentProduction)
		},
		func(a *v1alpha1.AutoscalingSpec, c randfill.Continue) {
			low := 1 + c.Int31n(100)
			*a = v1alpha1.AutoscalingSpec{
				Mode: pick(c, v1alpha1.AutoscalingHPA, v1alpha1.AutoscalingOff), MinReplicas: low, MaxReplicas: low + c.Int31n(101-low),
				TargetCPUUtilization: 50 + c.Int31n(21), ScaleDownStabilizationSeconds: pick(c, nil, ptr.To(c.Int31n(3601))),
			}
		},
		func(s *v1alpha1.ServiceSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			s.Replicas = allowed(c, s.Autoscaling)
		},
		func(w *v1alpha1.WorkersSpec, c randfill.Continue) {
			c.FillNoCustom(w)
			w.Replicas = allowed(c, w.Autoscaling)
		},
	}
}

// allowed is a number of pods only where autoscaling is off.
func allowed(c randfill.Continue, a *v1alpha1.AutoscalingSpec) *int32 {
	if a == nil || a.Mode != v1alpha1.AutoscalingOff {
		return nil
	}
	return pick(c, nil, ptr.To(c.Int31n(101)))
}

func newerFillers() []any {
	return []any{
		func(s *v1beta1.CommerceStack, c randfill.Continue) {
			c.FillNoCustom(s)
			s.SetGroupVersionKind(v1beta1.GroupVersion.WithKind(v1beta1.Kind))
			for i := range s.Spec.Components {
				s.Spec.Components[i].Name = v1beta1.ComponentName(fmt.Sprint("component-", i))
			}
		},
		func(p *v1beta1.PostgresSpec, c randfill.Continue) {
			c.FillNoCustom(p)
			p.Mode = pick(c, "", v1beta1.PostgresCloudNativePG, v1beta1.PostgresStatefulSet, v1beta1.PostgresExternal)
		},
		func(s *v1beta1.CommerceStackStatus, c randfill.Continue) {
			c.FillNoCustom(s)
			s.PostgresMode = pick(c, "", v1beta1.PostgresCloudNativePG, v1beta1.PostgresStatefulSet, v1beta1.PostgresExternal)
		},
		func(g *v1beta1.GatewaySpec, c randfill.Continue) {
			c.FillNoCustom(g)
			g.WAF, g.TLS.Mode = pick(c, "Disabled", "Detect", "Block"), pick(c, "Internal", "Secret", "CertManager", "Disabled")
		},
		func(n *v1beta1.NetworkPolicySpec, c randfill.Continue) {
			c.FillNoCustom(n)
			n.Mode = pick(c, v1beta1.NetworkPolicyEnforced, v1beta1.NetworkPolicyDisabled)
		},
		func(o *v1beta1.ObservabilitySpec, c randfill.Continue) {
			c.FillNoCustom(o)
			o.ServiceMonitors = pick(c, v1beta1.ToggleAuto, v1beta1.ToggleEnabled, v1beta1.ToggleDisabled)
		},
		func(s *v1beta1.CanarySpec, c randfill.Continue) {
			c.FillNoCustom(s)
			if len(s.Steps)+len(s.Analysis) == 0 {
				*s = v1beta1.CanarySpec{} // the schema takes no empty one
			}
		},
		func(s *v1beta1.ComponentSpec, c randfill.Continue) {
			c.FillNoCustom(s)
			if s.Autoscaling != nil {
				s.Replicas = nil
			}
		},
		func(w *v1beta1.WorkersSpec, c randfill.Continue) {
			c.FillNoCustom(w)
			if w.Autoscaling != nil {
				w.Replicas = nil
			}
		},
	}
}

func newCodecs(t testing.TB) serializer.CodecFactory {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme)
}

// roundTrip takes a filled stack of each version to the other one and back.
func roundTrip(t *testing.T, fill func(any)) {
	t.Helper()
	older, newer := &v1alpha1.CommerceStack{}, &v1beta1.CommerceStack{}
	fill(older)
	fill(newer)
	// The annotation is the conversion's own.
	delete(older.Annotations, v1beta1.AnnotationScaling)
	delete(newer.Annotations, v1beta1.AnnotationScaling)

	spoke, back := &v1beta1.CommerceStack{}, &v1alpha1.CommerceStack{}
	if err := spoke.ConvertFrom(older.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if err := spoke.ConvertTo(back); err != nil {
		t.Fatal(err)
	}
	if !apiequality.Semantic.DeepEqual(older, back) {
		t.Fatalf("v1alpha1 by v1beta1 (-before +after):\n%s", cmp.Diff(older, back))
	}
	hub, again := &v1alpha1.CommerceStack{}, &v1beta1.CommerceStack{}
	if err := newer.DeepCopy().ConvertTo(hub); err != nil {
		t.Fatal(err)
	}
	if err := again.ConvertFrom(hub); err != nil {
		t.Fatal(err)
	}
	if !apiequality.Semantic.DeepEqual(newer, again) {
		t.Fatalf("v1beta1 by v1alpha1 (-before +after):\n%s", cmp.Diff(newer, again))
	}
	plainRoundTrip(t, older, v1beta1.GroupVersion.String())
	plainRoundTrip(t, newer, v1alpha1.GroupVersion.String())
}

// plainRoundTrip does the same to what the API server sends, of which no byte may change.
func plainRoundTrip(t *testing.T, stack runtime.Object, apiVersion string) {
	t.Helper()
	before, err := runtime.DefaultUnstructuredConverter.ToUnstructured(stack)
	if err != nil {
		t.Fatal(err)
	}
	after := runtime.DeepCopyJSON(before)
	for _, version := range []string{apiVersion, stack.GetObjectKind().GroupVersionKind().GroupVersion().String()} {
		if err := v1beta1.Convert(after, version); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("by %s (-before +after):\n%s", apiVersion, cmp.Diff(before, after))
	}
}

// source is one of the older kind, which the filler asks for.
type source struct{ rand.Source }

func (s source) Int63() int64 { return int64(s.Uint64() >> 1) }

func (source) Seed(int64) {}

func TestRoundTripLosesNothing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	filler := fuzzer.FuzzerFor(fillers, source{rand.NewPCG(seed, 0)}, newCodecs(t))
	for range rounds {
		roundTrip(t, func(stack any) { filler.Fill(stack) })
	}
}

func FuzzRoundTrip(f *testing.F) {
	codecs := newCodecs(f)
	for seed := range uint64(3) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		filler := fuzzer.FuzzerFor(fillers, source{rand.NewPCG(seed, 0)}, codecs)
		roundTrip(t, func(stack any) { filler.Fill(stack) })
	})
}

// FuzzConvert holds the conversion to any JSON: it changes nothing of the metadata
// but annotations, since the API server takes nothing else, and ends.
func FuzzConvert(f *testing.F) {
	f.Add(`{"metadata":{"name":"shop"},"spec":{"services":[{"name":"order","replicas":1,"autoscaling":{"mode":"Off"}},1,{}]}}`)
	f.Add(`{"metadata":{"annotations":{"commercestack.dev/v1alpha1-scaling":"{\"order\":{\"autoscaling\":{\"mode\":\"Off\"}}}"}},"spec":{"components":[{"name":"order","replicas":2}]}}`)
	f.Add(`{"metadata":1,"spec":{"rollout":{"strategy":{"canary":1}},"components":{"name":"x"}},"status":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, way := range [][2]string{{"v1alpha1", "v1beta1"}, {"v1beta1", "v1alpha1"}} {
			var before, after map[string]any
			if json.Unmarshal([]byte(text), &before) != nil || before == nil {
				t.Skip()
			}
			before["kind"], before["apiVersion"] = v1beta1.Kind, v1beta1.Group+"/"+way[0]
			after = runtime.DeepCopyJSON(before)
			if err := v1beta1.Convert(after, v1beta1.Group+"/"+way[1]); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(unannotated(before), unannotated(after)); diff != "" {
				t.Errorf("metadata (-before +after):\n%s", diff)
			}
		}
	})
}

func unannotated(object map[string]any) any {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return nil
	}
	rest := map[string]any{}
	for name, content := range metadata {
		if name != "annotations" {
			rest[name] = content
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}
