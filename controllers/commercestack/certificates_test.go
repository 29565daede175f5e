package commercestack_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/pki"
)

// A year passes: certificates are replaced in place before their end, the
// authority too, and no pod restarts for it but Redis, which cannot reload.
func TestCertificatesAreRotatedInPlace(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Now().Add(-time.Hour))
	w := newWorld(t, withClock(clock))
	stack := w.development()
	stack.Spec.Secrets.Interval.Duration = 10 * 365 * 24 * time.Hour // certificates alone
	stack = w.install(t, stack)
	read := func(name string) *corev1.Secret {
		secret := &corev1.Secret{}
		if err := w.Get(t.Context(), key(w.namespace, name), secret); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	before := w.secretNames(t)
	uid, firstCA := read("shop-order-tls").UID, read("shop-ca").Data
	leaves, authorities := map[string]bool{}, map[string]bool{}
	for range 36 {
		result, err := w.visit(t.Context(), stack)
		if err != nil {
			t.Fatal(err)
		}
		w.playCluster(t)
		// The operator sleeps as long as it said, at most two weeks.
		clock.SetTime(clock.Now().Add(min(max(result.RequeueAfter, time.Minute), 14*24*time.Hour)))
		leaves[string(read("shop-order-tls").Data[pki.CertKey])] = true
		authorities[string(read("shop-ca").Data[pki.CertKey])] = true
		w.checkTrust(t)
	}
	if len(leaves) < 4 || len(authorities) != 2 {
		t.Errorf("%d certificates of order, %d authorities in a year", len(leaves), len(authorities))
	}
	if read("shop-order-tls").UID != uid {
		t.Error("the Secret was replaced instead of its content")
	}
	if string(read("shop-ca").Data[pki.CertKey]) == string(firstCA[pki.CertKey]) {
		t.Error("the authority is still the first")
	}
	for name, secret := range w.secretNames(t) {
		if before[name] != secret {
			t.Errorf("%s got other passwords by a rotation of certificates", name)
		}
	}
	stack = w.read(t, stack)
	for _, secret := range stack.Status.Secrets {
		if secret.ExpiresAt != nil && secret.ExpiresAt.Time.Before(clock.Now()) {
			t.Errorf("%s is past its end", secret.Name)
		}
	}
	if !isTrue(stack, v1alpha1.ConditionReady) || !isTrue(stack, v1alpha1.ConditionSecretsCurrent) {
		t.Errorf("after a year:%s", describe(stack))
	}
}

func TestBrokenAuthorityIsStalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.development())
	ca := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-ca"), ca); err != nil {
		t.Fatal(err)
	}
	ca.Data[pki.PrivateKey] = []byte("nonsense")
	if err := w.Update(t.Context(), ca); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != "True" || !strings.Contains(c.Message, "shop-ca") {
		t.Errorf("Stalled: %+v", c)
	}
	if err := w.Delete(t.Context(), ca); err != nil {
		t.Fatal(err)
	}
	w.ready(t, stack)
	w.checkTrust(t)
}
