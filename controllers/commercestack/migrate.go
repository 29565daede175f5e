package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// migrate brings the database to the version of the spec, once for each image, and never while another migration runs.
func (v *visit) migrate(ctx context.Context) Result {
	v.decide()
	if err := v.pass.Apply(ctx, desired.JobServiceAccount(v.in)); err != nil {
		return failed(err)
	}
	job := desired.MigrateJob(v.in)
	if job == nil {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, reasonSkipped,
			"migrations.mode is Skip: somebody else brings the database to the version.")
		return Result{}
	}
	if v.awaiting || v.rotationHolds() {
		return Result{} // the schema stays that of the version that runs
	}
	if v.restoreDue() {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonRestoring, "Waiting for the backup to be restored.")
		return v.keepJobs(job)
	}
	id := strings.TrimPrefix(*job.Name, desired.ObjectName(v.stack.Name, desired.JobMigrate)+"-")
	if err := v.pass.Keep(job); err != nil {
		return failed(err)
	}
	found, err := v.job(ctx, *job.Name)
	if err != nil {
		return failed(err)
	}
	last := v.status.Migration
	switch {
	case found != nil:
		return v.judgeMigration(ctx, id, found)
	case last != nil && (last.ID == id || last.ID == desired.EarlierMigrationID(v.in)) && last.State == v1alpha1.MigrationSucceeded:
		v.status.Migration.ID = id
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, "Applied", "The schemas are those of version "+v.stack.Spec.Version+".")
		return Result{}
	}
	if !v.is(v1alpha1.ConditionPostgresReady) {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "Waiting for PostgreSQL.")
		return Result{}
	}
	if running, err := v.runningMigration(ctx); err != nil || running != "" {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "Waiting for Job "+running+" of another version.")
		return failed(err)
	}
	if result, held := v.holdForBackup(ctx); held {
		return result
	}
	if err := v.pass.Once(ctx, job); err != nil {
		return failed(err)
	}
	if !v.pass.Dry() {
		v.status.Migration = &v1alpha1.MigrationStatus{ID: id, State: v1alpha1.MigrationRunning}
		v.tellf("MigrationStarted", "Migrate", "Job %s brings the database to version %s.", *job.Name, v.stack.Spec.Version)
	}
	v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonProgressing, "Job "+*job.Name+" was started.")
	return Result{}
}

// judgeMigration takes over what became of a migration's Job.
func (v *visit) judgeMigration(ctx context.Context, id string, job *batchv1.Job) Result {
	before := v.status.Migration
	known := before != nil && before.ID == id
	end := ended(job)
	switch {
	case end == nil:
		reason, message, err := v.jobTrouble(ctx, job)
		if err != nil {
			return failed(err)
		}
		if message == "" {
			reason, message = reasonProgressing, "it is running"
		}
		v.status.Migration = &v1alpha1.MigrationStatus{ID: id, State: v1alpha1.MigrationRunning}
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reason, "Job "+job.Name+": "+message+".")
		return Result{}
	case end.Type == batchv1.JobComplete:
		v.status.Migration = &v1alpha1.MigrationStatus{ID: id, State: v1alpha1.MigrationSucceeded, FinishedAt: &end.LastTransitionTime}
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, "Applied", "The schemas are those of version "+v.stack.Spec.Version+".")
		if !known || before.State != v1alpha1.MigrationSucceeded {
			v.tellf("MigrationSucceeded", "Migrate", "Job %s brought the database to version %s.", job.Name, v.stack.Spec.Version)
		}
		return Result{}
	}
	_, message, err := v.jobTrouble(ctx, job)
	if err != nil {
		return failed(err)
	}
	if message == "" {
		message = firstLine(end.Message)
	}
	v.status.Migration = &v1alpha1.MigrationStatus{ID: id, State: v1alpha1.MigrationFailed, Message: message, FinishedAt: &end.LastTransitionTime}
	v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonFailed, message)
	if !known || before.State != v1alpha1.MigrationFailed {
		v.warnf("MigrationFailed", "Migrate", "Job %s: %s", job.Name, message)
	}
	return stalled("MigrationFailed", "Job %s failed: %s. Change the version, or remove the cause and delete the Job to have it run again", job.Name, message)
}

// job reads a Job, nil when it is not there.
func (v *visit) job(ctx context.Context, name string) (*batchv1.Job, error) {
	job := &batchv1.Job{}
	err := v.Client.Get(ctx, v.key(name), job)
	if missing(err) || (err == nil && job.DeletionTimestamp != nil) {
		return nil, nil //nolint:nilnil // nothing is an answer here, and the callers ask for it
	}
	if err != nil {
		return nil, fmt.Errorf("read Job %s: %w", name, err)
	}
	return job, nil
}

// runningMigration is a migration of another version that has not ended.
func (v *visit) runningMigration(ctx context.Context) (string, error) {
	labels := v.instance()
	labels[desired.LabelJob] = desired.JobMigrate
	jobs := &batchv1.JobList{}
	if err := v.Client.List(ctx, jobs, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return "", fmt.Errorf("list Jobs: %w", err)
	}
	for i := range jobs.Items {
		if ended(&jobs.Items[i]) == nil {
			return jobs.Items[i].Name, nil
		}
	}
	return "", nil
}

// ended is the condition with which a Job ended, nil while it runs.
func ended(job *batchv1.Job) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		condition := &job.Status.Conditions[i]
		if condition.Status == corev1.ConditionTrue && (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
			return condition
		}
	}
	return nil
}

// jobTrouble is what the newest pod of a Job said.
func (v *visit) jobTrouble(ctx context.Context, job *batchv1.Job) (reason, message string, err error) {
	pods := &corev1.PodList{}
	labels := v.instance()
	labels[batchv1.JobNameLabel] = job.Name
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return "", "", fmt.Errorf("list pods of Job %s: %w", job.Name, err)
	}
	var newest *corev1.Pod
	for i := range pods.Items {
		if newest == nil || newest.CreationTimestamp.Before(&pods.Items[i].CreationTimestamp) {
			newest = &pods.Items[i]
		}
	}
	if newest == nil {
		return "", "", nil
	}
	for _, status := range slices.Concat(newest.Status.InitContainerStatuses, newest.Status.ContainerStatuses) {
		if end := status.State.Terminated; end != nil && end.ExitCode != 0 {
			return reasonFailed, lastWords(end), nil
		}
	}
	reason, message = trouble(newest)
	return reason, message, nil
}
