package desired

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Component are the objects of one component. Worker, WorkerHPA and WorkerPDB
// are nil where API pods do the work; HPA and WorkerHPA are nil without autoscaling,
// and WorkerHPA where WorkerScaledObject takes its place.
type Component struct {
	ServiceAccount *corev1ac.ServiceAccountApplyConfiguration
	Service        *corev1ac.ServiceApplyConfiguration
	Deployment     *appsv1ac.DeploymentApplyConfiguration
	HPA            *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
	PDB            *policyv1ac.PodDisruptionBudgetApplyConfiguration
	Worker         *appsv1ac.DeploymentApplyConfiguration
	WorkerHPA      *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration
	WorkerPDB      *policyv1ac.PodDisruptionBudgetApplyConfiguration
	// WorkerScaledObject is what KEDA scales the workers by, nil without KEDA.
	WorkerScaledObject *unstructured.Unstructured
	// InitialReplicas are the first number of pods of each Deployment that is
	// autoscaled. They name the Deployment and spec.replicas only, and are applied
	// after it and once, under a field manager of their own.
	InitialReplicas []*appsv1ac.DeploymentApplyConfiguration
}

// Objects are the objects in the order in which they are applied, without
// WorkerScaledObject and InitialReplicas.
func (c Component) Objects() []runtime.ApplyConfiguration {
	return present(c.ServiceAccount, c.Service, c.Deployment, c.Worker, c.HPA, c.WorkerHPA, c.PDB, c.WorkerPDB)
}

// present leaves out what is nil behind its interface.
func present(all ...runtime.ApplyConfiguration) []runtime.ApplyConfiguration {
	var objects []runtime.ApplyConfiguration
	for _, one := range all {
		if !reflect.ValueOf(one).IsNil() {
			objects = append(objects, one)
		}
	}
	return objects
}

// ForComponent returns the objects of a component. The error is a patch that cannot be applied.
func ForComponent(in Input, name v1alpha1.ComponentName) (Component, error) {
	spec, _ := service(in, name)
	c := Component{ServiceAccount: serviceAccount(in, string(name)), Service: componentService(in, name)}
	api := group{in: in, name: name, object: ComponentName(in.Stack.Name, name), role: RoleAPI, scale: APIScale(in.current(), name), resources: spec.Resources}
	if err := c.add(api, &c.Deployment, &c.HPA, &c.PDB); err != nil {
		return Component{}, err
	}
	scale, ok := WorkerScale(in, name)
	if !ok {
		return c, nil
	}
	if wanted, ok := WorkerScale(in.current(), name); ok {
		scale = wanted
	}
	worker := group{in: in, name: name, object: WorkerName(in.Stack.Name, name), role: RoleWorker, scale: scale, resources: workerResources(spec)}
	if err := c.add(worker, &c.Worker, &c.WorkerHPA, &c.WorkerPDB); err != nil {
		return Component{}, err
	}
	if c.WorkerHPA != nil && scaledByKEDA(in) {
		c.WorkerHPA, c.WorkerScaledObject = nil, worker.scaledObject()
	}
	return c, nil
}

// group is one set of equal pods of a component.
type group struct {
	in        Input
	name      v1alpha1.ComponentName
	object    string
	role      string
	scale     Scale
	resources *corev1.ResourceRequirements
	// canary serves and leaves the queues to the pods beside it.
	canary bool
}

// add makes the objects of a group.
func (c *Component) add(g group, deployment **appsv1ac.DeploymentApplyConfiguration,
	hpa **autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration, pdb **policyv1ac.PodDisruptionBudgetApplyConfiguration,
) (err error) {
	if *deployment, err = patched(g, g.deployment()); err != nil {
		return err
	}
	*pdb = g.pdb()
	if g.scale.Autoscaled {
		*hpa = g.hpa()
		c.InitialReplicas = append(c.InitialReplicas, appsv1ac.Deployment(g.object, g.in.Stack.Namespace).
			WithSpec(appsv1ac.DeploymentSpec().WithReplicas(g.scale.Min)))
	}
	return nil
}

func (g group) selector() map[string]string {
	selector := Selector(g.in.Stack.Name, string(g.name))
	selector[LabelRole] = g.role
	return selector
}

// programRole is what the program is told to do: API pods work too where there are no workers.
func (g group) programRole() string {
	if g.role == RoleWorker {
		return RoleWorker
	}
	if _, ok := WorkerScale(g.in, g.name); ok || !HasData(g.name) || g.canary {
		return RoleAPI
	}
	return "all"
}

func (g group) deployment() *appsv1ac.DeploymentApplyConfiguration {
	labels := Labels(g.in, string(g.name))
	labels[LabelRole] = g.role
	labels[labelMetrics] = "true"
	rollout := g.in.Stack.Spec.Rollout
	spec := appsv1ac.DeploymentSpec().WithSelector(selectorOf(g.selector())).
		// No pod goes before its successor is ready.
		WithStrategy(appsv1ac.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).
			WithRollingUpdate(appsv1ac.RollingUpdateDeployment().WithMaxUnavailable(intstr.FromInt32(0)).WithMaxSurge(intstr.FromString("25%")))).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(g.pod()))
	if rollout.HistoryLimit > 0 {
		spec = spec.WithRevisionHistoryLimit(rollout.HistoryLimit)
	}
	if seconds := int32(rollout.ProgressDeadline.Seconds()); seconds > 0 {
		spec = spec.WithProgressDeadlineSeconds(seconds)
	}
	if !g.scale.Autoscaled {
		spec = spec.WithReplicas(g.scale.Min)
	}
	d := own(g.in, string(g.name), appsv1ac.Deployment(g.object, g.in.Stack.Namespace))
	return d.WithLabels(map[string]string{LabelRole: g.role}).WithSpec(spec)
}

func (g group) pod() *corev1ac.PodSpecApplyConfiguration {
	in, stack := g.in, g.in.Stack.Name
	n := platformNeeds(g.resources)
	spec, _ := service(in, g.name)
	container := baseContainer("commerce", PlatformImage(in, g.name), n).WithArgs("serve").
		WithEnv(componentSettings(in, g.name, g.programRole(), n).with(spec.Env).configuration()...).
		WithVolumeMounts(mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true))
	if g.role == RoleAPI {
		container = container.WithPorts(containerPort("rpc", PortRPC))
	}
	container = withProbes(container.WithPorts(containerPort("metrics", PortMetrics)))
	pod := basePod(in, ComponentName(stack, g.name), platformID).WithTerminationGracePeriodSeconds(gracePeriod).
		WithVolumes(emptyVolume("tmp"), secretVolume("secrets", in.Secrets.Components[g.name]), secretVolume("tls", TLSName(stack, string(g.name))))
	if secret := publicCertificate(in); secret != "" && g.name == v1alpha1.ComponentGateway {
		container = container.WithVolumeMounts(mount("gateway-tls", publicTLSFolder, true))
		pod = pod.WithVolumes(secretVolume("gateway-tls", secret, "tls.crt", "tls.key"))
	}
	if g.name == v1alpha1.ComponentGateway && ReadsRoutes(in) {
		container = container.WithVolumeMounts(mount("routes", routesFolder, true))
		pod = pod.WithVolumes(routesVolume(stack))
	}
	if g.name == v1alpha1.ComponentProduct && volumeUsed(in) {
		container = container.WithVolumeMounts(mount("objects", objectsFolder, false))
		pod = pod.WithVolumes(claimVolume("objects", ObjectName(stack, DataPart)))
	}
	return withDistance(in, withSpread(withoutNode(in, pod.WithContainers(container)), g.selector()), g.selector())
}

// publicCertificate is the Secret of the public listener's certificate when it is not the stack's own.
func publicCertificate(in Input) string {
	switch tls := in.Stack.Spec.Gateway.TLS; {
	case tls.Mode == v1alpha1.GatewayTLSSecret && tls.SecretRef != nil:
		return tls.SecretRef.Name
	case tls.Mode == v1alpha1.GatewayTLSCertManager:
		return PublicCertificateName(in.Stack.Name)
	default:
		return ""
	}
}

func (g group) pdb() *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	unavailable := intstr.FromInt32(1)
	if spec, _ := service(g.in.current(), g.name); spec.Disruption != nil && spec.Disruption.MaxUnavailable != nil {
		unavailable = *spec.Disruption.MaxUnavailable
	}
	return disruption(g.in, string(g.name), g.object, g.selector(), unavailable)
}

// disruption bounds evictions of healthy pods. Pods that are not ready may always
// go: keeping them would only block the node.
func disruption(in Input, part, name string, selector map[string]string, unavailable intstr.IntOrString) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return own(in, part, policyv1ac.PodDisruptionBudget(name, in.Stack.Namespace)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().WithSelector(selectorOf(selector)).WithMaxUnavailable(unavailable).
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow))
}

// componentService leads to the pods that serve. The gateway's is the public one.
func componentService(in Input, name v1alpha1.ComponentName) *corev1ac.ServiceApplyConfiguration {
	selector := Selector(in.Stack.Name, string(name))
	selector[LabelRole] = RoleAPI
	s := own(in, string(name), corev1ac.Service(ComponentName(in.Stack.Name, name), in.Stack.Namespace))
	if name == v1alpha1.ComponentGateway {
		return gatewayService(in, s, selector)
	}
	return s.WithSpec(corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(selector).
		WithPorts(servicePort("rpc", PortRPC, "rpc").WithAppProtocol("https")))
}

// workerResources are those of a worker pod: its own, or an API pod's.
func workerResources(spec v1alpha1.ServiceSpec) *corev1.ResourceRequirements {
	if spec.Workers != nil && spec.Workers.Resources != nil {
		return spec.Workers.Resources
	}
	return spec.Resources
}
