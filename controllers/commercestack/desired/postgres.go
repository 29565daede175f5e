package desired

import (
	"cmp"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	postgresVolume = "/var/lib/postgresql/data"
	// postgresData is a folder of the volume, because the volume's own root may
	// hold a lost+found, which initdb refuses.
	postgresData    = postgresVolume + "/pgdata"
	postgresConfig  = "/etc/commerce/postgresql"
	postgresSockets = "/var/run/postgresql"
	hbaFile         = "pg_hba.conf"
	// postgresGrace lets a fast shutdown write its checkpoint.
	postgresGrace int64 = 120
)

// accessRules let nobody in without a password, and nobody over the network without TLS.
const accessRules = `# type   database  user  address    method
local     all       all              scram-sha-256
hostssl   all       all   0.0.0.0/0  scram-sha-256
hostssl   all       all   ::/0       scram-sha-256
`

// Scripts of the pod. The server's process is found by its pid file, since all
// containers share the pod's processes.
const (
	// stopFast ends the server without waiting for its clients to leave.
	stopFast = `kill -INT "$(head -n 1 "$PGDATA/postmaster.pid")"`
	// readyProbe goes over TCP: while the image sets itself up, only its socket answers.
	readyProbe = "pg_isready --quiet --host=127.0.0.1 --port=5432 --username=postgres --dbname=" + Database
	// liveProbe accepts a server that refuses connections: it starts, stops or
	// recovers, and to kill it then would begin the recovery anew.
	liveProbe = readyProbe + `; test $? -le 1`
	// watchCertificate has the server read its certificate again when it was replaced.
	watchCertificate = `seen=$(cksum ` + TLSFolder + `/tls.crt)
while sleep 10; do
  now=$(cksum ` + TLSFolder + `/tls.crt)
  if [ "$now" != "$seen" ] && kill -HUP "$(head -n 1 "$PGDATA/postmaster.pid")"; then
    seen=$now
    echo "the certificate was replaced; the server reads it again"
  fi
done`
)

// Postgres returns the server that the operator runs itself; ok is false in other modes.
func Postgres(in Input) (server Server, ok bool) {
	if in.PostgresMode != v1alpha1.DataStatefulSet {
		return Server{}, false
	}
	// One server cannot be evicted without an outage, so in Production a person decides when.
	unavailable := intstr.FromInt32(1)
	if production(in) {
		unavailable = intstr.FromInt32(0)
	}
	name := ObjectName(in.Stack.Name, NamePostgres)
	config := postgresConfigMap(in)
	return Server{
		ServiceAccount: serviceAccount(in, NamePostgres),
		ConfigMap:      config,
		Service:        serverService(in, NamePostgres, "postgresql", PortPostgres),
		StatefulSet:    postgresStatefulSet(in, name, *config.GetName()),
		PDB:            disruption(in, NamePostgres, name, Selector(in.Stack.Name, NamePostgres), unavailable),
	}, true
}

func postgresConfigMap(in Input) *corev1ac.ConfigMapApplyConfiguration {
	name := ObjectName(in.Stack.Name, NamePostgres) + "-" + Hash(hbaFile, accessRules)
	return own(in, NamePostgres, corev1ac.ConfigMap(name, in.Stack.Namespace)).
		WithImmutable(true).WithData(map[string]string{hbaFile: accessRules})
}

func postgresStatefulSet(in Input, name, config string) *appsv1ac.StatefulSetApplyConfiguration {
	n := postgresNeeds(in)
	labels := podLabels(in, NamePostgres)
	pod := basePod(in, name, serverID).WithTerminationGracePeriodSeconds(postgresGrace).WithShareProcessNamespace(true).
		WithContainers(postgresContainer(in, n), certificateContainer(in)).
		WithVolumes(
			emptyVolume("tmp"), emptyVolume("sockets"),
			corev1ac.Volume().WithName("shm").WithEmptyDir(corev1ac.EmptyDirVolumeSource().WithMedium(corev1.StorageMediumMemory).
				WithSizeLimit(*resource.NewQuantity(n.memory()/4, resource.BinarySI))),
			secretVolume("secrets", in.Secrets.Postgres, KeyPassword),
			secretVolume("tls", TLSName(in.Stack.Name, NamePostgres)),
			corev1ac.Volume().WithName("config").WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(config)),
		)
	whenDeleted := appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	if in.Stack.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		whenDeleted = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	}
	return own(in, NamePostgres, appsv1ac.StatefulSet(name, in.Stack.Namespace)).WithSpec(appsv1ac.StatefulSetSpec().
		WithReplicas(1).WithServiceName(name).WithSelector(selectorOf(Selector(in.Stack.Name, NamePostgres))).
		WithUpdateStrategy(appsv1ac.StatefulSetUpdateStrategy().WithType(appsv1.RollingUpdateStatefulSetStrategyType)).
		WithPersistentVolumeClaimRetentionPolicy(appsv1ac.StatefulSetPersistentVolumeClaimRetentionPolicy().
			WithWhenDeleted(whenDeleted).WithWhenScaled(appsv1.RetainPersistentVolumeClaimRetentionPolicyType)).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(pod)).
		WithVolumeClaimTemplates(postgresClaim(in)))
}

// postgresClaim cannot change once it exists. Its size does not follow the spec
// here: the reconciler grows the claim itself.
func postgresClaim(in Input) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	size, class := storageOf(in.Stack.Spec.Postgres.Storage)
	claim := corev1ac.PersistentVolumeClaimSpec().WithAccessModes(corev1.ReadWriteOnce).
		WithResources(corev1ac.VolumeResourceRequirements().WithRequests(corev1.ResourceList{corev1.ResourceStorage: size}))
	if class != nil {
		claim = claim.WithStorageClassName(*class)
	}
	// A template has a name only, no namespace, and no version among its labels.
	return corev1ac.PersistentVolumeClaim("data", "").WithLabels(Selector(in.Stack.Name, NamePostgres)).WithSpec(claim)
}

func postgresContainer(in Input, n needs) *corev1ac.ContainerApplyConfiguration {
	args := []string{"postgres"}
	for _, parameter := range postgresParameters(in) {
		args = append(args, "-c", parameter.name+"="+parameter.value)
	}
	var env settings
	env.set("POSTGRES_DB", Database)
	env.set("POSTGRES_PASSWORD_FILE", SecretsFolder+"/"+KeyPassword)
	// The collation C.UTF-8 is the same in every image, so an index stays valid when the image changes.
	env.set("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth-local=scram-sha-256 --auth-host=scram-sha-256")
	env.set("PGDATA", postgresData)
	probe := func(line string, period, failures int32) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().WithExec(shell(line)).WithTimeoutSeconds(5).WithPeriodSeconds(period).WithFailureThreshold(failures)
	}
	return baseContainer("postgres", postgresImage(in), n).WithArgs(args...).WithEnv(env.configuration()...).
		WithPorts(containerPort("postgresql", PortPostgres)).
		WithVolumeMounts(mount("data", postgresVolume, false), mount("sockets", postgresSockets, false), mount("shm", "/dev/shm", false),
			mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true), mount("config", postgresConfig, true)).
		WithStartupProbe(probe(liveProbe, 2, 300)).
		WithLivenessProbe(probe(liveProbe, 10, 3)).
		WithReadinessProbe(probe(readyProbe, 2, 2)).
		WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().WithExec(shell(stopFast))))
}

// certificateContainer watches the certificate beside the server.
func certificateContainer(in Input) *corev1ac.ContainerApplyConfiguration {
	small := needs{requests: quantities("5m", "8Mi"), limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")}}
	var env settings
	env.set("PGDATA", postgresData)
	return baseContainer("certificate", postgresImage(in), small).WithCommand("/bin/sh", "-c", watchCertificate).WithEnv(env.configuration()...).
		WithVolumeMounts(mount("data", postgresVolume, true), mount("tls", TLSFolder, true))
}

func postgresImage(in Input) string { return cmp.Or(in.Stack.Spec.Postgres.Image, in.Images.Postgres) }

func postgresNeeds(in Input) needs {
	return needsOf(in.Stack.Spec.Postgres.Resources, quantities("100m", "256Mi"), resource.MustParse("1Gi"))
}

func storageOf(storage *v1alpha1.StorageSpec) (size resource.Quantity, class *string) {
	size = resource.MustParse("10Gi")
	if storage == nil {
		return size, nil
	}
	if storage.Size != nil {
		size = *storage.Size
	}
	return size, storage.StorageClassName
}
