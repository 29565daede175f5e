// Package vault holds what the operator generates for a stack: the only source
// of truth for passwords and keys. Values are made once and never replaced here;
// what is missing is added, so that a newer operator can want more.
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

// The keys of a vault. Those of a component's logins are made by loginKey.
const (
	postgresPassword = "postgres.password"
	redisPassword    = "redis.password"
	identityKeys     = "identity.keys"
	encryptionKeys   = "encryption.keys"
	adminEmail       = "admin.email"
	adminPassword    = "admin.password"
	stripeKey        = "stripe.secret-key"
	stripeWebhook    = "stripe.webhook-secret"
)

// Slot is one of the two logins of a component.
type Slot string

// The slots alternate when a password is rotated.
const (
	SlotA Slot = "a"
	SlotB Slot = "b"
)

// Wanted is what a stack needs.
type Wanted struct {
	// Components with a database.
	Components []string
	// AdminEmail of the first administrator. It is kept once it was written.
	AdminEmail string
	// EncryptionKeys are a key file to begin with, of a stack whose backup is
	// restored; none makes fresh ones.
	EncryptionKeys []byte
	// Simulated makes keys of a simulated Stripe.
	Simulated bool
}

// Vault is the content of the Secret.
type Vault struct{ data map[string][]byte }

// Open reads a Secret's data.
func Open(data map[string][]byte) Vault { return Vault{data: data} }

// Complete returns old with everything that is wanted and missing, and whether
// anything was.
func Complete(old map[string][]byte, wanted Wanted) (data map[string][]byte, changed bool) {
	data = maps.Clone(old)
	if data == nil {
		data = map[string][]byte{}
	}
	add := func(key string, generate func() []byte) {
		if len(data[key]) == 0 {
			data[key], changed = generate(), true
		}
	}
	for _, component := range wanted.Components {
		add(loginKey(component, SlotA), password)
		add(loginKey(component, SlotB), password)
		add(activeKey(component), func() []byte { return []byte(SlotA) })
	}
	add(postgresPassword, password)
	add(redisPassword, password)
	add(identityKeys, keyFile)
	add(encryptionKeys, func() []byte {
		if len(wanted.EncryptionKeys) > 0 {
			return bytes.Clone(wanted.EncryptionKeys)
		}
		return keyFile()
	})
	add(adminEmail, func() []byte { return []byte(wanted.AdminEmail) })
	add(adminPassword, password)
	if wanted.Simulated {
		add(stripeKey, func() []byte { return append([]byte("sk_test_"), token(24)...) })
		add(stripeWebhook, func() []byte { return append([]byte("whsec_"), token(24)...) })
	}
	return data, changed
}

// Login returns the active login of a component: which slot, and its password.
func (v Vault) Login(component string) (slot Slot, password string) {
	slot = Slot(v.data[activeKey(component)])
	return slot, string(v.data[loginKey(component, slot)])
}

// PostgresPassword is the superuser's.
func (v Vault) PostgresPassword() string { return string(v.data[postgresPassword]) }

// RedisPassword is that of Redis' default user.
func (v Vault) RedisPassword() string { return string(v.data[redisPassword]) }

// IdentityKeys is a key file by which components trust each other.
func (v Vault) IdentityKeys() []byte { return bytes.Clone(v.data[identityKeys]) }

// EncryptionKeys is a key file that seals personal data.
func (v Vault) EncryptionKeys() []byte { return bytes.Clone(v.data[encryptionKeys]) }

// AdminEmail is the first administrator's login.
func (v Vault) AdminEmail() string { return string(v.data[adminEmail]) }

// AdminPassword is the first administrator's.
func (v Vault) AdminPassword() string { return string(v.data[adminPassword]) }

// StripeKey is the secret key of the simulated Stripe.
func (v Vault) StripeKey() string { return string(v.data[stripeKey]) }

// StripeWebhook signs the webhooks of the simulated Stripe.
func (v Vault) StripeWebhook() string { return string(v.data[stripeWebhook]) }

func loginKey(component string, slot Slot) string { return "login." + component + "." + string(slot) }

func activeKey(component string) string { return "login." + component + ".active" }

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
