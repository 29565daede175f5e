package desired

import (
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// scaledByKEDA holds where ScaledObjects scale the workers.
func scaledByKEDA(in Input) bool {
	return in.current().Stack.Spec.WorkerAutoscaler == v1alpha1.WorkerAutoscalerKEDA && in.Capabilities.KEDA && in.PrometheusURL != ""
}

// QueueScaling says whether the workers of the stack follow their queues, and if
// not what the cluster lacks. A stack without autoscaled workers lacks nothing.
func QueueScaling(in Input) (lacking string, ok bool) {
	in = in.current()
	autoscaled := false
	for _, name := range DataComponents() {
		scale, ok := WorkerScale(in, name)
		autoscaled = autoscaled || (ok && scale.Autoscaled)
	}
	keda := in.Stack.Spec.WorkerAutoscaler == v1alpha1.WorkerAutoscalerKEDA
	switch {
	case !autoscaled || scaledByKEDA(in) || (!keda && in.Capabilities.QueueMetrics):
		return "", true
	case keda && !in.Capabilities.KEDA:
		return "spec.workerAutoscaler is KEDA, but the cluster has no ScaledObject (scaledobjects.keda.sh): install KEDA, or use HPA", false
	case keda:
		return "spec.workerAutoscaler is KEDA, but the operator knows no Prometheus that KEDA could ask: set prometheusURL of its chart, or use HPA", false
	default:
		return "the cluster has no external metrics of queues: set externalMetrics.enabled of the operator's chart, or use KEDA", false
	}
}

// scaledObject has KEDA scale the workers as hpa has it without KEDA: by CPU and
// by the queues, which it asks Prometheus about. A query without an answer is an
// error to KEDA, and no pod goes.
func (g group) scaledObject() *unstructured.Unstructured {
	object := foreign(g.in, "keda.sh/v1alpha1", "ScaledObject", g.object, string(g.name), true)
	down := map[string]any{
		"stabilizationWindowSeconds": int64(g.scale.Settle), "selectPolicy": "Max", "policies": []any{kedaPolicy("Percent", 50, 60)},
	}
	if g.in.FreezeScaleDown {
		down["selectPolicy"] = "Disabled"
	}
	up := map[string]any{
		"stabilizationWindowSeconds": int64(0), "selectPolicy": "Max", "policies": []any{kedaPolicy("Percent", 100, 15), kedaPolicy("Pods", 4, 15)},
	}
	depth := queueDepthQuery(g.in.Stack, g.name)
	object.Object["spec"] = map[string]any{
		"scaleTargetRef":  map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": g.object},
		"minReplicaCount": int64(g.scale.Min), "maxReplicaCount": int64(g.scale.Max), "pollingInterval": int64(15),
		"advanced": map[string]any{"horizontalPodAutoscalerConfig": map[string]any{"behavior": map[string]any{"scaleUp": up, "scaleDown": down}}},
		"triggers": []any{
			map[string]any{"type": "cpu", "metricType": "Utilization", "metadata": map[string]any{"value": strconv.Itoa(int(g.scale.TargetCPU))}},
			g.trigger("depth", "AverageValue", depth, g.scale.QueueDepth),
			g.trigger("age", "Value", queueOldestQuery(g.in.Stack, g.name, depth), g.scale.QueueAge),
		},
	}
	return object
}

func kedaPolicy(kind string, value, period int64) map[string]any {
	return map[string]any{"type": kind, "value": value, "periodSeconds": period}
}

// trigger asks Prometheus.
func (g group) trigger(name, kind, query string, threshold int32) map[string]any {
	return map[string]any{
		"type": "prometheus", "name": name, "metricType": kind,
		"metadata": map[string]any{
			"serverAddress": g.in.PrometheusURL, "query": query, "threshold": strconv.Itoa(int(threshold)), "ignoreNullValues": "false",
		},
	}
}

// workerSeries selects series of a component's workers, as ServiceMonitors label them.
func workerSeries(stack *v1alpha1.CommerceStack, name v1alpha1.ComponentName) string {
	return fmt.Sprintf(`namespace=%q,stack=%q,component=%q,role=%q`, stack.Namespace, stack.Name, name, RoleWorker)
}

// queueDepthQuery counts what waits: every pod tells the same of each queue. While
// the database does not answer, pods tell nothing of the outbox and there is no answer.
func queueDepthQuery(stack *v1alpha1.CommerceStack, name v1alpha1.ComponentName) string {
	series := workerSeries(stack, name)
	return fmt.Sprintf(`sum(max by (__name__,subscription,queue) ({__name__=~"commerce_(outbox_depth|bus_waiting|job_depth)",state=~"|available",%s}))`+
		` and on() max(commerce_outbox_depth{%s})`, series, series)
}

// queueOldestQuery is the age of the oldest, 0 while no more waits than there are
// pods: one that waits for its next try becomes no younger by another pod.
func queueOldestQuery(stack *v1alpha1.CommerceStack, name v1alpha1.ComponentName, depth string) string {
	series := workerSeries(stack, name)
	return fmt.Sprintf(`max({__name__=~"commerce_(outbox|bus|job)_oldest_seconds",%s}) * on() ((%s) > bool on() count(commerce_outbox_depth{%s}))`, series, depth, series)
}
