package desired

import (
	"slices"
	"strings"
	"testing"
	"time"

	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const backupFields = `
  backup:
    schedule: 0 3 * * *
    retention: 240h
    restoreTest: 0 5 * * 0
`

func TestBackupPods(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+backupFields+"  restore: {from: {path: .backups/old/shop, id: latest}}\n")
	in.Secrets.Backup, in.Secrets.Restore = "shop-backup-1", "shop-restore-1"
	for job, c := range map[string]struct {
		spec  *batchv1ac.JobSpecApplyConfiguration
		steps string
	}{
		JobBackup:       {BackupCronJob(in, false).Spec.JobTemplate.Spec, "backup prepare, pg-dump, backup create"},
		JobRestoreDrill: {DrillCronJob(in, false).Spec.JobTemplate.Spec, "backup fetch --scratch, pg-restore, backup finish"},
		JobRestore:      {RestoreJob(in).Spec, "backup fetch --id latest, pg-restore, backup finish"},
	} {
		pod := c.spec.Template.Spec
		containers := slices.Concat(pod.InitContainers, pod.Containers)
		var steps []string
		for _, container := range containers {
			if len(container.Args) > 0 {
				steps = append(steps, strings.Join(container.Args, " "))
				continue
			}
			steps = append(steps, *container.Name)
			if *container.Image != in.Images.Postgres || *container.TerminationMessagePolicy != "File" {
				t.Errorf("%s: %s runs %s and tells %s", job, *container.Name, *container.Image, *container.TerminationMessagePolicy)
			}
			for _, env := range container.Env {
				if strings.HasPrefix(*env.Name, "COMMERCE_DATABASE") {
					t.Errorf("%s: %s is told %s", job, *container.Name, *env.Name)
				}
			}
		}
		if got := strings.Join(steps, ", "); got != c.steps {
			t.Errorf("%s: %s, want %s", job, got, c.steps)
		}
		if c.spec.Template.Labels[LabelJob] != job || *pod.ServiceAccountName != in.Stack.Name+"-backup" || *pod.AutomountServiceAccountToken || *pod.RestartPolicy != "Never" {
			t.Errorf("%s: %s", job, asText(t, c.spec.Template))
		}
		text := asText(t, c.spec)
		if !strings.Contains(text, "value: file:///var/lib/commerce/objects") || !strings.Contains(text, "claimName: "+in.Stack.Name+"-objects") {
			t.Errorf("%s: uploads on a volume, and backups are not beside them", job)
		}
	}
	if retention := asText(t, BackupCronJob(in, false)); !strings.Contains(retention, "value: 240h0m0s") {
		t.Error("the retention is not told")
	}
	if name := *RestoreJob(in).GetName(); name == "" || !strings.HasPrefix(name, in.Stack.Name+"-restore-") {
		t.Errorf("the Job is %s", name)
	}
}

func TestBackupsGoToABucket(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+backupFields+"")
	in.Stack.Spec.Backup.Destination = &v1alpha1.S3Spec{Bucket: "safe", Endpoint: "minio.example.com:9000", SecretRef: &v1alpha1.SecretRef{Name: "safe"}}
	in.Secrets.Backup = "shop-backup-1"
	text := asText(t, BackupCronJob(in, true))
	for _, want := range []string{"s3://safe?endpoint=", "AWS_SHARED_CREDENTIALS_FILE", "suspend: true", "concurrencyPolicy: Forbid", "timeZone: Etc/UTC"} {
		if !strings.Contains(text, want) {
			t.Errorf("the CronJob lacks %q", want)
		}
	}
	if strings.Contains(text, "claimName") {
		t.Error("the volume of uploads is mounted for nothing")
	}
	if keys := BackupSecretKeys(BackupStore(&in.Stack.Spec)); !slices.Equal(keys, []string{KeyBackupCredentials, KeyDatabaseAdminURL, KeyEncryptionKeys}) {
		t.Errorf("keys %v", keys)
	}
	incoming, outgoing := ways(NetworkPolicies(in))
	for _, job := range []string{JobBackup, JobRestoreDrill} {
		if !slices.Contains(incoming, edge{job, NamePostgres, PortPostgres}) || !slices.Contains(outgoing, edge{job, NamePostgres, PortPostgres}) ||
			!slices.Contains(outgoing, edge{job, "everybody", 9000}) {
			t.Errorf("%s: %v", job, outgoing)
		}
	}
	in.Stack.Spec.Backup = nil
	incoming, _ = ways(NetworkPolicies(in))
	if slices.ContainsFunc(incoming, func(e edge) bool { return e.from == JobBackup }) || BackupCronJob(in, false) != nil || DrillCronJob(in, false) != nil {
		t.Error("without backups there is something of them")
	}
}

func TestCloudNativePGBacksUpItself(t *testing.T) {
	t.Parallel()
	in := givenSpec(t, developmentSpec+backupFields)
	in.PostgresMode, in.Capabilities.CloudNativePG = v1alpha1.DataManaged, true
	if errs := validateBackup(in); len(errs) != 2 {
		t.Errorf("a drill and a volume: %v", errs)
	}
	in.Stack.Spec.Backup.RestoreTest = ""
	in.Stack.Spec.Backup.Destination = &v1alpha1.S3Spec{Bucket: "safe", SecretRef: &v1alpha1.SecretRef{Name: "safe"}}
	if errs := validateBackup(in); len(errs) != 0 || BackupCronJob(in, false) != nil {
		t.Errorf("%v", errs)
	}
	scheduled := asText(t, ScheduledBackup(in).Object)
	if !strings.Contains(scheduled, "schedule: 0 0 3 * * *") || !strings.Contains(scheduled, "name: "+in.Stack.Name+"-postgres") {
		t.Error(scheduled)
	}
	cluster := asText(t, CloudNativePG(in).Object)
	for _, want := range []string{"destinationPath: s3://safe/.backups/", "retentionPolicy: 10d", "key: accessKeyID"} {
		if !strings.Contains(cluster, want) {
			t.Errorf("the Cluster lacks %q", want)
		}
	}
	in.Stack.Spec.Backup.Destination.SecretRef = nil
	if cluster := asText(t, CloudNativePG(in).Object); !strings.Contains(cluster, "inheritFromIAMRole: true") {
		t.Error("without a Secret the pods' own identity counts")
	}
}

func TestScheduleInterval(t *testing.T) {
	t.Parallel()
	friday := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for schedule, want := range map[string]time.Duration{
		"*/5 * * * *": 5 * time.Minute, "0 * * * *": time.Hour, "0 3 * * *": 24 * time.Hour, "0 3 * * 1-5": 72 * time.Hour,
		"0 9,17 * * *": 16 * time.Hour, "0 3 * * 0": 7 * 24 * time.Hour,
	} {
		if got, ok := ScheduleInterval(schedule, friday); !ok || got != want {
			t.Errorf("%s: %s, %v", schedule, got, ok)
		}
	}
	for _, schedule := range []string{"0 3 31 2 *", "nonsense", "@daily", "0 0 3 * * *", "0 25 * * *"} {
		if got, ok := ScheduleInterval(schedule, friday); ok {
			t.Errorf("%s runs each %s", schedule, got)
		}
	}
}
