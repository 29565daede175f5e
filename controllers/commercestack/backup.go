package commercestack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

const (
	// freshBackup is how old a backup may be that migrations.requireBackup is content with.
	freshBackup = time.Hour
	// reportLag is how long the cache may take to see what a pod said after its Job ended.
	reportLag = 30 * time.Second
	// overdueAfter is how many intervals of the schedule a backup may be old.
	overdueAfter = 2
)

// backupReport is what a Job that backed up said last.
type backupReport struct {
	ID           string    `json:"id"`
	SnapshotTime time.Time `json:"snapshotTime"`
	Size         int64     `json:"size"`
}

// drillReport is what a Job that restored said last.
type drillReport struct {
	ID           string    `json:"id"`
	SnapshotTime time.Time `json:"snapshotTime"`
	RPOSeconds   int64     `json:"rpoSeconds"`
	RTOSeconds   int64     `json:"rtoSeconds"`
}

// backup keeps the schedules of backups and drills, and takes over what their
// Jobs did. It never reads a backup itself.
func (v *visit) backup(ctx context.Context) Result {
	spec := v.stack.Spec.Backup
	if spec == nil {
		v.status.Backup = nil
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionUnknown, "NotConfigured", "spec.backup is not set.")
		return Result{}
	}
	status := v1alpha1.BackupStatus{}
	if v.status.Backup != nil {
		status = *v.status.Backup.DeepCopy()
	}
	v.status.Backup = &status
	if v.in.PostgresMode == v1alpha1.DataManaged {
		return v.managedBackup(ctx, &status)
	}
	suspended := v.status.CurrentRevision == ""
	if result := v.applyAll(ctx, desired.BackupServiceAccount(v.in), desired.BackupCronJob(v.in, suspended)); result.Err != nil {
		return result
	}
	if drill := desired.DrillCronJob(v.in, suspended); drill != nil {
		if err := v.pass.Apply(ctx, drill); err != nil {
			return failed(err)
		}
	}
	var outcome Outcome
	outcome.Add("backups", v.noteBackups(ctx, &status))
	outcome.Add("drills", v.noteDrills(ctx, &status))
	if err := outcome.Err(); err != nil {
		return failed(err)
	}
	cron := &batchv1.CronJob{}
	if err := v.Client.Get(ctx, v.key(desired.ObjectName(v.stack.Name, desired.JobBackup)), cron); client.IgnoreNotFound(err) != nil {
		return failed(fmt.Errorf("read the CronJob of backups: %w", err))
	}
	outcome.Add("health", v.judgeBackups(&status, cron.CreationTimestamp.Time, suspended))
	return after(outcome.requeue)
}

// managedBackup leaves backups to CloudNativePG, and reads what it says.
func (v *visit) managedBackup(ctx context.Context, status *v1alpha1.BackupStatus) Result {
	result := v.applyForeign(ctx, desired.ScheduledBackup(v.in))
	if result.Err != nil || result.RequeueAfter > 0 {
		return result
	}
	cluster := &unstructured.Unstructured{}
	cluster.SetGroupVersionKind(kindCluster)
	if err := v.Client.Get(ctx, v.key(desired.ObjectName(v.stack.Name, desired.NamePostgres)), cluster); client.IgnoreNotFound(err) != nil {
		return failed(fmt.Errorf("read the CloudNativePG cluster: %w", err))
	}
	read := func(field string) *metav1.Time {
		text, _, _ := unstructured.NestedString(cluster.Object, "status", field)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil
		}
		return &metav1.Time{Time: at}
	}
	succeeded, failedAt := read("lastSuccessfulBackup"), read("lastFailedBackup")
	if succeeded != nil {
		status.LastSuccess = succeeded
	}
	status.LastError = ""
	if failedAt != nil && (succeeded == nil || succeeded.Before(failedAt)) {
		status.LastError = "CloudNativePG could not back up at " + failedAt.UTC().Format(time.RFC3339)
	}
	return v.judgeBackups(status, cluster.GetCreationTimestamp().Time, v.status.CurrentRevision == "")
}

// noteBackups takes over what the Jobs that back up did.
func (v *visit) noteBackups(ctx context.Context, status *v1alpha1.BackupStatus) Result {
	done, broken, err := v.lastJobs(ctx, desired.JobBackup)
	if err != nil {
		return failed(err)
	}
	if done != nil {
		var told backupReport
		known, err := v.lastReport(ctx, done, &told)
		if err != nil {
			return failed(err)
		}
		if !known && v.justEnded(done) {
			return after(time.Second)
		}
		at := told.SnapshotTime
		if at.IsZero() && done.Status.StartTime != nil {
			at = done.Status.StartTime.Time // its pod is gone
		}
		if status.LastSuccess == nil || at.After(status.LastSuccess.Time) {
			taken := metav1.NewTime(at.UTC().Truncate(timeUnit))
			status.LastSuccess, status.LastID, status.LastSize = &taken, told.ID, nil
			if told.Size > 0 {
				status.LastSize = resource.NewQuantity(told.Size, resource.BinarySI)
			}
			v.tellf("BackupSucceeded", "Backup", "Job %s took backup %s.", done.Name, told.ID)
		}
	}
	status.LastError, err = v.lastFailure(ctx, done, broken, status.LastError)
	return failed(err)
}

// justEnded holds for a Job whose pod may be seen a little later.
func (v *visit) justEnded(job *batchv1.Job) bool {
	return v.now.Sub(ended(job).LastTransitionTime.Time) < reportLag
}

// noteDrills takes over what the Jobs that exercise restores did.
func (v *visit) noteDrills(ctx context.Context, status *v1alpha1.BackupStatus) Result {
	if !desired.Drilled(v.in) {
		status.LastDrillError = ""
		return Result{}
	}
	done, broken, err := v.lastJobs(ctx, desired.JobRestoreDrill)
	if err != nil {
		return failed(err)
	}
	if done != nil {
		end := ended(done).LastTransitionTime
		var told drillReport
		known, err := v.lastReport(ctx, done, &told)
		if err != nil {
			return failed(err)
		}
		if !known && v.justEnded(done) {
			return after(time.Second)
		}
		if status.LastDrill == nil || status.LastDrill.Before(&end) {
			status.LastDrill = &end
			if known {
				status.RPO = &metav1.Duration{Duration: time.Duration(told.RPOSeconds) * time.Second}
				status.RTO = &metav1.Duration{Duration: time.Duration(told.RTOSeconds) * time.Second}
			}
			v.tellf("DrillSucceeded", "Drill", "Job %s restored backup %s in %ds; it was %ds old.", done.Name, told.ID, told.RTOSeconds, told.RPOSeconds)
		}
	}
	before := status.LastDrillError
	if status.LastDrillError, err = v.lastFailure(ctx, done, broken, before); err != nil {
		return failed(err)
	}
	if status.LastDrillError != "" && before == "" {
		v.warnf("DrillFailed", "Drill", "Job %s: %s", broken.Name, status.LastDrillError)
	}
	return Result{}
}

// lastFailure is what the newest Job said, when it failed. Without any Job left the last word stands.
func (v *visit) lastFailure(ctx context.Context, done, broken *batchv1.Job, before string) (string, error) {
	switch {
	case done == nil && broken == nil:
		return before, nil
	case broken == nil || (done != nil && ended(broken).LastTransitionTime.Before(&ended(done).LastTransitionTime)):
		return "", nil
	}
	_, message, err := v.jobTrouble(ctx, broken)
	if message == "" {
		message = firstLine(ended(broken).Message)
	}
	return message, err
}

// lastJobs are the newest Jobs of a task that succeeded and that failed, whoever started them.
func (v *visit) lastJobs(ctx context.Context, task string) (done, broken *batchv1.Job, err error) {
	labels := v.instance()
	labels[desired.LabelJob] = task
	jobs := &batchv1.JobList{}
	if err := v.Client.List(ctx, jobs, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return nil, nil, fmt.Errorf("list Jobs: %w", err)
	}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		end := ended(job)
		if end == nil {
			continue
		}
		newest := &broken
		if end.Type == batchv1.JobComplete {
			newest = &done
		}
		if *newest == nil || ended(*newest).LastTransitionTime.Before(&end.LastTransitionTime) {
			*newest = job
		}
	}
	return done, broken, nil
}

// lastReport reads what the pod of a Job that succeeded said; ok is false when its pod is gone.
func (v *visit) lastReport(ctx context.Context, job *batchv1.Job, report any) (ok bool, err error) {
	pods := &corev1.PodList{}
	labels := v.instance()
	labels[batchv1.JobNameLabel] = job.Name
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return false, fmt.Errorf("list pods of Job %s: %w", job.Name, err)
	}
	for i := range pods.Items {
		for _, status := range pods.Items[i].Status.ContainerStatuses {
			end := status.State.Terminated
			if end != nil && end.ExitCode == 0 && json.Unmarshal([]byte(strings.TrimSpace(end.Message)), report) == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// judgeBackups sets the condition, and asks to look again when the newest backup gets too old.
func (v *visit) judgeBackups(status *v1alpha1.BackupStatus, since time.Time, suspended bool) Result {
	if suspended {
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionUnknown, "Installing", "Backups begin when the stack is installed.")
		return Result{}
	}
	interval, ok := desired.ScheduleInterval(v.stack.Spec.Backup.Schedule, v.now)
	if !ok {
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionFalse, "NeverRuns", "spec.backup.schedule names no time that ever comes.")
		return Result{}
	}
	base := since
	if base.IsZero() {
		base = v.now
	}
	if status.LastSuccess != nil {
		base = status.LastSuccess.Time
	}
	trouble := ""
	if status.LastError != "" {
		trouble = " The last try failed: " + status.LastError + "."
	}
	overdue := base.Add(overdueAfter * interval)
	switch {
	case v.now.After(overdue) && status.LastSuccess == nil:
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionFalse, "NoBackup", "There is no backup."+trouble)
		return Result{}
	case v.now.After(overdue):
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionFalse, "Stale",
			"The newest backup is of "+status.LastSuccess.UTC().Format(time.RFC3339)+"."+trouble)
		return Result{}
	case status.LastSuccess == nil:
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionUnknown, "NoBackupYet", "The first backup has not been taken yet."+trouble)
	default:
		v.set(v1alpha1.ConditionBackupHealthy, metav1.ConditionTrue, "Fresh",
			"The newest backup is of "+status.LastSuccess.UTC().Format(time.RFC3339)+"."+trouble)
	}
	return after(min(max(overdue.Sub(v.now)+time.Second, time.Second), resync))
}

// backupFresh says whether the migrations of a change may begin as far as
// backups are concerned. The first installation has nothing to lose.
func (v *visit) backupFresh() bool {
	if !v.stack.Spec.Migrations.RequireBackup || v.status.CurrentRevision == "" {
		return true
	}
	backup := v.status.Backup
	return backup != nil && backup.LastSuccess != nil && v.now.Sub(backup.LastSuccess.Time) < freshBackup
}

// holdForBackup lets the migrations of a change wait for a fresh backup, and has
// one taken, at most one in an hour.
func (v *visit) holdForBackup(ctx context.Context) (result Result, held bool) {
	if v.backupFresh() {
		return Result{}, false
	}
	wait := func(message string) {
		v.set(v1alpha1.ConditionMigrationsApplied, metav1.ConditionFalse, "WaitingForBackup", message)
	}
	job := desired.BackupJob(v.in, fmt.Sprint(v.now.UTC().Truncate(freshBackup).Unix()))
	if job == nil {
		wait("Waiting for a backup younger than an hour, which CloudNativePG takes on schedule or when a person asks it to.")
		return after(time.Minute), true
	}
	if err := v.pass.Once(ctx, job); err != nil {
		return failed(err), true
	}
	wait("Waiting for Job " + *job.Name + ", which backs up first.")
	found, err := v.job(ctx, *job.Name)
	if err != nil {
		return failed(err), true
	}
	if found != nil {
		if end := ended(found); end != nil && end.Type == batchv1.JobFailed {
			wait("Job " + *job.Name + " could not back up: " + v.status.Backup.LastError + ". The next try is in the next hour; delete the Job for one at once.")
			return v.wakeAt(v.now.Truncate(freshBackup).Add(freshBackup)), true
		}
	}
	return Result{}, true
}

// ofBackups lets Jobs of backups through when they end.
var ofBackups = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool {
		job, ok := e.Object.(*batchv1.Job)
		return ok && backupJob(job) && ended(job) != nil
	},
	UpdateFunc: func(e event.UpdateEvent) bool {
		old, ok := e.ObjectOld.(*batchv1.Job)
		now, ok2 := e.ObjectNew.(*batchv1.Job)
		return ok && ok2 && backupJob(now) && (ended(old) == nil) != (ended(now) == nil)
	},
	DeleteFunc: func(event.DeleteEvent) bool { return false },
}

func backupJob(job *batchv1.Job) bool {
	return slices.Contains([]string{desired.JobBackup, desired.JobRestoreDrill}, job.Labels[desired.LabelJob])
}
