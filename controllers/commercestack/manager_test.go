package commercestack_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/releaseapproval"
)

// patience is how long something may take that takes milliseconds on a quiet machine.
const patience = 60 * time.Second

// startOperator runs the operator as it is, for the world's namespace.
func (w *world) startOperator(t *testing.T, writes *writeLog) {
	t.Helper()
	mgr, err := controllers.NewManager(rest.CopyConfig(cluster), controllers.Config{
		Images: testImages, Namespaces: []string{w.namespace}, MetricsListen: "0", ProbeListen: "0",
		ClusterDomain: "cluster.local", Concurrency: 4, Logger: slog.New(slog.DiscardHandler),
	}, func(o *ctrl.Options) {
		o.Controller.SkipNameValidation = ptr.To(true)
		o.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
			plain, err := client.NewWithWatch(config, options)
			if err != nil {
				return nil, err
			}
			return interceptor.NewClient(plain, counting(writes)), nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	})
}

// eventually waits, playing the cluster all the while.
func (w *world) eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		w.playCluster(t)
		if done() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}

// The steps share one operator and come one after the other. Nothing else runs
// beside it: it adds a kind to the cluster and takes it away.
func TestOperator(t *testing.T) {
	var writes writeLog
	w := newWorld(t)
	w.startOperator(t, &writes)
	given := w.production(t)
	given.Spec.Postgres.Mode = v1alpha1.DataStatefulSet // this operator sees CloudNativePG
	stack := w.create(t, given)
	w.eventually(t, "Ready", func() bool { return isTrue(w.read(t, stack), v1alpha1.ConditionReady) })
	w.eventually(t, "rest", func() bool {
		writes.take()
		time.Sleep(time.Second)
		return len(writes.take()) == 0
	})

	t.Run("writes nothing at rest", func(t *testing.T) {
		before := w.versions(t)
		time.Sleep(2 * time.Second)
		if seen := writes.take(); len(seen) != 0 {
			t.Errorf("writes at rest: %v", seen)
		}
		for name, version := range w.versions(t) {
			if before[name] != version {
				t.Errorf("%s changed at rest", name)
			}
		}
	})
	t.Run("repairs drift", func(t *testing.T) { w.testDrift(t) })
	t.Run("sees references change", func(t *testing.T) {
		before := w.secretNames(t)["shop-billing"]
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "stripe"}}
		w.edit(t, secret, func() { secret.Data["secretKey"] = []byte("sk_live_3") })
		w.eventually(t, "billing with another Secret", func() bool { return w.secretNames(t)["shop-billing"] != before })
	})
	t.Run("prepares for a sale", func(t *testing.T) { w.testSale(t, stack) })
	t.Run("hears of backups", func(t *testing.T) { w.testBackup(t, stack) })
	t.Run("uses kinds that appear later", func(t *testing.T) { w.testForeignKind(t) })
	t.Run("tells events", func(t *testing.T) {
		var reasons string
		w.eventually(t, "events", func() bool {
			list := &eventsv1.EventList{}
			w.list(t, list)
			reasons = ""
			for _, event := range list.Items {
				if strings.Contains(event.Note, "sk_live") || strings.Contains(event.Note, "whsec") {
					t.Errorf("an event tells a secret: %s", event.Note)
				}
				reasons += event.Reason + " "
			}
			return strings.Contains(reasons, "MigrationSucceeded") && strings.Contains(reasons, "CreatedDeployment") && strings.Contains(reasons, "RotatedCertificate")
		})
	})
	t.Run("hears of approvals", func(t *testing.T) { w.testApproval(t, stack) })
	t.Run("deletes", func(t *testing.T) {
		if err := w.Delete(t.Context(), w.read(t, stack)); err != nil {
			t.Fatal(err)
		}
		w.eventually(t, "the stack gone", func() bool { return w.gone(t, &v1alpha1.CommerceStack{}, "shop") })
	})
}

// testDrift edits and deletes what the operator made.
func (w *world) testDrift(t *testing.T) {
	t.Helper()
	policies := &networkingv1.NetworkPolicyList{}
	w.list(t, policies)
	policy := policies.Items[0].Name
	if err := w.Delete(t.Context(), &policies.Items[0]); err != nil {
		t.Fatal(err)
	}
	order := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-order"}}
	w.edit(t, order, func() {
		order.Spec.Template.Spec.Containers[0].Image = "example.com/evil"
		order.Labels["app.kubernetes.io/managed-by"] = "somebody"
	})
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-user"}}
	w.edit(t, service, func() {
		service.Spec.Selector = map[string]string{"app": "evil"}
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "debug", Port: 6060})
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-user-tls"}}
	w.edit(t, secret, func() { secret.Data["tls.crt"] = []byte("nonsense") })
	w.eventually(t, "drift repaired", func() bool {
		tls := &corev1.Secret{}
		return !w.gone(t, &networkingv1.NetworkPolicy{}, policy) &&
			w.Get(t.Context(), key(w.namespace, "shop-order"), order) == nil && order.Spec.Template.Spec.Containers[0].Image == "example.com/commerce:1.0.0" &&
			order.Labels["app.kubernetes.io/managed-by"] == "commercestack-operator" &&
			w.Get(t.Context(), key(w.namespace, "shop-user"), service) == nil && service.Spec.Selector["app"] == "" && len(service.Spec.Ports) == 1 &&
			w.Get(t.Context(), key(w.namespace, "shop-user-tls"), tls) == nil && strings.HasPrefix(string(tls.Data["tls.crt"]), "-----BEGIN")
	})
}

// testSale has a sale begin at once, and ends it by deleting it.
func (w *world) testSale(t *testing.T, stack *v1alpha1.CommerceStack) {
	t.Helper()
	sale := &v1alpha1.SaleEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "now"},
		Spec: v1alpha1.SaleEventSpec{
			StackRef: v1alpha1.StackRef{Name: stack.Name}, Start: metav1.NewTime(time.Now().Add(-time.Minute)), End: metav1.NewTime(time.Now().Add(time.Hour)),
			Services: []v1alpha1.SaleService{{Name: v1alpha1.ComponentGateway, MinReplicas: 7}},
		},
	}
	if err := w.Create(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "seven gateways", func() bool { least, _ := w.scale(t, "shop-gateway"); return least == 7 })
	w.eventually(t, "the event told to be active", func() bool {
		return w.Get(t.Context(), client.ObjectKeyFromObject(sale), sale) == nil && sale.Status.Phase == v1alpha1.SaleActive
	})
	if err := w.Delete(t.Context(), sale); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "two gateways again", func() bool { least, _ := w.scale(t, "shop-gateway"); return least == 2 })
}

// testBackup ends a Job of the CronJob, which nobody but the label says is the stack's.
func (w *world) testBackup(t *testing.T, stack *v1alpha1.CommerceStack) {
	t.Helper()
	w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Backup = &v1alpha1.BackupSpec{Schedule: "0 3 * * *", Destination: &v1alpha1.S3Spec{Bucket: "safe"}}
	})
	w.eventually(t, "a CronJob that is not suspended", func() bool {
		cron := &batchv1.CronJob{}
		return w.Get(t.Context(), key(w.namespace, "shop-backup"), cron) == nil && !*cron.Spec.Suspend
	})
	taken := time.Now().UTC().Truncate(time.Second)
	w.runJob(t, desired.JobBackup, "shop-backup-1", batchv1.JobComplete,
		fmt.Sprintf(`{"id":"20261126t030000z-00000001","snapshotTime":%q,"size":1}`, taken.Format(time.RFC3339)))
	w.eventually(t, "the backup in the status", func() bool {
		b := w.read(t, stack).Status.Backup
		return b != nil && b.LastSuccess != nil && b.LastSuccess.Time.Equal(taken) && b.LastID == "20261126t030000z-00000001"
	})
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "commerce_operator_backup_age_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if age := metric.GetGauge().GetValue(); metric.GetLabel()[0].GetValue() == w.namespace && age >= 0 && age < patience.Seconds() {
				return
			}
		}
	}
	t.Error("the age of the backup is not told")
}

// testApproval lets a revision wait for another person, who then agrees. Nothing but
// the ReleaseApproval wakes the operator.
func (w *world) testApproval(t *testing.T, stack *v1alpha1.CommerceStack) {
	t.Helper()
	w.change(t, stack, func(s *v1alpha1.CommerceStack) {
		s.Spec.Version = "1.1.0"
		s.Annotations = map[string]string{v1alpha1.AnnotationRequestedBy: "alice"}
	})
	w.eventually(t, "a revision that waits", func() bool { return isTrue(w.read(t, stack), v1alpha1.ConditionAwaitingApproval) })
	w.approve(t, "of-last-year", "carol", "0123456789abcdef", time.Now().Add(-releaseapproval.Retention-time.Minute))
	w.approve(t, "of-last-week", "carol", "0123456789abcdef", time.Now().Add(-7*24*time.Hour))
	w.approve(t, "by-carol", "carol", w.read(t, stack).Status.Rollout.Revision, time.Now().Add(time.Hour))
	w.eventually(t, "an approved revision", func() bool { return w.read(t, stack).Status.Rollout.ApprovedBy == "carol" })
	w.eventually(t, "the old approval gone", func() bool { return w.gone(t, &v1alpha1.ReleaseApproval{}, "of-last-year") })
	for _, name := range []string{"of-last-week", "by-carol"} {
		if w.gone(t, &v1alpha1.ReleaseApproval{}, name) {
			t.Errorf("the approval %s went too early", name)
		}
	}
}

// testForeignKind installs the definition of ServiceMonitor while the operator runs.
func (w *world) testForeignKind(t *testing.T) {
	t.Helper()
	definition := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"group": "monitoring.coreos.com", "scope": "Namespaced",
			"names": map[string]any{"kind": "ServiceMonitor", "listKind": "ServiceMonitorList", "plural": "servicemonitors", "singular": "servicemonitor"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	definition.SetName("servicemonitors.monitoring.coreos.com")
	if err := w.Create(t.Context(), definition); err != nil {
		t.Fatal(err)
	}
	monitor := &unstructured.Unstructured{}
	monitor.SetGroupVersionKind(schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"})
	present := func() bool {
		return w.Get(t.Context(), key(w.namespace, "shop-metrics"), monitor) == nil && monitor.GetDeletionTimestamp() == nil
	}
	w.eventually(t, "a ServiceMonitor", present)
	uid := monitor.GetUID()
	if err := w.Delete(t.Context(), monitor); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "the ServiceMonitor again", func() bool { return present() && monitor.GetUID() != uid })
	if err := w.Delete(t.Context(), definition); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "the definition gone", func() bool {
		return errors.IsNotFound(w.Get(t.Context(), client.ObjectKeyFromObject(definition), definition.DeepCopy()))
	})
	// The operator lives on without the kind.
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop-user"}}
	if err := w.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "a Service repaired without the kind", func() bool { return !w.gone(t, &corev1.Service{}, "shop-user") })
}
