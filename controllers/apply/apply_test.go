package apply_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/internal/kubetest"
)

var cluster *rest.Config

func TestMain(m *testing.M) {
	started, err := kubetest.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cluster = started.Config
	code := m.Run()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

const manager = "test-operator"

// bench is a namespace with an applier and an owner.
type bench struct {
	client.WithWatch
	applier *apply.Applier
	owner   *corev1.ConfigMap
	sent    int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	plain, err := client.NewWithWatch(cluster, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "apply-"}}
	if err := plain.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	b := &bench{WithWatch: plain, owner: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "owner"}}}
	if err := plain.Create(t.Context(), b.owner); err != nil {
		t.Fatal(err)
	}
	b.restart()
	return b
}

func (b *bench) restart() { b.restartWith(nil) }

// restartWith is restart with a cache that keeps less of an object than the server.
func (b *bench) restartWith(strip func(client.Object)) {
	counting := interceptor.NewClient(b.WithWatch, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, k, o, opts...)
			if err == nil && strip != nil {
				strip(o)
			}
			return err
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			b.sent++
			return c.Apply(ctx, o, opts...)
		},
	})
	b.applier = apply.New(apply.Config{Client: counting, Live: b.WithWatch, FieldManager: manager, InitialManager: "test-replicas"})
}

// apply applies in a visit of its own and returns what was done and sent.
func (b *bench) apply(t *testing.T, dry bool, configuration runtime.ApplyConfiguration) (changes []apply.Change, sent int) {
	t.Helper()
	pass := b.applier.Begin(b.owner, dry)
	before := b.sent
	if err := pass.Apply(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	return pass.Changes(), b.sent - before
}

func (b *bench) service(port int32) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service("web", b.owner.Namespace).WithLabels(map[string]string{"app": "web"}).WithOwnerReferences(b.ref()).
		WithSpec(corev1ac.ServiceSpec().WithSelector(map[string]string{"app": "web"}).WithPorts(corev1ac.ServicePort().WithName("http").WithPort(port)))
}

func (b *bench) ref() *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().WithAPIVersion("v1").WithKind("ConfigMap").WithName(b.owner.Name).WithUID(b.owner.UID).WithController(true)
}

func (b *bench) deployment(replicas *int32) *appsv1ac.DeploymentApplyConfiguration {
	labels := map[string]string{"app": "web"}
	spec := appsv1ac.DeploymentSpec().WithSelector(metav1ac.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(corev1ac.PodSpec().WithContainers(corev1ac.Container().WithName("web").WithImage("web:1"))))
	spec.Replicas = replicas
	return appsv1ac.Deployment("web", b.owner.Namespace).WithSpec(spec)
}

func (b *bench) initial(n int32) *appsv1ac.DeploymentApplyConfiguration {
	return appsv1ac.Deployment("web", b.owner.Namespace).WithSpec(appsv1ac.DeploymentSpec().WithReplicas(n))
}

func (b *bench) get(t *testing.T, object client.Object, name string) {
	t.Helper()
	if err := b.Get(t.Context(), client.ObjectKey{Namespace: b.owner.Namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
}

func TestApplySendsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	expect := func(step string, changes []apply.Change, sent int, verb string, wantSent int) {
		t.Helper()
		got := ""
		if len(changes) > 0 {
			got = changes[0].Verb
		}
		if got != verb || sent != wantSent {
			t.Errorf("%s: %q with %d requests, want %q with %d", step, got, sent, verb, wantSent)
		}
	}
	changes, sent := b.apply(t, false, b.service(80))
	expect("first", changes, sent, apply.Created, 1)
	changes, sent = b.apply(t, false, b.service(80))
	expect("same", changes, sent, "", 0)
	changes, sent = b.apply(t, false, b.service(81))
	expect("other port", changes, sent, apply.Updated, 1)
	changes, sent = b.apply(t, false, b.service(81))
	expect("same again", changes, sent, "", 0)

	live := &corev1.Service{}
	b.get(t, live, "web")
	live.Spec.Selector = map[string]string{"app": "other"}
	if err := b.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	changes, sent = b.apply(t, false, b.service(81))
	expect("drift", changes, sent, apply.Updated, 1)
	b.get(t, live, "web")
	if live.Spec.Selector["app"] != "web" {
		t.Error("the drift is still there")
	}
	if err := b.Delete(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	changes, sent = b.apply(t, false, b.service(81))
	expect("deleted", changes, sent, apply.Created, 1)

	b.restart()
	changes, sent = b.apply(t, false, b.service(81))
	expect("a new process", changes, sent, "", 0)
	changes, sent = b.apply(t, false, b.service(81))
	expect("its second visit", changes, sent, "", 0)

	b.get(t, live, "web")
	live.Spec.Selector = map[string]string{"app": "other"}
	if err := b.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	b.restart()
	changes, sent = b.apply(t, false, b.service(81))
	expect("drift while no process ran", changes, sent, apply.Updated, 1)
	b.restart()
	changes, sent = b.apply(t, false, b.service(82))
	expect("a new process that wants something else", changes, sent, apply.Updated, 1)
}

// What a new process does not find in its cache it asks the server for, before it sends anything.
func TestNewProcessAsksTheServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Nothing of the spec is in the cache.
	lean := func(o client.Object) {
		if policy, ok := o.(*networkingv1.NetworkPolicy); ok {
			policy.Spec = networkingv1.NetworkPolicySpec{}
		}
	}
	want := networkingv1ac.NetworkPolicy("web", b.owner.Namespace).WithOwnerReferences(b.ref()).WithSpec(networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{"app": "web"})).WithPolicyTypes(networkingv1.PolicyTypeIngress))
	b.apply(t, false, want)
	b.restartWith(lean)
	if changes, sent := b.apply(t, false, want); len(changes) != 0 || sent != 0 {
		t.Errorf("%d requests: %v", sent, changes)
	}

	live := &networkingv1.NetworkPolicy{}
	b.get(t, live, "web")
	live.Spec.PodSelector.MatchLabels["app"] = "other"
	if err := b.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	b.restartWith(lean)
	if changes, sent := b.apply(t, false, want); len(changes) != 1 || sent != 1 {
		t.Errorf("a drift: %d requests: %v", sent, changes)
	}

	// It is written behind the cache's back: what the cache has is not judged by what the server has.
	b.restartWith(func(o client.Object) { lean(o); o.SetResourceVersion("1") })
	if _, sent := b.apply(t, false, want); sent != 1 {
		t.Errorf("an old cache: %d requests", sent)
	}
}

// Fields and status of others are nobody's business here.
func TestApplyLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(t, false, b.deployment(ptr.To[int32](2)))
	live := &appsv1.Deployment{}
	b.get(t, live, "web")
	live.Status = appsv1.DeploymentStatus{ObservedGeneration: live.Generation, Replicas: 2}
	if err := b.Status().Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if changes, sent := b.apply(t, false, b.deployment(ptr.To[int32](2))); len(changes) != 0 || sent != 0 {
		t.Errorf("a status cost %d requests: %v", sent, changes)
	}
}

// A port that somebody added would stay, because an apply leaves to others what
// they own.
func TestApplyTakesPortsOfOthersFromServices(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*corev1.Service){
		"added": func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "debug", Port: 6060})
		},
		"added with the number of ours": func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "debug", Port: 80, Protocol: corev1.ProtocolUDP})
		},
		// No apply succeeds while another port has the name of ours.
		"changed": func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			want := b.service(80)
			want.Spec.WithType(corev1.ServiceTypeNodePort)
			b.apply(t, false, want)
			live := &corev1.Service{}
			b.get(t, live, "web")
			node := live.Spec.Ports[0].NodePort
			edit(live)
			if err := b.Update(t.Context(), live); err != nil {
				t.Fatal(err)
			}
			if changes, _ := b.apply(t, false, want); len(changes) != 1 || changes[0].Verb != apply.Updated {
				t.Errorf("told %v", changes)
			}
			b.get(t, live, "web")
			if len(live.Spec.Ports) != 1 || live.Spec.Ports[0].Port != 80 || live.Spec.Ports[0].Name != "http" || live.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
				t.Errorf("the ports are %+v", live.Spec.Ports)
			}
			if name != "changed" && live.Spec.Ports[0].NodePort != node {
				t.Errorf("the port of the node moved from %d to %d", node, live.Spec.Ports[0].NodePort)
			}
			if changes, sent := b.apply(t, false, want); len(changes) != 0 || sent != 0 {
				t.Errorf("at rest %d requests: %v", sent, changes)
			}
		})
	}
}

// A cache that strips owners of fields still knows whose the number of pods is.
func TestReplicasOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := &appsv1.Deployment{}
	b.apply(t, false, b.deployment(ptr.To[int32](2)))
	b.get(t, live, "web")
	left := apply.ReplicasOwner(live.ManagedFields, manager)
	if len(left) != 1 || len(left[0].FieldsV1.GetRawBytes()) > 64 {
		t.Errorf("left is %+v", left)
	}
	if again := apply.ReplicasOwner(left, manager); len(again) != 1 {
		t.Error("what is left does not say that the number is owned")
	}
	if apply.ReplicasOwner(live.ManagedFields, "somebody") != nil {
		t.Error("it is somebody's")
	}
	b.apply(t, false, b.deployment(nil))
	b.get(t, live, "web")
	if left := apply.ReplicasOwner(live.ManagedFields, manager); left != nil {
		t.Errorf("a number that was given away: %+v", left)
	}
}

func TestDryPassTellsPortsOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(t, false, b.service(80))
	live := &corev1.Service{}
	b.get(t, live, "web")
	live.Spec.Ports = append(live.Spec.Ports, corev1.ServicePort{Name: "debug", Port: 6060})
	if err := b.Update(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if changes, _ := b.apply(t, true, b.service(80)); len(changes) != 1 || changes[0].Verb != apply.Updated {
			t.Errorf("told %v", changes)
		}
	}
	if b.get(t, live, "web"); len(live.Spec.Ports) != 2 {
		t.Error("a dry visit changed something")
	}
}

func TestDryPassTellsAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if changes, sent := b.apply(t, true, b.service(80)); len(changes) != 1 || changes[0].Verb != apply.Created || sent != 0 {
		t.Errorf("missing: %v, %d requests", changes, sent)
	}
	b.apply(t, false, b.service(80))
	if changes, _ := b.apply(t, true, b.service(80)); len(changes) != 0 {
		t.Errorf("same: %v", changes)
	}
	for i, wantSent := range []int{1, 0} {
		if changes, sent := b.apply(t, true, b.service(81)); len(changes) != 1 || changes[0].Verb != apply.Updated || sent != wantSent {
			t.Errorf("look %d: %v, %d requests", i, changes, sent)
		}
	}
	live := &corev1.Service{}
	b.get(t, live, "web")
	if live.Spec.Ports[0].Port != 80 {
		t.Error("a dry visit changed something")
	}
	if changes, _ := b.apply(t, false, b.service(81)); len(changes) != 1 {
		t.Error("what a dry visit saw was taken for done")
	}
}

func TestAutoscaledGivesTheNumberAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	autoscaled := func(step string, want int32) {
		t.Helper()
		pass := b.applier.Begin(b.owner, false)
		if err := pass.Autoscaled(t.Context(), b.deployment(nil), b.initial(2)); err != nil {
			t.Fatal(err)
		}
		live := &appsv1.Deployment{}
		b.get(t, live, "web")
		if *live.Spec.Replicas != want {
			t.Errorf("%s: %d pods, want %d", step, *live.Spec.Replicas, want)
		}
	}
	autoscaled("created", 2)
	scale := func(n int32) {
		live := &appsv1.Deployment{}
		b.get(t, live, "web")
		live.Spec.Replicas = ptr.To(n)
		if err := b.Update(t.Context(), live, client.FieldOwner("kube-controller-manager")); err != nil {
			t.Fatal(err)
		}
	}
	scale(7)
	autoscaled("scaled by the autoscaler", 7)
	b.restart()
	autoscaled("by a new process", 7)
	b.apply(t, false, b.deployment(ptr.To[int32](4)))
	b.restart()
	autoscaled("autoscaling on again", 4)
	scale(9)
	autoscaled("scaled once more", 9)
}

func TestPruneDeletesWhatWasNotNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	labels := map[string]string{"app": "web"}
	config := func(name string, owned bool) *corev1ac.ConfigMapApplyConfiguration {
		c := corev1ac.ConfigMap(name, b.owner.Namespace).WithLabels(labels)
		if owned {
			c = c.WithOwnerReferences(b.ref())
		}
		return c
	}
	pass := b.applier.Begin(b.owner, false)
	for name, owned := range map[string]bool{"kept": true, "once": true, "spared": true, "old": true, "foreign": false} {
		if err := pass.Apply(t.Context(), config(name, owned)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dry := range []bool{true, false} {
		pass = b.applier.Begin(b.owner, dry)
		if err := pass.Keep(config("kept", true)); err != nil {
			t.Fatal(err)
		}
		if err := pass.Once(t.Context(), config("once", true)); err != nil {
			t.Fatal(err)
		}
		kind := corev1.SchemeGroupVersion.WithKind("ConfigMap")
		if err := pass.Prune(t.Context(), kind, labels, func(o client.Object) bool { return o.GetName() == "spared" }); err != nil {
			t.Fatal(err)
		}
		if changes := pass.Changes(); len(changes) != 1 || changes[0].String() != "ConfigMap/old" || changes[0].Verb != apply.Deleted {
			t.Errorf("dry %v: %v", dry, changes)
		}
		err := b.Get(t.Context(), client.ObjectKey{Namespace: b.owner.Namespace, Name: "old"}, &corev1.ConfigMap{})
		if apierrors.IsNotFound(err) == dry {
			t.Errorf("dry %v: %v", dry, err)
		}
	}
	for _, name := range []string{"kept", "once", "spared", "foreign"} {
		b.get(t, &corev1.ConfigMap{}, name)
	}
}

func TestApplyRefusesWhatHasNoName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pass := b.applier.Begin(b.owner, false)
	nameless := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}})
	if err := pass.Apply(t.Context(), nameless); err == nil {
		t.Error("an object without a name was applied")
	}
}
