package v1beta1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The condition types of a stack. Each is set on the first visit, even if
// Unknown. Ready, Reconciling and Stalled are those that kstatus reads.
const (
	// ConditionReady is True when the stack serves what its spec says.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator works towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when only a change of the spec or of something it refers to helps.
	ConditionStalled = "Stalled"
	// ConditionPostgresReady is True when PostgreSQL answers.
	ConditionPostgresReady = "PostgresReady"
	// ConditionRedisReady is True when Redis answers.
	ConditionRedisReady = "RedisReady"
	// ConditionMigrationsApplied is True when the schemas are those of the version.
	ConditionMigrationsApplied = "MigrationsApplied"
	// ConditionServicesAvailable is True when every component has its pods.
	ConditionServicesAvailable = "ServicesAvailable"
	// ConditionRollingOut is True while a revision replaces another.
	ConditionRollingOut = "RollingOut"
	// ConditionAwaitingApproval is True while a revision waits for a person.
	ConditionAwaitingApproval = "AwaitingApproval"
	// ConditionSecretsCurrent is True when no secret and no certificate is overdue.
	ConditionSecretsCurrent = "SecretsCurrent"
	// ConditionBackupHealthy is True when the newest backup is as young as the schedule says.
	ConditionBackupHealthy = "BackupHealthy"
	// ConditionObservabilityReady is True when what Prometheus reads is in place.
	ConditionObservabilityReady = "ObservabilityReady"
	// ConditionAutoscalingReady is True when worker pods scale by what waits in their queues.
	ConditionAutoscalingReady = "AutoscalingReady"
	// ConditionPaused is True while the operator changes nothing.
	ConditionPaused = "Paused"
)

// CommerceStackStatus is what the operator found and did.
type CommerceStackStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions of the stack.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Version that every component runs; the old one until a rollout is complete.
	// +optional
	Version string `json:"version,omitempty"`
	// RenderRevision of the pod templates.
	// +optional
	RenderRevision int32 `json:"renderRevision,omitempty"`
	// PostgresMode is the mode that was chosen at creation.
	// +optional
	PostgresMode PostgresMode `json:"postgresMode,omitempty"`
	// CurrentRevision is the revision that serves customers.
	// +optional
	CurrentRevision string `json:"currentRevision,omitempty"`
	// UpdateRevision is the revision of the spec.
	// +optional
	UpdateRevision string `json:"updateRevision,omitempty"`
	// LastFailedRevision is not tried again until the spec changes.
	// +optional
	LastFailedRevision string `json:"lastFailedRevision,omitempty"`
	// ComponentsReady counts components with all their pods, such as 10/10.
	// +optional
	ComponentsReady string `json:"componentsReady,omitempty"`
	// URL of the shop.
	// +optional
	URL string `json:"url,omitempty"`
	// Migration is the newest migration.
	// +optional
	Migration *MigrationStatus `json:"migration,omitempty"`
	// Rollout is the running or last rollout.
	// +optional
	Rollout *RolloutStatus `json:"rollout,omitempty"`
	// Notifications are the receivers of spec.rollout.notifications.
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=name
	// +optional
	Notifications []NotificationStatus `json:"notifications,omitempty"`
	// Components are what the platform consists of.
	// +listType=map
	// +listMapKey=name
	// +optional
	Components []ComponentStatus `json:"components,omitempty"`
	// Secrets are the secrets and certificates.
	// +listType=map
	// +listMapKey=name
	// +optional
	Secrets []SecretStatus `json:"secrets,omitempty"`
	// Pending lists the objects that differ from the spec while the stack is paused or observed.
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +optional
	Pending []string `json:"pending,omitempty"`
	// Backup is the newest backup.
	// +optional
	Backup *BackupStatus `json:"backup,omitempty"`
	// Restore is what became of spec.restore.
	// +optional
	Restore *RestoreStatus `json:"restore,omitempty"`
	// Sales are the SaleEvents that change the stack at present.
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	// +optional
	Sales []string `json:"sales,omitempty"`
}

// MigrationStatus is one run of the migrations.
type MigrationStatus struct {
	// ID is the hash of what is migrated to.
	ID string `json:"id"`
	// State is Running, Succeeded or Failed.
	State string `json:"state"`
	// Message of the failed Job.
	// +optional
	Message string `json:"message,omitempty"`
	// FinishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// The states of a migration.
const (
	MigrationRunning   = "Running"
	MigrationSucceeded = "Succeeded"
	MigrationFailed    = "Failed"
)

// The phases of a rollout.
const (
	// RolloutIdle has nothing to roll out.
	RolloutIdle = "Idle"
	// RolloutPending waits for a rotation, a window or a backup.
	RolloutPending = "Pending"
	// RolloutAwaitingApproval waits for a person.
	RolloutAwaitingApproval = "AwaitingApproval"
	// RolloutMigrating waits for the migration Job.
	RolloutMigrating = "Migrating"
	// RolloutProgressing replaces pods or is at a step of a canary.
	RolloutProgressing = "Progressing"
	// RolloutPromoting replaces a wave.
	RolloutPromoting = "Promoting"
	// RolloutPaused waits for a person, with everything as it is.
	RolloutPaused = "Paused"
	// RolloutRollingBack returns every wave to the revision that serves.
	RolloutRollingBack = "RollingBack"
	// RolloutComplete ended with the new revision.
	RolloutComplete = "Complete"
	// RolloutRolledBack ended with the old one.
	RolloutRolledBack = "RolledBack"
	// RolloutFailed ended before a pod was touched.
	RolloutFailed = "Failed"
)

// RolloutStatus is the running or last rollout.
type RolloutStatus struct {
	// Phase is Idle, Pending, AwaitingApproval, Migrating, Progressing, Paused, Promoting, RollingBack, Complete, RolledBack or Failed.
	// +optional
	Phase string `json:"phase,omitempty"`
	// Revision that is rolled out.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Wave that is being replaced.
	// +optional
	Wave int32 `json:"wave,omitempty"`
	// Step of the canary, from 0.
	// +optional
	Step int32 `json:"step,omitempty"`
	// Weight of the new revision in percent.
	// +optional
	Weight int32 `json:"weight,omitempty"`
	// StartedAt is when the rollout began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// StepStartedAt is when the step or wave began.
	// +optional
	StepStartedAt *metav1.Time `json:"stepStartedAt,omitempty"`
	// FinishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// ApprovedBy is who agreed.
	// +optional
	ApprovedBy string `json:"approvedBy,omitempty"`
	// Message says what is waited for or what went wrong.
	// +optional
	Message string `json:"message,omitempty"`
	// Measurements of the analysis, newest last.
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +optional
	Measurements []Measurement `json:"measurements,omitempty"`
}

// Measurement is one value of an analysis.
type Measurement struct {
	// Name of the measure.
	Name string `json:"name"`
	// Value that was measured, a decimal number; empty without data.
	// +optional
	Value string `json:"value,omitempty"`
	// Verdict is Pass, Fail or NoData.
	Verdict string `json:"verdict"`
	// At is when.
	At metav1.Time `json:"at"`
}

// NotificationStatus is how it stands with a receiver.
type NotificationStatus struct {
	// Name of the receiver.
	Name string `json:"name"`
	// Waiting counts what it was not told yet.
	// +optional
	Waiting int32 `json:"waiting,omitempty"`
	// LastSentAt is when it was told something last.
	// +optional
	LastSentAt *metav1.Time `json:"lastSentAt,omitempty"`
	// LastError of a try, empty after one that succeeded.
	// +optional
	LastError string `json:"lastError,omitempty"`
}

// ComponentStatus is one component.
type ComponentStatus struct {
	// Name of the component.
	Name ComponentName `json:"name"`
	// Ready API pods.
	Ready int32 `json:"ready"`
	// Desired API pods.
	Desired int32 `json:"desired"`
	// WorkersReady are ready worker pods.
	// +optional
	WorkersReady int32 `json:"workersReady,omitempty"`
	// WorkersDesired are desired worker pods.
	// +optional
	WorkersDesired int32 `json:"workersDesired,omitempty"`
	// Image the pods run.
	// +optional
	Image string `json:"image,omitempty"`
	// Message says why pods are missing.
	// +optional
	Message string `json:"message,omitempty"`
}

// SecretStatus is the state of one secret or certificate.
type SecretStatus struct {
	// Name of the secret, such as postgres-order or ca.
	Name string `json:"name"`
	// State is Current, Pending, Publishing, Retiring or Failed.
	State string `json:"state"`
	// ActiveID is the version in use.
	// +optional
	ActiveID string `json:"activeID,omitempty"`
	// NextID is the version that is being introduced.
	// +optional
	NextID string `json:"nextID,omitempty"`
	// RotatedAt is when the active version came into use.
	// +optional
	RotatedAt *metav1.Time `json:"rotatedAt,omitempty"`
	// ExpiresAt is when it must be replaced.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// NextRotationAt is when its next rotation begins, if nobody asks for one before.
	// +optional
	NextRotationAt *metav1.Time `json:"nextRotationAt,omitempty"`
	// LastError of a rotation.
	// +optional
	LastError string `json:"lastError,omitempty"`
}

// BackupStatus is the newest backup.
type BackupStatus struct {
	// LastSuccess is when the newest complete backup was taken.
	// +optional
	LastSuccess *metav1.Time `json:"lastSuccess,omitempty"`
	// LastID is the id of that backup.
	// +optional
	LastID string `json:"lastID,omitempty"`
	// LastSize is what it takes in storage.
	// +optional
	LastSize *resource.Quantity `json:"lastSize,omitempty"`
	// LastError of a backup, empty once one succeeded.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// LastDrill is when the newest restore drill that succeeded ended.
	// +optional
	LastDrill *metav1.Time `json:"lastDrill,omitempty"`
	// LastDrillError of a restore drill, empty once one succeeded.
	// +optional
	LastDrillError string `json:"lastDrillError,omitempty"`
	// RPO measured by the newest restore drill: how old the newest backup was.
	// +optional
	RPO *metav1.Duration `json:"rpo,omitempty"`
	// RTO measured by the newest restore drill: from its start until everything was examined.
	// +optional
	RTO *metav1.Duration `json:"rto,omitempty"`
}
