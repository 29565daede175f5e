package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ReleaseApproval is one person's agreement to one revision of a stack. In
// Production it is the only one that counts, and only by another person than the
// one who asked for the change. The admission policy of the operator's chart holds
// spec.by to the user that the API server authenticated. Deleting an approval
// takes it back as long as the rollout has not begun.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=ra,categories=all
// +kubebuilder:printcolumn:name="Stack",type=string,JSONPath=`.spec.stack`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.spec.revision`
// +kubebuilder:printcolumn:name="By",type=string,JSONPath=`.spec.by`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ReleaseApproval struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what was agreed to. It cannot change.
	// +required
	Spec ReleaseApprovalSpec `json:"spec"`
}

// ReleaseApprovalList is a list of approvals.
//
// +kubebuilder:object:root=true
type ReleaseApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the approvals.
	Items []ReleaseApproval `json:"items"`
}

// ReleaseApprovalSpec says who agreed to what, and for how long.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot change: delete the approval and create another"
type ReleaseApprovalSpec struct {
	// Stack of the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	Stack string `json:"stack"`
	// Revision that is agreed to, as in status.rollout.revision of the stack.
	// +required
	// +kubebuilder:validation:MinLength=4
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]+$`
	Revision string `json:"revision"`
	// By is the name of the user who agrees, as `kubectl auth whoami` prints it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	By string `json:"by"`
	// ExpiresAt ends the approval; empty is never.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
}
