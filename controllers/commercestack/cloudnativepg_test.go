package commercestack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

const cnpgGroup = "postgresql.cnpg.io"

// withCloudNativePG is a cluster in which CloudNativePG is installed: its
// definitions are there for every test, and other tests do not see them.
func withCloudNativePG(w *world) { w.cloudNativePG = true }

// withoutCloudNativePG hides its kinds.
type withoutCloudNativePG struct{ meta.RESTMapper }

func (m withoutCloudNativePG) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if kind.Group == cnpgGroup {
		return nil, &meta.NoKindMatchError{GroupKind: kind, SearchedVersions: versions}
	}
	return m.RESTMapper.RESTMapping(kind, versions...)
}

// foreign reads an object of CloudNativePG.
func (w *world) foreign(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: cnpgGroup, Version: "v1", Kind: kind})
	if err := w.Get(t.Context(), key(w.namespace, name), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// playServers tells how many servers of the cluster are ready, as CloudNativePG does.
func (w *world) playServers(t *testing.T, ready int, primary, phase string) {
	t.Helper()
	cluster := w.foreign(t, "Cluster", "shop-postgres")
	status := fmt.Sprintf(`{"status":{"readyInstances":%d,"instances":3,"currentPrimary":%q,"phase":%q,"lastSuccessfulBackup":"2026-11-26T03:00:00Z"}}`, ready, primary, phase)
	if err := w.Status().Patch(t.Context(), cluster, client.RawPatch("application/merge-patch+json", []byte(status))); err != nil {
		t.Fatal(err)
	}
}

// lost tells what of an object the API server did not keep.
func lost(path string, want, have any) []string {
	switch want := want.(type) {
	case map[string]any:
		given, _ := have.(map[string]any)
		var all []string
		for name, value := range want {
			all = append(all, lost(path+"."+name, value, given[name])...)
		}
		return all
	case []any:
		given, _ := have.([]any)
		if len(given) != len(want) {
			return []string{path}
		}
		var all []string
		for i, value := range want {
			all = append(all, lost(fmt.Sprintf("%s[%d]", path, i), value, given[i])...)
		}
		return all
	default:
		if fmt.Sprint(want) != fmt.Sprint(have) {
			return []string{fmt.Sprintf("%s: %v, not %v", path, have, want)}
		}
		return nil
	}
}

func (w *world) checkKept(t *testing.T, kind string, want *unstructured.Unstructured) {
	t.Helper()
	if missing := lost("spec", want.Object["spec"], w.foreign(t, kind, want.GetName()).Object["spec"]); len(missing) > 0 {
		t.Errorf("%s's definition does not know, or changes: %s", kind, strings.Join(missing, "; "))
	}
}

// managed is a stack whose database, backups and log of changes are CloudNativePG's.
func (w *world) managed(t *testing.T) *v1alpha1.CommerceStack {
	t.Helper()
	w.createSecret(t, "bucket", map[string]string{"accessKeyID": "id", "secretAccessKey": "secret"})
	stack := w.development()
	three := int32(3)
	stack.Spec.Postgres.Instances = &three
	stack.Spec.Backup = &v1alpha1.BackupSpec{Schedule: "0 3 * * *", Destination: &v1alpha1.S3Spec{Bucket: "backups", SecretRef: &v1alpha1.SecretRef{Name: "bucket"}}}
	return stack
}

// TestCloudNativePG leaves the database to CloudNativePG, whose part the test plays
// by its contract: servers come, one fails and another takes its place, all are lost.
func TestCloudNativePG(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCloudNativePG)
	stack := w.settle(t, w.create(t, w.managed(t)))
	if stack.Status.PostgresMode != v1alpha1.DataManaged {
		t.Fatalf("the mode is %q", stack.Status.PostgresMode)
	}
	if c := condition(t, stack, v1alpha1.ConditionPostgresReady); c.Status != metav1.ConditionFalse {
		t.Errorf("without a server: %+v", c)
	}
	in := desired.Input{Stack: stack, PostgresMode: v1alpha1.DataManaged, Capabilities: desired.Capabilities{CloudNativePG: true}}
	for _, credential := range []string{"superuserSecret"} {
		name, _, _ := unstructured.NestedString(w.foreign(t, "Cluster", "shop-postgres").Object, "spec", credential, "name")
		in.Secrets.Postgres = name
	}
	w.checkKept(t, "Cluster", desired.CloudNativePG(in))
	w.checkKept(t, "ScheduledBackup", desired.ScheduledBackup(in))

	w.playServers(t, 3, "shop-postgres-1", "Cluster in healthy state")
	stack = w.ready(t, stack)
	if b := stack.Status.Backup; b == nil || b.LastSuccess == nil || !b.LastSuccess.Equal(&metav1.Time{Time: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)}) {
		t.Errorf("the backups: %+v", b)
	}

	templates := w.templates(t)
	w.playServers(t, 2, "shop-postgres-2", "Failing over")
	stack = w.settle(t, stack)
	if !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("while another server takes over:%s", describe(stack))
	}
	for name, template := range w.templates(t) {
		if templates[name] != template {
			t.Errorf("%s is rolled out because another server is the primary", name)
		}
	}
	w.playServers(t, 0, "", "Waiting for the instances to become active")
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionReady); c.Status != metav1.ConditionFalse || !strings.Contains(describe(stack), "Waiting for the instances") {
		t.Errorf("without any server:%s", describe(stack))
	}
	w.playServers(t, 3, "shop-postgres-2", "Cluster in healthy state")
	if stack = w.settle(t, stack); !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("with all servers again:%s", describe(stack))
	}
}

// TestRecoveryToAMoment begins a stack with the log of changes of another one.
func TestRecoveryToAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withCloudNativePG)
	w.createSecret(t, "old-key", map[string]string{"encryption.keys": oldKey})
	moment := metav1.NewTime(time.Date(2026, 11, 26, 14, 59, 0, 0, time.UTC))
	stack := w.managed(t)
	stack.Spec.Postgres.Mode = v1alpha1.DataManaged
	stack.Spec.Restore = &v1alpha1.RestoreSpec{
		From: v1alpha1.RestoreSource{
			Path: ".backups/shop/shop", Destination: stack.Spec.Backup.Destination, Recovery: &v1alpha1.RecoverySource{Time: &moment},
		},
		KeySecretRef: &v1alpha1.SecretRef{Name: "old-key"},
	}
	stack = w.settle(t, w.create(t, stack))
	target, _, _ := unstructured.NestedString(w.foreign(t, "Cluster", "shop-postgres").Object, "spec", "bootstrap", "recovery", "recoveryTarget", "targetTime")
	if target != "2026-11-26T14:59:00Z" {
		t.Errorf("the database is brought to %q", target)
	}
	if r := stack.Status.Restore; r == nil || r.State != v1alpha1.RestoreRunning {
		t.Errorf("the restore: %+v", r)
	}
	deployments := &appsv1.DeploymentList{}
	w.list(t, deployments)
	if len(deployments.Items) != 0 || len(w.jobs(t, desired.JobMigrate)) != 0 || len(w.jobs(t, desired.JobRestore)) != 0 {
		t.Error("something uses the database before it is recovered")
	}
	w.playServers(t, 1, "shop-postgres-1", "Cluster in healthy state")
	stack = w.ready(t, stack)
	if r := stack.Status.Restore; r.State != v1alpha1.RestoreSucceeded || r.SnapshotTime == nil || !r.SnapshotTime.Equal(&moment) || r.FinishedAt == nil {
		t.Errorf("recovered: %+v", r)
	}
}
