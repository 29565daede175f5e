package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The tasks of a stack that run on schedule, which are also in the names of their CronJobs.
const (
	taskBackup = "backup"
	taskDrill  = "restore-drill"
)

// encryptionKeys is the key of the Secret with which backups are sealed.
const encryptionKeys = "encryption.keys"

func newBackup(o options) *cobra.Command {
	return newTask(o, "backup NAME", "Take a backup now, as on schedule", taskBackup, "spec.backup", cluster.backedUp)
}

func newDrill(o options) *cobra.Command {
	return newTask(o, "drill NAME", "Restore the newest backup into a scratch database now, examine it and drop it",
		taskDrill, "spec.backup.restoreTest", cluster.drilled)
}

// newTask runs a task of a stack now; done is what a person may wait for.
func newTask(o options, use, short, task, field string, done func(c cluster, before *v1alpha1.BackupStatus, job string) check) *cobra.Command {
	p := &patience{}
	return p.addFlags(newDecision(o, use, short,
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			job, err := c.runNow(ctx, stack, task, field, o.newID())
			if err != nil {
				return "", err
			}
			return p.await(ctx, o, c, stack, started(job), done(c, stack.Status.Backup, job.Name))
		}))
}

func started(job *batchv1.Job) string {
	return fmt.Sprintf("Job %s was started; follow it with: kubectl logs -n %s -f job/%s --all-containers", job.Name, job.Namespace, job.Name)
}

// scheduled is the CronJob of a task; field is what a stack without one lacks.
func (c cluster) scheduled(ctx context.Context, stack v1alpha1.CommerceStack, task, field string) (*batchv1.CronJob, error) {
	cron := &batchv1.CronJob{}
	err := c.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Name + "-" + task}, cron)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s has no %s", errRefused, stack.Name, field)
	}
	return cron, err
}

// runNow makes a Job of a CronJob, as kubectl create job --from does.
func (c cluster) runNow(ctx context.Context, stack v1alpha1.CommerceStack, task, field, id string) (*batchv1.Job, error) {
	cron, err := c.scheduled(ctx, stack, task, field)
	if err != nil {
		return nil, err
	}
	if ptr.Deref(cron.Spec.Suspend, false) {
		return nil, fmt.Errorf("%w: %s is not installed yet", errRefused, stack.Name)
	}
	annotations := map[string]string{"cronjob.kubernetes.io/instantiate": "manual"}
	maps.Copy(annotations, cron.Spec.JobTemplate.Annotations)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: stack.Namespace, Name: cron.Name + "-" + id, Labels: cron.Spec.JobTemplate.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: cron.Spec.JobTemplate.Spec,
	}
	return job, c.Create(ctx, job)
}

func newBackupKey(o options) *cobra.Command {
	var file string
	command := newDecision(o, "backup-key NAME", "Write the keys that open the backups of a stack to a file, to be kept where the backups are not",
		func(ctx context.Context, c cluster, stack v1alpha1.CommerceStack) (string, error) {
			text, err := c.backupKey(ctx, stack)
			if err != nil {
				return "", err
			}
			out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return "", err
			}
			_, err = out.Write(text)
			if err := errors.Join(err, out.Close()); err != nil {
				return "", err
			}
			return "wrote " + file + ": apply it in the namespace of a new stack, and name it in spec.restore.keySecretRef", nil
		})
	command.Example = "  kubectl commerce backup-key shop --output shop-backup-key.yaml"
	command.Flags().StringVarP(&file, "output", "o", "", "File to write, which must not be there; the keys are never printed")
	_ = command.MarkFlagRequired("output")
	return command
}

// backupKey is a Secret for a new stack, with the keys that the Jobs of backups have.
func (c cluster) backupKey(ctx context.Context, stack v1alpha1.CommerceStack) ([]byte, error) {
	cron, err := c.scheduled(ctx, stack, taskBackup, "spec.backup of its own: CloudNativePG's backups are not sealed")
	if err != nil {
		return nil, err
	}
	for _, volume := range cron.Spec.JobTemplate.Spec.Template.Spec.Volumes {
		if volume.Secret == nil {
			continue
		}
		secret := &corev1.Secret{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: volume.Secret.SecretName}, secret); err != nil {
			return nil, err
		}
		if keys := secret.Data[encryptionKeys]; len(keys) > 0 {
			return yaml.Marshal(map[string]any{
				"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
				"metadata": map[string]any{"name": stack.Name + "-backup-key"}, "stringData": map[string]any{encryptionKeys: string(keys)},
			})
		}
	}
	return nil, fmt.Errorf("%w: the Jobs of %s have no keys", errRefused, stack.Name)
}
