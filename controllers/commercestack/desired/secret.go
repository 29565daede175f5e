package desired

import "github.com/commercestack/commercestack/api/v1alpha1"

// The keys of Secrets, which are names of files below /etc/commerce/secrets.
const (
	KeyDatabaseURL         = "database-url"
	KeyDatabaseAdminURL    = "database-admin-url"
	KeyRedisURL            = "redis-url"
	KeyIdentityKeys        = "identity.keys"
	KeyEncryptionKeys      = "encryption.keys"
	KeyNATSURL             = "nats-url"
	KeyStripeSecretKey     = "stripe-secret-key"
	KeyStripeWebhookSecret = "stripe-webhook-secret"
	KeySendGridAPIKey      = "sendgrid-api-key"
	KeySMTPUsername        = "smtp-username"
	KeySMTPPassword        = "smtp-password"
	KeyAWSCredentials      = "aws-credentials" // an AWS shared credentials file with the profile default
	KeyAdminPassword       = "admin-password"
	KeyPassword            = "password"
	KeyUsername            = "username"
	// KeyRedisConfig is a fragment of redis.conf with the line requirepass.
	KeyRedisConfig = "redis.conf"
	// KeyPostgresCA is there when an External PostgreSQL has its own authority; its
	// file is PostgresCAFile. It is optional in every Secret with a database URL.
	KeyPostgresCA = "postgres-ca.crt"
)

// Where pods find their files.
const (
	SecretsFolder = "/etc/commerce/secrets"
	TLSFolder     = "/etc/commerce/tls"
	// CAFile is the stack's own authority, for sslrootcert of a server it runs.
	CAFile = TLSFolder + "/ca.crt"
	// PostgresCAFile is the authority of an External PostgreSQL that has its own.
	PostgresCAFile = SecretsFolder + "/" + KeyPostgresCA
)

// DatabaseURLKey is the key of a component's login in the Secret of the migration Job.
func DatabaseURLKey(name v1alpha1.ComponentName) string { return KeyDatabaseURL + "-" + string(name) }

// SecretKeys are the keys that the Secret of a component must have, sorted.
func SecretKeys(in Input, name v1alpha1.ComponentName) []string { return nil }

// MigrateSecretKeys are the keys of Secrets.Migrate, sorted.
func MigrateSecretKeys(in Input) []string { return nil }

// CreateAdminSecretKeys are the keys of Secrets.CreateAdmin, sorted.
func CreateAdminSecretKeys(in Input) []string { return nil }

// DemoSecretKeys are the keys of Secrets.Demo, sorted.
func DemoSecretKeys(in Input) []string { return nil }

// SimulatorSecretKeys are the keys of Secrets.Simulator, sorted.
func SimulatorSecretKeys(in Input) []string { return nil }
