package apply

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Autoscaled applies a Deployment whose number of pods belongs to somebody else.
// initial is given once, when the Deployment is created. When the number used to
// be ours (autoscaling was off), it is first handed over as it stands: dropping a
// field that one owns alone would reset it to 1.
func (p *Pass) Autoscaled(ctx context.Context, configuration, initial *appsv1ac.DeploymentApplyConfiguration) error {
	want, err := decode(configuration)
	if err != nil {
		return err
	}
	live, err := p.cached(ctx, want.key)
	if err != nil {
		return err
	}
	if live == nil {
		return p.createAutoscaled(ctx, want, initial)
	}
	if !p.dry && owns(live.GetManagedFields(), p.applier.config.FieldManager) {
		if err := p.handOver(ctx, want.key, configuration); err != nil {
			return err
		}
	}
	return p.bring(ctx, want, live)
}

// createAutoscaled creates the Deployment and gives the first number. Should the
// second write get lost, the autoscaler brings the number to its minimum.
func (p *Pass) createAutoscaled(ctx context.Context, want *wanted, initial *appsv1ac.DeploymentApplyConfiguration) error {
	found := &appsv1.Deployment{}
	err := p.applier.config.Live.Get(ctx, client.ObjectKey{Namespace: want.namespace, Name: want.name}, found)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read Deployment %s: %w", want.name, err)
	}
	fresh := apierrors.IsNotFound(err)
	if err := p.bring(ctx, want, nil); err != nil || !fresh || p.dry || initial == nil {
		return err
	}
	return p.giveReplicas(ctx, want.name, initial)
}

// handOver makes the other manager an owner of the number that the Deployment has.
func (p *Pass) handOver(ctx context.Context, k key, configuration *appsv1ac.DeploymentApplyConfiguration) error {
	found := &appsv1.Deployment{}
	if err := p.applier.config.Live.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, found); err != nil {
		return fmt.Errorf("read Deployment %s: %w", k.name, err)
	}
	if found.Spec.Replicas == nil || !owns(found.ManagedFields, p.applier.config.FieldManager) {
		return nil
	}
	number := appsv1ac.Deployment(k.name, k.namespace).WithSpec(appsv1ac.DeploymentSpec().WithReplicas(*found.Spec.Replicas))
	number.WithAPIVersion(*configuration.GetAPIVersion()).WithKind(*configuration.GetKind())
	return p.giveReplicas(ctx, k.name, number)
}

func (p *Pass) giveReplicas(ctx context.Context, name string, number *appsv1ac.DeploymentApplyConfiguration) error {
	want, err := decode(number)
	if err != nil {
		return err
	}
	object, err := want.object()
	if err != nil {
		return err
	}
	err = p.applier.config.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
		client.FieldOwner(p.applier.config.InitialManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("give Deployment %s its first number of pods: %w", name, err)
	}
	return nil
}

// owns says whether manager applied the number of pods.
func owns(fields []metav1.ManagedFieldsEntry, manager string) bool {
	for _, field := range fields {
		if field.Manager != manager || field.Operation != metav1.ManagedFieldsOperationApply || field.FieldsV1 == nil {
			continue
		}
		var set struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if json.Unmarshal(field.FieldsV1.GetRawBytes(), &set) != nil {
			continue
		}
		if _, ok := set.Spec["f:replicas"]; ok {
			return true
		}
	}
	return false
}

// ReplicasOwner is what must be left of a Deployment's owners of fields in a cache
// that has no room for them.
func ReplicasOwner(fields []metav1.ManagedFieldsEntry, manager string) []metav1.ManagedFieldsEntry {
	if !owns(fields, manager) {
		return nil
	}
	return []metav1.ManagedFieldsEntry{{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
	}}
}
