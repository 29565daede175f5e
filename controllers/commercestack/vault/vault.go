// Package vault holds what the operator generates for a stack: the only source
// of truth for passwords and keys. Secrets that rotate are kept by version, with
// the states of their rotations beside them; what is missing is added, so that a
// newer operator can want more.
//
// Nothing in this package formats a value into an error or a log line.
package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"maps"
)

// The keys of a vault, but for those of versions.
const (
	postgresPassword = "postgres.password"
	redisPassword    = "redis.password"
	identityKeys     = "identity.keys"
	encryptionKeys   = "encryption.keys"
	adminEmail       = "admin.email"
	adminPassword    = "admin.password"
	stripeKey        = "stripe.secret-key"
	stripeWebhook    = "stripe.webhook-secret"
	rotationStates   = "rotation.states"
)

// Vault is the content of the Secret.
type Vault struct{ data map[string][]byte }

// Open reads a Secret's data.
func Open(data map[string][]byte) Vault { return Vault{data: data} }

// Data is the content as the Secret's data.
func (v Vault) Data() map[string][]byte { return maps.Clone(v.data) }

// PostgresPassword is the superuser's.
func (v Vault) PostgresPassword() string { return string(v.data[postgresPassword]) }

// RedisPassword is that of Redis' default user, who administers it.
func (v Vault) RedisPassword() string { return string(v.data[redisPassword]) }

// AdminEmail is the first administrator's login.
func (v Vault) AdminEmail() string { return string(v.data[adminEmail]) }

// AdminPassword is the first administrator's.
func (v Vault) AdminPassword() string { return string(v.data[adminPassword]) }

// StripeKey is the secret key of the simulated Stripe.
func (v Vault) StripeKey() string { return string(v.data[stripeKey]) }

// StripeWebhook signs the webhooks of the simulated Stripe.
func (v Vault) StripeWebhook() string { return string(v.data[stripeWebhook]) }

func password() []byte { return token(24) }

// token is n random bytes in letters that no URL and no file needs to escape.
func token(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails: crypto/rand aborts the program instead
	return []byte(base64.RawURLEncoding.EncodeToString(raw))
}

// keyFile is a fresh file of one key, in the form that the program reads: id:base64.
func keyFile() []byte {
	name, secret := make([]byte, 4), make([]byte, 32)
	_, _ = rand.Read(name)
	_, _ = rand.Read(secret)
	return []byte(hex.EncodeToString(name) + ":" + base64.StdEncoding.EncodeToString(secret) + "\n")
}

// Equal says whether two vaults hold the same.
func (v Vault) Equal(other Vault) bool { return same(v.data, other.data) }

// same says whether two contents are equal.
func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
