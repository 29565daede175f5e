package desired

import (
	"github.com/commercestack/commercestack/api/v1alpha1"
)

// CurrentRenderRevision is the newest shape of pod templates that this package knows.
//
//   - 1: the first one.
//   - 2: Redis reads a file of users, so that its login can be rotated, and the
//     gateway a routing table, by which a canary gets its share.
//   - 3: PostgreSQL and Redis are restarted only when they have not answered for
//     minutes. Pools of connections leave room for a canary.
//   - 4: Pods that keep nothing leave a lost node after half a minute, and keep off
//     each other's nodes also where nodes name no zone. PostgreSQL takes no writes
//     while its volume is nearly full, and waits for room to start.
const CurrentRenderRevision int32 = 4

const (
	// usersRevision is the first shape of pods whose Redis has users.
	usersRevision int32 = 2
	// renderRoutes is the first shape of pods whose gateway reads a routing table.
	renderRoutes int32 = 2
	// canariesRevision is the first shape of pods whose pools leave room for a canary.
	canariesRevision int32 = 3
	// patientRevision is the first shape of pods whose servers may be slow for minutes.
	patientRevision int32 = 3
	// mobileRevision is the first shape of pods that leave a lost node early.
	mobileRevision int32 = 4
	// guardedRevision is the first shape of pods whose PostgreSQL keeps some of its volume free.
	guardedRevision int32 = 4
)

// Input is all that decides what is desired.
type Input struct {
	// Stack with the defaults of the schema applied.
	Stack *v1alpha1.CommerceStack
	// Images the operator was installed with.
	Images Images
	// RenderRevision of the pod templates, 1 to CurrentRenderRevision.
	RenderRevision int32
	// PostgresMode is the mode that was chosen at creation, never empty.
	PostgresMode v1alpha1.DataMode
	// Secrets are the names of generated Secrets.
	Secrets Secrets
	// AdminEmail is the login of the first administrator.
	AdminEmail string
	// RedisCertificate changes whenever the certificate in S-redis-tls does. Redis
	// reads it at start only, so a new value restarts it.
	RedisCertificate string
	// SigningKeyRequest asks auth for a new key of tokens; empty asks for none.
	SigningKeyRequest string
	// MigrationTarget names an External database, so that another one is migrated too.
	MigrationTarget string
	// External are the ports of servers that somebody else runs.
	External ExternalPorts
	// Capabilities are the kinds of others that the cluster has.
	Capabilities Capabilities
	// Current is the stack as it is now, nil for Stack. Where Stack is that of an
	// older revision, numbers of pods and the way to the gateway come from Current.
	// What pods are told about either is part of their template, and so of Stack.
	Current *v1alpha1.CommerceStack
	// PrometheusURL is the address of a Prometheus that scrapes the stack, empty without.
	PrometheusURL string
	// FreezeScaleDown keeps autoscalers from taking pods away.
	FreezeScaleDown bool
	// OperatorNamespace is where the operator runs, which reads the metrics of
	// gateways; empty where nobody knows.
	OperatorNamespace string
}

// current is the input of the stack as it is now.
func (in Input) current() Input {
	if in.Current != nil {
		in.Stack = in.Current
	}
	return in
}

// Images are full references, but for the platform's.
type Images struct {
	// Platform is the repository of the platform's image, without a tag.
	Platform string
	// Postgres is the image of the server.
	Postgres string
	// Redis is the image of the server.
	Redis string
}

// Secrets are names of Secrets in the stack's namespace. All are immutable and
// named by their content. Their keys are told by SecretKeys and its like.
type Secrets struct {
	// Components has the Secret of each component.
	Components map[v1alpha1.ComponentName]string
	// Migrate is read by the migration Job: MigrateSecretKeys.
	Migrate string
	// CreateAdmin is read by the Job that makes the first administrator: CreateAdminSecretKeys.
	CreateAdmin string
	// Demo is read by the Job that loads the demo catalog: DemoSecretKeys.
	Demo string
	// Backup is read by the Jobs that back up and by those that exercise restores: BackupSecretKeys.
	Backup string
	// Restore is read by the Job that restores: BackupSecretKeys.
	Restore string
	// Simulator is read by the Stripe simulator: SimulatorSecretKeys.
	Simulator string
	// Postgres is read by the StatefulSet of PostgreSQL: KeyPassword. The server
	// uses it when it creates its data folder and never again. For a Managed
	// cluster it is a kubernetes.io/basic-auth Secret of the user postgres.
	Postgres string
	// Redis is read by Redis: KeyRedisConfig, or where RedisUsers holds KeyRedisUsers
	// of a Secret that is replaced in place.
	Redis string
}

// ExternalPorts are ports that network policies leave open. Zero is the usual port.
type ExternalPorts struct {
	Postgres, Redis, NATS int32
}

// Capabilities are the kinds of others that the cluster has.
type Capabilities struct {
	ServiceMonitor, HTTPRoute, CertManager, CloudNativePG, KEDA, ExternalSecrets bool
	// QueueMetrics holds where the external metrics API is served by our adapter.
	QueueMetrics bool
}
