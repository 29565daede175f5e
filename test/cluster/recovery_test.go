//go:build cluster

package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

// TestDisaster takes away what a shop stands on: its cache, Kubernetes' API, and
// the disk of its database. A sale comes and goes first.
func TestDisaster(t *testing.T) {
	object := sample(t, "development.yaml")
	object.Spec.Backup = &v1alpha1.BackupSpec{Schedule: "0 3 * * *"}
	object.Spec.DeletionPolicy = v1alpha1.DeletionRetain
	scaled(&object.Spec)
	s := apply(t, "e2e-disaster", object)
	fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	guest := s.shop()
	admin := s.admin(guest)
	story(t, s, []step{
		{"a sale comes and goes", func(t *testing.T) { sale(t, s) }},
		{"Redis forgets everything", func(t *testing.T) { forgetfulRedis(t, s, guest, admin) }},
		{"the API server answers nobody", func(t *testing.T) { silentServer(t, s, guest, admin) }},
		{"the disk of the database is lost", func(t *testing.T) { lostDisk(t, s, guest, admin) }},
	})
}

// sale scales components for a while, as its SaleEvent says, and back.
func sale(t *testing.T, s *stack) {
	pods := func() int32 {
		var deployment appsv1.Deployment
		if err := kube.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name + "-product"}, &deployment); err != nil {
			t.Fatal(err)
		}
		return deployment.Status.ReadyReplicas
	}
	before, more := pods(), int32(3)
	event := &v1alpha1.SaleEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "evening"},
		Spec: v1alpha1.SaleEventSpec{
			StackRef: v1alpha1.StackRef{Name: s.name},
			Start:    metav1.NewTime(time.Now().Truncate(time.Second)),
			End:      metav1.NewTime(time.Now().Add(45 * time.Second).Truncate(time.Second)),
			Services: []v1alpha1.SaleService{{Name: "product", MinReplicas: more, MaxReplicas: &more}},
		},
	}
	started := time.Now()
	if err := kube.Create(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	s.until(time.Minute, "product has the pods of the sale", func(*v1alpha1.CommerceStack) (bool, error) {
		return pods() == more, fmt.Errorf("%d pods", pods())
	})
	fmt.Printf("sale: %d pods instead of %d after %.1f s\n", more, before, time.Since(started).Seconds())
	s.until(3*time.Minute, "product has the pods it had before", func(*v1alpha1.CommerceStack) (bool, error) {
		err := kube.Get(t.Context(), client.ObjectKeyFromObject(event), event)
		return pods() == before && event.Status.Phase == v1alpha1.SaleEnded, errors.Join(err, fmt.Errorf("%d pods, the sale is %s", pods(), event.Status.Phase))
	})
}

// forgetfulRedis ends Redis, which keeps nothing on disk, while people shop. It is
// a cache and a counter: nobody may notice.
func forgetfulRedis(t *testing.T, s *stack, guest, admin *shop.Shop) {
	session, err := guest.Register(t.Context(), shop.NewEmail())
	if err != nil {
		t.Fatal(err)
	}
	flow := startTraffic(t, guest, admin, "Forgetful mug", 2, 1)
	flow.settle()
	time.Sleep(2 * time.Second)
	kill(t, s, "redis")
	time.Sleep(5 * time.Second)
	s.waitReady(2 * time.Minute)
	time.Sleep(5 * time.Second)
	flow.stop()
	noFailures(t, "Redis forgot everything", flow)
	if _, err := session.Must(t.Context(), http.MethodGet, "/api/v1/users/me", nil); err != nil {
		t.Errorf("a customer who was logged in before is not any more: %v", err)
	}
	flow.verify(t)
}

// silentServer leaves the shop without Kubernetes' API: it serves on, and the
// operator, which loses its lease, is back at work afterwards.
func silentServer(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Silent mug", 2, 1)
	flow.settle()
	inRepository(t, "go", "run", "./hack/cluster", "outage")
	s.update(func(spec *v1alpha1.CommerceStackSpec) { spec.Observability.LogLevel = "debug" })
	fmt.Printf("a change made after the outage is done after %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	flow.stop()
	noFailures(t, "the API server answered nobody", flow)
	flow.verify(t)
}

// lostDisk takes the stack away and then the volume of its database; the same
// stack, told to restore, has every order of the backup again.
func lostDisk(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Restored mug", 1, 1)
	time.Sleep(5 * time.Second)
	flow.stop()
	s.runCronJob("backup")
	object := s.until(5*time.Minute, "a backup is there", func(o *v1alpha1.CommerceStack) (bool, error) {
		return o.Status.Backup != nil && o.Status.Backup.LastSuccess != nil, errors.New("no backup")
	})
	deletion(t, s, true)
	var volumes corev1.PersistentVolumeClaimList
	if err := kube.List(t.Context(), &volumes, client.InNamespace(s.namespace), client.MatchingLabels{"app.kubernetes.io/component": "postgres"}); err != nil || len(volumes.Items) != 1 {
		t.Fatalf("%d volumes of the database (%v)", len(volumes.Items), err)
	}
	if err := kube.Delete(t.Context(), &volumes.Items[0]); err != nil {
		t.Fatal(err)
	}
	restored := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.name}, Spec: object.Spec}
	restored.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	restored.Spec.Restore = &v1alpha1.RestoreSpec{From: v1alpha1.RestoreSource{ID: "latest"}}
	started := time.Now()
	if err := kube.Create(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	s.waitReady(5 * time.Minute)
	fmt.Printf("restored after the loss of the database's disk in %.1f s\n", time.Since(started).Seconds())
	flow.guest = s.shop()
	flow.verify(t)
	purchase(t, flow.guest)
}
