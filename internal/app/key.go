package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/identity"
)

const (
	identityKeysName   = "identity.keys"
	encryptionKeysName = "encryption.keys"
	secretMode         = 0o600
	folderMode         = 0o700
)

// keys are the secrets that every process of one stack shares.
type keys struct {
	// signer proves the caller's identity between processes.
	signer *identity.Signer
	// ring encrypts sensitive fields at rest.
	ring *crypto.Keyring
}

// loadKeys reads both key files. They must exist: a process that made keys of
// its own could neither talk to the others nor read what they stored.
func loadKeys(identityPath, encryptionPath string) (keys, error) {
	if identityPath == "" || encryptionPath == "" {
		return keys{}, errors.New("both --identity-keys-file and --encryption-keys-file are needed: the same files for every process of the stack")
	}
	ids, err := identity.LoadKeys(identityPath)
	if err != nil {
		return keys{}, fmt.Errorf("identity keys: %w", err)
	}
	signer, err := identity.NewSigner(ids)
	if err != nil {
		return keys{}, fmt.Errorf("identity keys: %w", err)
	}
	ring, err := crypto.LoadKeyring(encryptionPath)
	if err != nil {
		return keys{}, fmt.Errorf("encryption keys: %w", err)
	}
	return keys{signer: signer, ring: ring}, nil
}

// ensureKeys creates missing key files in a folder, once: without the
// encryption key the data beside it cannot be read again.
func ensureKeys(folder string) (identityPath, encryptionPath string, err error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return "", "", err
	}
	identityPath = filepath.Join(folder, identityKeysName)
	encryptionPath = filepath.Join(folder, encryptionKeysName)
	if err := writeOnce(identityPath, func() ([]byte, error) { return identity.GenerateKeys().Encode(), nil }); err != nil {
		return "", "", err
	}
	return identityPath, encryptionPath, writeOnce(encryptionPath, crypto.GenerateKeyring)
}

// writeOnce writes a secret file unless it is there. The rename makes it whole or absent.
func writeOnce(path string, generate func() ([]byte, error)) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content, err := generate()
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, content, secretMode); err != nil {
		return err
	}
	return os.Rename(next, path)
}
