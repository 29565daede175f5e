package commercestack

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// reasonRestoring is the reason of what waits for a backup to be restored.
const reasonRestoring = "Restoring"

// restoreDue says that the stack begins with a backup that is not restored yet.
func (v *visit) restoreDue() bool {
	done := v.status.Restore != nil && v.status.Restore.State == v1alpha1.RestoreSucceeded
	return v.stack.Spec.Restore != nil && !done
}

// restoreKeys are the keys of the stack that made the backup, as the spec gives them.
func (v *visit) restoreKeys() []byte {
	if !v.restoreDue() || v.stack.Spec.Restore.KeySecretRef == nil {
		return nil
	}
	return v.references[v.stack.Spec.Restore.KeySecretRef.Name][refEncryptionKeys]
}

// restore brings a backup into the empty database of a new stack, before its
// first migration. Whether it was done is told by the database itself, so a lost
// status only costs a Job that finds nothing to do.
func (v *visit) restore(ctx context.Context) Result {
	if desired.Recovered(v.in) {
		return v.judgeRecovery()
	}
	job := desired.RestoreJob(v.in)
	if job == nil {
		v.status.Restore = nil
		return Result{}
	}
	if !v.restoreDue() {
		return Result{}
	}
	if lacking := lackingKey(v.encryptionKeys(), v.restoreKeys()); lacking != "" {
		return v.foreignKey(lacking)
	}
	if err := v.pass.Apply(ctx, desired.BackupServiceAccount(v.in)); err != nil {
		return failed(err)
	}
	found, err := v.job(ctx, *job.Name)
	if err != nil {
		return failed(err)
	}
	if found != nil {
		if err := v.pass.Keep(job); err != nil {
			return failed(err)
		}
		return v.judgeRestore(ctx, found)
	}
	if !v.is(v1alpha1.ConditionPostgresReady) {
		return Result{}
	}
	if err := v.pass.Once(ctx, job); err != nil {
		return failed(err)
	}
	if !v.pass.Dry() {
		v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreRunning}
		v.tellf("RestoreStarted", "Restore", "Job %s restores backup %s.", *job.Name, v.stack.Spec.Restore.From.ID)
	}
	return Result{}
}

// judgeRecovery takes over what CloudNativePG made of the backups and the log of
// changes: a server that answers has them all.
func (v *visit) judgeRecovery() Result {
	if !v.restoreDue() {
		return Result{}
	}
	if lacking := lackingKey(v.encryptionKeys(), v.restoreKeys()); lacking != "" {
		return v.foreignKey(lacking)
	}
	if !v.is(v1alpha1.ConditionPostgresReady) {
		if v.status.Restore == nil && !v.pass.Dry() {
			v.tellf("RestoreStarted", "Restore", "CloudNativePG recovers the database.")
		}
		v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreRunning}
		return Result{}
	}
	now := metav1.NewTime(v.now.Truncate(time.Second))
	v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreSucceeded, SnapshotTime: v.stack.Spec.Restore.From.Recovery.Time, FinishedAt: &now}
	v.tellf("RestoreSucceeded", "Restore", "CloudNativePG recovered the database.")
	return after(time.Second) // on to the migrations
}

// foreignKey says that the vault is of another stack than the backup.
func (v *visit) foreignKey(lacking string) Result {
	return stalled("KeyMismatch", "spec.restore.keySecretRef: Secret %s is the vault of an earlier stack and has no key %s: "+
		"what is sealed in the backup could not be read. Choose another name for the stack", desired.VaultName(v.stack.Name), lacking)
}

// judgeRestore takes over what became of the Job.
func (v *visit) judgeRestore(ctx context.Context, job *batchv1.Job) Result {
	end := ended(job)
	if end == nil {
		v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreRunning}
		return Result{}
	}
	if end.Type == batchv1.JobComplete {
		var told drillReport
		known, err := v.lastReport(ctx, job, &told)
		if err != nil {
			return failed(err)
		}
		if !known && v.justEnded(job) {
			return after(time.Second)
		}
		v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreSucceeded, ID: told.ID, FinishedAt: &end.LastTransitionTime}
		if !told.SnapshotTime.IsZero() {
			at := metav1.NewTime(told.SnapshotTime.Truncate(time.Second))
			v.status.Restore.SnapshotTime = &at
		}
		v.tellf("RestoreSucceeded", "Restore", "Job %s restored backup %s.", job.Name, told.ID)
		return after(time.Second) // on to the migrations
	}
	_, message, err := v.jobTrouble(ctx, job)
	if err != nil {
		return failed(err)
	}
	if message == "" {
		message = firstLine(end.Message)
	}
	if v.status.Restore == nil || v.status.Restore.State != v1alpha1.RestoreFailed {
		v.warnf("RestoreFailed", "Restore", "Job %s: %s", job.Name, message)
	}
	v.status.Restore = &v1alpha1.RestoreStatus{State: v1alpha1.RestoreFailed, Message: message, FinishedAt: &end.LastTransitionTime}
	return stalled("RestoreFailed", "Job %s failed: %s. Remove the cause and delete the Job to have it run again", job.Name, message)
}

// lackingKey is the id of a key that a key file has and another one lacks.
func lackingKey(have, want []byte) string {
	ids := keyIDs(have)
	for _, id := range keyIDs(want) {
		if !slices.Contains(ids, id) {
			return id
		}
	}
	return ""
}

// keyIDs are the names of the keys of a key file.
func keyIDs(file []byte) []string {
	var ids []string
	for line := range bytes.Lines(file) {
		id, _, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if ok && !strings.HasPrefix(id, "#") {
			ids = append(ids, id)
		}
	}
	return ids
}
