package commercestack

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// bootstrap runs what runs once in a stack's life: the first administrator and
// the demo catalog. That it ran is noted at the vault, which lives as long as the
// database does.
func (v *visit) bootstrap(ctx context.Context) Result {
	if !v.is(v1alpha1.ConditionServicesAvailable) {
		return v.keepJobs(desired.CreateAdminJob(v.in), desired.DemoJob(v.in))
	}
	done, result := v.onceInALife(ctx, desired.JobCreateAdmin, desired.CreateAdminJob(v.in))
	if !done {
		// A shop that nobody can administer is not ready.
		v.bootstrapping = true
		_ = v.keepJobs(desired.DemoJob(v.in))
		return result
	}
	if job := desired.DemoJob(v.in); job != nil {
		_, result = v.onceInALife(ctx, desired.JobDemo, job)
	}
	return result
}

func (v *visit) keepJobs(jobs ...*batchv1ac.JobApplyConfiguration) Result {
	for _, job := range jobs {
		if job == nil {
			continue
		}
		if err := v.pass.Keep(job); err != nil {
			return failed(err)
		}
	}
	return Result{}
}

// doneAnnotation at the vault says that a Job that runs once did.
func doneAnnotation(task string) string { return v1alpha1.Group + "/done-" + task }

// onceInALife runs a Job until it succeeded, and never again.
func (v *visit) onceInALife(ctx context.Context, task string, job *batchv1ac.JobApplyConfiguration) (done bool, result Result) {
	annotation := doneAnnotation(task)
	vault, err := v.secret(ctx, desired.VaultName(v.stack.Name))
	if err != nil || vault.Annotations[annotation] != "" {
		return err == nil, failed(err)
	}
	if err := v.pass.Once(ctx, job); err != nil {
		return false, failed(err)
	}
	found, err := v.job(ctx, *job.Name)
	if err != nil || found == nil {
		return false, failed(err)
	}
	end := ended(found)
	switch {
	case end == nil:
		return false, Result{}
	case end.Type == batchv1.JobComplete:
		if v.pass.Dry() {
			return true, Result{}
		}
		changed := vault.DeepCopy()
		changed.Annotations = merge(changed.Annotations, map[string]string{annotation: found.Name})
		if err := v.Client.Patch(ctx, changed, client.MergeFrom(vault), client.FieldOwner(FieldManager)); err != nil {
			return false, failed(fmt.Errorf("note that %s is done: %w", task, hide(err)))
		}
		v.tellf("JobSucceeded", task, "Job %s is done.", found.Name)
		return true, Result{}
	}
	_, message, err := v.jobTrouble(ctx, found)
	if err != nil {
		return false, failed(err)
	}
	if message == "" {
		message = firstLine(end.Message)
	}
	return false, stalled("JobFailed", "Job %s failed: %s. Remove the cause and delete the Job to have it run again", found.Name, message)
}
