package commercestack

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	kindConfigMap = corev1.SchemeGroupVersion.WithKind("ConfigMap")
	kindJob       = batchv1.SchemeGroupVersion.WithKind("Job")
)

// pruned are the kinds whose objects go when they are no longer desired. What
// holds data is not among them: StatefulSets and volume claims.
var pruned = []schema.GroupVersionKind{
	corev1.SchemeGroupVersion.WithKind("Service"),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"),
	batchv1.SchemeGroupVersion.WithKind("CronJob"),
	policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
	networkingv1.SchemeGroupVersion.WithKind("Ingress"),
}

// prune deletes what is no longer desired. It does so only in a visit in which
// every phase could say what is.
func (v *visit) prune(ctx context.Context) Result {
	if !v.outcome.Complete() {
		return Result{}
	}
	kinds := pruned
	for _, kind := range []schema.GroupVersionKind{kindServiceMonitor, kindHTTPRoute, kindCertificate, kindScheduled, kindScaledObject, kindExternalSecret} {
		if v.foreign.has(kind) {
			kinds = append(slices.Clip(kinds), kind)
		}
	}
	var outcome Outcome
	for _, kind := range kinds {
		outcome.Add("prune", failed(v.pass.Prune(ctx, kind, v.instance(), nil)))
	}
	outcome.Add("prune", failed(v.pass.Prune(ctx, kindJob, v.instance(), v.spareJob)))
	outcome.Add("prune", failed(v.pruneContent(ctx)))
	return failed(outcome.Err())
}

// spareJob keeps a Job that still runs.
func (v *visit) spareJob(object client.Object) bool {
	job, ok := object.(*batchv1.Job)
	return ok && ended(job) == nil
}

// pruneContent deletes Secrets and ConfigMaps that are named by their content and
// that no pod, and no ReplicaSet that has or is to have pods, refers to. One
// without pods is nothing to go back to: what it refers to may have been retired.
func (v *visit) pruneContent(ctx context.Context) error {
	var used map[string]bool
	for _, kind := range []schema.GroupVersionKind{kindSecret, kindConfigMap} {
		candidates, err := v.pass.Unnamed(ctx, kind, v.instance())
		if err != nil {
			return err
		}
		if len(candidates) == 0 {
			continue
		}
		if used == nil {
			if used, err = v.usedContent(ctx); err != nil {
				return err
			}
		}
		spare := func(object client.Object) bool { return used[object.GetName()] }
		if err := v.pass.Prune(ctx, kind, v.instance(), spare); err != nil {
			return err
		}
	}
	return nil
}

// usedContent are the names of Secrets and ConfigMaps that pod templates mount.
// ReplicaSets are read live: they are needed only when there is something to delete.
func (v *visit) usedContent(ctx context.Context) (map[string]bool, error) {
	used := map[string]bool{}
	sets := &appsv1.ReplicaSetList{}
	if err := v.Live.List(ctx, sets, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list ReplicaSets: %w", err)
	}
	for i := range sets.Items {
		if set := &sets.Items[i]; ptr.Deref(set.Spec.Replicas, 1) == 0 && set.Status.Replicas == 0 {
			continue
		}
		mounts(used, &sets.Items[i].Spec.Template.Spec)
	}
	pods := &corev1.PodList{}
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		if over(&pods.Items[i]) {
			continue
		}
		mounts(used, &pods.Items[i].Spec)
	}
	jobs := &batchv1.JobList{}
	if err := v.Client.List(ctx, jobs, client.InNamespace(v.stack.Namespace), v.instance()); err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	for i := range jobs.Items {
		if ended(&jobs.Items[i]) == nil {
			mounts(used, &jobs.Items[i].Spec.Template.Spec)
		}
	}
	return used, nil
}

// mounts adds the names that the volumes of a pod refer to.
func mounts(used map[string]bool, spec *corev1.PodSpec) {
	for i := range spec.Volumes {
		if secret := spec.Volumes[i].Secret; secret != nil {
			used[secret.SecretName] = true
		}
		if config := spec.Volumes[i].ConfigMap; config != nil {
			used[config.Name] = true
		}
		if spec.Volumes[i].Projected == nil {
			continue
		}
		for _, source := range spec.Volumes[i].Projected.Sources {
			if source.Secret != nil {
				used[source.Secret.Name] = true
			}
			if source.ConfigMap != nil {
				used[source.ConfigMap.Name] = true
			}
		}
	}
}
