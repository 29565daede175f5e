package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PostgresMode says who runs PostgreSQL.
//
// +kubebuilder:validation:Enum=CloudNativePG;StatefulSet;External
type PostgresMode string

// The modes of PostgreSQL.
const (
	// PostgresCloudNativePG delegates to CloudNativePG, whose CRD must be in the cluster.
	PostgresCloudNativePG PostgresMode = "CloudNativePG"
	// PostgresStatefulSet runs one server in a StatefulSet of the operator.
	PostgresStatefulSet PostgresMode = "StatefulSet"
	// PostgresExternal uses a server that somebody else runs.
	PostgresExternal PostgresMode = "External"
)

// PostgresSpec says where PostgreSQL runs.
//
// +kubebuilder:validation:XValidation:rule="has(self.mode) == has(oldSelf.mode) && (!has(self.mode) || self.mode == oldSelf.mode)",message="postgres.mode cannot change: data would be left behind. Create a new stack and restore into it"
// +kubebuilder:validation:XValidation:rule="(has(self.external) ? 1 : 0) == ((has(self.mode) && self.mode == 'External') ? 1 : 0)",message="postgres.external is required with mode External and only allowed with it"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.storage) || !has(self.storage) || !has(oldSelf.storage.size) || !has(self.storage.size) || quantity(string(self.storage.size)).compareTo(quantity(string(oldSelf.storage.size))) >= 0",message="postgres.storage.size cannot shrink"
type PostgresSpec struct {
	// Mode says who runs it. Unset, the operator chooses once, CloudNativePG when
	// it is in the cluster, else a StatefulSet, and keeps the choice in status.
	// +optional
	Mode PostgresMode `json:"mode,omitempty"`
	// Image of the server. Default: the one the operator was installed with.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Image string `json:"image,omitempty"`
	// Storage of the server.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// Resources of the server. Default: 100m CPU and 256Mi requested, 1Gi limit.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Instances of a cluster of CloudNativePG.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	// +optional
	Instances *int32 `json:"instances,omitempty"`
	// Parameters of the server, as in postgresql.conf.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Parameters map[string]string `json:"parameters,omitempty"`
	// External server.
	// +optional
	External *ExternalPostgres `json:"external,omitempty"`
}

// StorageSpec is a volume.
type StorageSpec struct {
	// Size of the volume. Default: 10Gi.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
	// StorageClassName of the volume. Default: the cluster's default class.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
}

// ExternalPostgres is a PostgreSQL that somebody else runs.
type ExternalPostgres struct {
	// SecretRef names a Secret with the key url, the login of a role that may
	// create roles and schemas in its database, and optionally ca.crt, the
	// authority of the server's certificate.
	// +required
	SecretRef SecretRef `json:"secretRef"`
	// SSLMode of every connection.
	// +kubebuilder:validation:Enum=require;verify-ca;verify-full
	// +kubebuilder:default=verify-full
	// +optional
	SSLMode string `json:"sslMode,omitempty"`
}

// SecretRef names a Secret in the namespace of the stack.
type SecretRef struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// RedisMode says who runs Redis.
//
// +kubebuilder:validation:Enum=StatefulSet;External
type RedisMode string

// The modes of Redis.
const (
	// RedisStatefulSet runs one server in a StatefulSet of the operator.
	RedisStatefulSet RedisMode = "StatefulSet"
	// RedisExternal uses a server that somebody else runs.
	RedisExternal RedisMode = "External"
)

// RedisSpec says where Redis runs.
//
// +kubebuilder:validation:XValidation:rule="self.mode == oldSelf.mode",message="redis.mode cannot change: create a new stack"
// +kubebuilder:validation:XValidation:rule="has(self.external) == (self.mode == 'External')",message="redis.external is required with mode External and only allowed with it"
type RedisSpec struct {
	// Mode says who runs it.
	// +kubebuilder:default=StatefulSet
	// +optional
	Mode RedisMode `json:"mode,omitempty"`
	// Image of the server. Default: the one the operator was installed with.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Image string `json:"image,omitempty"`
	// MaxMemory of the cache; old entries make room. Default: 128Mi.
	// +optional
	MaxMemory *resource.Quantity `json:"maxMemory,omitempty"`
	// Resources of the server. Default: 50m CPU and 64Mi requested; the limit is twice maxMemory.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// External server.
	// +optional
	External *ExternalRedis `json:"external,omitempty"`
}

// ExternalRedis is a Redis that somebody else runs.
type ExternalRedis struct {
	// SecretRef names a Secret with the key url (redis:// or rediss://) and
	// optionally ca.crt.
	// +required
	SecretRef SecretRef `json:"secretRef"`
}

// ObjectStorageSpec says where uploads are kept.
//
// +kubebuilder:validation:XValidation:rule="has(self.s3) == (self.mode == 'S3')",message="objectStorage.s3 is required with mode S3 and only allowed with it"
type ObjectStorageSpec struct {
	// Mode is Volume or S3. A Volume must be one that every product pod can mount.
	// +kubebuilder:validation:Enum=Volume;S3
	// +kubebuilder:default=Volume
	// +optional
	Mode string `json:"mode,omitempty"`
	// Storage of the Volume.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// S3 bucket.
	// +optional
	S3 *S3Spec `json:"s3,omitempty"`
}

// The modes of object storage.
const (
	ObjectStorageVolume = "Volume"
	ObjectStorageS3     = "S3"
)

// S3Spec is a bucket of an S3-compatible store.
type S3Spec struct {
	// Bucket name.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	Bucket string `json:"bucket"`
	// Endpoint of the store; empty is AWS.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Endpoint string `json:"endpoint,omitempty"`
	// Region of the bucket.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Region string `json:"region,omitempty"`
	// SecretRef names a Secret with accessKeyID and secretAccessKey. Without it
	// the pods' own identity is used.
	// +optional
	SecretRef *SecretRef `json:"secretRef,omitempty"`
}

// EventsSpec chooses the bus.
//
// +kubebuilder:validation:XValidation:rule="has(self.nats) == (self.mode == 'NATS')",message="events.nats is required with mode NATS and only allowed with it"
type EventsSpec struct {
	// Mode is Postgres or NATS.
	// +kubebuilder:validation:Enum=Postgres;NATS
	// +kubebuilder:default=Postgres
	// +optional
	Mode string `json:"mode,omitempty"`
	// NATS with JetStream.
	// +optional
	NATS *NATSSpec `json:"nats,omitempty"`
}

// The modes of the bus.
const (
	EventsPostgres = "Postgres"
	EventsNATS     = "NATS"
)

// NATSSpec is a NATS with JetStream.
type NATSSpec struct {
	// SecretRef names a Secret with the key url.
	// +required
	SecretRef SecretRef `json:"secretRef"`
}

// MigrationsSpec says how the database follows the version.
type MigrationsSpec struct {
	// Mode Job runs migrations before the services; Skip leaves them to somebody else.
	// +kubebuilder:validation:Enum=Job;Skip
	// +kubebuilder:default=Job
	// +optional
	Mode string `json:"mode,omitempty"`
	// Timeout of the migrations. Afterwards the Job has failed.
	// +kubebuilder:default="15m"
	// +optional
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// RequireBackup holds the migrations of a change until a backup younger than an
	// hour exists; the operator takes one.
	// +kubebuilder:default=false
	// +optional
	RequireBackup bool `json:"requireBackup,omitempty"`
}

// The ways to migrate.
const (
	MigrationsJob  = "Job"
	MigrationsSkip = "Skip"
)

// BackupSpec says how the database is backed up.
type BackupSpec struct {
	// Schedule in cron's format, five fields, UTC.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=64
	Schedule string `json:"schedule"`
	// Retention of backups. Default: 720h.
	// +kubebuilder:default="720h"
	// +optional
	Retention metav1.Duration `json:"retention,omitzero"`
	// Destination is where backups go; empty is the stack's object storage.
	// +optional
	Destination *S3Spec `json:"destination,omitempty"`
	// DrillSchedule of restore drills, in cron's format: the newest backup is restored
	// into a scratch database on the same server, examined, and dropped.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	DrillSchedule string `json:"drillSchedule,omitempty"`
}
