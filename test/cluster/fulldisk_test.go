//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

// limitedClass has volumes that are as large as their claim, and no larger.
const limitedClass = "limited"

// filler is the file that fills the volume of PostgreSQL.
const filler = "/var/lib/postgresql/data/filler"

// Bounds of a full disk: the guard looks every five seconds, the operator after fifteen.
const (
	refusedWithin = 15 * time.Second
	ordersWithin  = 30 * time.Second
	toldWithin    = 3 * time.Minute
	// lastWithin is longer than the lease of an idempotency key.
	lastWithin = 30 * time.Second
)

// TestFullDisk fills the volume of PostgreSQL while people order: first to where the
// stack warns, then to the last byte. Orders are refused and reading goes on, the
// server does not end, and once there is room the shop sells again by itself.
func TestFullDisk(t *testing.T) {
	object := sample(t, "development.yaml")
	size, class := resource.MustParse("1Gi"), limitedClass
	object.Spec.Postgres.Storage = &v1alpha1.StorageSpec{Size: &size, StorageClassName: &class}
	scaled(&object.Spec)
	s := apply(t, "e2e-full-disk", object)
	fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	s.untilStorage(toldWithin, metav1.ConditionTrue, "Enough")
	guest := s.shop()
	flow := startTraffic(t, guest, s.admin(guest), "Bulky mug", 3, 3)

	started := time.Now()
	s.fill(180) // less than a fifth, and more than the server's log may still take of it
	s.untilStorage(toldWithin, metav1.ConditionFalse, "VolumeNearlyFull")
	fmt.Printf("nearly full: told after %.1f s\n", time.Since(started).Seconds())
	noFailures(t, "with a nearly full volume", flow)

	started = time.Now()
	s.fill(0)
	refused := s.firstOutcome(flow, unavailable, refusedWithin)
	fmt.Printf("full: the first order was refused after %.1f s: %s\n", time.Since(started).Seconds(), refused)
	s.untilStorage(time.Minute, metav1.ConditionFalse, "VolumeFull")
	fmt.Printf("full: told after %.1f s\n", time.Since(started).Seconds())
	s.until(time.Minute, "the stack is not Ready", func(o *v1alpha1.CommerceStack) (bool, error) {
		return meta.IsStatusConditionFalse(o.Status.Conditions, v1alpha1.ConditionReady), errors.New("it is Ready")
	})
	browse(t, flow)

	freed := time.Now()
	_, _, before := flow.counts()
	s.inPostgres("rm", filler)
	err := waitFor(t.Context(), ordersWithin, "people order again", func(context.Context) (bool, error) {
		_, _, now := flow.counts()
		return now > before, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	recovered := time.Since(freed)
	s.untilStorage(toldWithin, metav1.ConditionTrue, "Enough")
	s.waitReady(time.Minute)
	ready := time.Since(freed)
	time.Sleep(lastWithin - ready)
	flow.stop()
	text, last := flow.story()
	fmt.Printf("a full disk: %s; orders %.1f s after there was room, the last failure after %.1f s, Ready after %.1f s\n",
		text, recovered.Seconds(), max(0, last.Sub(freed)).Seconds(), ready.Seconds())
	fmt.Println(flow.firstFailures(6))
	s.neverRestarted("postgres")
	for outcome, count := range flow.outcomes {
		// A key whose first try was cut off by the full disk says so until its lease ends: nobody is charged twice.
		if outcome != unavailable && outcome != inProgress {
			t.Errorf("%d answers were %s", count, outcome)
		}
	}
	if last.Sub(freed) > lastWithin {
		t.Errorf("a request failed %.1f s after there was room, want none after %s", last.Sub(freed).Seconds(), lastWithin)
	}
	if slowest := flow.slowest(); slowest > 15*time.Second {
		t.Errorf("a request took %s", slowest)
	}
	flow.verify(t)
	purchase(t, guest)
}

// browse reads for a while, and nothing that is read may fail: only writing needs room.
func browse(t *testing.T, flow *traffic) {
	t.Helper()
	order := flow.firstOrder()
	for range 100 {
		for path, as := range map[string]*shop.Shop{
			"/": flow.guest, "/api/v1/products/" + flow.product: flow.guest, "/api/v1/products?pageSize=5": flow.guest,
			"/api/v1/orders/" + order.id: flow.guest.AsGuest(order.guestToken),
		} {
			answer, err := as.Do(t.Context(), http.MethodGet, path, nil)
			if err != nil || answer.Status != http.StatusOK {
				t.Fatalf("GET %s on a full disk: %+v (%v)", path, answer, err)
			}
		}
	}
}

// fill fills the volume of PostgreSQL up to so many MiB, as something does that has gone wrong there.
func (s *stack) fill(leave int) {
	s.t.Helper()
	s.inPostgres("sh", "-c", fmt.Sprintf(`free=$(df -Pm %[3]s | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
dd if=/dev/zero of=%[1]s bs=1M oflag=append conv=notrunc count=$((free - %[2]d)) 2>/dev/null
[ %[2]d -gt 0 ] || dd if=/dev/zero of=%[1]s bs=4k oflag=append conv=notrunc 2>/dev/null
df -Pm %[1]s | tail -n 1`, filler, leave, filepath.Dir(filler)))
}

// untilStorage waits for the condition of the volume.
func (s *stack) untilStorage(limit time.Duration, status metav1.ConditionStatus, reason string) *v1alpha1.CommerceStack {
	s.t.Helper()
	return s.until(limit, "StorageHealthy is "+string(status)+": "+reason, func(o *v1alpha1.CommerceStack) (bool, error) {
		found := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionStorageHealthy)
		if found == nil {
			return false, errors.New("no such condition")
		}
		return found.Status == status && found.Reason == reason, fmt.Errorf("%s: %s: %s", found.Status, found.Reason, found.Message)
	})
}

// firstOutcome waits for an answer that was no success, and returns what it said.
func (s *stack) firstOutcome(flow *traffic, outcome string, limit time.Duration) string {
	s.t.Helper()
	err := waitFor(s.t.Context(), limit, "an answer is "+outcome, func(context.Context) (bool, error) {
		flow.mu.Lock()
		defer flow.mu.Unlock()
		if flow.outcomes[outcome] > 0 {
			return true, nil
		}
		return false, fmt.Errorf("answers that failed: %v", flow.outcomes)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return flow.firstFailures(1)
}

// neverRestarted checks that no container of a part ended.
func (s *stack) neverRestarted(part string) {
	s.t.Helper()
	pods, err := s.pods(s.t.Context(), part)
	if err != nil || len(pods) == 0 {
		s.t.Fatalf("no pod of %s (%v)", part, err)
	}
	for i := range pods {
		for _, container := range pods[i].Status.ContainerStatuses {
			if container.RestartCount > 0 {
				s.t.Errorf("%s was restarted %d times", pods[i].Name, container.RestartCount)
			}
		}
	}
}
