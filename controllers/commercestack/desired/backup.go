package desired

import (
	"cmp"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/backup/script"
)

// The Jobs of backups, as in LabelJob. CronJobs are named by the first two.
const (
	JobBackup       = "backup"
	JobRestoreDrill = "restore-drill"
	JobRestore      = "restore"
)

// NameBackup is the account of the Jobs of backups.
const NameBackup = "backup"

const (
	// KeyBackupCredentials is an AWS shared credentials file for the place of backups.
	KeyBackupCredentials = "backup-aws-credentials"

	backupWork = "/var/lib/commerce/backup"
	// backupDeadline bounds a backup, a drill and a restore.
	backupDeadline int64 = 6 * 60 * 60
	// backupTries is few: what fails twice is told, and the schedule comes again.
	backupTries int32 = 2
	// backupLate is how late a scheduled run may begin.
	backupLate int64 = 60 * 60
	// backupHistory is how many Jobs of each outcome are kept.
	backupHistory int32 = 3
)

// BackupFolder is where the backups of a stack are in their store. A name that
// begins with a dot is out of the reach of whoever sees uploads.
func BackupFolder(namespace, stack string) string { return ".backups/" + namespace + "/" + stack }

// BackupStore is the bucket of the stack's backups, nil for the volume of uploads.
func BackupStore(spec *v1alpha1.CommerceStackSpec) *v1alpha1.S3Spec {
	if spec.Backup != nil && spec.Backup.Destination != nil {
		return spec.Backup.Destination
	}
	return uploadStore(spec)
}

// RestoreStore is the bucket from which the stack is restored, nil for the volume of uploads.
func RestoreStore(spec *v1alpha1.CommerceStackSpec) *v1alpha1.S3Spec {
	if spec.Restore != nil && spec.Restore.From.Destination != nil {
		return spec.Restore.From.Destination
	}
	return uploadStore(spec)
}

func uploadStore(spec *v1alpha1.CommerceStackSpec) *v1alpha1.S3Spec {
	if spec.ObjectStorage.Mode == v1alpha1.ObjectStorageS3 {
		return spec.ObjectStorage.S3
	}
	return nil
}

// BackedUp holds when the operator's own Jobs back the stack up; CloudNativePG does it by itself.
func BackedUp(in Input) bool {
	return in.Stack.Spec.Backup != nil && in.PostgresMode != v1alpha1.DataManaged
}

// Drilled holds when restores are exercised.
func Drilled(in Input) bool { return BackedUp(in) && in.Stack.Spec.Backup.RestoreTest != "" }

// BackupServiceAccount is the account of the Jobs of backups, to which an identity in a cloud can be bound.
func BackupServiceAccount(in Input) *corev1ac.ServiceAccountApplyConfiguration {
	return serviceAccount(in, NameBackup)
}

// BackupSecretKeys are the keys of the Secrets of these Jobs, sorted.
func BackupSecretKeys(store *v1alpha1.S3Spec) []string {
	if store != nil && store.SecretRef != nil {
		return []string{KeyBackupCredentials, KeyDatabaseAdminURL, KeyEncryptionKeys}
	}
	return []string{KeyDatabaseAdminURL, KeyEncryptionKeys}
}

// BackupCronJob takes backups, nil when there are none to take. A suspended one waits for the
// first installation.
func BackupCronJob(in Input, suspended bool) *batchv1ac.CronJobApplyConfiguration {
	if !BackedUp(in) {
		return nil
	}
	return backupTaskOf(in).cronJob(in, in.Stack.Spec.Backup.Schedule, suspended)
}

// BackupJob takes a backup at once, nil when there are none to take. What for is part of its name.
func BackupJob(in Input, purpose string) *batchv1ac.JobApplyConfiguration {
	if !BackedUp(in) {
		return nil
	}
	name := ObjectName(in.Stack.Name, JobBackup) + "-" + Hash(purpose)
	return own(in, NameJob, batchv1ac.Job(name, in.Stack.Namespace)).WithLabels(map[string]string{LabelJob: JobBackup}).WithSpec(backupTaskOf(in).spec(in))
}

// DrillCronJob exercises restores, nil when it is not asked for.
func DrillCronJob(in Input, suspended bool) *batchv1ac.CronJobApplyConfiguration {
	if !Drilled(in) {
		return nil
	}
	return backupTask{
		job: JobRestoreDrill, secret: in.Secrets.Backup, store: BackupStore(&in.Stack.Spec), folder: BackupFolder(in.Stack.Namespace, in.Stack.Name),
		before: []string{"backup", "fetch", "--scratch"}, tool: "pg-restore", script: script.Restore, after: []string{"backup", "finish"},
	}.cronJob(in, in.Stack.Spec.Backup.RestoreTest, suspended)
}

// restoredByJob says that a Job brings a backup that a stack took itself.
func restoredByJob(in Input) bool { return in.Stack.Spec.Restore != nil && !Recovered(in) }

// restoreFolder is where the backups are that a new stack begins with.
func restoreFolder(in Input) string {
	return cmp.Or(in.Stack.Spec.Restore.From.Path, BackupFolder(in.Stack.Namespace, in.Stack.Name))
}

// RestoreJob brings a backup into the empty database of a new stack, nil when it
// begins empty, or with what CloudNativePG kept.
func RestoreJob(in Input) *batchv1ac.JobApplyConfiguration {
	if !restoredByJob(in) {
		return nil
	}
	restore := in.Stack.Spec.Restore
	task := backupTask{
		job: JobRestore, secret: in.Secrets.Restore, store: RestoreStore(&in.Stack.Spec), folder: restoreFolder(in),
		before: []string{"backup", "fetch", "--id", restore.From.ID}, tool: "pg-restore", script: script.Restore, after: []string{"backup", "finish"},
	}
	name := ObjectName(in.Stack.Name, JobRestore) + "-" + Hash(PlatformImage(in, ""), toolImage(in), task.secret, task.folder, restore.From.ID)
	return own(in, NameJob, batchv1ac.Job(name, in.Stack.Namespace)).WithLabels(map[string]string{LabelJob: JobRestore}).WithSpec(task.spec(in))
}

// backupTaskOf takes a backup.
func backupTaskOf(in Input) backupTask {
	return backupTask{
		job: JobBackup, secret: in.Secrets.Backup, store: BackupStore(&in.Stack.Spec), folder: BackupFolder(in.Stack.Namespace, in.Stack.Name),
		before: []string{"backup", "prepare"}, tool: "pg-dump", script: script.Dump, after: []string{"backup", "create"},
	}
}

// backupTask is a pod of three containers that share a folder: a step of the
// program, one of PostgreSQL's programs, and another step.
type backupTask struct {
	job    string
	secret string
	store  *v1alpha1.S3Spec
	folder string
	before []string
	tool   string
	script string
	after  []string
}

func (t backupTask) cronJob(in Input, schedule string, suspended bool) *batchv1ac.CronJobApplyConfiguration {
	labels := podLabels(in, NameJob)
	labels[LabelJob] = t.job
	return own(in, NameJob, batchv1ac.CronJob(ObjectName(in.Stack.Name, t.job), in.Stack.Namespace)).WithLabels(map[string]string{LabelJob: t.job}).
		WithSpec(batchv1ac.CronJobSpec().WithSchedule(schedule).WithTimeZone("Etc/UTC").WithSuspend(suspended).
			WithConcurrencyPolicy(batchv1.ForbidConcurrent).WithStartingDeadlineSeconds(backupLate).
			WithSuccessfulJobsHistoryLimit(backupHistory).WithFailedJobsHistoryLimit(backupHistory).
			WithJobTemplate(batchv1ac.JobTemplateSpec().WithLabels(labels).WithSpec(t.spec(in))))
}

func (t backupTask) spec(in Input) *batchv1ac.JobSpecApplyConfiguration {
	labels := podLabels(in, NameJob)
	labels[LabelJob] = t.job
	tries := backupTries
	if t.job == JobRestoreDrill {
		tries = 0 // a second try would measure something else
	}
	n := platformNeeds(nil)
	env := t.settings(in)
	env.set("GOMEMLIMIT", n.goMemoryLimit())
	mounts := []*corev1ac.VolumeMountApplyConfiguration{
		mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true), mount("work", backupWork, false),
	}
	step := func(name string, args []string) *corev1ac.ContainerApplyConfiguration {
		c := baseContainer(name, PlatformImage(in, ""), n).WithArgs(args...).WithEnv(env.configuration()...).WithVolumeMounts(mounts...)
		if t.store == nil {
			c = c.WithVolumeMounts(mount("objects", objectsFolder, false))
		}
		return c
	}
	// What PostgreSQL's programs say may quote rows, so it stays in the log.
	tool := baseContainer(t.tool, toolImage(in), n).WithCommand("/bin/sh", "-c", t.script).
		WithEnv(corev1ac.EnvVar().WithName(script.Work).WithValue(backupWork)).WithVolumeMounts(mounts...).
		WithTerminationMessagePolicy(corev1.TerminationMessageReadFile)
	pod := basePod(in, ObjectName(in.Stack.Name, NameBackup), platformID).WithRestartPolicy(corev1.RestartPolicyNever).
		WithInitContainers(step(t.before[1], t.before), tool).WithContainers(step(t.after[1], t.after)).
		WithVolumes(emptyVolume("tmp"), emptyVolume("work"), secretVolume("secrets", t.secret), secretVolume("tls", CAName(in.Stack.Name), "ca.crt"))
	if t.store == nil {
		pod = pod.WithVolumes(claimVolume("objects", ObjectName(in.Stack.Name, DataPart)))
	}
	return batchv1ac.JobSpec().WithBackoffLimit(tries).WithActiveDeadlineSeconds(backupDeadline).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(pod))
}

// settings are the variables of the program's steps.
func (t backupTask) settings(in Input) settings {
	var s settings
	s.set(script.Work, backupWork)
	s.set("COMMERCE_BACKUP_URL", storeURL(t.store))
	s.set("COMMERCE_BACKUP_FOLDER", t.folder)
	if backup := in.Stack.Spec.Backup; backup != nil && t.job == JobBackup {
		s.setUnlessEmpty("COMMERCE_BACKUP_RETENTION", retention(backup))
	}
	s.files([]secretFile{{"COMMERCE_DATABASE_ADMIN_URL_FILE", KeyDatabaseAdminURL}, {"COMMERCE_ENCRYPTION_KEYS_FILE", KeyEncryptionKeys}})
	if t.store != nil && t.store.SecretRef != nil {
		s.files([]secretFile{{"AWS_SHARED_CREDENTIALS_FILE", KeyBackupCredentials}})
	}
	return s
}

func retention(backup *v1alpha1.BackupSpec) string {
	if backup.Retention.Duration <= 0 {
		return ""
	}
	return backup.Retention.Duration.String()
}

// toolImage has pg_dump and pg_restore of the server's version.
func toolImage(in Input) string {
	if image := in.Stack.Spec.Postgres.Image; image != "" && in.PostgresMode != v1alpha1.DataManaged {
		return image
	}
	return in.Images.Postgres
}

// storageWays are the ways of these Jobs to the place of backups.
func storageWays(store *v1alpha1.S3Spec) []*policyEgress {
	switch {
	case store == nil:
		return nil
	case store.Endpoint != "":
		return []*policyEgress{anywhere(portOf(endpointURL(store.Endpoint), portHTTPS))}
	default:
		return []*policyEgress{internet()}
	}
}

// backupPolicies open the ways of the Jobs of backups.
func backupPolicies(in Input) []*networkingv1ac.NetworkPolicyApplyConfiguration {
	var policies []*networkingv1ac.NetworkPolicyApplyConfiguration
	add := func(job string, store *v1alpha1.S3Spec) {
		p := jobPolicy(in, job, toPostgres(in))
		p.Spec.WithEgress(storageWays(store)...)
		policies = append(policies, p)
	}
	if BackedUp(in) {
		add(JobBackup, BackupStore(&in.Stack.Spec))
	}
	if Drilled(in) {
		add(JobRestoreDrill, BackupStore(&in.Stack.Spec))
	}
	if restoredByJob(in) {
		add(JobRestore, RestoreStore(&in.Stack.Spec))
	}
	return policies
}

// backupPeers are the Jobs that come to PostgreSQL.
func backupPeers(in Input) []*policyPeer {
	var peers []*policyPeer
	if BackedUp(in) {
		peers = append(peers, jobPeer(in, JobBackup))
	}
	if Drilled(in) {
		peers = append(peers, jobPeer(in, JobRestoreDrill))
	}
	if restoredByJob(in) {
		peers = append(peers, jobPeer(in, JobRestore))
	}
	return peers
}

// ScheduledBackup has CloudNativePG back up its cluster, nil in other modes.
func ScheduledBackup(in Input) *unstructured.Unstructured {
	if in.PostgresMode != v1alpha1.DataManaged || in.Stack.Spec.Backup == nil {
		return nil
	}
	o := foreign(in, "postgresql.cnpg.io/v1", "ScheduledBackup", ObjectName(in.Stack.Name, NameBackup), NamePostgres, true)
	o.Object["spec"] = map[string]any{
		"schedule":             "0 " + in.Stack.Spec.Backup.Schedule, // CloudNativePG counts seconds too
		"backupOwnerReference": "cluster",
		"cluster":              map[string]any{"name": ObjectName(in.Stack.Name, NamePostgres)},
		"method":               "barmanObjectStore",
	}
	return o
}

// managedBackup tells a Managed cluster where backups and the log of changes go.
func managedBackup(in Input) map[string]any {
	backup := in.Stack.Spec.Backup
	store := BackupStore(&in.Stack.Spec)
	if backup == nil || store == nil {
		return nil
	}
	barman := barmanStore(store, BackupFolder(in.Stack.Namespace, in.Stack.Name))
	if Recovered(in) {
		// The log of the server that this one began with is not written on.
		from := in.Stack.Spec.Restore.From
		barman["serverName"] = ObjectName(in.Stack.Name, NamePostgres) + "-" + Hash(from.Path, from.Recovery.Server, moment(from.Recovery))
	}
	day := 24 * time.Hour
	days := max(1, int64((backup.Retention.Duration+day-1)/day))
	return map[string]any{"barmanObjectStore": barman, "retentionPolicy": fmt.Sprintf("%dd", days)}
}

// barmanStore is a folder of a bucket as CloudNativePG's tool for backups takes it.
func barmanStore(store *v1alpha1.S3Spec, folder string) map[string]any {
	barman := map[string]any{"destinationPath": "s3://" + store.Bucket + "/" + folder}
	if store.Endpoint != "" {
		barman["endpointURL"] = endpointURL(store.Endpoint)
	}
	credentials := map[string]any{"inheritFromIAMRole": true}
	if store.SecretRef != nil {
		key := func(name string) map[string]any { return map[string]any{"name": store.SecretRef.Name, "key": name} }
		credentials = map[string]any{"accessKeyId": key("accessKeyID"), "secretAccessKey": key("secretAccessKey")}
	}
	barman["s3Credentials"] = credentials
	return barman
}
