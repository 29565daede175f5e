package commercestack_test

import (
	"errors"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

var errKilled = errors.New("killed")

// killing lets an operator do as many writes as are left; nothing is written after
// its end, and left is negative then.
func killing(left *int) interceptor.Funcs {
	return onWrite(func(string, string, string) error {
		*left--
		if *left < 0 {
			return errKilled
		}
		return nil
	})
}

// The operator is killed after each write, before the next one, and a new one
// begins anew: the stack becomes Ready, no secret is made twice and none is lost.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, kills := 0, 0
	w.funcs = killing(&left)
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

// The operator is killed before each write in the middle of a canary, and each
// time a new one goes on: a good version ends everywhere, a bad one nowhere.
func TestKilledAtEveryWriteOfACanary(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values map[string]float64
		phase  string
		runs   string
	}{
		"good": {healthy, v1alpha1.RolloutComplete, "1.1.0"},
		"bad":  {map[string]float64{"error-rate": 0.5, "latency-p95": 0.05}, v1alpha1.RolloutRolledBack, "1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
				s.Spec.Services = []v1alpha1.ServiceSpec{{Name: "order", Wave: ptr.To[int32](3)}} // a wave of one component
			})
			w.gateways.tell(tt.values)
			left, kills := 1<<30, 0
			w.funcs = killing(&left)
			stack = w.upgrade(t, stack, "1.1.0")
			w.restart(t)
			allowed := 0
			stack = w.rollKilled(t, clock, stack, func() { left = allowed }, func(err error) {
				if left < 0 {
					kills++
					allowed += 1 + allowed/4
					if !*everyWrite {
						allowed += 2 + allowed/2
					}
				} else if err == nil {
					allowed /= 2
				}
			}, func(s *v1alpha1.CommerceStack) bool { return phase(tt.phase)(s) && s.Status.Version == tt.runs })
			if kills < 6 {
				t.Errorf("killed %d times only", kills)
			}
			left = 1 << 30
			w.restart(t)
			stack = w.roll(t, clock, stack, "rest", func(*v1alpha1.CommerceStack) bool { return !w.playCluster(t) })
			w.runsOnly(t, tt.runs)
			if stack.Status.Rollout.Phase != tt.phase {
				t.Errorf("ended as %+v", stack.Status.Rollout)
			}
		})
	}
}

// rollKilled is roll with an operator that may die in each visit.
func (w *world) rollKilled(t *testing.T, clock *clocktesting.FakePassiveClock, stack *v1alpha1.CommerceStack, before func(), after func(error), until func(*v1alpha1.CommerceStack) bool) *v1alpha1.CommerceStack {
	t.Helper()
	for range 1500 {
		before()
		_, err := w.visit(t.Context(), stack)
		after(err)
		if err != nil {
			w.restart(t)
		}
		w.playCluster(t)
		stack = w.read(t, stack)
		if until(stack) {
			return stack
		}
		clock.SetTime(clock.Now().Add(tick / 2))
	}
	t.Fatalf("in vain: %+v%s", stack.Status.Rollout, describe(stack))
	return nil
}
