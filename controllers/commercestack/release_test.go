package commercestack_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// approve makes a ReleaseApproval.
func (w *world) approve(t *testing.T, name, by, revision string, expires time.Time) {
	t.Helper()
	approval := &v1alpha1.ReleaseApproval{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.ReleaseApprovalSpec{Stack: "shop", Revision: revision, By: by, ExpiresAt: &metav1.Time{Time: expires}},
	}
	if err := w.Create(t.Context(), approval); err != nil {
		t.Fatal(err)
	}
}

func TestProductionNeedsAnotherPerson(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
		s.Spec.Environment = v1alpha1.EnvironmentProduction
		s.Spec.Rollout = v1alpha1.RolloutSpec{Approval: v1alpha1.ApprovalBeforeStart}
		s.Spec.Integrations = &v1alpha1.IntegrationsSpec{
			Stripe: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "stripe"}}, SendGrid: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "sendgrid"}},
		}
	}, func(made *world) { made.prepare = func(t *testing.T, in *world) { t.Helper(); in.production(t) } })
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Version = "1.1.0"
		s.Annotations = map[string]string{v1alpha1.AnnotationRequestedBy: "alice"}
	})
	stack = w.roll(t, clock, stack, "waiting", phase(v1alpha1.RolloutAwaitingApproval))
	revision := stack.Status.Rollout.Revision
	later := clock.Now().Add(time.Hour)
	waits := func(after string) {
		t.Helper()
		for range 3 {
			if _, err := w.visit(t.Context(), stack); err != nil {
				t.Fatal(err)
			}
		}
		if stack = w.read(t, stack); !phase(v1alpha1.RolloutAwaitingApproval)(stack) {
			t.Fatalf("%s was enough: %+v", after, stack.Status.Rollout)
		}
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Annotations[v1alpha1.AnnotationApprove] = revision })
	waits("an annotation")
	if says := condition(t, stack, v1alpha1.ConditionAwaitingApproval).Message; !strings.Contains(says, "by another person than alice: kubectl commerce approve shop -n "+w.namespace+" --revision "+revision) {
		t.Errorf("message: %s", says)
	}
	w.approve(t, "own", "alice", revision, later)
	waits("the requester's own approval")
	if !strings.Contains(stack.Status.Rollout.Message, "alice asked for the change") {
		t.Errorf("message: %s", stack.Status.Rollout.Message)
	}
	w.approve(t, "other", "bob", "0123456789abcdef", later)
	waits("an approval of another revision")
	w.approve(t, "late", "bob", revision, clock.Now().Add(-time.Hour))
	waits("an expired approval")
	w.approve(t, "good", "carol", revision, later)
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	if stack.Status.Rollout.ApprovedBy != "carol" {
		t.Errorf("approved by %q", stack.Status.Rollout.ApprovedBy)
	}
}

// The new revision names other secrets than the one that runs, which keeps its
// own: nothing of it restarts, and it can be returned to.
func TestRevisionsKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	mail := func(s *v1alpha1.CommerceStack, integrations v1alpha1.IntegrationsSpec) {
		s.Spec.Integrations = &integrations
	}
	w, clock, stack := rolling(t, map[string]flaw{"1.1.0": flawImage}, func(s *v1alpha1.CommerceStack) {
		mail(s, v1alpha1.IntegrationsSpec{SMTP: &v1alpha1.SMTPSpec{Address: "mail:587", SecretRef: &v1alpha1.SecretRef{Name: "smtp"}}})
	}, func(made *world) {
		made.prepare = func(t *testing.T, in *world) {
			t.Helper()
			in.createSecret(t, "smtp", map[string]string{"username": "shop", "password": "p"})
			in.createSecret(t, "sendgrid", map[string]string{"apiKey": "SG.1"})
		}
	})
	before := w.templates(t)
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Version = "1.1.0"
		mail(s, v1alpha1.IntegrationsSpec{SendGrid: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "sendgrid"}}})
	})
	stack = w.roll(t, clock, stack, "a canary", func(*v1alpha1.CommerceStack) bool {
		return w.Get(t.Context(), key(w.namespace, "shop-notification-canary"), &appsv1.Deployment{}) == nil
	})
	during := w.templates(t)
	for name, template := range before {
		if during[name] != template {
			t.Errorf("%s was changed by a canary beside it", name)
		}
	}
	stack = w.roll(t, clock, stack, "rolled back", phase(v1alpha1.RolloutRolledBack))
	w.roll(t, clock, stack, "rest", func(*v1alpha1.CommerceStack) bool { return !w.playCluster(t) })
	if after := w.templates(t); !maps.Equal(before, after) {
		t.Errorf("the way back changed pods: %v, %v", before, after)
	}
	w.runsOnly(t, "1.0.0")
}
