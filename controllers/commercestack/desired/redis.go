package desired

import (
	"cmp"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	redisData        = "/data"
	redisGrace int64 = 15
)

// AnnotationCertificate on a pod template changes with the certificate that the pod reads at start only.
const AnnotationCertificate = v1alpha1.Group + "/certificate"

// redisPing is answered without a password too, by a refusal, which proves that
// the server lives. The certificate's name is not what is probed.
const redisPing = "redis-cli -h 127.0.0.1 -p 6379 --tls --cacert " + CAFile + " ping"

// Redis returns the server that the operator runs itself; ok is false when it is External.
func Redis(in Input) (server Server, ok bool) {
	if redisExternal(in) {
		return Server{}, false
	}
	return Server{
		ServiceAccount: serviceAccount(in, NameRedis),
		Service:        serverService(in, NameRedis, "redis", PortRedis),
		StatefulSet:    redisStatefulSet(in),
	}, true
}

// redisStatefulSet is a cache without a volume: what it forgets comes back.
func redisStatefulSet(in Input) *appsv1ac.StatefulSetApplyConfiguration {
	name := ObjectName(in.Stack.Name, NameRedis)
	template := corev1ac.PodTemplateSpec().WithLabels(podLabels(in, NameRedis))
	if in.RedisCertificate != "" {
		template = template.WithAnnotations(map[string]string{AnnotationCertificate: in.RedisCertificate})
	}
	pod := withoutNode(in, basePod(in, name, serverID)).WithTerminationGracePeriodSeconds(redisGrace).WithContainers(redisContainer(in)).
		WithVolumes(emptyVolume("tmp"), emptyVolume("data"), redisSecrets(in),
			secretVolume("tls", TLSName(in.Stack.Name, NameRedis)))
	return own(in, NameRedis, appsv1ac.StatefulSet(name, in.Stack.Namespace)).WithSpec(appsv1ac.StatefulSetSpec().
		WithReplicas(1).WithServiceName(name).WithSelector(selectorOf(Selector(in.Stack.Name, NameRedis))).
		WithUpdateStrategy(appsv1ac.StatefulSetUpdateStrategy().WithType(appsv1.RollingUpdateStatefulSetStrategyType)).
		WithTemplate(template.WithSpec(pod)))
}

// redisSecrets shows the password, or the users.
func redisSecrets(in Input) *corev1ac.VolumeApplyConfiguration {
	if RedisUsers(in) {
		return secretVolume("secrets", in.Secrets.Redis, KeyRedisUsers)
	}
	return secretVolume("secrets", in.Secrets.Redis, KeyRedisConfig)
}

// redisStart is the server with the file that says who may log in: a fragment of
// its configuration, or the users. What is on the command line is above it.
func redisStart(in Input) []string {
	if RedisUsers(in) {
		return []string{"redis-server", "--aclfile", SecretsFolder + "/" + KeyRedisUsers}
	}
	return []string{"redis-server", SecretsFolder + "/" + KeyRedisConfig}
}

func redisContainer(in Input) *corev1ac.ContainerApplyConfiguration {
	memory := resource.MustParse("128Mi")
	if given := in.Stack.Spec.Redis.MaxMemory; given != nil {
		memory = *given
	}
	n := needsOf(in.Stack.Spec.Redis.Resources, quantities("50m", "64Mi"), *resource.NewQuantity(2*memory.Value(), resource.BinarySI))
	return baseContainer("redis", cmp.Or(in.Stack.Spec.Redis.Image, in.Images.Redis), n).
		WithArgs(redisStart(in)...).
		WithArgs("--port", "0", "--tls-port", strconv.Itoa(int(PortRedis)), "--tls-protocols", "TLSv1.3", "--tls-auth-clients", "no",
			"--tls-cert-file", TLSFolder+"/tls.crt", "--tls-key-file", TLSFolder+"/tls.key", "--tls-ca-cert-file", CAFile,
			"--dir", redisData, "--save", "", "--appendonly", "no",
			"--maxmemory", strconv.FormatInt(memory.Value(), 10), "--maxmemory-policy", "allkeys-lru").
		WithPorts(containerPort("redis", PortRedis)).
		WithVolumeMounts(mount("data", redisData, false), mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true)).
		WithStartupProbe(redisStartup(in)).WithLivenessProbe(redisLiveness(in)).WithReadinessProbe(execProbe(redisPing, 3, 5, 2))
}

func redisStartup(in Input) *corev1ac.ProbeApplyConfiguration {
	if in.RenderRevision < patientRevision {
		return execProbe(redisPing, 3, 1, 60)
	}
	return execProbe(redisPing, 3, 1, 300)
}

// redisLiveness gives up after three minutes without an answer: what a restart
// forgets, every component asks PostgreSQL for at once.
func redisLiveness(in Input) *corev1ac.ProbeApplyConfiguration {
	if in.RenderRevision < patientRevision {
		return execProbe(redisPing, 3, 10, 3)
	}
	return execProbe(redisPing, 20, 20, 9)
}
