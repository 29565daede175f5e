package desired

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Labels of every object.
const (
	LabelName      = v1alpha1.LabelName
	LabelInstance  = v1alpha1.LabelInstance
	LabelComponent = v1alpha1.LabelComponent
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelVersion   = "app.kubernetes.io/version"
	// LabelPartOf of what is installed beside the operator is AppName.
	LabelPartOf = "app.kubernetes.io/part-of"
	// LabelRole of a pod is RoleAPI or RoleWorker.
	LabelRole = v1alpha1.LabelRole
	// LabelJob of a Job and its pods is JobMigrate, JobCreateAdmin, JobDemo,
	// JobRotate or JobRotateCache.
	LabelJob = v1alpha1.Group + "/job"

	// LabelTrack of objects and pods beside the stable ones is TrackCanary.
	LabelTrack = v1alpha1.LabelTrack

	// AppName is the value of LabelName.
	AppName = v1alpha1.AppName
	// ManagedBy is the value of LabelManagedBy and the name of the field manager.
	ManagedBy = "commercestack-operator"
)

// The roles of a component's pods.
const (
	RoleAPI    = v1alpha1.RoleAPI
	RoleWorker = v1alpha1.RoleWorker
	// RoleCanary serves what the gateway sends it by its routing table.
	RoleCanary = "canary"
)

// TrackCanary is the value of LabelTrack of canaries.
const TrackCanary = v1alpha1.TrackCanary

// What runs beside the components, as in LabelComponent.
const (
	NamePostgres  = "postgres"
	NameRedis     = "redis"
	NameSimulator = "stripesim"
	NameJob       = "job"
)

// The Jobs, as in LabelJob.
const (
	JobMigrate     = "migrate"
	JobCreateAdmin = "create-admin"
	JobDemo        = "demo"
	// JobRotate are the Jobs of a rotation that work on the database, JobRotateCache
	// those that work on Redis.
	JobRotate      = "rotate"
	JobRotateCache = "rotate-cache"
)

// Components are the components in the order of the API.
func Components() []v1alpha1.ComponentName {
	return []v1alpha1.ComponentName{
		v1alpha1.ComponentAuth, v1alpha1.ComponentUser, v1alpha1.ComponentProduct, v1alpha1.ComponentOrder, v1alpha1.ComponentBilling,
		v1alpha1.ComponentNotification, v1alpha1.ComponentAnalytics, v1alpha1.ComponentAdmin, v1alpha1.ComponentStorefront, v1alpha1.ComponentGateway,
	}
}

// ObjectName is the name of what a stack has under a part: a component, NamePostgres, NameRedis or NameSimulator.
func ObjectName(stack, part string) string { return stack + "-" + part }

// ComponentName is the name of a component's objects.
func ComponentName(stack string, name v1alpha1.ComponentName) string {
	return ObjectName(stack, string(name))
}

// WorkerName is the name of the objects of a component's worker pods.
func WorkerName(stack string, name v1alpha1.ComponentName) string {
	return ObjectName(stack, string(name)) + "-worker"
}

// VaultName is the name of the Secret with everything that was generated.
func VaultName(stack string) string { return ObjectName(stack, "vault") }

// RedisUsersName is the name of the Secret with Redis' users.
func RedisUsersName(stack string) string { return ObjectName(stack, NameRedis) + "-users" }

// AdminLoginName is the name of the Secret from which people learn the first administrator's login.
func AdminLoginName(stack string) string { return ObjectName(stack, "admin-login") }

// CAName is the name of the Secret of the stack's own authority.
func CAName(stack string) string { return ObjectName(stack, "ca") }

// TLSName is the name of the certificate of a part.
func TLSName(stack, part string) string { return ObjectName(stack, part) + "-tls" }

// Hash is the short hash of names by content. Every part counts, and so does
// where one ends and the next begins.
func Hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:10]
}
