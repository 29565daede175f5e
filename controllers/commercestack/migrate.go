package commercestack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/rollout"
)

// annotationTry of a migration's Job is the rollout that it was made for.
const annotationTry = v1alpha1.Group + "/try"

// migrationPrefix begins the message of a rollout whose migration failed.
const migrationPrefix = "the migration failed"

// try names the running rollout.
func (v *visit) try() string { return v.roll.State.StartedAt.UTC().Format(time.RFC3339Nano) }

// observeMigration finds what became of the migration of the target. A Job that
// failed in an earlier try says nothing about this one.
func (v *visit) observeMigration(ctx context.Context) (rollout.Migration, error) {
	s := v.roll.State
	m := rollout.Migration{Revision: s.Target}
	if s.Phase != rollout.PhaseMigrating && s.Phase != rollout.PhaseFailed {
		return m, nil
	}
	in, err := v.inputOf(ctx, s.Target)
	if err != nil {
		return m, nil //nolint:nilerr // a target whose record is gone stays where it is
	}
	job := desired.MigrateJob(in)
	if job == nil {
		return m, nil
	}
	found, err := v.job(ctx, *job.Name)
	if err != nil {
		return m, err
	}
	v.roll.migrated = found
	id := v.migrationID(*job.Name)
	last := v.status.Migration
	if found == nil {
		m.Succeeded = last != nil && last.ID == id && last.State == v1alpha1.MigrationSucceeded
		return m, nil
	}
	switch end := ended(found); {
	case end == nil:
	case end.Type == batchv1.JobComplete:
		m.Succeeded = true
	case found.Annotations[annotationTry] == v.try():
		m.Failed = true
		if _, m.Message, err = v.jobTrouble(ctx, found); err != nil {
			return m, err
		}
		if m.Message == "" {
			m.Message = firstLine(end.Message)
		}
	}
	return m, nil
}

func (v *visit) migrationID(job string) string {
	return strings.TrimPrefix(job, desired.ObjectName(v.stack.Name, desired.JobMigrate)+"-")
}

// migrationFailed reports whether the last rollout ended by its migration.
func (v *visit) migrationFailed() bool {
	return v.roll.State.Phase == rollout.PhaseFailed && strings.HasPrefix(v.roll.State.Message, migrationPrefix)
}

// migrationJob is the name of the Job that migrates to the target.
func (v *visit) migrationJob() string {
	if v.roll.migrated != nil {
		return v.roll.migrated.Name
	}
	return desired.ObjectName(v.stack.Name, desired.JobMigrate)
}

// migrationRemoved reports whether a person deleted the Job of a failed migration.
func (v *visit) migrationRemoved() bool {
	last := v.status.Migration
	return v.migrationFailed() && v.roll.State.Held == v.roll.revision && v.roll.migrated == nil && last != nil && last.State == v1alpha1.MigrationFailed
}

// migrate brings the database to the version of the revision that is rolled out,
// once for each, and never while another migration runs.
func (v *visit) migrate(ctx context.Context) Result {
	if err := v.pass.Apply(ctx, desired.JobServiceAccount(v.in)); err != nil {
		return failed(err)
	}
	if v.stack.Spec.Migrations.Mode == v1alpha1.MigrationsSkip {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, reasonSkipped,
			"migrations.mode is Skip: somebody else brings the database to the version.")
		return Result{}
	}
	if err := v.keepMigrations(ctx); err != nil {
		return failed(err)
	}
	s := v.roll.State
	switch {
	case s.Phase == rollout.PhaseMigrating && !s.Undo:
		return v.migrating(ctx)
	case v.roll.migrated != nil && !lost(v.roll.migrated) && !s.Undo:
		// It succeeded, and the rollout went on by that.
		return v.judgeMigration(ctx, v.migrationID(v.roll.migrated.Name), v.versionOf(s.Target), v.roll.migrated)
	case v.migrationFailed():
		return v.migrating(ctx)
	case s.Current == "" && s.Phase != rollout.PhasePromoting && s.Phase != rollout.PhasePaused:
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "No migration was begun yet.")
	default:
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, "Applied", "The schemas are those of version "+v.migratedVersion()+".")
	}
	return Result{}
}

// migratedVersion is the version whose migrations ran.
func (v *visit) migratedVersion() string {
	if s := v.roll.State; s.Active() && !s.Undo {
		return v.versionOf(s.Target)
	}
	return v.versionOf(v.roll.State.Current)
}

// keepMigrations names the Jobs of every revision that runs or is to run: they
// are the record of having run.
func (v *visit) keepMigrations(ctx context.Context) error {
	for _, revision := range []string{v.roll.State.Current, v.roll.State.Target, v.roll.revision} {
		if revision == "" {
			continue
		}
		in, err := v.inputOf(ctx, revision)
		if err != nil {
			continue // services says so
		}
		if err := v.keepJobs(desired.MigrateJob(in)).Err; err != nil {
			return err
		}
	}
	return nil
}

// migrating looks after the Job of the target.
func (v *visit) migrating(ctx context.Context) Result {
	in, err := v.inputOf(ctx, v.roll.State.Target)
	if err != nil {
		return failed(err)
	}
	job, found := desired.MigrateJob(in), v.roll.migrated
	id := v.migrationID(*job.Name)
	version := v.versionOf(v.roll.State.Target)
	if found != nil && (found.Annotations[annotationTry] == v.try() || !lost(found)) {
		return v.judgeMigration(ctx, id, version, found)
	}
	if v.restoreDue() {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonRestoring, "Waiting for the backup to be restored.")
		return Result{}
	}
	if result, held := v.holdForBackup(ctx); held {
		return result
	}
	switch {
	case !v.roll.effected(rollout.EffectMigrate):
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "The migration to version "+version+" was not begun yet.")
		return Result{}
	case found != nil:
		return v.retryMigration(ctx, found)
	case !v.is(v1alpha1.ConditionPostgresReady):
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "Waiting for PostgreSQL.")
		return Result{}
	}
	if running, err := v.runningMigration(ctx); err != nil || running != "" {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonWaiting, "Waiting for Job "+running+" of another version.")
		return failed(err)
	}
	if err := v.pass.Once(ctx, job.WithAnnotations(map[string]string{annotationTry: v.try()})); err != nil {
		return failed(err)
	}
	if !v.pass.Dry() {
		v.status.Migration = &v1alpha1.MigrationStatus{ID: id, State: v1alpha1.MigrationRunning}
		v.tellf("MigrationStarted", "Migrate", "Job %s brings the database to version %s.", *job.Name, version)
	}
	v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonProgressing, "Job "+*job.Name+" was started.")
	return Result{}
}

// lost reports whether a Job failed.
func lost(job *batchv1.Job) bool {
	end := ended(job)
	return end != nil && end.Type == batchv1.JobFailed
}

// retryMigration deletes the Job of an earlier try: its name is wanted.
func (v *visit) retryMigration(ctx context.Context, job *batchv1.Job) Result {
	v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, reasonProgressing, "Job "+job.Name+" is run again.")
	if v.pass.Dry() {
		return Result{}
	}
	uid := job.UID
	err := v.Client.Delete(ctx, job, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return failed(fmt.Errorf("delete Job %s: %w", job.Name, err))
	}
	return after(time.Second)
}

// judgeMigration takes over what became of a migration's Job.
func (v *visit) judgeMigration(ctx context.Context, id, version string, job *batchv1.Job) Result {
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
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionTrue, "Applied", "The schemas are those of version "+version+".")
		if !known || before.State != v1alpha1.MigrationSucceeded {
			v.tellf("MigrationSucceeded", "Migrate", "Job %s brought the database to version %s.", job.Name, version)
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
	return Result{}
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
