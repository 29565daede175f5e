package desired

import (
	"slices"
	"strings"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// The keys of Secrets, which are names of files below SecretsFolder.
const (
	KeyDatabaseURL         = "database-url"
	KeyDatabaseAdminURL    = "database-admin-url"
	KeyRedisURL            = "redis-url"
	KeyRedisAdminURL       = "redis-admin-url"
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
	// KeyRedisUsers is an ACL file of Redis.
	KeyRedisUsers = "users.acl"
	// KeyPostgresCA is there when an External PostgreSQL has its own authority; its
	// file is PostgresCAFile. It is optional in every Secret with a database URL.
	KeyPostgresCA = "postgres-ca.crt"
	// KeyRedisCA is the same of an External Redis, beside KeyRedisURL; its file is RedisCAFile.
	KeyRedisCA = "redis-ca.crt"
)

// Where pods find their files.
const (
	SecretsFolder = "/etc/commerce/secrets"
	TLSFolder     = "/etc/commerce/tls"
	// CAFile is the stack's own authority, for sslrootcert of a server it runs.
	CAFile = TLSFolder + "/ca.crt"
	// PostgresCAFile is the authority of an External PostgreSQL that has its own.
	PostgresCAFile = SecretsFolder + "/" + KeyPostgresCA
	// RedisCAFile is the authority of an External Redis that has its own.
	RedisCAFile = SecretsFolder + "/" + KeyRedisCA
)

// secretFile is a variable that names the file of a secret.
type secretFile struct{ env, key string }

// DatabaseURLKey is the key of a component's login in the Secrets of the Jobs.
func DatabaseURLKey(name v1alpha1.ComponentName) string { return KeyDatabaseURL + "-" + string(name) }

// databaseVariable names the file of a component's login.
func databaseVariable(name v1alpha1.ComponentName) string {
	return "COMMERCE_" + strings.ToUpper(string(name)) + "_DATABASE_URL_FILE"
}

var keyFiles = []secretFile{
	{"COMMERCE_IDENTITY_KEYS_FILE", KeyIdentityKeys},
	{"COMMERCE_ENCRYPTION_KEYS_FILE", KeyEncryptionKeys},
}

var stripeFiles = []secretFile{
	{"STRIPE_SECRET_KEY_FILE", KeyStripeSecretKey},
	{"STRIPE_WEBHOOK_SECRET_FILE", KeyStripeWebhookSecret},
}

// componentFiles are the secrets of a component, and of nobody else.
func componentFiles(in Input, name v1alpha1.ComponentName) []secretFile {
	files := append([]secretFile{{"COMMERCE_REDIS_URL_FILE", KeyRedisURL}}, keyFiles...)
	if HasData(name) {
		files = append(files, secretFile{databaseVariable(name), KeyDatabaseURL})
		if in.Stack.Spec.Events.Mode == v1alpha1.EventsNATS {
			files = append(files, secretFile{"COMMERCE_NATS_URL_FILE", KeyNATSURL})
		}
	}
	given := integrations(in)
	switch name {
	case v1alpha1.ComponentBilling:
		files = append(files, stripeFiles...)
	case v1alpha1.ComponentNotification:
		if given.SendGrid != nil {
			files = append(files, secretFile{"SENDGRID_API_KEY_FILE", KeySendGridAPIKey})
		}
		if given.SMTP != nil && given.SMTP.SecretRef != nil {
			files = append(files, secretFile{"COMMERCE_NOTIFICATION_SMTP_USERNAME_FILE", KeySMTPUsername},
				secretFile{"COMMERCE_NOTIFICATION_SMTP_PASSWORD_FILE", KeySMTPPassword})
		}
	case v1alpha1.ComponentProduct:
		if s3 := in.Stack.Spec.ObjectStorage.S3; s3 != nil && s3.SecretRef != nil {
			files = append(files, secretFile{"AWS_SHARED_CREDENTIALS_FILE", KeyAWSCredentials})
		}
	case v1alpha1.ComponentAuth, v1alpha1.ComponentUser, v1alpha1.ComponentOrder, v1alpha1.ComponentAnalytics,
		v1alpha1.ComponentAdmin, v1alpha1.ComponentStorefront, v1alpha1.ComponentGateway:
	}
	return files
}

func migrateFiles() []secretFile {
	files := []secretFile{{"COMMERCE_DATABASE_ADMIN_URL_FILE", KeyDatabaseAdminURL}}
	for _, name := range DataComponents() {
		files = append(files, secretFile{databaseVariable(name), DatabaseURLKey(name)})
	}
	return files
}

func createAdminFiles() []secretFile {
	return append([]secretFile{
		{databaseVariable(v1alpha1.ComponentAuth), DatabaseURLKey(v1alpha1.ComponentAuth)},
		{"COMMERCE_ADMIN_PASSWORD_FILE", KeyAdminPassword},
	}, keyFiles...)
}

func demoFiles() []secretFile {
	return []secretFile{{"COMMERCE_ADMIN_PASSWORD_FILE", KeyAdminPassword}}
}

func simulatorFiles() []secretFile {
	return append([]secretFile{{"COMMERCE_DATABASE_ADMIN_URL_FILE", KeyDatabaseAdminURL}}, stripeFiles...)
}

// SecretKeys are the keys that the Secret of a component must have, sorted. It
// may have KeyPostgresCA and KeyRedisCA besides.
func SecretKeys(in Input, name v1alpha1.ComponentName) []string {
	return keysOf(componentFiles(in, name))
}

// MigrateSecretKeys are the keys of Secrets.Migrate, sorted.
func MigrateSecretKeys(_ Input) []string { return keysOf(migrateFiles()) }

// CreateAdminSecretKeys are the keys of Secrets.CreateAdmin, sorted.
func CreateAdminSecretKeys(_ Input) []string { return keysOf(createAdminFiles()) }

// DemoSecretKeys are the keys of Secrets.Demo, sorted.
func DemoSecretKeys(_ Input) []string { return keysOf(demoFiles()) }

// SimulatorSecretKeys are the keys of Secrets.Simulator, sorted.
func SimulatorSecretKeys(_ Input) []string { return keysOf(simulatorFiles()) }

func keysOf(files []secretFile) []string {
	var keys []string
	for _, file := range files {
		keys = append(keys, file.key)
	}
	slices.Sort(keys)
	return keys
}
