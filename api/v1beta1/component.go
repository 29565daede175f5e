package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ComponentName names a component of the platform.
//
// +kubebuilder:validation:Enum=auth;user;product;order;billing;notification;analytics;admin;storefront;gateway
// +kubebuilder:validation:MaxLength=16
type ComponentName string

// The components, in the order in which they are listed everywhere.
const (
	ComponentAuth         ComponentName = "auth"
	ComponentUser         ComponentName = "user"
	ComponentProduct      ComponentName = "product"
	ComponentOrder        ComponentName = "order"
	ComponentBilling      ComponentName = "billing"
	ComponentNotification ComponentName = "notification"
	ComponentAnalytics    ComponentName = "analytics"
	ComponentAdmin        ComponentName = "admin"
	ComponentStorefront   ComponentName = "storefront"
	ComponentGateway      ComponentName = "gateway"
)

// ComponentSpec tunes one component.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="replicas fixes the number of pods and autoscaling varies it: only one of them is allowed"
type ComponentSpec struct {
	// Name of the component.
	// +required
	Name ComponentName `json:"name"`

	// Image replaces the stack's image, tag included, for this component alone:
	// the way to try a build of one component.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Image string `json:"image,omitempty"`

	// Wave in which a rollout reaches the component; lower waves first. Default:
	// 0 for components with data, 1 for admin and storefront, 2 for the gateway.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9
	// +optional
	Wave *int32 `json:"wave,omitempty"`

	// Replicas fixes the number of API pods.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// Resources of one API pod. Default: 25m CPU and 64Mi requested, 512Mi limit.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// Env adds settings, such as COMMERCE_ORDER_RESERVATION_TTL. Names that the
	// operator sets itself are refused.
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=name
	// +optional
	Env []EnvVar `json:"env,omitempty"`

	// Autoscaling of the API pods. Default: 2 to 10 pods at 60 % CPU; in Development
	// one pod. With replicas there is none.
	// +optional
	Autoscaling *AutoscalingSpec `json:"autoscaling,omitempty"`

	// Workers drain the component's queues in pods of their own. Default: on for
	// components with queues; in Development API pods do the work.
	// +optional
	Workers *WorkersSpec `json:"workers,omitempty"`

	// Disruption bounds voluntary evictions.
	// +optional
	Disruption *DisruptionSpec `json:"disruption,omitempty"`

	// Patches are strategic merge patches of the component's Deployments, for
	// what has no field here. They are applied last, in this order.
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	// +optional
	Patches []Patch `json:"patches,omitempty"`
}

// EnvVar is one setting of a component.
type EnvVar struct {
	// Name of the variable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Z0-9_]*$`
	Name string `json:"name"`
	// Value of the variable. Secrets do not belong here: use integrations.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Value string `json:"value,omitempty"`
}

// AutoscalingSpec says how the number of pods follows the load.
//
// +kubebuilder:validation:XValidation:rule="self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas"
type AutoscalingSpec struct {
	// MinReplicas is the lowest number of pods.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MinReplicas int32 `json:"minReplicas,omitempty"`
	// MaxReplicas is the highest number of pods.
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxReplicas int32 `json:"maxReplicas,omitempty"`
	// TargetCPUUtilization is the average use of the requested CPU, in percent,
	// above which pods are added.
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=50
	// +kubebuilder:validation:Maximum=70
	// +optional
	TargetCPUUtilization int32 `json:"targetCPUUtilization,omitempty"`
	// ScaleDownStabilizationSeconds is how long the load must have been lower
	// before pods are taken away. Default: 300.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	// +optional
	ScaleDownStabilizationSeconds *int32 `json:"scaleDownStabilizationSeconds,omitempty"`
}

// WorkersSpec says how queues are drained.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="workers.replicas fixes the number of pods and workers.autoscaling varies it: only one of them is allowed"
type WorkersSpec struct {
	// Mode Separate gives workers pods of their own, Shared leaves the work to the API pods.
	// +kubebuilder:validation:Enum=Separate;Shared
	// +kubebuilder:default=Separate
	// +optional
	Mode string `json:"mode,omitempty"`
	// Replicas fixes the number of worker pods.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// Resources of one worker pod. Default: as an API pod.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Autoscaling of the worker pods. They follow what waits in the component's
	// queues, and their CPU. With replicas there is none.
	// +optional
	Autoscaling *AutoscalingSpec `json:"autoscaling,omitempty"`
	// TargetQueueDepth is how many events, deliveries and due jobs may wait for
	// each worker pod before one is added. Default: 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	TargetQueueDepth *int32 `json:"targetQueueDepth,omitempty"`
	// TargetQueueAgeSeconds is how long the oldest of them may wait before worker
	// pods are added. Default: 30.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	// +optional
	TargetQueueAgeSeconds *int32 `json:"targetQueueAgeSeconds,omitempty"`
}

// WorkerAutoscaler is what scales worker pods.
//
// +kubebuilder:validation:Enum=HPA;KEDA
type WorkerAutoscaler string

// The autoscalers of worker pods.
const (
	// WorkerAutoscalerHPA is a HorizontalPodAutoscaler. Queues are external metrics
	// to it, which the chart's metrics adapter serves.
	WorkerAutoscalerHPA WorkerAutoscaler = "HPA"
	// WorkerAutoscalerKEDA is a ScaledObject of KEDA, which asks Prometheus.
	WorkerAutoscalerKEDA WorkerAutoscaler = "KEDA"
)

// The ways to run workers.
const (
	WorkersSeparate = "Separate"
	WorkersShared   = "Shared"
)

// DisruptionSpec bounds voluntary evictions.
type DisruptionSpec struct {
	// MaxUnavailable pods at a time, as a number or a percentage. Default: 1.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// Patch changes a Deployment of a component.
type Patch struct {
	// Target is API or Worker. Default: both.
	// +kubebuilder:validation:Enum=API;Worker
	// +optional
	Target string `json:"target,omitempty"`
	// Patch is a strategic merge patch of a Deployment. It may not name another object.
	// +required
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Patch apiextensionsv1.JSON `json:"patch"`
}
