package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

const (
	// platformID is the user and the group of the platform's image.
	platformID int64 = 65532
	// serverID is the user and the group of the images of PostgreSQL and Redis.
	serverID int64 = 999

	// secretMode lets the pod's group read, and nobody else. The files belong to
	// root: PostgreSQL accepts such a key readable by the group.
	secretMode int32 = 0o440

	gracePeriod int64 = 45

	labelMetrics = v1alpha1.Group + "/metrics"
)

// basePod is a pod without rights: no token of the cluster, no variables of
// other Services, no root, files of the given group.
func basePod(in Input, account string, id int64) *corev1ac.PodSpecApplyConfiguration {
	spec := corev1ac.PodSpec().WithServiceAccountName(account).WithAutomountServiceAccountToken(false).WithEnableServiceLinks(false).
		WithSecurityContext(corev1ac.PodSecurityContext().WithRunAsNonRoot(true).WithRunAsUser(id).WithRunAsGroup(id).WithFSGroup(id).
			WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
	for _, secret := range in.Stack.Spec.ImagePullSecrets {
		spec = spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(secret.Name))
	}
	return spec
}

// baseContainer is a container without rights, whose only place to write is /tmp.
func baseContainer(name, image string, n needs) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().WithName(name).WithImage(image).WithImagePullPolicy(corev1.PullIfNotPresent).
		WithResources(n.configuration()).
		WithSecurityContext(corev1ac.SecurityContext().WithRunAsNonRoot(true).WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithVolumeMounts(mount("tmp", tmpFolder, false)).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
}

func mount(volume, path string, readOnly bool) *corev1ac.VolumeMountApplyConfiguration {
	m := corev1ac.VolumeMount().WithName(volume).WithMountPath(path)
	if readOnly {
		m = m.WithReadOnly(true)
	}
	return m
}

func emptyVolume(name string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(name).WithEmptyDir(corev1ac.EmptyDirVolumeSource())
}

// secretVolume shows a Secret, or of a Secret only the keys given.
func secretVolume(name, secret string, keys ...string) *corev1ac.VolumeApplyConfiguration {
	source := corev1ac.SecretVolumeSource().WithSecretName(secret).WithDefaultMode(secretMode)
	for _, key := range keys {
		source = source.WithItems(corev1ac.KeyToPath().WithKey(key).WithPath(key))
	}
	return corev1ac.Volume().WithName(name).WithSecret(source)
}

func containerPort(name string, port int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)
}

func servicePort(name string, port int32, target string) *corev1ac.ServicePortApplyConfiguration {
	return corev1ac.ServicePort().WithName(name).WithPort(port).WithTargetPort(intstr.FromString(target)).WithProtocol(corev1.ProtocolTCP)
}

// withProbes asks the metrics port, which speaks plain HTTP. Liveness never looks
// at a dependency; readiness fails when the database is lost.
func withProbes(c *corev1ac.ContainerApplyConfiguration) *corev1ac.ContainerApplyConfiguration {
	probe := func(path string) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("metrics")).WithScheme(corev1.URISchemeHTTP)).
			WithTimeoutSeconds(3)
	}
	return c.WithStartupProbe(probe("/healthz").WithPeriodSeconds(1).WithFailureThreshold(60)).
		WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithFailureThreshold(3)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(5).WithFailureThreshold(2))
}

// withSpread keeps pods of one kind apart, as far as there are nodes and zones.
func withSpread(spec *corev1ac.PodSpecApplyConfiguration, selector map[string]string) *corev1ac.PodSpecApplyConfiguration {
	for _, key := range []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"} {
		spec = spec.WithTopologySpreadConstraints(corev1ac.TopologySpreadConstraint().WithMaxSkew(1).WithTopologyKey(key).
			WithWhenUnsatisfiable(corev1.ScheduleAnyway).WithLabelSelector(selectorOf(selector)).WithMatchLabelKeys("pod-template-hash"))
	}
	return spec
}

// lostNodeGrace is how long a pod stays bound to a node that does not answer, after
// Kubernetes has given the node up. By default it is five minutes, which is meant
// for pods that are dear to move.
const lostNodeGrace int64 = 30

// withoutNode has a pod that keeps nothing leave a lost node early. The one thing
// that it loses by an error of Kubernetes is the time to start elsewhere.
func withoutNode(in Input, spec *corev1ac.PodSpecApplyConfiguration) *corev1ac.PodSpecApplyConfiguration {
	if in.RenderRevision < mobileRevision {
		return spec
	}
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		spec = spec.WithTolerations(corev1ac.Toleration().WithKey(taint).WithOperator(corev1.TolerationOpExists).
			WithEffect(corev1.TaintEffectNoExecute).WithTolerationSeconds(lostNodeGrace))
	}
	return spec
}

// withDistance keeps pods of one kind off each other's nodes, as far as there are
// others. Where nodes name no zone, the spread over zones and nodes counts for
// nothing: the scheduler leaves out nodes without all of its keys. Then all pods of
// a component could be on the one node that is lost.
func withDistance(in Input, spec *corev1ac.PodSpecApplyConfiguration, selector map[string]string) *corev1ac.PodSpecApplyConfiguration {
	if in.RenderRevision < mobileRevision {
		return spec
	}
	return spec.WithAffinity(corev1ac.Affinity().WithPodAntiAffinity(corev1ac.PodAntiAffinity().WithPreferredDuringSchedulingIgnoredDuringExecution(
		corev1ac.WeightedPodAffinityTerm().WithWeight(100).WithPodAffinityTerm(corev1ac.PodAffinityTerm().
			WithTopologyKey(corev1.LabelHostname).WithLabelSelector(selectorOf(selector)).WithMatchLabelKeys("pod-template-hash")))))
}
