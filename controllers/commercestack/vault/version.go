package vault

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/commercestack/commercestack/controllers/rotation"
)

// The names of secrets that rotate, as in status.secrets. Those of logins to
// PostgreSQL are made by LoginName.
const (
	NameRedis      = "redis"
	NameIdentity   = "identity-keys"
	NameEncryption = "encryption-keys"
	NameSigning    = "signing-keys"
	NameWebhook    = "stripe-webhook"

	loginPrefix = "postgres-"
)

// Secret is one that rotates.
type Secret struct {
	// Name as in status.secrets.
	Name string
	// Kind decides how it is replaced.
	Kind rotation.Kind
	// Offered is the value that others made, of a kind that they make.
	Offered []byte
	// Stored says that a store outside the cluster has the value: none is ever made.
	Stored bool
	// Given is the value that the store has, nil while it has none that is good.
	Given []byte
	// First is the first version's value, of a stack that begins with what another
	// one sealed; without it a fresh one is made.
	First []byte
}

// LoginName is the name of a component's login to PostgreSQL.
func LoginName(component string) string { return loginPrefix + component }

// LoginComponent is the component whose login a secret is, "" when it is none.
func LoginComponent(secret string) string {
	component, _ := strings.CutPrefix(secret, loginPrefix)
	if component == secret {
		return ""
	}
	return component
}

// OfferedID names the offered value; "" without one.
func (s Secret) OfferedID() rotation.ID {
	if len(s.Offered) == 0 {
		return ""
	}
	sum := sha256.Sum256(append([]byte("webhook\x00"), s.Offered...))
	return rotation.ID(hex.EncodeToString(sum[:5]))
}

// Key is where a version stands in the vault: login.order.3b, identity.2.
func (s Secret) Key(id rotation.ID) string { return prefix(s.Name) + string(id) }

// prefix of the keys of a secret's versions.
func prefix(secret string) string {
	switch secret {
	case NameIdentity:
		return "identity."
	case NameEncryption:
		return "encryption."
	case NameWebhook:
		return "webhook."
	case NameSigning:
		return "signing."
	case NameRedis:
		return "redis."
	default:
		return "login." + LoginComponent(secret) + "."
	}
}

// archived is where a version stands that only backups need.
func archived(secret string, id rotation.ID) string { return "archive." + prefix(secret) + string(id) }

// legacy is the value that an operator that did not rotate kept, and the role of a login.
func (v Vault) legacy(secret Secret) (value []byte, slot string) {
	switch secret.Name {
	case NameIdentity:
		return bytes.Clone(v.data[identityKeys]), ""
	case NameEncryption:
		return bytes.Clone(v.data[encryptionKeys]), ""
	}
	component := LoginComponent(secret.Name)
	slot = string(v.data[legacyActive(component)])
	if component == "" || slot == "" {
		return nil, ""
	}
	return bytes.Clone(v.data[legacyLogin(component, slot)]), slot
}

func legacyLogin(component, slot string) string { return "login." + component + "." + slot }

func legacyActive(component string) string { return legacyLogin(component, "active") }

// generate is a fresh value of a secret, nil where others make it.
func (s Secret) generate() []byte {
	if s.Stored {
		return bytes.Clone(s.Given)
	}
	switch s.Kind {
	case rotation.KindLogin, rotation.KindCacheLogin:
		return password()
	case rotation.KindIdentityKeys, rotation.KindEncryptionKeys:
		return keyFile()
	case rotation.KindWebhook, rotation.KindSigningKeys:
	}
	return nil
}

// mirror keeps the keys that an operator that did not rotate reads.
func (v Vault) mirror(state rotation.State) {
	content := state.Content()
	if len(v.Value(state, content.Use)) == 0 {
		return // it is not wanted any more, or it is missed elsewhere
	}
	switch component := LoginComponent(state.Secret); {
	case component != "":
		slot := content.Use.Slot()
		for _, other := range []string{"a", "b"} {
			delete(v.data, legacyLogin(component, other))
		}
		v.data[legacyLogin(component, slot)] = v.Value(state, content.Use)
		v.data[legacyActive(component)] = []byte(slot)
	case state.Secret == NameIdentity:
		v.data[identityKeys] = v.Keys(state, content)
	case state.Secret == NameEncryption:
		v.data[encryptionKeys] = v.Keys(state, content)
	}
}

// Value is that of a version, nil when the vault does not have it.
func (v Vault) Value(state rotation.State, id rotation.ID) []byte {
	return bytes.Clone(v.data[prefix(state.Secret)+string(id)])
}

// Keys is the key file of a content: the key in use first.
func (v Vault) Keys(state rotation.State, content rotation.Content) []byte {
	file := v.Value(state, content.Use)
	if content.Accept != "" {
		if len(file) > 0 && !bytes.HasSuffix(file, []byte("\n")) {
			file = append(file, '\n')
		}
		file = append(file, v.Value(state, content.Accept)...)
	}
	return file
}

// AllKeys is Keys with every archived key after it: what opens backups of any age.
func (v Vault) AllKeys(state rotation.State, content rotation.Content) []byte {
	file := v.Keys(state, content)
	for _, key := range slices.Sorted(maps.Keys(v.data)) {
		if strings.HasPrefix(key, archived(state.Secret, "")) {
			if len(file) > 0 && !bytes.HasSuffix(file, []byte("\n")) {
				file = append(file, '\n')
			}
			file = append(file, v.data[key]...)
		}
	}
	return file
}

// List is a list of values with commas between: the one in use first.
func (v Vault) List(state rotation.State, content rotation.Content) []byte {
	list := v.Value(state, content.Use)
	if content.Accept != "" {
		list = append(append(list, ','), v.Value(state, content.Accept)...)
	}
	return list
}

// versionID is what an id can be; it tells versions from other keys of the same prefix.
var versionID = regexp.MustCompile(`^(?:[0-9]+[ab]?|[0-9a-f]{10})$`)

// Versions are the versions of a secret that are not archived, the oldest first.
func (v Vault) Versions(state rotation.State) []rotation.ID {
	var ids []rotation.ID
	for key := range maps.Keys(v.data) {
		if id, found := strings.CutPrefix(key, prefix(state.Secret)); found && versionID.MatchString(id) {
			ids = append(ids, rotation.ID(id))
		}
	}
	slices.SortFunc(ids, func(a, b rotation.ID) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return ids
}

// With is a vault in which an effect of a rotation was carried out. A value that
// is there is never made again.
func (v Vault) With(secret Secret, effect rotation.Effect) Vault {
	changed := Vault{data: v.Data()}
	key := secret.Key(effect.Version)
	switch effect.Kind {
	case rotation.EffectGenerate:
		if value := secret.generate(); len(changed.data[key]) == 0 && len(value) > 0 {
			changed.data[key] = value
		}
	case rotation.EffectAdopt:
		// Another value may have been offered meanwhile: it is not this version.
		if len(changed.data[key]) == 0 && secret.OfferedID() == effect.Version {
			changed.data[key] = bytes.Clone(secret.Offered)
		}
	case rotation.EffectErase:
		delete(changed.data, key)
	case rotation.EffectArchive:
		if value := changed.data[key]; len(value) > 0 {
			changed.data[archived(secret.Name, effect.Version)] = value
			delete(changed.data, key)
		}
	case rotation.EffectPublish, rotation.EffectRunJob, rotation.EffectStopJob:
	}
	return changed
}
