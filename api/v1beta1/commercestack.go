package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CommerceStack is one shop: its components, its data, its secrets and the way
// it is exposed, in the namespace of the resource.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:unservedversion
// +kubebuilder:resource:shortName=cstack;shop,categories=all
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Components",type=string,JSONPath=`.status.componentsReady`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.status.rollout.phase`
// +kubebuilder:printcolumn:name="Postgres",type=string,JSONPath=`.status.conditions[?(@.type=="PostgresReady")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 30",message="metadata.name must be at most 30 characters: names of objects are made from it"
type CommerceStack struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec CommerceStackSpec `json:"spec"`
	// Status is what was found.
	// +optional
	Status CommerceStackStatus `json:"status,omitempty"`
}

// CommerceStackList is a list of stacks.
//
// +kubebuilder:object:root=true
type CommerceStackList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// Items are the stacks.
	Items []CommerceStack `json:"items"`
}

// Environment says how much a stack must withstand.
//
// +kubebuilder:validation:Enum=Development;Staging;Production
type Environment string

// The environments.
const (
	// EnvironmentDevelopment simulates Stripe, captures mail and runs one pod of each component.
	EnvironmentDevelopment Environment = "Development"
	// EnvironmentStaging is Production, smaller.
	EnvironmentStaging Environment = "Staging"
	// EnvironmentProduction runs at least two pods of each component and guards changes.
	EnvironmentProduction Environment = "Production"
)

// ReconcilePolicy says what the operator does about differences.
//
// +kubebuilder:validation:Enum=Managed;Paused;Observe
type ReconcilePolicy string

// The reconcile policies.
const (
	// ReconcileManaged brings the cluster to the spec and repairs drift.
	ReconcileManaged ReconcilePolicy = "Managed"
	// ReconcilePaused changes nothing and keeps the status as it is, but lists what is pending.
	ReconcilePaused ReconcilePolicy = "Paused"
	// ReconcileObserve changes nothing and keeps the status up to date.
	ReconcileObserve ReconcilePolicy = "Observe"
)

// DeletionPolicy says what happens to data when the stack is deleted.
//
// +kubebuilder:validation:Enum=Retain;Snapshot;Delete
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionRetain keeps volumes, databases, backups and the generated secrets that read them.
	DeletionRetain DeletionPolicy = "Retain"
	// DeletionSnapshot takes a volume snapshot first, then deletes.
	DeletionSnapshot DeletionPolicy = "Snapshot"
	// DeletionDelete deletes everything.
	DeletionDelete DeletionPolicy = "Delete"
)

// CommerceStackSpec is what a platform engineer asks for.
//
// +kubebuilder:validation:XValidation:rule="self.environment != 'Production' || self.deletionPolicy != 'Delete'",message="deletionPolicy Delete is not allowed in Production: choose Retain or Snapshot"
// +kubebuilder:validation:XValidation:rule="self.environment != 'Production' || self.rollout.approval != 'None'",message="rollout.approval must be BeforeStart or BeforePromote in Production"
// +kubebuilder:validation:XValidation:rule="self.environment != 'Production' || !has(self.components) || self.components.all(c, !has(c.autoscaling) || c.autoscaling.minReplicas >= 2)",message="components: autoscaling.minReplicas must be at least 2 in Production"
// +kubebuilder:validation:XValidation:rule="self.environment != 'Production' || !has(self.components) || self.components.all(c, !has(c.replicas) || c.replicas >= 2)",message="components: replicas must be at least 2 in Production"
// +kubebuilder:validation:XValidation:rule="self.environment == 'Development' || (has(self.integrations) && has(self.integrations.stripe))",message="integrations.stripe is required outside Development, where payments are not simulated"
// +kubebuilder:validation:XValidation:rule="self.environment == 'Development' || (has(self.integrations) && (has(self.integrations.sendGrid) || has(self.integrations.smtp)))",message="integrations.sendGrid or integrations.smtp is required outside Development, where mail is not captured"
// +kubebuilder:validation:XValidation:rule="!self.demoCatalog || self.environment == 'Development'",message="demoCatalog is for Development only"
// +kubebuilder:validation:XValidation:rule="!self.migrations.requireBackup || has(self.backup)",message="migrations.requireBackup needs backup: without backups a migration would wait for ever"
// +kubebuilder:validation:XValidation:rule="!has(self.restore) || !has(self.restore.from.recovery) || (has(self.postgres.mode) && self.postgres.mode == 'CloudNativePG')",message="restore.from.recovery needs postgres.mode CloudNativePG: only it keeps the log of changes"
// +kubebuilder:validation:XValidation:rule="has(self.restore) == has(oldSelf.restore) && (!has(self.restore) || self.restore == oldSelf.restore)",message="restore cannot change: it says with what a new stack begins. Create a new stack and restore into it"
type CommerceStackSpec struct {
	// Version of the platform to run: the tag of its image.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_][A-Za-z0-9._-]*$`
	Version string `json:"version"`

	// Environment says how much the stack must withstand.
	// +kubebuilder:default=Production
	// +optional
	Environment Environment `json:"environment,omitempty"`

	// ReconcilePolicy says whether the operator acts, only observes, or pauses.
	// +kubebuilder:default=Managed
	// +optional
	ReconcilePolicy ReconcilePolicy `json:"reconcilePolicy,omitempty"`

	// DeletionPolicy says what happens to data when the stack is deleted.
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// RenderRevision pins the shape of pod templates, so that a new operator
	// restarts nothing. Unset, a stack keeps the revision it was created with
	// (status.renderRevision); raising it takes the newer shape in a rollout.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	RenderRevision *int32 `json:"renderRevision,omitempty"`

	// Image is the repository of the platform's image, without a tag. Default:
	// the one the operator was installed with.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Image string `json:"image,omitempty"`

	// ImagePullSecrets are used by every pod of the stack.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// Currency of the shop, ISO 4217.
	// +kubebuilder:default=EUR
	// +kubebuilder:validation:Pattern=`^[A-Z]{3}$`
	// +kubebuilder:validation:MaxLength=3
	// +optional
	Currency string `json:"currency,omitempty"`

	// DemoCatalog loads some hundred products into an empty shop. Development only.
	// +kubebuilder:default=false
	// +optional
	DemoCatalog bool `json:"demoCatalog,omitempty"`

	// Components tune single components. A component that is not listed runs with
	// the defaults of its environment.
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=name
	// +optional
	Components []ComponentSpec `json:"components,omitempty"`

	// WorkerAutoscaler scales worker pods by what waits in their queues: HPA with
	// the external metrics of the chart's adapter, or KEDA with Prometheus. Where
	// the cluster lacks either, they scale by CPU alone, and the condition
	// AutoscalingReady says so.
	// +kubebuilder:default=HPA
	// +optional
	WorkerAutoscaler WorkerAutoscaler `json:"workerAutoscaler,omitempty"`

	// Postgres is where the truth is kept.
	// +kubebuilder:default={}
	// +optional
	Postgres PostgresSpec `json:"postgres,omitempty"`

	// Redis is the cache and the shared counters. Nothing about money lives only there.
	// +kubebuilder:default={mode: StatefulSet}
	// +optional
	Redis RedisSpec `json:"redis,omitempty"`

	// ObjectStorage holds uploads and static assets.
	// +kubebuilder:default={mode: Volume}
	// +optional
	ObjectStorage ObjectStorageSpec `json:"objectStorage,omitempty"`

	// Events chooses the bus.
	// +kubebuilder:default={mode: Postgres}
	// +optional
	Events EventsSpec `json:"events,omitempty"`

	// Integrations are the services outside the cluster.
	// +optional
	Integrations *IntegrationsSpec `json:"integrations,omitempty"`

	// Migrations of the database.
	// +kubebuilder:default={}
	// +optional
	Migrations MigrationsSpec `json:"migrations,omitempty"`

	// Rollout says how a change reaches customers.
	// +kubebuilder:default={}
	// +optional
	Rollout RolloutSpec `json:"rollout,omitempty"`

	// Secrets says where secrets come from and how often they change.
	// +kubebuilder:default={interval: "2160h", renewBefore: "168h"}
	// +optional
	Secrets SecretsSpec `json:"secrets,omitempty"`

	// Gateway is the one way in.
	// +kubebuilder:default={expose: ClusterIP, tls: {mode: Internal}}
	// +optional
	Gateway GatewaySpec `json:"gateway,omitempty"`

	// Observability installs what Prometheus and Grafana read.
	// +kubebuilder:default={}
	// +optional
	Observability ObservabilitySpec `json:"observability,omitempty"`

	// NetworkPolicy closes every way that the architecture does not need.
	// +kubebuilder:default={}
	// +optional
	NetworkPolicy NetworkPolicySpec `json:"networkPolicy,omitempty"`

	// Backup of the database.
	// +optional
	Backup *BackupSpec `json:"backup,omitempty"`

	// Restore begins a new stack with a backup, before its first migration.
	// +optional
	Restore *RestoreSpec `json:"restore,omitempty"`
}
