package commercestack_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

func TestPausedAndObservedStacksAreNotTouched(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.ReconcilePolicy{v1alpha1.ReconcilePaused, v1alpha1.ReconcileObserve} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			var writes writeLog
			w := newWorld(t, withInterceptor(counting(&writes)))
			stack := w.install(t, w.development())
			stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
				s.Spec.ReconcilePolicy = policy
				s.Spec.Observability.LogLevel = "debug"
			})
			service := &corev1.Service{}
			if err := w.Get(t.Context(), key(w.namespace, "shop-user"), service); err != nil {
				t.Fatal(err)
			}
			if err := w.Delete(t.Context(), service); err != nil {
				t.Fatal(err)
			}
			before := w.versions(t)
			stack = w.settle(t, stack)
			after := w.versions(t)
			for name, version := range after {
				if before[name] != version && !strings.HasPrefix(name, "CommerceStack/") {
					t.Errorf("%s changed", name)
				}
			}
			if _, back := after["Service/shop-user"]; back {
				t.Error("the Service came back")
			}
			pending := strings.Join(stack.Status.Pending, "\n")
			for _, want := range []string{"Create Service/shop-user", "Update Deployment/shop-order"} {
				if !strings.Contains(pending, want) {
					t.Errorf("status.pending lacks %q:\n%s", want, pending)
				}
			}
			if strings.Contains(pending, "NetworkPolicy") {
				t.Errorf("status.pending lists what does not differ:\n%s", pending)
			}
			if c := condition(t, stack, v1alpha1.ConditionPaused); c.Status != metav1.ConditionTrue {
				t.Errorf("Paused: %+v", c)
			}
			if observed := stack.Status.ObservedGeneration == stack.Generation; observed != (policy == v1alpha1.ReconcileObserve) {
				t.Errorf("observedGeneration %d of %d", stack.Status.ObservedGeneration, stack.Generation)
			}
			writes.take()
			w.settle(t, stack)
			if seen := writes.take(); len(seen) != 0 {
				t.Errorf("writes of a stack at rest that is %s: %v", policy, seen)
			}

			stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.ReconcilePolicy = v1alpha1.ReconcileManaged })
			stack = w.ready(t, stack)
			if len(stack.Status.Pending) != 0 || isTrue(stack, v1alpha1.ConditionPaused) {
				t.Errorf("after the pause: %v", stack.Status.Pending)
			}
			if err := w.Get(t.Context(), key(w.namespace, "shop-user"), service); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPausedFromTheBeginningMakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.development()
	stack.Spec.ReconcilePolicy = v1alpha1.ReconcilePaused
	stack = w.settle(t, w.create(t, stack))
	secrets := &corev1.SecretList{}
	w.list(t, secrets)
	if len(secrets.Items) != 0 {
		t.Errorf("%d Secrets were made", len(secrets.Items))
	}
	if pending := strings.Join(stack.Status.Pending, "\n"); !strings.Contains(pending, "Create Secret/shop-vault") {
		t.Errorf("pending: %s", pending)
	}
}

func (w *world) gone(t *testing.T, object client.Object, name string) bool {
	t.Helper()
	err := w.Get(t.Context(), key(w.namespace, name), object)
	if err != nil && !errors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil || object.GetDeletionTimestamp() != nil
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	for policy, kept := range map[v1alpha1.DeletionPolicy]bool{v1alpha1.DeletionRetain: true, v1alpha1.DeletionDelete: false} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			stack := w.development()
			stack.Spec.DeletionPolicy = policy
			stack = w.settle(t, w.install(t, stack))
			if finalizer := len(stack.Finalizers) > 0; finalizer == kept {
				t.Errorf("finalizers: %v", stack.Finalizers)
			}
			if err := w.Delete(t.Context(), stack); err != nil {
				t.Fatal(err)
			}
			if _, err := w.visit(t.Context(), stack); err != nil {
				t.Fatal(err)
			}
			if !w.gone(t, &v1alpha1.CommerceStack{}, "shop") {
				t.Error("the stack is still there")
			}
			if gone := w.gone(t, &corev1.Secret{}, "shop-vault"); gone == kept {
				t.Errorf("vault gone: %v", gone)
			}
			if gone := w.gone(t, &corev1.PersistentVolumeClaim{}, "shop-postgres-data"); gone == kept {
				t.Errorf("volume gone: %v", gone)
			}
			vault := &corev1.Secret{}
			if kept && w.Get(t.Context(), key(w.namespace, "shop-vault"), vault) == nil && len(vault.OwnerReferences) != 0 {
				t.Error("the vault would go with the stack")
			}
			if !kept {
				return
			}
			// The same stack again takes up its data: same passwords, no new administrator.
			w.install(t, w.development())
			again := &corev1.Secret{}
			if err := w.Get(t.Context(), key(w.namespace, "shop-vault"), again); err != nil || desired.Hash(flat(again.Data)...) != desired.Hash(flat(vault.Data)...) {
				t.Errorf("the vault changed: %v", err)
			}
			if jobs := w.jobs(t, desired.JobCreateAdmin); len(jobs) != 0 {
				t.Error("the administrator was made twice")
			}
		})
	}
}

func TestDeletionWithoutSnapshotsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.development()
	stack.Spec.DeletionPolicy = v1alpha1.DeletionSnapshot
	stack = w.install(t, stack)
	if err := w.Delete(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "Retain") {
		t.Errorf("Stalled: %+v", c)
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	if _, err := w.visit(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if !w.gone(t, &v1alpha1.CommerceStack{}, "shop") || w.gone(t, &corev1.Secret{}, "shop-vault") {
		t.Error("the stack did not go, or its vault did")
	}
}

func TestBrokenReferencesAreStalledUntilRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.create(t, w.production(t))
	for _, step := range []struct {
		data    map[string][]byte
		reason  string
		message []string
	}{
		{nil, "SecretMissing", []string{"integrations.stripe.secretRef", `"stripe"`, "secretKey and webhookSecret"}},
		{map[string][]byte{"secretKey": []byte("sk_live_top_secret")}, "SecretIncomplete", []string{`"stripe"`, `"webhookSecret"`}},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "stripe"}}
		if err := client.IgnoreNotFound(w.Delete(t.Context(), secret)); err != nil {
			t.Fatal(err)
		}
		if step.data != nil {
			secret.Data = step.data
			if err := w.Create(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		stack = w.settle(t, stack)
		c := condition(t, stack, v1alpha1.ConditionStalled)
		if c.Status != metav1.ConditionTrue || c.Reason != step.reason || isTrue(stack, v1alpha1.ConditionReconciling) || isTrue(stack, v1alpha1.ConditionReady) {
			t.Errorf("Stalled: %+v", c)
		}
		for _, want := range step.message {
			if !strings.Contains(c.Message, want) {
				t.Errorf("message %q lacks %q", c.Message, want)
			}
		}
		if strings.Contains(describe(stack), "top_secret") {
			t.Error("a value is in the status")
		}
	}
	secret := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, "stripe"), secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["webhookSecret"] = []byte("whsec_1")
	if err := w.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.ready(t, stack)
}

func TestUnsupportedAndInvalidSpecsAreStalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.createSecret(t, "pg", map[string]string{"url": "mysql://root:hunter2@db/shop"})
	for name, tt := range map[string]struct {
		change func(*v1alpha1.CommerceStackSpec)
		want   string
	}{
		"canary": {func(s *v1alpha1.CommerceStackSpec) {
			first := int32(1)
			s.Rollout.Strategy, s.RenderRevision = v1alpha1.RolloutCanary, &first
		}, "set spec.renderRevision to 4"},
		"cnpg":  {func(s *v1alpha1.CommerceStackSpec) { s.Postgres.Mode = v1alpha1.DataManaged }, "CloudNativePG"},
		"newer": {func(s *v1alpha1.CommerceStackSpec) { newer := int32(900); s.RenderRevision = &newer }, "upgrade the operator"},
		"reserved": {func(s *v1alpha1.CommerceStackSpec) {
			s.Services = []v1alpha1.ServiceSpec{{Name: "order", Env: []v1alpha1.EnvVar{{Name: "COMMERCE_ROLE", Value: "x"}}}}
		}, "COMMERCE_ROLE"},
		"wrong url": {func(s *v1alpha1.CommerceStackSpec) {
			s.Postgres.Mode = v1alpha1.DataExternal
			s.Postgres.External = &v1alpha1.ExternalPostgres{SecretRef: v1alpha1.SecretRef{Name: "pg"}}
		}, "postgres://"},
	} {
		stack := w.development()
		stack.Name = strings.ReplaceAll(name, " ", "-")
		tt.change(&stack.Spec)
		stack = w.settle(t, w.create(t, stack))
		c := condition(t, stack, v1alpha1.ConditionStalled)
		if c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, tt.want) || strings.Contains(c.Message, "hunter2") {
			t.Errorf("%s: Stalled=%s %s: %q", name, c.Status, c.Reason, c.Message)
		}
	}
}
