package commercestack

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

// data keeps PostgreSQL, Redis and the volume for uploads.
func (v *visit) data(ctx context.Context) Result {
	var outcome Outcome
	outcome.Add("postgres", v.postgres(ctx))
	outcome.Add("redis", v.redis(ctx))
	if volume := desired.ObjectVolume(v.in); volume != nil {
		outcome.Add("volume", failed(v.pass.Apply(ctx, volume)))
	}
	return failed(outcome.Err())
}

// choosePostgres chooses who runs PostgreSQL, once in a stack's life. A server
// that an earlier stack of this name left behind stays what it is.
func (v *visit) choosePostgres(ctx context.Context) (v1alpha1.DataMode, error) {
	if v.stack.Spec.Postgres.Mode != "" {
		return v.stack.Spec.Postgres.Mode, nil
	}
	claims, err := v.claims(ctx)
	if err != nil {
		return "", err
	}
	for i := range claims {
		if claims[i].Labels[desired.LabelComponent] == desired.NamePostgres {
			return v1alpha1.DataStatefulSet, nil
		}
	}
	if v.in.Capabilities.CloudNativePG {
		return v1alpha1.DataManaged, nil
	}
	return v1alpha1.DataStatefulSet, nil
}

func (v *visit) postgres(ctx context.Context) Result {
	switch v.in.PostgresMode {
	case v1alpha1.DataExternal:
		v.set(v1alpha1.ConditionPostgresReady, metav1.ConditionTrue, "External",
			"The server is somebody else's; the migration Job and the pods find out whether it answers.")
		return Result{}
	case v1alpha1.DataManaged:
		return v.managedPostgres(ctx)
	case v1alpha1.DataStatefulSet:
	}
	server, _ := desired.Postgres(v.in)
	return v.server(ctx, server, desired.NamePostgres, v1alpha1.ConditionPostgresReady)
}

func (v *visit) redis(ctx context.Context) Result {
	server, ok := desired.Redis(v.in)
	if !ok {
		v.set(v1alpha1.ConditionRedisReady, metav1.ConditionTrue, "External", "The server is somebody else's; the pods find out whether it answers.")
		return Result{}
	}
	if err := v.releaseRedis(ctx); err != nil {
		return failed(err)
	}
	return v.server(ctx, server, desired.NameRedis, v1alpha1.ConditionRedisReady)
}

// overdue is how long after its time a pod that leaves may still be there.
const overdue = 20 * time.Second

// releaseRedis lets go of a pod whose node does not answer any more. A StatefulSet
// replaces no pod before its node has said that it ended, since two servers could
// write to one volume. Redis has none, and what it forgets comes back. Pods of
// PostgreSQL are never let go: a person must know that their node is dead.
func (v *visit) releaseRedis(ctx context.Context) error {
	labels := v.instance()
	labels[desired.LabelComponent] = desired.NameRedis
	pods := &corev1.PodList{}
	if err := v.Client.List(ctx, pods, client.InNamespace(v.stack.Namespace), labels); err != nil {
		return fmt.Errorf("list pods of Redis: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if v.pass.Dry() || pod.DeletionTimestamp == nil {
			continue
		}
		if wait := pod.DeletionTimestamp.Add(overdue).Sub(v.now); wait > 0 {
			v.outcome.Add("redis", after(wait))
			continue
		}
		if err := v.Client.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("let go of pod %s, which its node does not end: %w", pod.Name, err)
		}
	}
	return nil
}

// server keeps a server in a StatefulSet and sets its condition.
func (v *visit) server(ctx context.Context, server desired.Server, part, condition string) Result {
	if result := v.applyAll(ctx, server.Objects()...); result.Err != nil {
		return result
	}
	found := &appsv1.StatefulSet{}
	err := v.Client.Get(ctx, v.key(desired.ObjectName(v.stack.Name, part)), found)
	if client.IgnoreNotFound(err) != nil {
		return failed(fmt.Errorf("read StatefulSet of %s: %w", part, err))
	}
	wanted := int32(1)
	if found.Spec.Replicas != nil {
		wanted = *found.Spec.Replicas
	}
	if err == nil && found.Status.ObservedGeneration >= found.Generation && found.Status.ReadyReplicas >= wanted {
		if part == desired.NamePostgres && v.volumeFull() {
			v.set(condition, metav1.ConditionFalse, reasonVolumeFull, "PostgreSQL answers, and takes no writes until its volume has room: see StorageHealthy.")
			return Result{}
		}
		v.set(condition, metav1.ConditionTrue, reasonReady, fmt.Sprintf("%d of %d pods are ready.", found.Status.ReadyReplicas, wanted))
		return Result{}
	}
	reason, message, err := v.podTrouble(ctx, part, "")
	if err != nil {
		return failed(err)
	}
	if message == "" {
		reason, message = reasonWaiting, "its pod is starting"
	}
	v.set(condition, metav1.ConditionFalse, reason, fmt.Sprintf("%d of %d pods are ready: %s.", found.Status.ReadyReplicas, wanted, message))
	return Result{}
}

// managedPostgres keeps a Cluster of CloudNativePG.
func (v *visit) managedPostgres(ctx context.Context) Result {
	if err := v.pass.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired.CloudNativePG(v.in))); err != nil {
		return failed(err)
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(kindCluster)
	if err := v.Client.Get(ctx, v.key(desired.ObjectName(v.stack.Name, desired.NamePostgres)), found); client.IgnoreNotFound(err) != nil {
		return failed(fmt.Errorf("read the CloudNativePG cluster: %w", err))
	}
	ready, _, _ := unstructured.NestedInt64(found.Object, "status", "readyInstances")
	phase, _, _ := unstructured.NestedString(found.Object, "status", "phase")
	if phase == "" {
		phase = "CloudNativePG has not looked at it yet"
	}
	if ready > 0 {
		v.set(v1alpha1.ConditionPostgresReady, metav1.ConditionTrue, reasonReady, fmt.Sprintf("%d instances are ready.", ready))
	} else {
		v.set(v1alpha1.ConditionPostgresReady, metav1.ConditionFalse, reasonWaiting, "No instance is ready: "+phase+".")
	}
	return Result{}
}
