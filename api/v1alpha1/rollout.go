package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RolloutSpec says how a change reaches customers.
//
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.strategy == 'Canary'",message="rollout.steps is only allowed with strategy Canary"
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.steps.all(s, has(s.weight) != has(s.pods))",message="rollout.steps: each step has either weight or pods"
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.steps.map(i, has(i.weight) ? i.weight : 0).filter(w, w > 0).isSorted()",message="rollout.steps: weights must ascend"
type RolloutSpec struct {
	// Strategy Canary sends a growing share of the traffic to the new revision
	// and watches it; RollingUpdate replaces pods wave by wave.
	// +kubebuilder:validation:Enum=Canary;RollingUpdate
	// +kubebuilder:default=RollingUpdate
	// +optional
	Strategy string `json:"strategy,omitempty"`
	// Steps of a canary. Default: 5, 25 and 50 percent, a minute each.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	Steps []RolloutStep `json:"steps,omitempty"`
	// Analysis decides whether a canary goes on. Default: error rate, latency and
	// payment success of the gateway and of billing.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Analysis []AnalysisSpec `json:"analysis,omitempty"`
	// ProgressDeadline is how long a wave may take to become available.
	// +kubebuilder:default="10m"
	// +optional
	ProgressDeadline metav1.Duration `json:"progressDeadline,omitzero"`
	// OnFailure says what a failed rollout does.
	// +kubebuilder:validation:Enum=Rollback;Pause
	// +kubebuilder:default=Rollback
	// +optional
	OnFailure string `json:"onFailure,omitempty"`
	// Approval says when a person must agree, by a ReleaseApproval of the revision.
	// +kubebuilder:validation:Enum=None;BeforeStart;BeforePromote
	// +kubebuilder:default=None
	// +optional
	Approval string `json:"approval,omitempty"`
	// HistoryLimit is how many old revisions are kept for undo.
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	HistoryLimit int32 `json:"historyLimit,omitempty"`
}

// The strategies, reactions and approvals of a rollout.
const (
	RolloutCanary         = "Canary"
	RolloutRollingUpdate  = "RollingUpdate"
	OnFailureRollback     = "Rollback"
	OnFailurePause        = "Pause"
	ApprovalNone          = "None"
	ApprovalBeforeStart   = "BeforeStart"
	ApprovalBeforePromote = "BeforePromote"
)

// RolloutStep is one step of a canary.
type RolloutStep struct {
	// Weight is the new revision's share of the requests, in percent.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	// +optional
	Weight *int32 `json:"weight,omitempty"`
	// Pods of the new revision, where no weight applies.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Pods *int32 `json:"pods,omitempty"`
	// Pause before the next step. Default: 1m. Zero waits for promote.
	// +optional
	Pause *metav1.Duration `json:"pause,omitempty"`
}

// AnalysisSpec is one measure of a canary.
type AnalysisSpec struct {
	// Name of the measure.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Query in PromQL; {{stack}}, {{namespace}} and {{revision}} are filled in.
	// Empty, the name must be one of the built-in measures: error-rate,
	// latency-p95, payment-success.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	Query string `json:"query,omitempty"`
	// SuccessBelow passes a value smaller than it, a decimal number.
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?$`
	// +kubebuilder:validation:MaxLength=32
	// +optional
	SuccessBelow string `json:"successBelow,omitempty"`
	// FailAbove fails a value greater than it, a decimal number.
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?$`
	// +kubebuilder:validation:MaxLength=32
	// +optional
	FailAbove string `json:"failAbove,omitempty"`
	// Interval between measurements.
	// +kubebuilder:default="30s"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// Count of measurements in a step.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Count int32 `json:"count,omitempty"`
	// FailureLimit is how many failed measurements are forgiven.
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	FailureLimit int32 `json:"failureLimit,omitempty"`
	// OnNoData says what a measurement without data means.
	// +kubebuilder:validation:Enum=Pause;Pass;Fail
	// +kubebuilder:default=Pause
	// +optional
	OnNoData string `json:"onNoData,omitempty"`
}
