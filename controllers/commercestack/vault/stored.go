package vault

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/commercestack/commercestack/controllers/rotation"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/identity"
)

// passwords need no escape in an address or in a file of Redis.
var passwords = regexp.MustCompile(`^[A-Za-z0-9._~-]{20,128}$`)

// Check refuses a value of a store that the platform could not use, or that could
// not follow the version in use. The error does not quote it.
func (v Vault) Check(state rotation.State, kind rotation.Kind, value []byte) error {
	switch kind {
	case rotation.KindLogin, rotation.KindCacheLogin:
		if !passwords.Match(value) {
			return errors.New("a password has 20 to 128 of the characters A-Z a-z 0-9 . _ ~ -")
		}
	case rotation.KindIdentityKeys:
		if _, err := identity.ParseKeys(value); err != nil {
			return errors.New("it is no line of the form id:base64 with 32 bytes")
		}
		return v.checkKey(state, value)
	case rotation.KindEncryptionKeys:
		if _, err := crypto.ParseKeyring(value); err != nil {
			return errors.New("it is no line of the form id:base64 with 32 bytes")
		}
		return v.checkKey(state, value)
	case rotation.KindWebhook, rotation.KindSigningKeys:
		return fmt.Errorf("secrets of kind %s come from no store", kind)
	}
	return nil
}

// checkKey holds a key to a name of its own: what was made with the old one is
// found by its name.
func (v Vault) checkKey(state rotation.State, value []byte) error {
	if bytes.Count(bytes.TrimSpace(value), []byte("\n")) > 0 {
		return errors.New("it has several lines: the operator keeps the old key beside the new one itself")
	}
	for key, old := range v.data {
		if !strings.HasPrefix(key, prefix(state.Secret)) && !strings.HasPrefix(key, archived(state.Secret, "")) {
			continue
		}
		if bytes.Equal(name(old), name(value)) && !bytes.Equal(bytes.TrimSpace(old), bytes.TrimSpace(value)) {
			return errors.New("another key with this id is in use, or was: give the new one an id of its own")
		}
	}
	return nil
}

func name(key []byte) []byte {
	id, _, _ := bytes.Cut(bytes.TrimSpace(key), []byte(":"))
	return id
}
