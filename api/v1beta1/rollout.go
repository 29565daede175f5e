package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RolloutSpec says how a change reaches customers.
type RolloutSpec struct {
	// Strategy by which the new revision replaces the old one.
	// +kubebuilder:default={type: RollingUpdate}
	// +optional
	Strategy RolloutStrategy `json:"strategy,omitzero"`
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
	// Windows in which a rollout may begin; none is always. One that runs when a
	// window closes goes on, and going back waits for no window.
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	// +optional
	Windows []RolloutWindow `json:"windows,omitempty"`
	// HistoryLimit is how many old revisions are kept for undo.
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	HistoryLimit int32 `json:"historyLimit,omitempty"`
	// Notifications tell people outside the cluster what becomes of rollouts. A
	// receiver that does not answer holds up nothing.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Notifications []NotificationSpec `json:"notifications,omitempty"`
}

// RolloutStrategy says how pods of the new revision take over.
//
// +kubebuilder:validation:XValidation:rule="!has(self.canary) || !has(self.canary.steps) || self.type == 'Canary'",message="rollout.strategy.canary.steps is only allowed with type Canary"
type RolloutStrategy struct {
	// Type Canary sends a growing share of the traffic to the new revision and
	// watches it; RollingUpdate replaces pods wave by wave.
	// +kubebuilder:validation:Enum=Canary;RollingUpdate
	// +kubebuilder:default=RollingUpdate
	// +optional
	Type string `json:"type,omitempty"`
	// Canary says how far a canary goes at a time, and what decides. Its analysis is
	// kept, and not used, with type RollingUpdate.
	// +optional
	Canary CanarySpec `json:"canary,omitzero"`
}

// CanarySpec says how a canary takes over.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.steps.all(s, has(s.weight) != has(s.pods))",message="rollout.strategy.canary.steps: each step has either weight or pods"
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || self.steps.map(i, has(i.weight) ? i.weight : 0).filter(w, w > 0).isSorted()",message="rollout.strategy.canary.steps: weights must ascend"
type CanarySpec struct {
	// Steps of a canary. Default: 5, 25 and 50 percent, a minute each.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	Steps []RolloutStep `json:"steps,omitempty"`
	// Analysis decides whether a canary goes on. Default: error-rate and
	// payment-success fail above 0.01, latency-p95 above 1 second, three times
	// each, ten seconds apart.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Analysis []AnalysisSpec `json:"analysis,omitempty"`
}

// NotificationSpec is a receiver of what becomes of rollouts.
type NotificationSpec struct {
	// Name of the receiver, as in status.notifications.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`
	// Type Slack posts to an incoming webhook, PagerDuty keeps one incident for the
	// stack by events of version 2, Webhook posts JSON.
	// +required
	// +kubebuilder:validation:Enum=Slack;PagerDuty;Webhook
	Type string `json:"type"`
	// SecretRef names a Secret with the url of Slack or of the webhook, which begins
	// with https://, or with the routingKey of PagerDuty.
	// +required
	SecretRef SecretRef `json:"secretRef"`
	// Events that are told. Default: every one; to PagerDuty Failed alone, which the
	// next promoted revision resolves.
	// +kubebuilder:validation:MaxItems=5
	// +listType=set
	// +optional
	Events []NotificationEvent `json:"events,omitempty"`
}

// NotificationEvent is something that becomes of a rollout: its first pods come, it
// waits for an approval, it is paused, it serves everybody, or it failed or was
// rolled back.
//
// +kubebuilder:validation:Enum=Started;AwaitingApproval;Paused;Promoted;Failed
// +kubebuilder:validation:MaxLength=16
type NotificationEvent string

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

// RolloutWindow is a time of the week in which rollouts may begin, in UTC.
//
// +kubebuilder:validation:XValidation:rule="self.from != self.until",message="a window needs a length: from and until must differ"
type RolloutWindow struct {
	// Days on which the window opens; none is every day.
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	// +optional
	Days []Weekday `json:"days,omitempty"`
	// From is the time of the day at which it opens, as 22:00.
	// +required
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	// +kubebuilder:validation:MaxLength=5
	From string `json:"from"`
	// Until is the time at which it closes, on the next day if it is before from.
	// +required
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	// +kubebuilder:validation:MaxLength=5
	Until string `json:"until"`
}

// Weekday is a day of the week.
//
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
// +kubebuilder:validation:MaxLength=9
type Weekday string

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

// The measures that need no query.
const (
	MeasureErrorRate      = "error-rate"
	MeasureLatencyP95     = "latency-p95"
	MeasurePaymentSuccess = "payment-success"
)

// AnalysisSpec is one measure of a canary.
//
// +kubebuilder:validation:XValidation:rule="has(self.query) || self.name in ['error-rate', 'latency-p95', 'payment-success']",message="a measure without a query must be error-rate, latency-p95 or payment-success"
// +kubebuilder:validation:XValidation:rule="has(self.successBelow) || has(self.failAbove)",message="a measure needs successBelow or failAbove"
type AnalysisSpec struct {
	// Name of the measure.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Query in PromQL; {{stack}}, {{namespace}} and {{revision}} are filled in.
	// Empty, the name must be one of the built-in measures: error-rate (the share
	// of the canary's answers that are server errors), latency-p95 (seconds),
	// payment-success (the share of payments that the canary failed). All of them
	// are better the smaller they are.
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
