//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

// TestLife takes the Development sample, with its data retained, from nothing to its deletion.
func TestLife(t *testing.T) {
	object := sample(t, "development.yaml")
	object.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	s := apply(t, "e2e-life", object)
	fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(3*time.Minute).Seconds())
	guest := s.shop()
	admin := s.admin(guest)

	story(t, s, []step{
		{"a customer buys from the demo catalog", func(t *testing.T) { purchase(t, guest) }},
		{"the network is closed to strangers", func(t *testing.T) { strangers(t, s) }},
		{"nothing changes at rest", func(t *testing.T) { rest(t, s) }},
		{"an edited object is repaired", func(t *testing.T) { drift(t, s) }},
		{"components scale out", func(t *testing.T) { scaleOut(t, s) }},
		{"a change of the spec loses no request", func(t *testing.T) { change(t, s, guest, admin) }},
		{"pods die while people order", func(t *testing.T) { killPods(t, s, guest, admin) }},
		{"the operator dies at random moments", func(t *testing.T) { killOperator(t, s) }},
		{"PostgreSQL dies while people order", func(t *testing.T) { killPostgres(t, s, guest, admin) }},
		{"a new operator restarts nothing", func(t *testing.T) { upgradeOperator(t, s) }},
		{"deletion keeps the data", func(t *testing.T) { deletion(t, s, true) }},
	})
}

// purchase walks from registration to the invoice through the gateway.
func purchase(t *testing.T, guest *shop.Shop) {
	ctx := t.Context()
	var found *shop.Answer
	// The catalog is loaded by a Job once the shop is there.
	err := shop.Eventually(ctx, 2*time.Minute, func() (bool, error) {
		var err error
		found, err = guest.Must(ctx, http.MethodGet, "/api/v1/products"+shop.Query("q", "mug", "inStock", "true", "pageSize", "1"), nil)
		return err == nil && found.Len("products") == 1, err
	})
	if err != nil {
		t.Fatalf("the demo catalog has no mug: %v", err)
	}
	email := shop.NewEmail()
	person, err := guest.Register(ctx, email)
	if err != nil {
		t.Fatal(err)
	}
	placed, err := person.Place(ctx, found.String("products", 0, "id"), 2)
	if err != nil || placed.Status != http.StatusOK {
		t.Fatalf("place: %v %s", err, placed.Raw)
	}
	order := placed.String("order", "id")
	if paid, err := person.Pay(ctx, order, "pm_card_visa"); err != nil || paid.Status != http.StatusOK {
		t.Fatalf("pay: %v %s", err, paid.Raw)
	}
	if _, err := person.WaitOrder(ctx, order, "CONFIRMED"); err != nil {
		t.Fatal(err)
	}
	err = shop.Eventually(ctx, 20*time.Second, func() (bool, error) {
		answer, err := person.Must(ctx, http.MethodGet, "/api/v1/billing/invoices"+shop.Query("orderId", order), nil)
		return err == nil && answer.Len("invoices") == 1, err
	})
	if err != nil {
		t.Errorf("no invoice: %v", err)
	}
}

// rest fails when an object of the stack changes in two minutes without a reason.
func rest(t *testing.T, s *stack) {
	before := versions(t, s)
	select {
	case <-t.Context().Done():
	case <-time.After(*restFor):
	}
	after := versions(t, s)
	for key, version := range before {
		if after[key] != version {
			t.Errorf("%s changed from %s to %q at rest", key, version, after[key])
		}
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			t.Errorf("%s appeared at rest", key)
		}
	}
}

// restKinds are the kinds that the operator writes. Pods, EndpointSlices and
// Leases are others' business.
var restKinds = []struct{ apiVersion, kind string }{
	{"v1", "Secret"},
	{"v1", "ConfigMap"},
	{"v1", "Service"},
	{"v1", "ServiceAccount"},
	{"v1", "PersistentVolumeClaim"},
	{"apps/v1", "Deployment"},
	{"apps/v1", "StatefulSet"},
	{"batch/v1", "Job"},
	{"policy/v1", "PodDisruptionBudget"},
	{"networking.k8s.io/v1", "NetworkPolicy"},
	{"networking.k8s.io/v1", "Ingress"},
	{"commercestack.dev/v1alpha1", "CommerceStack"},
}

// versions maps every object of the stack's namespace to its resourceVersion.
func versions(t *testing.T, s *stack) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, kind := range restKinds {
		list := &metav1.PartialObjectMetadataList{}
		list.APIVersion, list.Kind = kind.apiVersion, kind.kind+"List"
		if err := kube.List(t.Context(), list, client.InNamespace(s.namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			all[kind.kind+" "+list.Items[i].Name] = list.Items[i].ResourceVersion
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d objects: %v", len(all), slices.Sorted(maps.Keys(all)))
	}
	return all
}

// drift deletes one object and changes another; both must come back.
func drift(t *testing.T, s *stack) {
	ctx := t.Context()
	key := client.ObjectKey{Namespace: s.namespace, Name: s.name + "-order"}
	var service corev1.Service
	if err := kube.Get(ctx, key, &service); err != nil {
		t.Fatal(err)
	}
	old := service.UID
	if err := kube.Delete(ctx, &service); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(ctx, 20*time.Second, "the Service is back", func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, key, &service)
		return err == nil && service.UID != old, client.IgnoreNotFound(err)
	}); err != nil {
		t.Fatal(err)
	}
	service.Spec.Selector = map[string]string{"app": "nobody"}
	if err := kube.Update(ctx, &service); err != nil {
		t.Fatal(err)
	}
	if err := waitFor(ctx, 20*time.Second, "the selector is back", func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, key, &service)
		return err == nil && service.Spec.Selector["app.kubernetes.io/component"] == "order", err
	}); err != nil {
		t.Fatal(err)
	}
	s.waitReady(time.Minute)
}

// scaleOut runs two pods of each component on the way of an order, and takes the
// queues of orders and payments apart.
func scaleOut(t *testing.T, s *stack) {
	s.update(scaled)
	s.waitReady(4 * time.Minute)
}

// scaled has two pods of each component on the way of an order.
func scaled(spec *v1alpha1.CommerceStackSpec) {
	unlimited(spec)
	for _, name := range []v1alpha1.ComponentName{"auth", "product", "order", "billing", "gateway"} {
		spec.Services = append(slices.DeleteFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == name }), fixed(name, 2, 1))
	}
}

// unlimited lets the traffic of a test through.
func unlimited(spec *v1alpha1.CommerceStackSpec) {
	spec.Gateway.RateLimits = map[string]v1alpha1.RateLimit{"read": "0", "write": "0", "payment": "0"}
}

// fixed gives a component a number of pods, and order and billing a number of workers besides.
func fixed(name v1alpha1.ComponentName, pods, workers int32) v1alpha1.ServiceSpec {
	off := &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff, MinReplicas: 2, MaxReplicas: 10, TargetCPUUtilization: 60}
	service := v1alpha1.ServiceSpec{Name: name, Replicas: &pods, Autoscaling: off}
	if name == v1alpha1.ComponentOrder || name == v1alpha1.ComponentBilling {
		service.Workers = &v1alpha1.WorkersSpec{Mode: v1alpha1.WorkersSeparate, Replicas: &workers, Autoscaling: off}
	}
	return service
}

// change replaces the pods of the components on the way of an order while people
// order; no request may fail.
func change(t *testing.T, s *stack, guest, admin *shop.Shop) {
	settings := map[v1alpha1.ComponentName]v1alpha1.EnvVar{
		"gateway": {Name: "COMMERCE_GATEWAY_REQUEST_TIMEOUT", Value: "29s"},
		"order":   {Name: "COMMERCE_ORDER_SWEEP_INTERVAL", Value: "16s"},
		"product": {Name: "COMMERCE_PRODUCT_EXPIRE_EVERY", Value: "11s"},
	}
	flow := startTraffic(t, guest, admin, "Traffic mug", 1, 1)
	flow.settle()
	time.Sleep(2 * time.Second)
	var took time.Duration
	for _, name := range []v1alpha1.ComponentName{"product", "order", "gateway"} {
		s.update(func(spec *v1alpha1.CommerceStackSpec) {
			at := slices.IndexFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == name })
			spec.Services[at].Env = []v1alpha1.EnvVar{settings[name]}
		})
		took += s.waitReady(3 * time.Minute)
	}
	time.Sleep(3 * time.Second)
	flow.stop()
	noFailures(t, fmt.Sprintf("three components replaced under traffic in %.1f s", took.Seconds()), flow)
	flow.verify(t)
}

// deletion removes the stack and finds its data still there, or gone.
func deletion(t *testing.T, s *stack, kept bool) {
	t.Helper()
	ctx := t.Context()
	object, err := s.get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := kube.Delete(ctx, object); err != nil {
		t.Fatal(err)
	}
	err = waitFor(ctx, 90*time.Second, "the stack and its pods are gone", func(ctx context.Context) (bool, error) {
		if _, err := s.get(ctx); !apierrors.IsNotFound(err) {
			return false, errors.Join(err, errors.New("the resource is still there"))
		}
		pods, err := s.pods(ctx, "")
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d pods left", len(pods))
		}
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Volumes that nobody mounts any more take a moment to go.
	err = waitFor(ctx, 30*time.Second, fmt.Sprintf("the data is kept: %t", kept), func(ctx context.Context) (bool, error) {
		vault := kube.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name + "-vault"}, &corev1.Secret{})
		if client.IgnoreNotFound(vault) != nil {
			return false, vault
		}
		var claims corev1.PersistentVolumeClaimList
		if err := kube.List(ctx, &claims, client.InNamespace(s.namespace)); err != nil {
			return false, err
		}
		if (vault == nil) != kept || (len(claims.Items) > 0) != kept {
			return false, fmt.Errorf("vault: %t, volume claims: %d", vault == nil, len(claims.Items))
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
