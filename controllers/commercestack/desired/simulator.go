package desired

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// Simulator returns the Stripe simulator; ok is false where Stripe is real.
func Simulator(in Input) (server Server, ok bool) {
	if !Simulated(in) {
		return Server{}, false
	}
	name := ObjectName(in.Stack.Name, NameSimulator)
	selector := Selector(in.Stack.Name, NameSimulator)
	labels := Labels(in, NameSimulator)
	labels[labelMetrics] = "true"
	service := own(in, NameSimulator, corev1ac.Service(name, in.Stack.Namespace)).
		WithSpec(corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithSelector(selector).
			WithPorts(servicePort("rpc", PortRPC, "rpc").WithAppProtocol("https")))
	return Server{
		ServiceAccount: serviceAccount(in, NameSimulator),
		Service:        service,
		Deployment: own(in, NameSimulator, appsv1ac.Deployment(name, in.Stack.Namespace)).WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(1).WithSelector(selectorOf(selector)).
			// Two of them would deliver every event twice.
			WithStrategy(appsv1ac.DeploymentStrategy().WithType(appsv1.RecreateDeploymentStrategyType)).
			WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(simulatorPod(in, name)))),
	}, true
}

func simulatorPod(in Input, name string) *corev1ac.PodSpecApplyConfiguration {
	n := platformNeeds(nil)
	var env settings
	env.set("COMMERCE_LISTEN", portAddress(PortRPC))
	commonSettings(in, &env)
	env.set("COMMERCE_WEBHOOK_URL", GatewayAddress(in)+webhookPath)
	env.set("COMMERCE_TLS_CERT_FILE", TLSFolder+"/tls.crt")
	env.set("COMMERCE_TLS_KEY_FILE", TLSFolder+"/tls.key")
	env.set("COMMERCE_TLS_CA_FILE", CAFile)
	env.files(simulatorFiles())
	env.set("GOMEMLIMIT", n.goMemoryLimit())
	container := withProbes(baseContainer("stripe-simulator", PlatformImage(in, ""), n).WithArgs("stripe-simulator").
		WithEnv(env.configuration()...).WithPorts(containerPort("rpc", PortRPC), containerPort("metrics", PortMetrics)).
		WithVolumeMounts(mount("secrets", SecretsFolder, true), mount("tls", TLSFolder, true)))
	return withoutNode(in, basePod(in, name, platformID)).WithTerminationGracePeriodSeconds(gracePeriod).WithContainers(container).
		WithVolumes(emptyVolume("tmp"), secretVolume("secrets", in.Secrets.Simulator), secretVolume("tls", TLSName(in.Stack.Name, NameSimulator)))
}
