// Package v1alpha1 holds the Kubernetes API of CommerceStack: the resource a
// platform engineer applies and the operator reconciles.
//
// Conventions: durations are Kubernetes durations ("15m", "2160h"), sizes are
// quantities ("20Gi"), money never appears. Every list and string is bounded,
// so that the cost of the validation rules can be bounded too. Defaults stand in
// the schema; what depends on the environment (replicas, autoscaling) is
// resolved when objects are rendered and documented at the field.
//
// +kubebuilder:object:generate=true
// +groupName=commercestack.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind of this package.
const Group = "commercestack.dev"

var (
	// GroupVersion is commercestack.dev/v1alpha1.
	GroupVersion  = schema.GroupVersion{Group: Group, Version: "v1alpha1"}
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme registers the kinds of this package in a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &CommerceStack{}, &CommerceStackList{}, &SaleEvent{}, &SaleEventList{},
		&ReleaseApproval{}, &ReleaseApprovalList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
