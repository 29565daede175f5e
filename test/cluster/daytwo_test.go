//go:build cluster

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/test/shop"
)

// TestDayTwo replaces secrets and revisions of a shop that people use, and
// brings its data back in another one. Two pods of each component on the way of
// an order run throughout.
func TestDayTwo(t *testing.T) {
	object := sample(t, "development.yaml")
	object.Spec.Rollout = canaries(2*time.Minute, measure("error-rate", "0.02"), measure("payment-success", "0.1"))
	object.Spec.Backup = &v1alpha1.BackupSpec{Schedule: "0 3 * * *", RestoreTest: "0 5 * * 0"}
	scaled(&object.Spec)
	s := apply(t, "e2e-daytwo", object)
	fmt.Printf("apply to Ready: %.1f s\n", s.waitReady(4*time.Minute).Seconds())
	guest := s.shop()
	admin := s.admin(guest)

	story(t, s, []step{
		{"secrets rotate under traffic", func(t *testing.T) { rotateAll(t, s, guest, admin) }},
		{"a good revision reaches everybody by a canary", func(t *testing.T) { goodCanary(t, s, guest, admin) }},
		{"a revision that ends at its start comes back", func(t *testing.T) { crashingCanary(t, s, guest, admin) }},
		{"a revision whose image is not there comes back", func(t *testing.T) { missingImage(t, s, guest, admin) }},
		{"a revision that loses payments comes back", func(t *testing.T) { lostPayments(t, s, guest, admin) }},
		{"a person returns to the revision before", func(t *testing.T) { undo(t, s) }},
		{"a backup is drilled", func(t *testing.T) { backupAndDrill(t, s) }},
		{"replicas have one owner", func(t *testing.T) { replicaOwners(t, s) }},
	})
}

// canaries bring a revision to a fifth of the callers, to half of them, and to everybody.
func canaries(deadline time.Duration, analysis ...v1alpha1.AnalysisSpec) v1alpha1.RolloutSpec {
	return v1alpha1.RolloutSpec{
		Strategy: v1alpha1.RolloutCanary,
		Steps:    []v1alpha1.RolloutStep{canaryStep(20), canaryStep(50)},
		Analysis: analysis, ProgressDeadline: metav1.Duration{Duration: deadline},
	}
}

// measure fails a canary above a share; what has no traffic in an interval says nothing against a revision.
func measure(name, failAbove string) v1alpha1.AnalysisSpec {
	return v1alpha1.AnalysisSpec{Name: name, FailAbove: failAbove, Interval: metav1.Duration{Duration: 3 * time.Second}, Count: 2, OnNoData: "Pass"}
}

func canaryStep(weight int32) v1alpha1.RolloutStep {
	return v1alpha1.RolloutStep{Weight: &weight, Pause: &metav1.Duration{Duration: 5 * time.Second}}
}

// annotate asks the operator for something as kubectl commerce does.
func (s *stack) annotate(key, value string) {
	s.t.Helper()
	s.edit(func(object *v1alpha1.CommerceStack) {
		if object.Annotations == nil {
			object.Annotations = map[string]string{}
		}
		object.Annotations[key] = value
	})
}

// until waits for something in the status.
func (s *stack) until(limit time.Duration, what string, check func(*v1alpha1.CommerceStack) (bool, error)) *v1alpha1.CommerceStack {
	s.t.Helper()
	var last *v1alpha1.CommerceStack
	if err := waitFor(s.t.Context(), limit, what, func(ctx context.Context) (bool, error) {
		object, err := s.get(ctx)
		if err != nil {
			return false, err
		}
		last = object
		// Until it is done the error says what is there instead.
		done, err := check(object)
		if done {
			return true, nil
		}
		return false, err
	}); err != nil {
		s.t.Fatal(err)
	}
	return last
}

// rotateAll replaces secrets of every kind while people order; nobody may notice,
// though the operator is killed in the middle.
func rotateAll(t *testing.T, s *stack, guest, admin *shop.Shop) {
	session, err := guest.Register(t.Context(), shop.NewEmail())
	if err != nil {
		t.Fatal(err)
	}
	flow := startTraffic(t, guest, admin, "Rotation mug", 1, 1)
	flow.settle()
	for i, name := range []string{"postgres-order", "redis", "identity-keys", "encryption-keys", "signing-keys"} {
		before := s.until(time.Second*10, "the secret is in the status", func(o *v1alpha1.CommerceStack) (bool, error) {
			return o.Status.Secret(name).ActiveID != "", nil
		}).Status.Secret(name)
		started := time.Now()
		s.annotate(v1alpha1.AnnotationRotate, v1alpha1.RotationRequest{Secret: name, ID: fmt.Sprint(i)}.String())
		if i == 0 {
			killOperatorPods(t)
		}
		s.until(6*time.Minute, name+" is replaced", func(o *v1alpha1.CommerceStack) (bool, error) {
			now := o.Status.Secret(name)
			if now.ActiveID != before.ActiveID && now.State == "Current" {
				return true, nil
			}
			return false, fmt.Errorf("%s is %s: %s %s", name, now.State, now.LastError, now.NextID)
		})
		fmt.Printf("%s rotated in %.1f s\n", name, time.Since(started).Seconds())
	}
	flow.stop()
	noFailures(t, "secrets rotated", flow)
	if _, err := session.Must(t.Context(), http.MethodGet, "/api/v1/users/me", nil); err != nil {
		t.Errorf("a customer who was logged in before is not any more: %v", err)
	}
	flow.verify(t)
}

// setting gives a component a variable.
func (s *stack) setting(component v1alpha1.ComponentName, name, value string) {
	s.t.Helper()
	s.update(func(spec *v1alpha1.CommerceStackSpec) {
		at := slices.IndexFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == component })
		if at < 0 {
			spec.Services = append(spec.Services, v1alpha1.ServiceSpec{Name: component})
			at = len(spec.Services) - 1
		}
		spec.Services[at].Env = slices.DeleteFunc(spec.Services[at].Env, func(e v1alpha1.EnvVar) bool { return e.Name == name })
		if value != "" {
			spec.Services[at].Env = append(spec.Services[at].Env, v1alpha1.EnvVar{Name: name, Value: value})
		}
	})
}

// rolledOut waits until a rollout of the newest spec ended in a phase.
func (s *stack) rolledOut(limit time.Duration, phase string) *v1alpha1.CommerceStack {
	s.t.Helper()
	return s.until(limit, "the rollout is "+phase, func(o *v1alpha1.CommerceStack) (bool, error) {
		r := o.Status.Rollout
		if r == nil || o.Status.ObservedGeneration != o.Generation || r.Revision != o.Status.UpdateRevision {
			return false, errors.New("the operator has not seen it")
		}
		return r.Phase == phase, fmt.Errorf("%s, wave %d, step %d: %s", r.Phase, r.Wave, r.Step, r.Message)
	})
}

// goodCanary changes a setting of a component; the revision takes every step.
func goodCanary(t *testing.T, s *stack, guest, admin *shop.Shop) {
	flow := startTraffic(t, guest, admin, "Canary mug", 1, 1)
	flow.settle()
	started := time.Now()
	s.setting("product", "COMMERCE_PRODUCT_EXPIRE_EVERY", "12s")
	seen := map[int32]bool{}
	s.until(8*time.Minute, "the canary is promoted", func(o *v1alpha1.CommerceStack) (bool, error) {
		r := o.Status.Rollout
		if r.Weight > 0 {
			seen[r.Weight] = true
		}
		return r.Phase == v1alpha1.RolloutComplete && r.Revision == o.Status.UpdateRevision && o.Status.ObservedGeneration == o.Generation &&
			len(seen) > 0, fmt.Errorf("%s, wave %d, step %d: %s", r.Phase, r.Wave, r.Step, r.Message)
	})
	took := time.Since(started)
	flow.stop()
	fmt.Printf("canary to everybody in %.1f s, weights %v\n", took.Seconds(), seen)
	noFailures(t, "a canary was promoted", flow)
	flow.verify(t)
}

// comesBack changes something for the worse and waits until it is undone by the operator itself.
func comesBack(t *testing.T, s *stack, guest, admin *shop.Shop, what string, worse func(), better func()) {
	t.Helper()
	before, err := s.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	flow := startTraffic(t, guest, admin, "Bad day mug", 2, 1)
	flow.settle()
	worse()
	var bad time.Time
	after := s.until(6*time.Minute, what+" is rolled back", func(o *v1alpha1.CommerceStack) (bool, error) {
		r := o.Status.Rollout
		if bad.IsZero() && (r.Phase == v1alpha1.RolloutProgressing || r.Phase == v1alpha1.RolloutPromoting) && r.Revision == o.Status.UpdateRevision {
			bad = time.Now()
		}
		return r.Phase == v1alpha1.RolloutRolledBack && r.Revision == o.Status.UpdateRevision,
			fmt.Errorf("%s, wave %d, step %d: %s", r.Phase, r.Wave, r.Step, r.Message)
	})
	took := time.Since(bad)
	flow.stop()
	requests, failures, orders := flow.counts()
	fmt.Printf("%s: rolled back after %.1f s (%s); %d requests, %d orders, %d failed%s\n", what, took.Seconds(), after.Status.Rollout.Message,
		requests, orders, failures, flow.latencies())
	if failures > 0 {
		t.Errorf("%d of %d requests failed:\n%s", failures, requests, flow.firstFailures(5))
	}
	if after.Status.CurrentRevision != before.Status.CurrentRevision || after.Status.LastFailedRevision != after.Status.UpdateRevision {
		t.Errorf("current %s (was %s), last failed %s, wanted %s", after.Status.CurrentRevision, before.Status.CurrentRevision,
			after.Status.LastFailedRevision, after.Status.UpdateRevision)
	}
	flow.verify(t)
	better()
	s.waitReady(3 * time.Minute)
}

func crashingCanary(t *testing.T, s *stack, guest, admin *shop.Shop) {
	comesBack(t, s, guest, admin, "a revision that ends at its start",
		func() { s.setting("order", "COMMERCE_ORDER_SWEEP_INTERVAL", "soon") },
		func() { s.setting("order", "COMMERCE_ORDER_SWEEP_INTERVAL", "") })
}

func missingImage(t *testing.T, s *stack, guest, admin *shop.Shop) {
	image := func(name string) {
		s.update(func(spec *v1alpha1.CommerceStackSpec) {
			at := slices.IndexFunc(spec.Services, func(s v1alpha1.ServiceSpec) bool { return s.Name == "product" })
			spec.Services[at].Image = name
		})
	}
	comesBack(t, s, guest, admin, "a revision without an image",
		func() { image("commercestack/commercestack:nowhere") }, func() { image("") })
}

// lostPayments has a billing that never hears what the payment provider answers. It
// is stopped by the measure of payments; what it asked the provider for is found
// out by the revision before, so that every order is paid once.
func lostPayments(t *testing.T, s *stack, guest, admin *shop.Shop) {
	comesBack(t, s, guest, admin, "a revision that loses payments",
		func() { s.setting("billing", "COMMERCE_BILLING_STRIPE_TIMEOUT", "1us") },
		func() { s.setting("billing", "COMMERCE_BILLING_STRIPE_TIMEOUT", "") })
}

// undo returns to the revision before the one that serves.
func undo(t *testing.T, s *stack) {
	s.setting("product", "COMMERCE_PRODUCT_EXPIRE_EVERY", "13s")
	s.rolledOut(8*time.Minute, v1alpha1.RolloutComplete)
	fmt.Printf("undone in %.1f s\n", s.undone(4*time.Minute, "undo-1").Seconds())
	s.setting("product", "COMMERCE_PRODUCT_EXPIRE_EVERY", "14s")
	s.rolledOut(8*time.Minute, v1alpha1.RolloutComplete)
}

// undone asks for the revision before the one that serves, and returns how long it took.
func (s *stack) undone(limit time.Duration, id string) time.Duration {
	s.t.Helper()
	before, err := s.get(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.annotate(v1alpha1.AnnotationRollout, v1alpha1.RolloutRequest{Verb: v1alpha1.RolloutUndo, ID: id}.String())
	started := time.Now()
	s.until(limit, "the revision before serves", func(o *v1alpha1.CommerceStack) (bool, error) {
		r := o.Status.Rollout
		return r.Phase == v1alpha1.RolloutComplete && o.Status.CurrentRevision != before.Status.CurrentRevision, fmt.Errorf("%s: %s", r.Phase, r.Message)
	})
	return time.Since(started)
}

// backupAndDrill takes a backup, restores it for a trial, and reads what it took.
func backupAndDrill(t *testing.T, s *stack) {
	for _, part := range []string{"backup", "restore-drill"} {
		s.runCronJob(part)
		s.until(5*time.Minute, part+" is done", func(o *v1alpha1.CommerceStack) (bool, error) {
			b := o.Status.Backup
			switch {
			case b == nil:
				return false, errors.New("no status of backups")
			case part == "backup":
				return b.LastSuccess != nil, errors.New(b.LastError)
			default:
				return b.RPO != nil && b.RTO != nil, errors.New(b.LastDrillError)
			}
		})
	}
	object, err := s.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("restore drill: RPO %s, RTO %s\n", object.Status.Backup.RPO.Duration, object.Status.Backup.RTO.Duration)
}

// replicaOwners fails when two managers own the number of pods of an autoscaled Deployment.
func replicaOwners(t *testing.T, s *stack) {
	var deployments appsv1.DeploymentList
	if err := kube.List(t.Context(), &deployments, client.InNamespace(s.namespace)); err != nil {
		t.Fatal(err)
	}
	for i := range deployments.Items {
		owners := 0
		for _, field := range deployments.Items[i].ManagedFields {
			if field.FieldsV1 != nil && field.Subresource == "" && containsReplicas(field.FieldsV1.GetRawString()) {
				owners++
			}
		}
		if owners > 1 {
			t.Errorf("%d managers own the replicas of %s", owners, deployments.Items[i].Name)
		}
	}
}
