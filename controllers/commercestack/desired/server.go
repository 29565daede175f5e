package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
)

// Server are the objects of PostgreSQL, Redis or the Stripe simulator. Those
// that a server does not have are nil.
type Server struct {
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration
	// ConfigMap is immutable and named by its content. Older ones may go when no
	// pod shows them any more.
	ConfigMap *corev1ac.ConfigMapApplyConfiguration
	// Claim holds data and may outlive the stack.
	Claim       *corev1ac.PersistentVolumeClaimApplyConfiguration
	Service     *corev1ac.ServiceApplyConfiguration
	StatefulSet *appsv1ac.StatefulSetApplyConfiguration
	Deployment  *appsv1ac.DeploymentApplyConfiguration
	PDB         *policyv1ac.PodDisruptionBudgetApplyConfiguration
}

// Objects are the objects in the order in which they are applied.
func (s Server) Objects() []runtime.ApplyConfiguration {
	return present(s.ServiceAccount, s.ConfigMap, s.Claim, s.Service, s.StatefulSet, s.Deployment, s.PDB)
}

// serverService leads to the one pod of a server.
func serverService(in Input, part, port string, number int32) *corev1ac.ServiceApplyConfiguration {
	return own(in, part, corev1ac.Service(ObjectName(in.Stack.Name, part), in.Stack.Namespace)).
		WithSpec(corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(Selector(in.Stack.Name, part)).
			WithPorts(servicePort(port, number, port)))
}

// shell runs a line in the shell of a server's image.
func shell(line string) *corev1ac.ExecActionApplyConfiguration {
	return corev1ac.ExecAction().WithCommand("/bin/sh", "-c", line)
}

// execProbe runs a line every so many seconds.
func execProbe(line string, timeout, period, failures int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithExec(shell(line)).WithTimeoutSeconds(timeout).WithPeriodSeconds(period).WithFailureThreshold(failures)
}
