package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SaleEvent prepares a stack for a sale: more pods before it begins, tighter
// limits and shorter reservations while it lasts, and afterwards everything as it
// was. The spec of the stack is not changed. Of events that overlap, the higher
// number of pods, the tighter limit and the shorter reservation win. Deleting an
// event ends it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sale,categories=all
// +kubebuilder:printcolumn:name="Stack",type=string,JSONPath=`.spec.stackRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Start",type=string,JSONPath=`.spec.start`
// +kubebuilder:printcolumn:name="End",type=string,JSONPath=`.spec.end`
// +kubebuilder:printcolumn:name="Scaled",type=string,JSONPath=`.status.conditions[?(@.type=="Scaled")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
type SaleEvent struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec SaleEventSpec `json:"spec"`
	// Status is what was found.
	// +optional
	Status SaleEventStatus `json:"status,omitempty"`
}

// SaleEventList is a list of events.
//
// +kubebuilder:object:root=true
type SaleEventList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the events.
	Items []SaleEvent `json:"items"`
}

// SaleEventSpec says when a sale is and what the stack needs for it.
//
// +kubebuilder:validation:XValidation:rule="timestamp(self.start) < timestamp(self.end)",message="start must be before end"
// +kubebuilder:validation:XValidation:rule="timestamp(self.end) - timestamp(self.start) <= duration('744h')",message="an event lasts at most 31 days: what lasts longer belongs in the stack's spec"
// +kubebuilder:validation:XValidation:rule="self.stackRef == oldSelf.stackRef",message="stackRef cannot change: delete the event and create another"
// +kubebuilder:validation:XValidation:rule="duration(self.leadTime) >= duration('0s') && duration(self.leadTime) <= duration('24h')",message="leadTime must be between 0s and 24h"
// +kubebuilder:validation:XValidation:rule="!has(self.reservationTTL) || (duration(self.reservationTTL) >= duration('1m') && duration(self.reservationTTL) <= duration('24h'))",message="reservationTTL must be between 1m and 24h"
// +kubebuilder:validation:XValidation:rule="!has(self.rateLimits) || self.rateLimits.all(name, self.rateLimits[name].matches('^[1-9][0-9]{0,8}/[1-9][0-9]{0,5}(ms|s|m|h):[1-9][0-9]{0,8}$'))",message="rateLimits: each value is calls/period:burst, such as 200/1s:400"
// +kubebuilder:validation:XValidation:rule="!has(self.rateLimits) || self.rateLimits.all(name, name in ['read', 'write', 'credentials', 'payment', 'webhook'])",message="rateLimits: the gateway's policies are read, write, credentials, payment and webhook"
type SaleEventSpec struct {
	// StackRef names the stack.
	// +required
	StackRef StackRef `json:"stackRef"`
	// Start of the sale.
	// +required
	Start metav1.Time `json:"start"`
	// End of the sale.
	// +required
	End metav1.Time `json:"end"`
	// LeadTime before the start in which pods are added.
	// +kubebuilder:default="10m"
	// +optional
	LeadTime metav1.Duration `json:"leadTime,omitzero"`
	// Services that need more pods.
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=name
	// +optional
	Services []SaleService `json:"services,omitempty"`
	// RateLimits of the gateway while the sale lasts, as in spec.gateway.rateLimits
	// of the stack, of which the tighter is used.
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	RateLimits map[string]RateLimit `json:"rateLimits,omitempty"`
	// ReservationTTL is how long an unpaid order holds its goods while the sale
	// lasts, if that is shorter than otherwise.
	// +optional
	ReservationTTL *metav1.Duration `json:"reservationTTL,omitempty"`
}

// StackRef names a CommerceStack of the same namespace.
type StackRef struct {
	// Name of the stack.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=30
	Name string `json:"name"`
}

// SaleService says how many pods of a component a sale needs.
//
// +kubebuilder:validation:XValidation:rule="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas"
type SaleService struct {
	// Name of the component.
	// +required
	Name ComponentName `json:"name"`
	// MinReplicas is the lowest number of API pods; more than the stack's own counts.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MinReplicas int32 `json:"minReplicas"`
	// MaxReplicas is the highest number; more than the stack's own counts.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}

// The phases of an event.
const (
	// SalePending is before the lead time.
	SalePending = "Pending"
	// SalePreScaling adds pods.
	SalePreScaling = "PreScaling"
	// SaleActive is the sale itself.
	SaleActive = "Active"
	// SaleEnded has everything as it was.
	SaleEnded = "Ended"
)

// The conditions of an event.
const (
	// ConditionAccepted is True when the stack is there and the event can be carried out.
	ConditionAccepted = "Accepted"
	// ConditionScaled is True when the stack has the pods that a running event asks for.
	ConditionScaled = "Scaled"
)

// SaleEventStatus is what the operator found.
type SaleEventStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is Pending, PreScaling, Active or Ended.
	// +optional
	Phase string `json:"phase,omitempty"`
	// Conditions of the event.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
