package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RestoreSpec says with which backup a new stack begins.
type RestoreSpec struct {
	// From is where the backup is.
	// +required
	From RestoreSource `json:"from"`
	// KeySecretRef names a Secret with the key encryption.keys, as kubectl commerce
	// backup-key writes it: the keys of the stack that made the backup. They become
	// the new stack's own, since fields in the database are sealed with them too. It
	// may be left out when the vault of that stack is still there.
	// +optional
	KeySecretRef *SecretRef `json:"keySecretRef,omitempty"`
}

// RestoreSource is a place with backups, and one of them.
// +kubebuilder:validation:XValidation:rule="!has(self.recovery) || self.id == 'latest'",message="restore.from: id names a backup that the stack took itself, and recovery goes by CloudNativePG's: give one of them"
type RestoreSource struct {
	// Destination is the bucket; empty is the new stack's own object storage.
	// +optional
	Destination *S3Spec `json:"destination,omitempty"`
	// Path of the backups in it, as spec.backup of the stack that made them wrote
	// them: .backups/<namespace>/<name>. Default: that of a stack of the same
	// namespace and name.
	// +kubebuilder:validation:MaxLength=160
	// +kubebuilder:validation:Pattern=`^\.?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`
	// +optional
	Path string `json:"path,omitempty"`
	// ID of the backup, or latest.
	// +kubebuilder:validation:Pattern=`^(latest|[0-9]{8}t[0-9]{6}z-[0-9a-f]{8})$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:default=latest
	// +optional
	ID string `json:"id,omitempty"`
	// Recovery begins with what CloudNativePG kept there instead: physical backups
	// and the log of changes, which lead to any moment. For postgres.mode CloudNativePG.
	// +optional
	Recovery *RecoverySource `json:"recovery,omitempty"`
}

// RecoverySource is a server whose backups and log of changes CloudNativePG kept.
type RecoverySource struct {
	// Server is its folder in the path. Default: NAME-postgres, after the last part
	// of the path.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +optional
	Server string `json:"server,omitempty"`
	// Time is the moment that the database is brought to; empty is the end of the
	// log, the newest there is.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// RestoreStatus is what became of spec.restore.
type RestoreStatus struct {
	// State is Running, Succeeded or Failed.
	State string `json:"state"`
	// ID of the backup.
	// +optional
	ID string `json:"id,omitempty"`
	// SnapshotTime is the time of what was restored.
	// +optional
	SnapshotTime *metav1.Time `json:"snapshotTime,omitempty"`
	// Message of the failed Job.
	// +optional
	Message string `json:"message,omitempty"`
	// FinishedAt is when it ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// The states of a restore.
const (
	RestoreRunning   = "Running"
	RestoreSucceeded = "Succeeded"
	RestoreFailed    = "Failed"
)
