package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// partMetrics names the objects around metrics.
const partMetrics = "metrics"

// MetricsService is the headless Service by which Prometheus finds every pod of
// the platform: API pods, workers, the simulator, ready or not.
func MetricsService(in Input) *corev1ac.ServiceApplyConfiguration {
	return own(in, partMetrics, corev1ac.Service(ObjectName(in.Stack.Name, partMetrics), in.Stack.Namespace)).
		WithSpec(corev1ac.ServiceSpec().WithType(corev1.ServiceTypeClusterIP).WithClusterIP(corev1.ClusterIPNone).WithPublishNotReadyAddresses(true).
			WithSelector(map[string]string{LabelName: AppName, LabelInstance: in.Stack.Name, labelMetrics: "true"}).
			WithPorts(servicePort("metrics", PortMetrics, "metrics")))
}

// ServiceMonitors are what the Prometheus operator scrapes, none when they are
// off or unknown to the cluster. Each series says whose it is by the labels
// stack, component and role, beside namespace and pod.
func ServiceMonitors(in Input) []*unstructured.Unstructured {
	if in.Stack.Spec.Observability.ServiceMonitors == v1alpha1.ToggleOff || !in.Capabilities.ServiceMonitor {
		return nil
	}
	monitor := foreign(in, "monitoring.coreos.com/v1", "ServiceMonitor", ObjectName(in.Stack.Name, partMetrics), partMetrics, true)
	selector := map[string]any{}
	for name, value := range Selector(in.Stack.Name, partMetrics) {
		selector[name] = value
	}
	monitor.Object["spec"] = map[string]any{
		"selector": map[string]any{"matchLabels": selector},
		"endpoints": []any{map[string]any{
			"port": "metrics", "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s",
			// A series' own labels stay: the gateway's component and endpoint are those of the request.
			"honorLabels": true,
			"relabelings": []any{
				relabeling("app_kubernetes_io_instance", "stack"),
				relabeling("app_kubernetes_io_component", "component"),
				relabeling("app_kubernetes_io_version", "version"),
				relabeling("commercestack_dev_role", "role"),
			},
		}},
	}
	return []*unstructured.Unstructured{monitor}
}

// relabeling gives a series a label of its pod.
func relabeling(podLabel, label string) map[string]any {
	return map[string]any{
		"action": "replace", "sourceLabels": []any{"__meta_kubernetes_pod_label_" + podLabel}, "targetLabel": label,
	}
}
