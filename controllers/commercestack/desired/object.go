package desired

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Selector of the pods of a part.
func Selector(stack, part string) map[string]string {
	return map[string]string{LabelName: AppName, LabelInstance: stack, LabelComponent: part}
}

// Labels of the objects of a part.
func Labels(in Input, part string) map[string]string {
	labels := Selector(in.Stack.Name, part)
	labels[LabelManagedBy] = ManagedBy
	if version := versionLabel(in.Stack.Spec.Version); version != "" {
		labels[LabelVersion] = version
	}
	return labels
}

// versionLabel makes a label of a tag, which may begin and end with what a label may not.
func versionLabel(tag string) string { return strings.Trim(tag, "._-") }

// podLabels are the labels of pods that do not follow the platform's version, so
// that a new version does not restart them.
func podLabels(in Input, part string) map[string]string {
	labels := Labels(in, part)
	delete(labels, LabelVersion)
	return labels
}

// object is what every typed apply configuration can do.
type object[T any] interface {
	WithLabels(entries map[string]string) T
	WithOwnerReferences(values ...*metav1ac.OwnerReferenceApplyConfiguration) T
}

// own labels an object as belonging to a part of the stack and makes the stack
// its owner, so that it goes when the stack goes.
func own[T object[T]](in Input, part string, o T) T {
	return o.WithLabels(Labels(in, part)).WithOwnerReferences(owner(in))
}

// keep labels an object that holds data. It outlives the stack unless the stack says otherwise.
func keep[T object[T]](in Input, part string, o T) T {
	o = o.WithLabels(Labels(in, part))
	if in.Stack.Spec.DeletionPolicy == v1alpha1.DeletionDelete {
		o = o.WithOwnerReferences(owner(in))
	}
	return o
}

func owner(in Input) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("CommerceStack").
		WithName(in.Stack.Name).WithUID(in.Stack.UID).WithController(true).WithBlockOwnerDeletion(true)
}

// foreign begins an object of somebody else's kind.
func foreign(in Input, apiVersion, kind, name, part string, owned bool) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetName(name)
	u.SetNamespace(in.Stack.Namespace)
	u.SetLabels(Labels(in, part))
	if owned {
		yes := true
		u.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "CommerceStack", Name: in.Stack.Name, UID: in.Stack.UID,
			Controller: &yes, BlockOwnerDeletion: &yes,
		}})
	}
	return u
}

// serviceAccount is an identity without rights, and without a token to show it with.
func serviceAccount(in Input, part string) *corev1ac.ServiceAccountApplyConfiguration {
	return own(in, part, corev1ac.ServiceAccount(ObjectName(in.Stack.Name, part), in.Stack.Namespace)).WithAutomountServiceAccountToken(false)
}

func selectorOf(labels map[string]string) *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(labels)
}

func convertSelector(selector metav1.LabelSelector) *metav1ac.LabelSelectorApplyConfiguration {
	converted := selectorOf(selector.MatchLabels)
	for _, e := range selector.MatchExpressions {
		converted = converted.WithMatchExpressions(metav1ac.LabelSelectorRequirement().WithKey(e.Key).WithOperator(e.Operator).WithValues(e.Values...))
	}
	return converted
}
