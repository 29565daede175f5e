package commercestack

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// value is what stands under a key of the Secret of a part.
func (v *visit) value(key, part string) ([]byte, error) {
	if component, ok := strings.CutPrefix(key, desired.KeyDatabaseURL+"-"); ok {
		return v.databaseURL(component)
	}
	spec := &v.stack.Spec
	switch key {
	case desired.KeyDatabaseURL:
		return v.databaseURL(part)
	case desired.KeyDatabaseAdminURL:
		return v.databaseAdminURL()
	case desired.KeyRedisURL:
		return v.redisURL()
	case desired.KeyRedisAdminURL:
		return v.redisLogin("default", v.vault.RedisPassword()), nil
	case desired.KeyRedisConfig:
		return []byte("requirepass " + v.vault.RedisPassword() + "\n"), nil
	case desired.KeyIdentityKeys:
		return v.vault.Keys(v.state(vault.NameIdentity), v.content(vault.NameIdentity)), nil
	case desired.KeyEncryptionKeys:
		if part == desired.JobBackup || part == desired.JobRestore {
			return v.encryptionKeys(), nil
		}
		return v.vault.Keys(v.state(vault.NameEncryption), v.content(vault.NameEncryption)), nil
	case desired.KeyAdminPassword:
		return []byte(v.vault.AdminPassword()), nil
	case desired.KeyPassword:
		return []byte(v.vault.PostgresPassword()), nil
	case desired.KeyUsername:
		return []byte(postgresUser), nil
	case desired.KeyStripeSecretKey, desired.KeyStripeWebhookSecret:
		return v.stripe(key), nil
	case desired.KeyNATSURL:
		return v.referenced(externalNATS(spec), refURL), nil
	case desired.KeyAWSCredentials:
		return v.awsCredentials(v.stack.Spec.ObjectStorage.S3), nil
	case desired.KeyBackupCredentials:
		if part == desired.JobRestore {
			return v.awsCredentials(desired.RestoreStore(spec)), nil
		}
		return v.awsCredentials(desired.BackupStore(spec)), nil
	case desired.KeySendGridAPIKey:
		return v.referenced(&spec.Integrations.SendGrid.SecretRef, refAPIKey), nil
	case desired.KeySMTPUsername:
		return v.referenced(spec.Integrations.SMTP.SecretRef, refUsername), nil
	case desired.KeySMTPPassword:
		return v.referenced(spec.Integrations.SMTP.SecretRef, refPassword), nil
	}
	return nil, fmt.Errorf("nothing is known to write under the key %s", key)
}

// encryptionKeys open a backup of any age: those in use, and those that were archived.
func (v *visit) encryptionKeys() []byte {
	return v.vault.AllKeys(v.state(vault.NameEncryption), v.content(vault.NameEncryption))
}

// postgresUser is the superuser of a server that the stack runs.
const postgresUser = "postgres"

// referenced is a value of a Secret that the spec names, without the line break
// that editors leave behind.
func (v *visit) referenced(ref *v1alpha1.SecretRef, key string) []byte {
	if ref == nil {
		return nil
	}
	return []byte(strings.TrimSpace(string(v.references[ref.Name][key])))
}

func (v *visit) stripe(key string) []byte {
	simulated := desired.Simulated(v.in)
	switch {
	case simulated && key == desired.KeyStripeSecretKey:
		return []byte(v.vault.StripeKey())
	case simulated:
		return []byte(v.vault.StripeWebhook())
	case key == desired.KeyStripeSecretKey:
		return v.referenced(&v.stack.Spec.Integrations.Stripe.SecretRef, refSecretKey)
	default:
		return v.vault.List(v.state(vault.NameWebhook), v.content(vault.NameWebhook))
	}
}

// databaseURL is the login that a component uses.
func (v *visit) databaseURL(component string) ([]byte, error) {
	secret := vault.LoginName(component)
	version := v.content(secret).Use
	password := v.vault.Value(v.state(secret), version)
	if len(password) == 0 {
		return nil, fmt.Errorf("the vault has no login of %s", component)
	}
	return v.postgresURL(url.UserPassword(databaseRole(component, version), string(password)))
}

// databaseRole is the role of a version of a component's login.
func databaseRole(component string, version rotation.ID) string {
	return "commerce_" + component + "_" + version.Slot()
}

func (v *visit) databaseAdminURL() ([]byte, error) {
	if v.in.PostgresMode == v1alpha1.DataExternal {
		return v.postgresURL(nil)
	}
	return v.postgresURL(url.UserPassword(postgresUser, v.vault.PostgresPassword()))
}

// postgresURL is the address of the server for a login; nil is the one that an
// External server's Secret has.
func (v *visit) postgresURL(login *url.Userinfo) ([]byte, error) {
	query := url.Values{}
	address := &url.URL{
		Scheme: "postgres", Host: net.JoinHostPort(desired.PostgresHost(v.in), fmt.Sprint(desired.PortPostgres)), Path: "/" + desired.Database,
	}
	mode, ca := "verify-full", desired.CAFile
	if external := v.stack.Spec.Postgres.External; v.in.PostgresMode == v1alpha1.DataExternal {
		parsed, err := url.Parse(string(v.referenced(&external.SecretRef, refURL)))
		if err != nil {
			return nil, fmt.Errorf("the address of the external PostgreSQL is not a URL") // the cause would quote the password
		}
		address, query, mode, ca = parsed, parsed.Query(), external.SSLMode, ""
		if len(v.postgresCA()) > 0 {
			ca = desired.PostgresCAFile
		}
	}
	if login != nil {
		address.User = login
	}
	query.Set("sslmode", mode)
	if ca != "" {
		query.Set("sslrootcert", ca)
	}
	address.RawQuery = query.Encode()
	return []byte(address.String()), nil
}

// postgresCA is the own authority of an External server.
func (v *visit) postgresCA() []byte {
	if ref := externalPostgres(&v.stack.Spec); ref != nil {
		return v.references[ref.Name][refCA]
	}
	return nil
}

// redisURL is the login that components use: the server's only one in the first
// revision of pod templates.
func (v *visit) redisURL() ([]byte, error) {
	if ref := externalRedis(&v.stack.Spec); ref != nil {
		return v.externalRedisURL(ref)
	}
	if !desired.RedisUsers(v.in) {
		return v.redisLogin("default", v.vault.RedisPassword()), nil
	}
	version := v.content(vault.NameRedis).Use
	password := v.vault.Value(v.state(vault.NameRedis), version)
	if len(password) == 0 {
		return nil, fmt.Errorf("the vault has no login to Redis")
	}
	return v.redisLogin(desired.RedisUser(version.Slot()), string(password)), nil
}

// redisAuthorities in the address of Redis says what is trusted: a file, or "system".
const redisAuthorities = "ssl_ca_certs"

// externalRedisURL is the address of somebody else's server. Over TLS it says
// whom to trust: the authority in the Secret, or without one the system's.
func (v *visit) externalRedisURL(ref *v1alpha1.SecretRef) ([]byte, error) {
	address, err := url.Parse(string(v.referenced(ref, refURL)))
	if err != nil {
		return nil, fmt.Errorf("the address of the external Redis is not a URL") // the cause would quote the password
	}
	query := address.Query()
	if address.Scheme != "rediss" || query.Has(redisAuthorities) {
		return v.referenced(ref, refURL), nil
	}
	query.Set(redisAuthorities, "system")
	if len(v.redisCA()) > 0 {
		query.Set(redisAuthorities, desired.RedisCAFile)
	}
	address.RawQuery = query.Encode()
	return []byte(address.String()), nil
}

// redisCA is the own authority of an External server.
func (v *visit) redisCA() []byte {
	if ref := externalRedis(&v.stack.Spec); ref != nil {
		return v.references[ref.Name][refCA]
	}
	return nil
}

func (v *visit) redisLogin(user, password string) []byte {
	address := url.URL{
		Scheme: "rediss", User: url.UserPassword(user, password),
		Host: net.JoinHostPort(desired.RedisHost(v.in), fmt.Sprint(desired.PortRedis)), Path: "/0",
	}
	return []byte(address.String())
}

// migrationTarget names an External database without its login.
func (v *visit) migrationTarget() string {
	external := externalPostgres(&v.stack.Spec)
	if external == nil {
		return ""
	}
	parsed, err := url.Parse(string(v.referenced(external, refURL)))
	if err != nil {
		return ""
	}
	return parsed.Host + parsed.Path
}

// awsCredentials is a file that AWS' libraries read.
func (v *visit) awsCredentials(store *v1alpha1.S3Spec) []byte {
	ref := store.SecretRef
	return fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
		v.referenced(ref, refAccessKey), v.referenced(ref, refSecretAccess))
}
