package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// canarySuffix ends the names of a component's canary.
const canarySuffix = "-canary"

// CanaryName is the name of the objects of a component's canary.
func CanaryName(stack string, name v1alpha1.ComponentName) string {
	return ComponentName(stack, name) + canarySuffix
}

// CanaryURL is where the gateway reaches a canary.
func CanaryURL(in Input, name v1alpha1.ComponentName) string {
	return peerURL(in, string(name)+canarySuffix)
}

// Canary are pods of another revision beside a component's own. Service is nil
// where the component is not routed: its pods then stand behind its own Service
// and have their share of its requests.
type Canary struct {
	Deployment *appsv1ac.DeploymentApplyConfiguration
	Service    *corev1ac.ServiceApplyConfiguration
}

// Objects are the objects in the order in which they are applied.
func (c Canary) Objects() []runtime.ApplyConfiguration {
	return present(c.Deployment, c.Service)
}

// ForCanary returns a component's canary with a number of pods. They serve as the
// component's own API pods of the input do; queues are left to those that are
// there. The error is a patch that cannot be applied.
func ForCanary(in Input, name v1alpha1.ComponentName, pods int32) (Canary, error) {
	spec, _ := service(in, name)
	g := group{
		in: in, name: name, object: ComponentName(in.Stack.Name, name), role: RoleAPI, resources: spec.Resources, canary: true,
		scale: Scale{Min: pods, Max: pods},
	}
	deployment, err := patched(g, g.deployment())
	if err != nil {
		return Canary{}, err
	}
	track := map[string]string{LabelTrack: TrackCanary}
	if Routed(name) {
		track[LabelRole] = RoleCanary
	}
	deployment.WithName(CanaryName(in.Stack.Name, name)).WithLabels(track)
	deployment.Spec.Selector.WithMatchLabels(track)
	deployment.Spec.Template.WithLabels(track)
	for i := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
		if spread := &deployment.Spec.Template.Spec.TopologySpreadConstraints[i]; spread.LabelSelector != nil {
			spread.LabelSelector.WithMatchLabels(track)
		}
	}
	if affinity := deployment.Spec.Template.Spec.Affinity; affinity != nil && affinity.PodAntiAffinity != nil {
		for i := range affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			term := affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[i].PodAffinityTerm
			if term != nil && term.LabelSelector != nil {
				term.LabelSelector.WithMatchLabels(track)
			}
		}
	}
	c := Canary{Deployment: deployment}
	if Routed(name) {
		selector := Selector(in.Stack.Name, string(name))
		selector[LabelRole] = RoleCanary
		c.Service = own(in, string(name), corev1ac.Service(CanaryName(in.Stack.Name, name), in.Stack.Namespace)).WithLabels(track).
			WithSpec(corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(selector).
				WithPorts(servicePort("rpc", PortRPC, "rpc").WithAppProtocol("https")))
	}
	return c, nil
}
