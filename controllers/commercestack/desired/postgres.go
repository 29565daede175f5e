package desired

import (
	"cmp"
	"strings"

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

// VolumeSetting is the server's setting that tells how much of its volume is free,
// in percent. The program reads it by the same name (internal/postgres).
const VolumeSetting = "commerce.volume_free"

// accessRules let nobody in without a password, and nobody over the network without TLS.
func accessRules() string {
	rules := [][]string{
		{"local", "all", "all", "scram-sha-256"},
		{"hostssl", "all", "all", "0.0.0.0/0", "scram-sha-256"},
		{"hostssl", "all", "all", "::/0", "scram-sha-256"},
	}
	var text strings.Builder
	for _, columns := range rules {
		text.WriteString(strings.Join(columns, " ") + "\n")
	}
	return text.String()
}

// Scripts of the pod. The server is the container's first process.
const (
	// startServer runs the image's own entrypoint, with somebody beside it who has
	// the server read its certificate again when it was replaced.
	startServer = `watch() {
  seen=$(cksum ` + TLSFolder + `/tls.crt)
  while sleep 10; do
    now=$(cksum ` + TLSFolder + `/tls.crt)
    [ "$now" = "$seen" ] || { seen=$now; kill -HUP 1; }
  done
}
watch &
exec docker-entrypoint.sh "$@"`
	// guardServer is startServer with a guard of the volume. A server that finds it
	// full ends in the middle of its work, and ends again whenever it is started. So
	// while less than a twentieth is free (32 MiB to 2 GiB) new transactions are
	// read-only, which every client is told as such; the rest is for the server's
	// own log. When there is room again, half as much more, all goes on. How much is
	// free, in percent, is a setting that every session may read. The file of both
	// is not on the volume, which may have no room for it. A volume of less than
	// 10 GiB also gets less of the server's log than the usual 1 GB: a tenth.
	guardServer = `room() {
  set -- $(df -Pk ` + postgresVolume + ` | tail -n 1)
  free=$4 reserve=$(($2 / 20)) percent=$((100 * $4 / ($2 + 1))) log=$(($2 / 10240))
  [ "$reserve" -ge 32768 ] || reserve=32768
  [ "$reserve" -le 2097152 ] || reserve=2097152
  [ "$log" -ge 64 ] || log=64
}
tell() {
  told=$percent
  {
    echo "` + VolumeSetting + ` = '$percent'"
    [ "$log" -ge 1024 ] || echo "max_wal_size = ${log}MB"
    [ $full = no ] || echo "default_transaction_read_only = on"
  } >` + tmpFolder + `/volume.conf
}
watch() {
  seen=$(cksum ` + TLSFolder + `/tls.crt)
  while sleep 5; do
    now=$(cksum ` + TLSFolder + `/tls.crt)
    [ "$now" = "$seen" ] || { seen=$now; kill -HUP 1; }
    room
    before=$full
    if [ $full = no ] && [ "$free" -lt "$reserve" ]; then
      full=yes
      echo "The volume has $free KiB left, less than $reserve: nothing is written until there is room." >&2
    elif [ $full = yes ] && [ "$free" -ge $((reserve + reserve / 2)) ]; then
      full=no
      echo "The volume has $free KiB left: writing goes on." >&2
    fi
    if [ $full != $before ] || [ $percent -ge $((told + 2)) ] || [ $percent -le $((told - 2)) ]; then
      tell && kill -HUP 1
    fi
  done
}
room
while [ -s "$PGDATA/PG_VERSION" ] && [ "$free" -lt 32768 ]; do
  echo "The volume has $free KiB left, too little to start: make room or let it grow." >&2
  sleep 5
  room
done
full=no
[ "$free" -ge "$reserve" ] || full=yes
tell
printf "include_if_exists '%s'\n" "$PGDATA/postgresql.conf" ` + tmpFolder + `/volume.conf >` + tmpFolder + `/postgresql.conf
watch &
exec docker-entrypoint.sh "$@" -c config_file=` + tmpFolder + `/postgresql.conf`
	// stopFast ends the server without waiting for its clients to leave.
	stopFast = "kill -INT 1"
	// readyProbe goes over TCP: while the image sets itself up, only its socket answers.
	readyProbe = "pg_isready --quiet --host=127.0.0.1 --port=5432 --username=postgres --dbname=" + Database
	// liveProbe accepts a server that refuses connections: it starts, stops or
	// recovers, and to kill it then would begin the recovery anew.
	liveProbe = readyProbe + `; test $? -le 1`
	// patientLiveProbe waits for an answer nearly as long as the probe itself.
	patientLiveProbe = readyProbe + ` --timeout=25; test $? -le 1`
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
		Claim:          postgresClaim(in),
		Service:        serverService(in, NamePostgres, "postgresql", PortPostgres),
		StatefulSet:    postgresStatefulSet(in, name, *config.GetName()),
		PDB:            disruption(in, NamePostgres, name, Selector(in.Stack.Name, NamePostgres), unavailable),
	}, true
}

func postgresConfigMap(in Input) *corev1ac.ConfigMapApplyConfiguration {
	name := ObjectName(in.Stack.Name, NamePostgres) + "-" + Hash(hbaFile, accessRules())
	return own(in, NamePostgres, corev1ac.ConfigMap(name, in.Stack.Namespace)).
		WithImmutable(true).WithData(map[string]string{hbaFile: accessRules()})
}

func postgresStatefulSet(in Input, name, config string) *appsv1ac.StatefulSetApplyConfiguration {
	n := postgresNeeds(in)
	labels := podLabels(in, NamePostgres)
	pod := basePod(in, name, serverID).WithTerminationGracePeriodSeconds(postgresGrace).WithContainers(postgresContainer(in, n)).
		WithVolumes(
			emptyVolume("tmp"), emptyVolume("sockets"), claimVolume("data", PostgresClaimName(in.Stack.Name)),
			corev1ac.Volume().WithName("shm").WithEmptyDir(corev1ac.EmptyDirVolumeSource().WithMedium(corev1.StorageMediumMemory).
				WithSizeLimit(*resource.NewQuantity(n.memory()/4, resource.BinarySI))),
			secretVolume("secrets", in.Secrets.Postgres, KeyPassword),
			secretVolume("tls", TLSName(in.Stack.Name, NamePostgres)),
			corev1ac.Volume().WithName("config").WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(config)),
		)
	return own(in, NamePostgres, appsv1ac.StatefulSet(name, in.Stack.Namespace)).WithSpec(appsv1ac.StatefulSetSpec().
		WithReplicas(1).WithServiceName(name).WithSelector(selectorOf(Selector(in.Stack.Name, NamePostgres))).
		WithUpdateStrategy(appsv1ac.StatefulSetUpdateStrategy().WithType(appsv1.RollingUpdateStatefulSetStrategyType)).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(pod)))
}

// PostgresClaimName is the name of the volume claim of PostgreSQL.
func PostgresClaimName(stack string) string { return ObjectName(stack, NamePostgres) + "-data" }

// postgresClaim stands alone, because the claims that a StatefulSet makes itself
// cannot grow with its spec.
func postgresClaim(in Input) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	return claim(in, NamePostgres, PostgresClaimName(in.Stack.Name), corev1.ReadWriteOnce, in.Stack.Spec.Postgres.Storage)
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
	return baseContainer("postgres", postgresImage(in), n).WithCommand("/bin/sh", "-c", postgresStart(in), "sh").WithArgs(args...).
		WithEnv(env.configuration()...).WithPorts(containerPort("postgresql", PortPostgres)).
		WithVolumeMounts(mount("data", postgresVolume, false), mount("sockets", postgresSockets, false), mount("shm", "/dev/shm", false),
			mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true), mount("config", postgresConfig, true)).
		WithStartupProbe(execProbe(liveProbe, 5, 2, 300)).
		WithLivenessProbe(postgresLiveness(in)).
		WithReadinessProbe(execProbe(readyProbe, 5, 2, 2)).
		WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().WithExec(shell(stopFast))))
}

// TellsVolume holds for a server that tells how much of its volume is free.
func TellsVolume(in Input) bool {
	return in.PostgresMode == v1alpha1.DataStatefulSet && in.RenderRevision >= guardedRevision
}

// postgresStart is the script of the server's container.
func postgresStart(in Input) string {
	if in.RenderRevision < guardedRevision {
		return startServer
	}
	return guardServer
}

// postgresLiveness gives up after five minutes without an answer. A server that
// ends is started again at once, whatever a probe says, so this is for one that
// hangs. One that is only short of CPU would lose it to its own recovery if it were killed.
func postgresLiveness(in Input) *corev1ac.ProbeApplyConfiguration {
	if in.RenderRevision < patientRevision {
		return execProbe(liveProbe, 5, 10, 3)
	}
	return execProbe(patientLiveProbe, 30, 30, 10)
}

func postgresImage(in Input) string { return cmp.Or(in.Stack.Spec.Postgres.Image, in.Images.Postgres) }

func postgresNeeds(in Input) needs {
	return needsOf(in.Stack.Spec.Postgres.Resources, quantities("100m", "256Mi"), resource.MustParse("1Gi"))
}
