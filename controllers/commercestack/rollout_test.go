package commercestack_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// tick is how long the world takes between two visits.
const tick = 2 * time.Second

// healthy are the values of a version that works.
var healthy = map[string]float64{"error-rate": 0, "latency-p95": 0.05, "payment-success": 0}

// rolling is a world with pods and a clock of its own, and a stack in it that
// runs version 1.0.0 and takes canaries.
func rolling(t *testing.T, flaws map[string]flaw, change func(*v1alpha1.CommerceStack), options ...option) (*world, *clocktesting.FakePassiveClock, *v1alpha1.CommerceStack) {
	t.Helper()
	if flaws == nil {
		flaws = map[string]flaw{}
	}
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, append([]option{withClock(clock), withPods(flaws)}, options...)...)
	w.gateways.tell(healthy)
	stack := w.development()
	second := metav1.Duration{Duration: 4 * time.Second}
	analysis := func(name, failAbove string) v1alpha1.AnalysisSpec {
		return v1alpha1.AnalysisSpec{Name: name, FailAbove: failAbove, Interval: metav1.Duration{Duration: 2 * time.Second}, Count: 2}
	}
	stack.Spec.Rollout = v1alpha1.RolloutSpec{
		Strategy: v1alpha1.RolloutCanary,
		Steps:    []v1alpha1.RolloutStep{{Weight: ptr.To[int32](10), Pause: &second}, {Weight: ptr.To[int32](50), Pause: &second}},
		Analysis: []v1alpha1.AnalysisSpec{analysis("error-rate", "0.01"), analysis("latency-p95", "1")},
	}
	if change != nil {
		change(stack)
	}
	if w.prepare != nil {
		w.prepare(t, w)
	}
	return w, clock, w.install(t, stack)
}

// roll takes visits, plays the cluster and lets time pass until something holds.
func (w *world) roll(t *testing.T, clock *clocktesting.FakePassiveClock, stack *v1alpha1.CommerceStack, what string, until func(*v1alpha1.CommerceStack) bool) *v1alpha1.CommerceStack {
	t.Helper()
	for range 300 {
		if _, err := w.visit(t.Context(), stack); err != nil {
			t.Fatalf("visit: %v", err)
		}
		w.playCluster(t)
		stack = w.read(t, stack)
		if until(stack) {
			return stack
		}
		clock.SetTime(clock.Now().Add(tick))
	}
	t.Fatalf("in vain: %s: %+v%s", what, stack.Status.Rollout, describe(stack))
	return nil
}

// phase holds in a phase of a rollout.
func phase(want string) func(*v1alpha1.CommerceStack) bool {
	return func(stack *v1alpha1.CommerceStack) bool { return stack.Status.Rollout.Phase == want }
}

// upgrade changes the version.
func (w *world) upgrade(t *testing.T, stack *v1alpha1.CommerceStack, version string) *v1alpha1.CommerceStack {
	t.Helper()
	return w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Version = version })
}

// ask writes a request about the running rollout.
func (w *world) ask(t *testing.T, stack *v1alpha1.CommerceStack, verb v1alpha1.RolloutVerb, revision, id string) *v1alpha1.CommerceStack {
	t.Helper()
	return w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[v1alpha1.AnnotationRollout] = v1alpha1.RolloutRequest{Verb: verb, Revision: revision, ID: id}.String()
	})
}

// runsOnly fails unless every component runs the version alone.
func (w *world) runsOnly(t *testing.T, version string) {
	t.Helper()
	deployments, pods := &appsv1.DeploymentList{}, &corev1.PodList{}
	w.list(t, deployments)
	w.list(t, pods)
	for _, d := range deployments.Items {
		if tag := tagOf(&d.Spec.Template.Spec); tag != version || strings.HasSuffix(d.Name, "-canary") {
			t.Errorf("Deployment %s of version %s is there, want %s alone", d.Name, tag, version)
		}
	}
	for _, pod := range pods.Items {
		if tag := tagOf(&pod.Spec); pod.Annotations[annotationOf] != "" && tag != version {
			t.Errorf("pod %s runs %s, want %s", pod.Name, tag, version)
		}
	}
	services := &corev1.ServiceList{}
	w.list(t, services)
	for _, s := range services.Items {
		if strings.HasSuffix(s.Name, "-canary") {
			t.Errorf("Service %s is left", s.Name)
		}
	}
	routes := &corev1.ConfigMap{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-gateway-routes"), routes); err != nil || routes.Data[desired.RoutesKey] != `{"canaries":[]}` {
		t.Errorf("routing table: %q, %v", routes.Data[desired.RoutesKey], err)
	}
}

func TestCanaryGoesStepByStep(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, nil)
	old := stack.Status.CurrentRevision
	stack = w.upgrade(t, stack, "1.1.0")
	seen := map[string]bool{}
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool {
		w.checkCanaries(t, s, seen)
		return s.Status.Rollout.Phase == v1alpha1.RolloutComplete && s.Status.CurrentRevision != old
	})
	for _, want := range []string{"order 10", "order 50", "billing 50", "admin 10", "storefront 50", "gateway pods"} {
		if !seen[want] {
			t.Errorf("never seen: %s, only %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
	stack = w.ready(t, stack)
	w.runsOnly(t, "1.1.0")
	if stack.Status.Version != "1.1.0" || stack.Status.CurrentRevision != stack.Status.UpdateRevision || len(stack.Status.Rollout.Measurements) == 0 {
		t.Errorf("status: %+v", stack.Status)
	}
	records := &appsv1.ControllerRevisionList{}
	w.list(t, records)
	if len(records.Items) != 2 {
		t.Errorf("%d revisions are recorded, want 2", len(records.Items))
	}
}

// checkCanaries notes what of a canary is there and that no wave is ahead.
func (w *world) checkCanaries(t *testing.T, stack *v1alpha1.CommerceStack, seen map[string]bool) {
	t.Helper()
	routes := &corev1.ConfigMap{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-gateway-routes"), routes); err != nil {
		t.Fatal(err)
	}
	for _, route := range desired.ParseRoutes(routes.Data[desired.RoutesKey]) {
		seen[fmt.Sprintf("%s %d", route.Component, route.Weight)] = true
		if route.URL != "https://shop-"+route.Component+"-canary:8080" {
			t.Errorf("route %+v", route)
		}
	}
	list := &appsv1.DeploymentList{}
	w.list(t, list)
	versions := map[string]bool{}
	for _, d := range list.Items {
		versions[tagOf(&d.Spec.Template.Spec)] = true
		if d.Name == "shop-gateway-canary" {
			seen["gateway pods"] = true
			if d.Spec.Template.Labels[desired.LabelRole] != desired.RoleAPI {
				t.Error("the gateway's canary does not stand behind its Service")
			}
		}
		if d.Name == "shop-order-canary" && d.Spec.Template.Labels[desired.LabelRole] != desired.RoleCanary {
			t.Error("the canary of order stands behind its own Service")
		}
	}
	if len(versions) > 2 {
		t.Errorf("%v run at once", versions)
	}
	if ready := isTrue(stack, v1alpha1.ConditionReady); !ready {
		t.Errorf("not Ready in a canary: %s", describe(stack))
	}
}

func TestBrokenRevisionsAreTakenBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		flaw   flaw
		values map[string]float64
		says   string
	}{
		"bad image":  {flawImage, healthy, "ImagePullBackOff"},
		"crash loop": {flawCrash, healthy, "CrashLoopBackOff"},
		"errors":     {"", map[string]float64{"error-rate": 0.02, "latency-p95": 0.05}, "error-rate"},
		"slow":       {"", map[string]float64{"error-rate": 0, "latency-p95": 3}, "latency-p95"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, clock, stack := rolling(t, map[string]flaw{"1.1.0": tt.flaw}, nil)
			w.gateways.tell(tt.values)
			before := w.versions(t)
			stack = w.upgrade(t, stack, "1.1.0")
			stack = w.roll(t, clock, stack, "rolled back", phase(v1alpha1.RolloutRolledBack))
			status := stack.Status.Rollout
			if took := status.FinishedAt.Sub(status.StartedAt.Time); took > time.Minute {
				t.Errorf("it took %s to go back", took)
			}
			if stack.Status.LastFailedRevision != stack.Status.UpdateRevision || stack.Status.Version != "1.0.0" || !strings.Contains(status.Message, tt.says) {
				t.Errorf("status: %+v, rollout %+v", stack.Status.LastFailedRevision, status)
			}
			stack = w.roll(t, clock, stack, "rest", func(s *v1alpha1.CommerceStack) bool { return !w.playCluster(t) && isTrue(s, v1alpha1.ConditionStalled) })
			w.runsOnly(t, "1.0.0")
			if c := condition(t, stack, v1alpha1.ConditionStalled); c.Reason != "RolloutFailed" || !isTrue(stack, v1alpha1.ConditionReady) || kstatus(stack) != "Failed" {
				t.Errorf("afterwards:%s", describe(stack))
			}
			after := w.versions(t)
			for _, component := range []string{"admin", "storefront", "gateway"} {
				if name := "Deployment/shop-" + component; before[name] == "" || after[name] == "" {
					t.Errorf("%s is gone", name)
				}
			}
			// It is not tried again, however often somebody looks.
			for range 5 {
				clock.SetTime(clock.Now().Add(time.Hour))
				if _, err := w.visit(t.Context(), stack); err != nil {
					t.Fatal(err)
				}
			}
			if again := w.read(t, stack); again.Status.Rollout.Phase != v1alpha1.RolloutRolledBack {
				t.Errorf("tried again: %+v", again.Status.Rollout)
			}
			// Another spec is.
			w.gateways.tell(healthy)
			stack = w.upgrade(t, stack, "1.2.0")
			stack = w.roll(t, clock, stack, "the repaired version", phase(v1alpha1.RolloutComplete))
			w.ready(t, stack)
			w.runsOnly(t, "1.2.0")
		})
	}
}

func TestFailingMigrationTouchesNothing(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, map[string]flaw{"1.1.0": flawMigration}, nil)
	templates := w.templates(t)
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "failed", phase(v1alpha1.RolloutFailed))
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Reason != "MigrationFailed" || !strings.Contains(c.Message, "delete the Job") || !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("afterwards:%s", describe(stack))
	}
	w.runsOnly(t, "1.0.0")
	if after := w.templates(t); !maps.Equal(templates, after) {
		t.Errorf("Deployments were touched: %v, %v", templates, after)
	}
	// A person who resumes has it run again, and it fails again; once the cause is gone it does not.
	failed := w.jobs(t, desired.JobMigrate)
	w.flaws["1.1.0"] = ""
	stack = w.ask(t, stack, v1alpha1.RolloutResume, stack.Status.LastFailedRevision, "again")
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool {
		return phase(v1alpha1.RolloutComplete)(s) && s.Status.Version == "1.1.0"
	})
	w.ready(t, stack)
	w.runsOnly(t, "1.1.0")
	for _, job := range w.jobs(t, desired.JobMigrate) {
		if slices.ContainsFunc(failed, func(old batchv1.Job) bool {
			return old.UID == job.UID && len(old.Status.Conditions) > 0 && old.Status.Succeeded == 0
		}) {
			t.Error("the failed Job is still there")
		}
	}
}

// templates are hashes of the pod templates of Deployments: pods restart when they change.
func (w *world) templates(t *testing.T) map[string]string {
	t.Helper()
	list := &appsv1.DeploymentList{}
	w.list(t, list)
	all := map[string]string{}
	for _, d := range list.Items {
		content, err := json.Marshal(d.Spec.Template)
		if err != nil {
			t.Fatal(err)
		}
		all[d.Name] = desired.Hash(string(content))
	}
	return all
}

func TestCanaryWithoutTrafficWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, nil)
	w.gateways.tell(nil)
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "paused", phase(v1alpha1.RolloutPaused))
	if !strings.Contains(stack.Status.Rollout.Message, "no data") || !isTrue(stack, v1alpha1.ConditionRollingOut) {
		t.Errorf("%+v", stack.Status.Rollout)
	}
	stack = w.ask(t, stack, v1alpha1.RolloutPromote, stack.Status.Rollout.Revision, "go")
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	w.ready(t, stack)
	w.runsOnly(t, "1.1.0")
}

func TestAbortAndUndo(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, nil)
	first := stack.Status.CurrentRevision
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "a canary", func(s *v1alpha1.CommerceStack) bool { return len(w.gateways.table) > 0 })
	stack = w.ask(t, stack, v1alpha1.RolloutAbort, stack.Status.Rollout.Revision, "stop")
	stack = w.roll(t, clock, stack, "rolled back", phase(v1alpha1.RolloutRolledBack))
	w.runsOnly(t, "1.0.0")

	stack = w.ask(t, stack, v1alpha1.RolloutResume, stack.Status.LastFailedRevision, "go on after all")
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	w.runsOnly(t, "1.1.0")

	stack = w.ask(t, stack, v1alpha1.RolloutUndo, "", "back")
	stack = w.roll(t, clock, stack, "undone", func(s *v1alpha1.CommerceStack) bool {
		return s.Status.CurrentRevision == first && phase(v1alpha1.RolloutComplete)(s)
	})
	stack = w.roll(t, clock, stack, "rest", func(*v1alpha1.CommerceStack) bool { return !w.playCluster(t) })
	w.runsOnly(t, "1.0.0")
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Reason != "Undone" || stack.Status.Version != "1.0.0" || stack.Status.LastFailedRevision != stack.Status.UpdateRevision {
		t.Errorf("after undo:%s", describe(stack))
	}
}

func TestSpecChangedInMidCanaryGoesBackFirst(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, nil)
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "a canary", func(s *v1alpha1.CommerceStack) bool { return len(w.gateways.table) > 0 })
	stack = w.upgrade(t, stack, "1.2.0")
	stack = w.roll(t, clock, stack, "going back", phase(v1alpha1.RolloutRollingBack))
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool {
		w.checkCanaries(t, s, map[string]bool{})
		return s.Status.Version == "1.2.0"
	})
	w.ready(t, stack)
	w.runsOnly(t, "1.2.0")
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
		s.Spec.Rollout.Steps = []v1alpha1.RolloutStep{{Pods: ptr.To[int32](1), Pause: &metav1.Duration{Duration: 4 * time.Second}}}
	})
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "a canary", func(s *v1alpha1.CommerceStack) bool { return len(w.gateways.table) > 0 })
	stack = w.ask(t, stack, v1alpha1.RolloutPause, stack.Status.Rollout.Revision, "wait")
	stack = w.roll(t, clock, stack, "paused", phase(v1alpha1.RolloutPaused))
	clock.SetTime(clock.Now().Add(3 * time.Hour))
	for range 3 {
		if _, err := w.visit(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
	}
	if stack = w.read(t, stack); !phase(v1alpha1.RolloutPaused)(stack) || len(w.gateways.table) == 0 {
		t.Errorf("it did not wait: %+v", stack.Status.Rollout)
	}
	stack = w.ask(t, stack, v1alpha1.RolloutResume, stack.Status.Rollout.Revision, "go")
	w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	w.runsOnly(t, "1.1.0")
}

func TestPromotionWaitsForApproval(t *testing.T) {
	t.Parallel()
	var w *world
	w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
		s.Spec.Environment, s.Spec.Rollout.Approval = v1alpha1.EnvironmentStaging, v1alpha1.ApprovalBeforePromote
		s.Spec.Integrations = &v1alpha1.IntegrationsSpec{
			Stripe: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "stripe"}}, SendGrid: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "sendgrid"}},
		}
	}, func(made *world) { made.prepare = func(t *testing.T, in *world) { t.Helper(); in.production(t) } })
	frozen := func() bool {
		hpa := &autoscalingv2.HorizontalPodAutoscaler{}
		if err := w.Get(t.Context(), key(w.namespace, "shop-order"), hpa); err != nil {
			t.Fatal(err)
		}
		return *hpa.Spec.Behavior.ScaleDown.SelectPolicy == autoscalingv2.DisabledPolicySelect
	}
	if frozen() {
		t.Error("the autoscaler is frozen at rest")
	}
	stack = w.upgrade(t, stack, "1.1.0")
	stack = w.roll(t, clock, stack, "waiting", phase(v1alpha1.RolloutAwaitingApproval))
	if !isTrue(stack, v1alpha1.ConditionAwaitingApproval) || len(w.gateways.table) == 0 || !frozen() {
		t.Errorf("waiting: table %v, frozen %v%s", w.gateways.table, frozen(), describe(stack))
	}
	order := &appsv1.Deployment{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-order"), order); err != nil {
		t.Fatal(err)
	}
	if tagOf(&order.Spec.Template.Spec) != "1.0.0" {
		t.Error("order was replaced without an approval")
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Annotations = map[string]string{v1alpha1.AnnotationApprove: s.Status.Rollout.Revision}
	})
	stack = w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	stack = w.ready(t, stack)
	w.runsOnly(t, "1.1.0")
	if frozen() || stack.Status.Rollout.ApprovedBy != "annotation" {
		t.Errorf("afterwards: frozen %v, %+v", frozen(), stack.Status.Rollout)
	}
	// The number of pods of an autoscaled Deployment never was the operator's.
	if err := w.Get(t.Context(), key(w.namespace, "shop-order"), order); err != nil {
		t.Fatal(err)
	}
	managers := map[string]bool{}
	for _, entry := range order.ManagedFields {
		if entry.FieldsV1 != nil && entry.Subresource == "" && containsReplicas(entry.FieldsV1.GetRawBytes()) {
			managers[entry.Manager] = true
		}
	}
	if len(managers) != 1 || managers["commercestack-operator"] {
		t.Errorf("replicas are managed by %v", managers)
	}
}

func TestWindowIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
		s.Spec.Rollout.Strategy, s.Spec.Rollout.Steps, s.Spec.Rollout.Analysis = v1alpha1.RolloutRollingUpdate, nil, nil
	})
	opens := clock.Now().UTC().Truncate(time.Minute).Add(3 * time.Hour)
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Version = "1.1.0"
		s.Spec.Rollout.Windows = []v1alpha1.RolloutWindow{{From: opens.Format("15:04"), Until: opens.Add(time.Hour).Format("15:04")}}
	})
	stack = w.roll(t, clock, stack, "pending", func(s *v1alpha1.CommerceStack) bool {
		return phase(v1alpha1.RolloutPending)(s) && strings.Contains(s.Status.Rollout.Message, "window")
	})
	if result, err := w.visit(t.Context(), stack); err != nil || result.RequeueAfter > opens.Sub(clock.Now())+time.Minute {
		t.Errorf("looks again after %s: %v", result.RequeueAfter, err)
	}
	w.runsOnly(t, "1.0.0")
	clock.SetTime(opens.Add(time.Second))
	w.roll(t, clock, stack, "complete", func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == "1.1.0" })
	w.runsOnly(t, "1.1.0")
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, nil, func(s *v1alpha1.CommerceStack) {
		s.Spec.Rollout = v1alpha1.RolloutSpec{HistoryLimit: 1}
	})
	first := stack.Status.CurrentRevision
	for _, version := range []string{"1.1.0", "1.2.0"} {
		stack = w.upgrade(t, stack, version)
		stack = w.roll(t, clock, stack, version, func(s *v1alpha1.CommerceStack) bool { return s.Status.Version == version })
		stack = w.ready(t, stack)
	}
	records := &appsv1.ControllerRevisionList{}
	w.list(t, records)
	if len(records.Items) != 2 {
		t.Errorf("%d revisions are recorded, want the one that serves and the one before", len(records.Items))
	}
	stack = w.ask(t, stack, v1alpha1.RolloutUndo, first, "too far")
	stack = w.roll(t, clock, stack, "an answer", func(s *v1alpha1.CommerceStack) bool { return strings.Contains(s.Status.Rollout.Message, "history") })
	if stack.Status.Version != "1.2.0" {
		t.Errorf("went to %s", stack.Status.Version)
	}
}

// A stack that an operator without rollouts made is taken up as it is: nothing
// restarts, and the next change is an ordinary rollout with a way back.
func TestAdoptsWhatRuns(t *testing.T) {
	t.Parallel()
	w, clock, stack := rolling(t, map[string]flaw{"2.0.0": flawImage}, func(s *v1alpha1.CommerceStack) {
		s.Spec.RenderRevision = ptr.To[int32](1)
		s.Spec.Rollout = v1alpha1.RolloutSpec{}
	})
	w.forgetRollouts(t, stack)
	templates := w.templates(t)
	w.restart(t)
	stack = w.roll(t, clock, w.read(t, stack), "adopted", func(s *v1alpha1.CommerceStack) bool { return s.Status.CurrentRevision == s.Status.UpdateRevision })
	stack = w.ready(t, stack)
	if after := w.templates(t); !maps.Equal(templates, after) {
		t.Errorf("Deployments changed: %v, %v", templates, after)
	}
	if stack.Status.Version != "1.0.0" || stack.Status.Rollout.Phase != v1alpha1.RolloutComplete {
		t.Errorf("adopted as %+v", stack.Status.Rollout)
	}

	// The spec changed while no operator ran.
	w.forgetRollouts(t, stack)
	stack = w.upgrade(t, stack, "2.0.0")
	w.restart(t)
	stack = w.roll(t, clock, stack, "rolled back", phase(v1alpha1.RolloutRolledBack))
	stack = w.roll(t, clock, stack, "rest", func(*v1alpha1.CommerceStack) bool { return !w.playCluster(t) })
	if stack.Status.Version != "1.0.0" || stack.Status.LastFailedRevision != stack.Status.UpdateRevision {
		t.Errorf("went back to %+v", stack.Status)
	}
	for name, image := range w.images(t) {
		if image != "example.com/commerce:1.0.0" {
			t.Errorf("%s runs %s", name, image)
		}
	}
}

// forgetRollouts takes away all that an operator without rollouts did not write.
func (w *world) forgetRollouts(t *testing.T, stack *v1alpha1.CommerceStack) {
	t.Helper()
	for _, object := range []client.Object{&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-rollout"}}} {
		if err := w.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.DeleteAllOf(t.Context(), &appsv1.ControllerRevision{}, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	list := &appsv1.DeploymentList{}
	w.list(t, list)
	for i := range list.Items {
		d := list.Items[i].DeepCopy()
		delete(d.Annotations, "commercestack.dev/revision")
		if err := w.Patch(t.Context(), d, client.MergeFrom(&list.Items[i])); err != nil {
			t.Fatal(err)
		}
	}
	stack = w.read(t, stack)
	stack.Status.CurrentRevision, stack.Status.UpdateRevision = "0123456789", "0123456789"
	if err := w.Status().Update(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
}
