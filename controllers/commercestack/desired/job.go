package desired

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	jobTries          int32 = 4
	jobDeadline       int64 = 600
	migrationDeadline int64 = 900
)

// task is what a Job does.
type task struct {
	name     string
	args     []string
	env      settings
	secret   string
	deadline int64
	// identity is what the name is made from besides the image and the arguments:
	// the Secret, unless the Job runs once for several of them.
	identity []string
}

// JobServiceAccount is the account of all Jobs.
func JobServiceAccount(in Input) *corev1ac.ServiceAccountApplyConfiguration {
	return serviceAccount(in, NameJob)
}

// MigrateJob brings the database to the version, nil when migrations are
// skipped. Its name says for which image and for which components' schemas and
// logins, so it runs once for each, and it stays as the record of having run. A
// password that was rotated is no reason to run again: a rotation sets it itself.
func MigrateJob(in Input) *batchv1ac.JobApplyConfiguration {
	if in.Stack.Spec.Migrations.Mode == v1alpha1.MigrationsSkip {
		return nil
	}
	t := task{name: JobMigrate, args: []string{"migrate"}, secret: in.Secrets.Migrate, deadline: migrationDeadline, identity: migrationIdentity(in)}
	if timeout := int64(in.Stack.Spec.Migrations.Timeout.Seconds()); timeout > 0 {
		t.deadline = timeout
	}
	t.env.files(migrateFiles())
	return t.job(in)
}

func migrationIdentity(in Input) []string {
	identity := []string{"components", in.MigrationTarget}
	for _, name := range DataComponents() {
		identity = append(identity, string(name))
	}
	return identity
}

// CreateAdminJob makes the first administrator. It runs once in a stack's life:
// running it again would take back a password that was changed since.
func CreateAdminJob(in Input) *batchv1ac.JobApplyConfiguration {
	t := task{
		name: JobCreateAdmin, args: []string{"user", "create-admin", "--email", in.AdminEmail},
		secret: in.Secrets.CreateAdmin, deadline: jobDeadline,
	}
	t.env.files(createAdminFiles())
	return t.job(in)
}

// DemoJob loads the demo catalog, nil unless it is asked for. It runs once in a stack's life.
func DemoJob(in Input) *batchv1ac.JobApplyConfiguration {
	if !in.Stack.Spec.DemoCatalog {
		return nil
	}
	t := task{name: JobDemo, args: []string{"import", "demo"}, secret: in.Secrets.Demo, deadline: jobDeadline}
	t.env.set("COMMERCE_URL", GatewayAddress(in))
	t.env.set("COMMERCE_ADMIN_EMAIL", in.AdminEmail)
	t.env.set("COMMERCE_TLS_CA_FILE", CAFile)
	t.env.files(demoFiles())
	return t.job(in)
}

// job renders a task. The hash covers whatever a Job's pod cannot change later.
func (t task) job(in Input) *batchv1ac.JobApplyConfiguration {
	image := PlatformImage(in, "")
	if t.identity == nil {
		t.identity = []string{t.secret}
	}
	name := ObjectName(in.Stack.Name, t.name) + "-" + Hash(slices.Concat([]string{image}, t.identity, t.args)...)
	return t.named(in, name, t.name).WithSpec(t.spec(in, image, t.name, jobTries))
}

// named is the object of a Job of a kind.
func (t task) named(in Input, name, kind string) *batchv1ac.JobApplyConfiguration {
	return own(in, NameJob, batchv1ac.Job(name, in.Stack.Namespace)).WithLabels(map[string]string{LabelJob: kind})
}

// spec is the one pod that a Job runs, tried again a number of times.
func (t task) spec(in Input, image, kind string, tries int32) *batchv1ac.JobSpecApplyConfiguration {
	labels := map[string]string{LabelJob: kind}
	n := platformNeeds(nil)
	container := baseContainer("commerce", image, n).WithArgs(t.args...).
		WithEnv(append(t.env, setting{name: "GOMEMLIMIT", value: n.goMemoryLimit()}).configuration()...).
		WithVolumeMounts(mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true))
	pod := basePod(in, ObjectName(in.Stack.Name, NameJob), platformID).WithRestartPolicy(corev1.RestartPolicyNever).WithContainers(container).
		// Of the authority's Secret a Job sees the certificate, never the key.
		WithVolumes(emptyVolume("tmp"), secretVolume("secrets", t.secret), secretVolume("tls", CAName(in.Stack.Name), "ca.crt"))
	return batchv1ac.JobSpec().WithBackoffLimit(tries).WithActiveDeadlineSeconds(t.deadline).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(podLabels(in, NameJob)).WithLabels(labels).WithSpec(pod))
}
