package plugin

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", path, got, want)
	}
}

// shops are the scenes of the golden trees.
var shops = map[string]func(t *testing.T, namespace string) *shop{
	"healthy": newShop,
	"sick":    newSickShop,
	"rolling": newRollingShop,
	"unseen":  newUnseenShop,
}

// newSickShop is a shop in which everything that can be explained is broken.
func newSickShop(t *testing.T, namespace string) *shop {
	t.Helper()
	s := newShop(t, namespace)
	s.condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "ServicesUnavailable", "order has 0 of 2 pods")
	s.condition(v1alpha1.ConditionServicesAvailable, metav1.ConditionFalse, "PodsMissing", "order has 0 of 2 pods")
	s.condition(v1alpha1.ConditionRedisReady, metav1.ConditionFalse, "NoPods", "demo-redis has 0 of 1 pods")
	s.condition(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, "JobFailed", "demo-migrate-77aa failed")
	s.stack.Status.Migration = &v1alpha1.MigrationStatus{ID: "77aa", State: v1alpha1.MigrationFailed, Message: "order/0007: column exists", FinishedAt: beforePtr(time.Hour)}
	s.stack.Status.Secrets[1].State, s.stack.Status.Secrets[1].NextID = "Failed", "b"
	s.stack.Status.Secrets[1].LastError = "set-login: connection refused"
	s.stack.Status.Secrets[0].ExpiresAt = beforePtr(48 * time.Hour)
	s.add(s.newCertificate(t, "demo-redis-tls", -time.Hour))

	// A crash loop: why it ended last is in the termination message.
	order := find[*appsv1.Deployment](s, "demo-order")
	order.Status.ReadyReplicas, order.Status.AvailableReplicas = 0, 0
	order.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
		Message: `ReplicaSet "demo-order-1" has timed out progressing.`,
	}}
	crash := find[*corev1.Pod](s, "demo-order-a")
	crash.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	crash.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "order", RestartCount: 7,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", FinishedAt: before(2 * time.Minute), Message: "starting\ncommerce: order: product is not reachable\n",
		}},
	}}
	unscheduled := find[*corev1.Pod](s, "demo-order-b")
	unscheduled.Status.Phase = corev1.PodPending
	unscheduled.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available"}}
	s.add(s.newWarning("Pod", "demo-order-b", "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."))

	// An image that is not there, a pod whose probe fails, a pod killed for its memory.
	billing := find[*appsv1.Deployment](s, "demo-billing")
	billing.Status.ReadyReplicas, billing.Status.AvailableReplicas, billing.Status.UpdatedReplicas = 1, 1, 1
	pull := find[*corev1.Pod](s, "demo-billing-b")
	pull.Status.Conditions[0].Status = corev1.ConditionFalse
	pull.Status.Phase = corev1.PodPending
	pull.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "billing", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: `Back-off pulling image "commercestack:1.5.0"`}},
	}}
	probe := find[*corev1.Pod](s, "demo-gateway-a")
	probe.Status.Conditions[0].Status = corev1.ConditionFalse
	gateway := find[*appsv1.Deployment](s, "demo-gateway")
	gateway.Status.ReadyReplicas, gateway.Status.AvailableReplicas = 1, 1
	s.add(s.newWarning("Pod", "demo-gateway-a", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
	oom := find[*corev1.Pod](s, "demo-admin-a")
	oom.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "admin", Ready: true, RestartCount: 1,
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled", FinishedAt: before(26 * time.Hour)}},
	}}

	// A quota, an autoscaler without metrics, a volume that does not come.
	user := find[*appsv1.Deployment](s, "demo-user")
	user.Status.ReadyReplicas, user.Status.AvailableReplicas = 1, 1
	user.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: pods=20",
	}}
	hpa := find[*autoscalingv2.HorizontalPodAutoscaler](s, "demo-order")
	hpa.Status.CurrentMetrics, hpa.Status.DesiredReplicas = nil, 3
	hpa.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
		Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetResourceMetric", Message: "no metrics returned",
	}}
	find[*appsv1.StatefulSet](s, "demo-redis").Status.ReadyReplicas = 0
	redis := find[*corev1.Pod](s, "demo-redis-a")
	redis.Status.Phase, redis.Status.Conditions = corev1.PodPending, nil
	s.add(s.newWarning("Pod", "demo-redis-a", "FailedMount", `MountVolume.SetUp failed for volume "tls": secret "demo-redis-tls" not found`))
	s.addFailedMigration()
	return s
}

func (s *shop) addFailedMigration() {
	job := &batchv1.Job{ObjectMeta: s.meta("demo-migrate-77aa", "migrate", "")}
	job.Spec.Template = s.template("migrate", "")
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job.Spec.BackoffLimit = ptr.To[int32](0)
	job.Status = batchv1.JobStatus{
		Failed: 1, StartTime: beforePtr(2 * time.Hour), UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
		Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded"},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"},
		},
	}
	pod := s.newPod("migrate", "", 0)
	pod.Name = "demo-migrate-77aa-x"
	pod.Labels[batchv1.JobNameLabel] = job.Name
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: "1"}}
	pod.Status.Phase, pod.Status.Conditions = corev1.PodFailed, nil
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:  "migrate",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, FinishedAt: before(time.Hour), Message: "order/0007: column exists"}},
	}}
	s.add(job, pod)
}

// newRollingShop is a shop in the middle of a canary that waits for a person.
func newRollingShop(t *testing.T, namespace string) *shop {
	t.Helper()
	s := newShop(t, namespace)
	s.stack.Spec.Version = "1.5.0"
	s.stack.Status.UpdateRevision, s.stack.Status.LastFailedRevision = "9b2e", "0bad"
	s.condition(v1alpha1.ConditionRollingOut, metav1.ConditionTrue, "AwaitingApproval", "")
	s.condition(v1alpha1.ConditionAwaitingApproval, metav1.ConditionTrue, "BeforePromote", "revision 9b2e")
	s.stack.Status.Rollout = &v1alpha1.RolloutStatus{
		Phase: "AwaitingApproval", Revision: "9b2e", Wave: 1, Step: 2, Weight: 25, StartedAt: beforePtr(10 * time.Minute),
		Message: "25% of the traffic is on the new revision",
		Measurements: []v1alpha1.Measurement{
			{Name: "error-rate", Value: "0.001", Verdict: "Pass", At: before(time.Minute)},
			{Name: "latency-p95", Verdict: "NoData", At: before(30 * time.Second)},
		},
	}
	d := find[*appsv1.Deployment](s, "demo-product")
	d.Status.UpdatedReplicas = 1
	return s
}

// newUnseenShop is a shop whose operator does not run.
func newUnseenShop(_ *testing.T, namespace string) *shop {
	stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: namespace, Generation: 1}}
	stack.Spec.Version = "1.4.0"
	stack.Spec.Environment = v1alpha1.EnvironmentDevelopment
	stack.Spec.Redis.Mode = v1alpha1.DataStatefulSet
	return &shop{namespace: namespace, stack: withDurations(stack)}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	for name, newScene := range shops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReport(newScene(t, name).snapshot(), noon)
			golden(t, name+".txt", tree(r, false))
			if want := name == "healthy" || name == "rolling"; r.Ready != want {
				t.Errorf("ready is %t: %s", r.Ready, r.Why)
			}
		})
	}
}

func TestExpandShowsWhatFaresWell(t *testing.T) {
	t.Parallel()
	golden(t, "expanded.txt", tree(newReport(newShop(t, "healthy").snapshot(), noon), true))
}

func TestAnOlderStatusIsNotReady(t *testing.T) {
	t.Parallel()
	s := newShop(t, "x")
	s.stack.Generation = 2
	if r := newReport(s.snapshot(), noon); r.Ready || r.Tree.State != stateBusy {
		t.Errorf("a status of an older spec is ready %t, state %s", r.Ready, r.Tree.State)
	}
}

func TestHiddenKindsAreNamed(t *testing.T) {
	t.Parallel()
	read := newShop(t, "x").snapshot()
	read.hidden = []string{"Secrets"}
	if got := tree(newReport(read, noon), false); !strings.Contains(got, "you may not read Secrets here") {
		t.Errorf("nothing tells that Secrets are hidden:\n%s", got)
	}
}

// TestMessagesCannotForgeTheTree: a container chooses its termination message.
func TestMessagesCannotForgeTheTree(t *testing.T) {
	t.Parallel()
	s := newShop(t, "x")
	s.stack.Status.Rollout = &v1alpha1.RolloutStatus{Phase: "Failed", Message: "a\n└─ ✓ forged\x1b[2J\r"}
	got := tree(newReport(s.snapshot(), noon), false)
	if strings.ContainsAny(got, "\x1b\r") || strings.Contains(got, "\n└─ ✓ forged") {
		t.Errorf("control characters reach the terminal: %q", got)
	}
}

func TestColoursMarkStates(t *testing.T) {
	t.Parallel()
	p := printer{color: true}
	for n, want := range map[state]string{
		stateOK: "\x1b[32m✓\x1b[0m Pod a", stateBusy: "\x1b[33m○\x1b[0m Pod a", stateBad: "\x1b[31m✗\x1b[0m Pod a", stateInfo: "· Pod a",
	} {
		if got := p.line(node{Kind: "Pod", Name: "a", State: n}); got != want {
			t.Errorf("%s is %q, want %q", n, got, want)
		}
	}
}
