package commercestack_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// backedUp is a Development stack with backups each night and drills each week.
func (w *world) backedUp() *v1alpha1.CommerceStack {
	stack := w.development()
	stack.Spec.Backup = &v1alpha1.BackupSpec{Schedule: "0 3 * * *", RestoreTest: "0 5 * * 0"}
	return stack
}

// runJob plays a Job of a CronJob from its beginning to its end, with what its pod said last.
func (w *world) runJob(t *testing.T, task, name string, end batchv1.JobConditionType, said string) {
	t.Helper()
	labels := map[string]string{
		desired.LabelInstance: "shop", desired.LabelManagedBy: desired.ManagedBy, desired.LabelJob: task, desired.LabelComponent: desired.NameJob,
	}
	pod := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "create", Image: "example.com/commerce:1"}}}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}},
	}
	if err := w.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.endPod(t, job, end, said)
	w.endJob(t, job, end)
}

// endPod makes the pod of a Job and ends it with a last word.
func (w *world) endPod(t *testing.T, job *batchv1.Job, end batchv1.JobConditionType, said string) {
	t.Helper()
	labels := map[string]string{batchv1.JobNameLabel: job.Name}
	maps.Copy(labels, job.Spec.Template.Labels)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: job.Name + "-x", Labels: labels}, Spec: job.Spec.Template.Spec}
	pod.Spec.ServiceAccountName = ""
	if err := w.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	terminated := &corev1.ContainerStateTerminated{Message: said, Reason: "Completed"}
	if end == batchv1.JobFailed {
		terminated.ExitCode, terminated.Reason = 1, "Error"
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "create", State: corev1.ContainerState{Terminated: terminated}}}
	if err := w.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

func (w *world) cronJob(t *testing.T, name string) *batchv1.CronJob {
	t.Helper()
	found := &batchv1.CronJob{}
	if err := w.Get(t.Context(), key(w.namespace, name), found); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestBackupsAreScheduledAndTold(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(time.Now())
	w := newWorld(t, withClock(clock))
	stack := w.create(t, w.backedUp())
	stack = w.settle(t, stack)
	if cron := w.cronJob(t, "shop-backup"); !*cron.Spec.Suspend {
		t.Error("backups begin before there is anything")
	}
	stack = w.ready(t, stack)
	stack = w.settle(t, stack)
	cron := w.cronJob(t, "shop-backup")
	if *cron.Spec.Suspend || cron.Spec.Schedule != "0 3 * * *" || cron.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("the CronJob: %+v", cron.Spec)
	}
	w.cronJob(t, "shop-restore-drill")
	if c := condition(t, stack, v1alpha1.ConditionBackupHealthy); c.Status != metav1.ConditionUnknown || c.Reason != "NoBackupYet" {
		t.Errorf("before the first backup: %+v", c)
	}

	taken := clock.Now().UTC().Truncate(time.Second)
	report := func(id string, at time.Time) string {
		return fmt.Sprintf(`{"id":%q,"snapshotTime":%q,"size":2048,"pruned":0}`, id, at.Format(time.RFC3339))
	}
	w.runJob(t, desired.JobBackup, "shop-backup-1", batchv1.JobComplete, report("20261126t030000z-00000001", taken)+"\n")
	stack = w.settle(t, stack)
	if b := stack.Status.Backup; !b.LastSuccess.Time.Equal(taken) || b.LastID != "20261126t030000z-00000001" || b.LastSize.Value() != 2048 || b.LastError != "" {
		t.Errorf("after a backup: %+v", b)
	}
	if c := condition(t, stack, v1alpha1.ConditionBackupHealthy); c.Status != metav1.ConditionTrue {
		t.Errorf("after a backup: %+v", c)
	}

	time.Sleep(1100 * time.Millisecond) // Jobs end in different seconds
	w.runJob(t, desired.JobBackup, "shop-backup-2", batchv1.JobFailed, "backup: store the dump: no such bucket")
	stack = w.settle(t, stack)
	if b := stack.Status.Backup; b.LastError != "backup: store the dump: no such bucket" || !b.LastSuccess.Time.Equal(taken) {
		t.Errorf("after a failure: %+v", b)
	}
	if c := condition(t, stack, v1alpha1.ConditionBackupHealthy); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "no such bucket") {
		t.Errorf("one failure is no loss yet: %+v", c)
	}
	clock.SetTime(taken.Add(49 * time.Hour))
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionBackupHealthy); c.Status != metav1.ConditionFalse || c.Reason != "Stale" {
		t.Errorf("two days later: %+v", c)
	}
	if !isTrue(stack, v1alpha1.ConditionReady) {
		t.Error("a shop without backups still serves")
	}

	w.runJob(t, desired.JobRestoreDrill, "shop-restore-drill-1", batchv1.JobComplete,
		`{"id":"20261126t030000z-00000001","snapshotTime":"2026-11-26T03:00:00Z","rpoSeconds":7200,"rtoSeconds":42}`)
	stack = w.settle(t, stack)
	if b := stack.Status.Backup; b.RPO == nil || b.RPO.Duration != 2*time.Hour || b.RTO.Duration != 42*time.Second || b.LastDrill == nil || b.LastDrillError != "" {
		t.Errorf("after a drill: %+v", b)
	}
	time.Sleep(1100 * time.Millisecond)
	w.runJob(t, desired.JobRestoreDrill, "shop-restore-drill-2", batchv1.JobFailed, "1 violations, the first of rule charged_once of billing")
	stack = w.settle(t, stack)
	if b := stack.Status.Backup; !strings.Contains(b.LastDrillError, "charged_once") || b.RTO.Duration != 42*time.Second {
		t.Errorf("after a failed drill: %+v", b)
	}

	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Backup = nil })
	stack = w.settle(t, stack)
	if stack.Status.Backup != nil || condition(t, stack, v1alpha1.ConditionBackupHealthy).Reason != "NotConfigured" {
		t.Errorf("without backups: %+v", stack.Status.Backup)
	}
	crons := &batchv1.CronJobList{}
	w.list(t, crons)
	if len(crons.Items) != 0 {
		t.Errorf("%d CronJobs stay", len(crons.Items))
	}
}

func TestAMigrationWaitsForABackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.backedUp()
	stack.Spec.Migrations.RequireBackup = true
	stack = w.install(t, stack) // the first one has nothing to lose
	begun := func() bool {
		for _, job := range w.jobs(t, desired.JobMigrate) {
			if strings.HasSuffix(job.Spec.Template.Spec.Containers[0].Image, ":1.1.0") {
				return true
			}
		}
		return false
	}
	stack = w.change(t, stack, func(s *v1alpha1.CommerceStack) { s.Spec.Version = "1.1.0" })
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionMigrationsApplied); c.Reason != "WaitingForBackup" {
		t.Errorf("MigrationsApplied: %+v", c)
	}
	if !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("the old version serves:%s", describe(stack))
	}
	if begun() {
		t.Error("the migration begins without a backup")
	}
	jobs := w.jobs(t, desired.JobBackup)
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs back up", len(jobs))
	}
	w.endPod(t, &jobs[0], batchv1.JobComplete, fmt.Sprintf(`{"id":"x","snapshotTime":%q,"size":1}`, time.Now().UTC().Format(time.RFC3339)))
	w.endJob(t, &jobs[0], batchv1.JobComplete)
	stack = w.settle(t, stack)
	if !begun() {
		t.Errorf("the migration did not begin:%s", describe(stack))
	}
	stack = w.ready(t, stack)
	if stack.Status.Version != "1.1.0" {
		t.Errorf("version %s", stack.Status.Version)
	}
}

const oldKey = "0a0b0c0d:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

func TestANewStackBeginsWithABackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.createSecret(t, "old-key", map[string]string{"encryption.keys": oldKey})
	stack := w.development()
	stack.Spec.Restore = &v1alpha1.RestoreSpec{
		From: v1alpha1.RestoreSource{Path: ".backups/old/shop"}, KeySecretRef: &v1alpha1.SecretRef{Name: "old-key"},
	}
	stack = w.create(t, stack)
	stack = w.settle(t, stack)
	vault := &corev1.Secret{}
	if err := w.Get(t.Context(), key(w.namespace, "shop-vault"), vault); err != nil || string(vault.Data["encryption.keys"]) != oldKey {
		t.Fatalf("the vault does not begin with the keys of the backup: %v", err)
	}
	nothingBefore := func(when string) {
		t.Helper()
		if n := len(w.jobs(t, desired.JobMigrate)); n != 0 {
			t.Errorf("%s: %d migrations", when, n)
		}
		deployments := &appsv1.DeploymentList{}
		w.list(t, deployments)
		if len(deployments.Items) != 0 {
			t.Errorf("%s: %s runs", when, deployments.Items[0].Name)
		}
	}
	nothingBefore("before PostgreSQL")
	w.playCluster(t)
	stack = w.settle(t, stack)
	jobs := w.jobs(t, desired.JobRestore)
	if len(jobs) != 1 || stack.Status.Restore == nil || stack.Status.Restore.State != v1alpha1.RestoreRunning {
		t.Fatalf("%d Jobs restore, status %+v", len(jobs), stack.Status.Restore)
	}
	if c := condition(t, stack, v1alpha1.ConditionMigrationsApplied); c.Reason != "Restoring" {
		t.Errorf("MigrationsApplied: %+v", c)
	}
	nothingBefore("while it is restored")

	w.endPod(t, &jobs[0], batchv1.JobFailed, "backup: the database is not empty: it has the schema order")
	w.endJob(t, &jobs[0], batchv1.JobFailed)
	stack = w.settle(t, stack)
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "not empty") || stack.Status.Restore.State != v1alpha1.RestoreFailed {
		t.Errorf("a failed restore: %+v %+v", c, stack.Status.Restore)
	}
	nothingBefore("after a failure")

	if err := w.Delete(t.Context(), &jobs[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: jobs[0].Name + "-x"}}); err != nil {
		t.Fatal(err)
	}
	w.forgetJob(t, &jobs[0])
	stack = w.settle(t, stack)
	jobs = w.jobs(t, desired.JobRestore)
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs restore after a deletion", len(jobs))
	}
	w.endPod(t, &jobs[0], batchv1.JobComplete, `{"id":"20261126t030000z-00000001","snapshotTime":"2026-11-26T03:00:00Z","rpoSeconds":60,"rtoSeconds":9}`)
	w.endJob(t, &jobs[0], batchv1.JobComplete)
	stack = w.ready(t, stack)
	if r := stack.Status.Restore; r.State != v1alpha1.RestoreSucceeded || r.ID != "20261126t030000z-00000001" || r.SnapshotTime == nil {
		t.Errorf("restored: %+v", r)
	}
	// What was needed once may go.
	if err := w.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "old-key"}}); err != nil {
		t.Fatal(err)
	}
	stack = w.settle(t, stack)
	if isTrue(stack, v1alpha1.ConditionStalled) || !isTrue(stack, v1alpha1.ConditionReady) {
		t.Errorf("without the key's Secret:%s", describe(stack))
	}
	if n := len(w.jobs(t, desired.JobRestore)); n != 0 {
		t.Errorf("%d Jobs of the restore stay", n)
	}
}

// forgetJob plays the garbage collector: a deleted Job keeps a finalizer of its controller.
func (w *world) forgetJob(t *testing.T, job *batchv1.Job) {
	t.Helper()
	found := &batchv1.Job{}
	if err := w.Get(t.Context(), key(job.Namespace, job.Name), found); err != nil {
		return
	}
	found.Finalizers = nil
	if err := w.Update(t.Context(), found); err != nil {
		t.Fatal(err)
	}
}

// The vault of an earlier stack, with other keys, could not read what is restored.
func TestARestoreNeedsItsOwnKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.settle(t, w.create(t, w.development()))
	if err := w.Delete(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if _, err := w.visit(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	w.createSecret(t, "old-key", map[string]string{"encryption.keys": oldKey})
	stack = w.development()
	stack.Spec.Restore = &v1alpha1.RestoreSpec{KeySecretRef: &v1alpha1.SecretRef{Name: "old-key"}}
	stack = w.settle(t, w.create(t, stack))
	if c := condition(t, stack, v1alpha1.ConditionStalled); c.Status != metav1.ConditionTrue || c.Reason != "KeyMismatch" || !strings.Contains(c.Message, "0a0b0c0d") ||
		strings.Contains(c.Message, "AAAA") {
		t.Errorf("%+v", c)
	}
}

func TestRulesOfBackups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, tt := range []struct{ bad, good, message string }{
		{"migrations: {requireBackup: true}", "{migrations: {requireBackup: true}, backup: {schedule: \"0 3 * * *\"}}", "requireBackup needs backup"},
		{"restore: {from: {id: newest}}", "restore: {from: {id: latest}}", "should match"},
		{"restore: {from: {path: ../other}}", "restore: {from: {path: .backups/a/b}}", "should match"},
	} {
		name := fmt.Sprintf("backup-%d", i)
		if err := w.createYAML(t, name+"-bad", developmentSpec, tt.bad); err == nil || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%s was answered with %v, want %q", tt.bad, err, tt.message)
		}
		if err := w.createYAML(t, name, developmentSpec, tt.good); err != nil {
			t.Errorf("%s was refused: %v", tt.good, err)
		}
	}
	stack := w.create(t, w.development())
	stack.Spec.Restore = &v1alpha1.RestoreSpec{}
	if err := w.Update(t.Context(), stack); err == nil || !strings.Contains(err.Error(), "restore cannot change") {
		t.Errorf("a restore that comes later: %v", err)
	}
	odd := w.backedUp()
	odd.Name, odd.Spec.Backup.Schedule = "odd", "0 25 * * *"
	odd = w.settle(t, w.create(t, odd))
	if c := condition(t, odd, v1alpha1.ConditionStalled); c.Reason != "InvalidSpec" || !strings.Contains(c.Message, "spec.backup.schedule") {
		t.Errorf("a schedule of 25 o'clock: %+v", c)
	}
}
