// Package v1beta1 is the next version of the Kubernetes API of CommerceStack, and
// what converts between it and v1alpha1, which is stored and which the operator
// works on. docs/design/0007-conversion.md says what is another shape and why.
//
// Conventions: durations are Kubernetes durations ("15m", "2160h"), sizes are
// quantities ("20Gi"), money never appears. Nothing is called On or Off, which
// YAML reads as true and false. Every list and string is bounded, so that the cost
// of the validation rules can be bounded too. Defaults stand in the schema; what
// depends on the environment is resolved when objects are rendered and documented
// at the field.
//
// Only CommerceStack has this version: SaleEvent and ReleaseApproval have no shape
// to improve, and would meet the webhook for nothing.
//
// +kubebuilder:object:generate=true
// +groupName=commercestack.dev
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind of this package.
const Group = "commercestack.dev"

var (
	// GroupVersion is commercestack.dev/v1beta1.
	GroupVersion  = schema.GroupVersion{Group: Group, Version: "v1beta1"}
	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme registers the kinds of this package in a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &CommerceStack{}, &CommerceStackList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
