package desired

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The targets of a patch.
const (
	patchAPI    = "API"
	patchWorker = "Worker"
)

// patched applies the spec's patches to a Deployment of a component, in order.
func patched(g group, deployment *appsv1ac.DeploymentApplyConfiguration) (*appsv1ac.DeploymentApplyConfiguration, error) {
	spec, index := service(g.in, g.name)
	for i, patch := range spec.Patches {
		if !appliesTo(patch, g.role) {
			continue
		}
		next, err := applyPatch(deployment, patch.Patch.Raw)
		if err != nil {
			return nil, field.Invalid(patchPath(index, i), field.OmitValueType{}, err.Error())
		}
		deployment = next
	}
	return deployment, nil
}

func patchPath(service, patch int) *field.Path {
	return field.NewPath("spec", "services").Index(service).Child("patches").Index(patch)
}

func applyPatch(original *appsv1ac.DeploymentApplyConfiguration, patch []byte) (*appsv1ac.DeploymentApplyConfiguration, error) {
	before, err := json.Marshal(original)
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, appsv1.Deployment{})
	if err != nil {
		return nil, fmt.Errorf("not a strategic merge patch of a Deployment: %w", err)
	}
	// Decoded strictly: a field that does not exist would silently do nothing.
	decoder := json.NewDecoder(bytes.NewReader(after))
	decoder.DisallowUnknownFields()
	result := &appsv1ac.DeploymentApplyConfiguration{}
	if err := decoder.Decode(result); err != nil {
		return nil, fmt.Errorf("not a Deployment after the patch: %w", err)
	}
	return result, checkPatched(original, result)
}

// checkPatched refuses a patch that makes another object of the Deployment, or
// that takes a decision which has a field of its own.
func checkPatched(before, after *appsv1ac.DeploymentApplyConfiguration) error {
	if after.ObjectMetaApplyConfiguration == nil || after.Spec == nil || after.Spec.Selector == nil || after.Spec.Template == nil {
		return errors.New("the patch removes metadata, selector or template of the Deployment")
	}
	switch {
	case !equal(before.Kind, after.Kind) || !equal(before.APIVersion, after.APIVersion):
		return errors.New("the patch changes kind or apiVersion, which would be another object")
	case !equal(before.GetName(), after.GetName()) || !equal(before.GetNamespace(), after.GetNamespace()):
		return errors.New("the patch changes metadata.name or metadata.namespace, which would be another object")
	case !reflect.DeepEqual(before.OwnerReferences, after.OwnerReferences):
		return errors.New("the patch changes metadata.ownerReferences, by which the Deployment is deleted with its stack")
	case !reflect.DeepEqual(before.Spec.Selector, after.Spec.Selector):
		return errors.New("the patch changes spec.selector, which cannot be changed")
	case !equal(before.Spec.Replicas, after.Spec.Replicas):
		return errors.New("the patch changes spec.replicas: use replicas or autoscaling of the service")
	}
	for _, labels := range []struct{ before, after map[string]string }{
		{before.Labels, after.Labels}, {templateLabels(before), templateLabels(after)},
	} {
		for name, value := range labels.before {
			if labels.after[name] != value {
				return fmt.Errorf("the patch changes the label %s, by which the operator finds what it made", name)
			}
		}
	}
	return nil
}

func templateLabels(d *appsv1ac.DeploymentApplyConfiguration) map[string]string {
	if d.Spec.Template.ObjectMetaApplyConfiguration == nil {
		return nil
	}
	return d.Spec.Template.Labels
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// appliesTo holds for patches of the pods of a role.
func appliesTo(patch v1alpha1.Patch, role string) bool {
	switch patch.Target {
	case patchAPI:
		return role == RoleAPI
	case patchWorker:
		return role == RoleWorker
	default:
		return true
	}
}
