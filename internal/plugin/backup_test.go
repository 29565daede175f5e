package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

func testBackup(t *testing.T, c testCluster) {
	t.Helper()
	if _, errOut, code := c.run(t, "backup", "demo", "-n", "sick"); code != ExitNotReady || !strings.Contains(errOut, "has no spec.backup") {
		t.Errorf("without backups: %d %s", code, errOut)
	}
	const keys = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sick", Name: "demo-backup-1"}, StringData: map[string]string{"encryption.keys": keys}}
	labels := map[string]string{"commercestack.dev/job": "backup"}
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "sick", Name: "demo-backup"}, Spec: batchv1.CronJobSpec{
		Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: batchv1.JobSpec{
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "create", Image: "commercestack:1.4.0"}},
				Volumes: []corev1.Volume{
					{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
					{Name: "secrets", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "demo-backup-1"}}},
				},
			}},
		}},
	}}
	for _, object := range []client.Object{secret, cron} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	out, errOut, code := c.run(t, "backup", "demo", "-n", "sick")
	if code != ExitOK || !strings.Contains(out, "demo-backup-id1") {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	job := &batchv1.Job{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "sick", Name: "demo-backup-id1"}, job); err != nil {
		t.Fatal(err)
	}
	if !metav1.IsControlledBy(job, cron) || job.Labels["commercestack.dev/job"] != "backup" {
		t.Errorf("the Job: %+v", job.ObjectMeta)
	}
	if _, errOut, code := c.run(t, "drill", "demo", "-n", "sick"); code != ExitNotReady || !strings.Contains(errOut, "spec.backup.restoreTest") {
		t.Errorf("without drills: %d %s", code, errOut)
	}

	file := filepath.Join(t.TempDir(), "key.yaml")
	out, errOut, code = c.run(t, "backup-key", "demo", "-n", "sick", "--output", file)
	if code != ExitOK || strings.Contains(out+errOut, "AAAA") {
		t.Errorf("%d: %s %s", code, out, errOut)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written := &corev1.Secret{}
	if err := yaml.Unmarshal(text, written); err != nil || written.Kind != "Secret" || written.StringData["encryption.keys"] != keys {
		t.Errorf("%v: %s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, _, code := c.run(t, "backup-key", "demo", "-n", "sick", "--output", file); code != ExitUnreadable {
		t.Errorf("over a file that is there: %d", code)
	}
	if _, _, code := c.run(t, "backup-key", "demo", "-n", "sick"); code != ExitUnreadable {
		t.Errorf("without a file: %d", code)
	}
	cron.Spec.Suspend = new(bool)
	*cron.Spec.Suspend = true
	if err := c.Update(t.Context(), cron); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := c.run(t, "backup", "demo", "-n", "sick"); code != ExitNotReady || !strings.Contains(errOut, "not installed yet") {
		t.Errorf("too early: %d %s", code, errOut)
	}
}
