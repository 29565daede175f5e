package commercestack_test

import (
	"errors"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

var errKilled = errors.New("killed")

// The operator is killed after each write, before the next one, and a new one
// begins anew: the stack becomes Ready, no secret is made twice and none is lost.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, kills := 0, 0
	w.funcs = onWrite(func(string, string, string) error {
		left--
		if left < 0 {
			return errKilled // nothing is written after the end
		}
		return nil
	})
	stack := w.create(t, w.development())
	vaults := map[string]bool{}
	for range 400 {
		w.restart(t)
		left = 1
		_, _ = w.visit(t.Context(), stack)
		vault := &corev1.Secret{}
		if err := w.Get(t.Context(), key(w.namespace, "shop-vault"), vault); err == nil {
			vaults[desired.Hash(flat(vault.Data)...)] = true
		}
		if left < 0 {
			kills++
			continue
		}
		if !w.playCluster(t) && isTrue(w.read(t, stack), v1alpha1.ConditionReady) {
			break
		}
	}
	if !isTrue(w.read(t, stack), v1alpha1.ConditionReady) || kills < 50 {
		t.Fatalf("after %d kills:%s", kills, describe(w.read(t, stack)))
	}
	if len(vaults) != 1 {
		t.Errorf("the vault had %d contents", len(vaults))
	}
	w.funcs = onWrite(func(string, string, string) error { return nil })
	w.restart(t)
	w.settle(t, stack)
	jobs := &batchv1.JobList{}
	w.list(t, jobs)
	if len(jobs.Items) != 1 {
		t.Errorf("%d Jobs are left, want the migration alone", len(jobs.Items))
	}
	w.checkTrust(t)
}

// checkTrust checks that every certificate is of the authority that all trust.
func (w *world) checkTrust(t *testing.T) {
	t.Helper()
	ca := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-ca"), ca); err != nil {
		t.Fatal(err)
	}
	authority, err := pki.ParseAuthority(ca.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"order", "gateway", "postgres", "redis"} {
		leaf := &corev1.Secret{}
		if err := w.Get(t.Context(), key(w.namespace, "shop-"+part+"-tls"), leaf); err != nil {
			t.Fatal(err)
		}
		if string(leaf.Data[pki.BundleKey]) != string(authority.Bundle()) {
			t.Errorf("%s trusts another authority", part)
		}
	}
}
