package commercestack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// images are the images of the Deployments of components, by name.
func (w *world) images(t *testing.T) map[string]string {
	t.Helper()
	list := &appsv1.DeploymentList{}
	w.list(t, list)
	images := map[string]string{}
	for _, d := range list.Items {
		if d.Labels[desired.LabelComponent] != desired.NameSimulator {
			images[d.Name] = d.Spec.Template.Spec.Containers[0].Image
		}
	}
	return images
}

func (w *world) jobs(t *testing.T, kind string) []batchv1.Job {
	t.Helper()
	list := &batchv1.JobList{}
	if err := w.List(t.Context(), list, client.InNamespace(w.namespace), client.MatchingLabels{desired.LabelJob: kind}); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestVersionChangeMigratesThenRollsInWaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.development())
	old := stack.Status.CurrentRevision
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Version = "1.1.0" })

	stack = w.settle(t, stack)
	for name, image := range w.images(t) {
		if image != "example.com/commerce:1.0.0" {
			t.Fatalf("%s runs %s before the migration", name, image)
		}
	}
	if !isTrue(stack, v1alpha1.ConditionReady) || !isTrue(stack, v1alpha1.ConditionReconciling) || !isTrue(stack, v1alpha1.ConditionRollingOut) {
		t.Errorf("while migrating:%s", describe(stack))
	}
	if stack.Status.Version != "1.0.0" || stack.Status.CurrentRevision != old || stack.Status.Rollout.Phase != "Migrating" {
		t.Errorf("status while migrating: %+v", stack.Status)
	}

	order := []string{}
	for range 12 {
		w.playCluster(t)
		stack = w.settle(t, stack)
		for _, name := range []string{"shop-order", "shop-admin", "shop-gateway"} {
			if image := w.images(t)[name]; image == "example.com/commerce:1.1.0" && !slices.Contains(order, name) {
				order = append(order, name)
			}
		}
	}
	if strings.Join(order, " ") != "shop-order shop-admin shop-gateway" {
		t.Errorf("waves came as %v", order)
	}
	if stack.Status.Version != "1.1.0" || stack.Status.CurrentRevision == old || stack.Status.Rollout.Phase != "Complete" || isTrue(stack, v1alpha1.ConditionRollingOut) {
		t.Errorf("status afterwards: %+v", stack.Status)
	}
	if jobs := w.jobs(t, desired.JobMigrate); len(jobs) != 1 || !strings.HasSuffix(jobs[0].Spec.Template.Spec.Containers[0].Image, ":1.1.0") {
		t.Errorf("%d migration Jobs are left", len(jobs))
	}
}

func TestVersionChangeWaitsForApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.production(t)
	stack.Spec.Environment = v1alpha1.EnvironmentStaging // an annotation approves nothing in Production
	stack = w.install(t, stack)
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Version = "1.1.0"
		s.Spec.Services = []v1alpha1.ServiceSpec{{Name: "order", Autoscaling: &v1alpha1.AutoscalingSpec{MinReplicas: 3, MaxReplicas: 10}}}
	})
	for range 3 {
		stack = w.look(t, stack)
		w.playCluster(t)
	}
	awaiting := condition(t, stack, v1alpha1.ConditionAwaitingApproval)
	if awaiting.Status != "True" || !strings.Contains(awaiting.Message, stack.Status.UpdateRevision) || !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("awaiting: %+v%s", awaiting, describe(stack))
	}
	if jobs := w.jobs(t, desired.JobMigrate); len(jobs) != 1 {
		t.Errorf("%d migration Jobs before approval", len(jobs))
	}
	for name, image := range w.images(t) {
		if image != "example.com/commerce:1.0.0" {
			t.Errorf("%s runs %s without approval", name, image)
		}
	}
	order := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-order"), order); err != nil {
		t.Fatal(err)
	}
	if *order.Spec.MinReplicas != 3 {
		t.Error("what needs no approval waited for it")
	}

	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Annotations = map[string]string{v1alpha1.AnnotationApprove: "something-else"}
	})
	stack = w.look(t, stack)
	if !isTrue(stack, v1alpha1.ConditionAwaitingApproval) {
		t.Error("the approval of another revision counted")
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Annotations[v1alpha1.AnnotationApprove] = s.Status.UpdateRevision
	})
	stack = w.look(t, stack)
	stack = w.ready(t, stack)
	if stack.Status.Version != "1.1.0" || isTrue(stack, v1alpha1.ConditionAwaitingApproval) {
		t.Errorf("after approval:%s", describe(stack))
	}
}

// look takes some visits of a stack that waits for a person, which is looked at again and again.
func (w *world) look(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	for range 5 {
		if _, err := w.visit(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
	}
	return w.read(t, stack)
}

func TestFailedMigrationIsStalledUntilTheJobIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.create(t, w.development())
	stack = w.settle(t, stack)
	w.playCluster(t)
	stack = w.settle(t, stack)
	jobs := w.jobs(t, desired.JobMigrate)
	if len(jobs) != 1 {
		t.Fatalf("%d migration Jobs", len(jobs))
	}
	w.createPod(t, &jobs[0], "relation \"orders\" is locked")
	w.endJob(t, &jobs[0], batchv1.JobFailed)
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != "True" || !strings.Contains(c.Message, "is locked") || !strings.Contains(c.Message, "delete the Job") {
		t.Errorf("Stalled: %+v", c)
	}
	if stack.Status.Migration.State != v1alpha1.MigrationFailed {
		t.Errorf("migration: %+v", stack.Status.Migration)
	}
	if err := w.Delete(t.Context(), &jobs[0], client.PropagationPolicy("Background")); err != nil {
		t.Fatal(err)
	}
	stack = w.ready(t, stack)
	if isTrue(stack, v1alpha1.ConditionStalled) {
		t.Error("still Stalled")
	}
}

// createPod makes a pod of a Job that ended with a message.
func (w *world) createPod(t *testing.T, job *batchv1.Job, message string) {
	t.Helper()
	pod := &corev1.Pod{Spec: *job.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name, pod.Labels = w.namespace, job.Name+"-1", map[string]string{batchv1.JobNameLabel: job.Name}
	maps.Copy(pod.Labels, job.Spec.Template.Labels)
	if err := w.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodFailed
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: pod.Spec.Containers[0].Name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "starting\n" + message + "\n"}},
	}}
	if err := w.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoLongerDesiredGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.production(t)
	stack.Spec.Environment, stack.Spec.Rollout.Approval = v1alpha1.EnvironmentStaging, v1alpha1.ApprovalNone
	stack.Spec.Gateway.Expose, stack.Spec.Gateway.Host = v1alpha1.ExposeIngress, "shop.example.com"
	stack = w.install(t, stack)
	there := func(o client.Object, name string, want bool) {
		t.Helper()
		err := w.Get(t.Context(), key(w.namespace, name), o)
		if (err == nil) != want || (err != nil && !errors.IsNotFound(err)) {
			t.Errorf("%T %s: %v, want there: %v", o, name, err, want)
		}
	}
	there(&appsv1.Deployment{}, "shop-order-worker", true)
	there(&autoscalingv2.HorizontalPodAutoscaler{}, "shop-user", true)

	// The autoscaler of user scaled it to 5.
	user := &appsv1.Deployment{}
	there(user, "shop-user", true)
	user.Spec.Replicas = ptr.To[int32](5)
	if err := w.Update(t.Context(), user, client.FieldOwner("kube-controller-manager")); err != nil {
		t.Fatal(err)
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Gateway.Expose = v1alpha1.ExposeClusterIP
		s.Spec.Services = []v1alpha1.ServiceSpec{
			{Name: "order", Workers: &v1alpha1.WorkersSpec{Mode: v1alpha1.WorkersShared}},
			{Name: "billing", Replicas: ptr.To[int32](3), Autoscaling: &v1alpha1.AutoscalingSpec{Mode: v1alpha1.AutoscalingOff}},
		}
	})
	stack = w.ready(t, stack)
	there(&appsv1.Deployment{}, "shop-order-worker", false)
	there(&autoscalingv2.HorizontalPodAutoscaler{}, "shop-order-worker", false)
	there(&autoscalingv2.HorizontalPodAutoscaler{}, "shop-billing", false)
	there(user, "shop-user", true)
	if *user.Spec.Replicas != 5 {
		t.Errorf("user has %d pods: the operator took the number back", *user.Spec.Replicas)
	}
	billing := &appsv1.Deployment{}
	there(billing, "shop-billing", true)
	if *billing.Spec.Replicas != 3 {
		t.Errorf("billing has %d pods, want 3", *billing.Spec.Replicas)
	}

	// Back to autoscaling: the number stays as it is, and is given away.
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Services = nil })
	w.ready(t, stack)
	there(billing, "shop-billing", true)
	if *billing.Spec.Replicas != 3 {
		t.Errorf("billing has %d pods after autoscaling came back, want 3", *billing.Spec.Replicas)
	}
	there(&autoscalingv2.HorizontalPodAutoscaler{}, "shop-billing", true)
}

func TestChangedStripeKeyRollsBillingAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.production(t))
	before := w.secretNames(t)
	stripe := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, "stripe"), stripe); err != nil {
		t.Fatal(err)
	}
	stripe.Data["secretKey"] = []byte("sk_live_2\n")
	if err := w.Update(t.Context(), stripe); err != nil {
		t.Fatal(err)
	}
	w.ready(t, stack)
	after := w.secretNames(t)
	for deployment, secret := range after {
		if changed := before[deployment] != secret; changed != strings.HasPrefix(deployment, "shop-billing") {
			t.Errorf("%s: %s became %s", deployment, before[deployment], secret)
		}
	}
	content := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, after["shop-billing"]), content); err != nil {
		t.Fatal(err)
	}
	if string(content.Data[desired.KeyStripeSecretKey]) != "sk_live_2" || !ptr.Deref(content.Immutable, false) {
		t.Error("billing has another key, or one that can be changed in place")
	}
	if err := w.Get(t.Context(), key(w.namespace, before["shop-billing"]), content); !errors.IsNotFound(err) {
		t.Errorf("the old Secret is still there: %v", err)
	}
}

// secretNames are the Secrets with their passwords that Deployments mount.
func (w *world) secretNames(t *testing.T) map[string]string {
	t.Helper()
	list := &appsv1.DeploymentList{}
	w.list(t, list)
	names := map[string]string{}
	for _, d := range list.Items {
		for _, volume := range d.Spec.Template.Spec.Volumes {
			if volume.Name == "secrets" && volume.Secret != nil {
				names[d.Name] = volume.Secret.SecretName
			}
		}
	}
	return names
}
