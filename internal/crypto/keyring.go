// Package crypto encrypts sensitive fields at rest (AES-256-GCM) and makes and
// hashes the random tokens that people hold: refresh tokens, reset links,
// guest tokens.
//
// A keyring has several keys. The first encrypts, all decrypt, so a key can be
// rotated: add the new one first, reseal what NeedsReseal names, drop the old.
package crypto

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

const (
	// keySize is that of AES-256, in bytes.
	keySize = 32
	// format is the first byte of every sealed value.
	format = 1
	// maxKeyFile bounds a key file in bytes; a bigger file is not a key file.
	maxKeyFile = 64 << 10
)

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// ErrUnknownKey says that a value was sealed with a key that the ring does not hold.
var ErrUnknownKey = errors.New("crypto: sealed with a key that is not in the keyring")

// ErrCorrupt says that a value is not what was sealed, or was sealed for something else.
var ErrCorrupt = errors.New("crypto: the sealed value is damaged or belongs to another record")

// Keyring holds the keys of fields. It is safe for concurrent use.
type Keyring struct {
	primary string
	ciphers map[string]cipher.AEAD
}

// Key is one AES-256 key with a name.
type Key struct {
	// ID names the key in sealed values: letters, digits, "_" and "-", at most 32.
	ID string
	// Secret is 32 random bytes.
	Secret []byte
}

// NewKeyring returns a ring whose first key encrypts.
func NewKeyring(keys ...Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("crypto: the keyring is empty")
	}
	ring := &Keyring{primary: keys[0].ID, ciphers: make(map[string]cipher.AEAD, len(keys))}
	for _, key := range keys {
		if !keyID.MatchString(key.ID) {
			return nil, errors.New("crypto: a key id is not 1 to 32 letters, digits, _ or -")
		}
		if _, ok := ring.ciphers[key.ID]; ok {
			return nil, fmt.Errorf("crypto: two keys are called %s", key.ID)
		}
		if len(key.Secret) != keySize {
			return nil, fmt.Errorf("crypto: key %s has %d bytes, not %d", key.ID, len(key.Secret), keySize)
		}
		block, err := aes.NewCipher(key.Secret)
		if err != nil {
			return nil, err
		}
		if ring.ciphers[key.ID], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// ParseKeyring reads lines of "id:base64"; blank lines and lines that start with "#" are skipped.
func ParseKeyring(content []byte) (*Keyring, error) {
	if len(content) > maxKeyFile {
		return nil, fmt.Errorf("crypto: a key file has at most %d bytes", maxKeyFile)
	}
	var keys []Key
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, maxKeyFile)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, text, _ := strings.Cut(line, ":")
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("crypto: line %d of the key file is not id:base64", number)
		}
		keys = append(keys, Key{ID: strings.TrimSpace(id), Secret: secret})
	}
	return NewKeyring(keys...)
}

// LoadKeyring reads a key file; see ParseKeyring.
func LoadKeyring(path string) (*Keyring, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseKeyring(content)
}

// GenerateKeyring returns the content of a key file with one fresh key.
func GenerateKeyring() ([]byte, error) {
	secret := make([]byte, keySize)
	name := make([]byte, 4)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	_, _ = rand.Read(name)
	return []byte(hex.EncodeToString(name) + ":" + base64.StdEncoding.EncodeToString(secret) + "\n"), nil
}

// Seal encrypts plaintext with the primary key. associated names what the value
// belongs to (table, column, row id), so that it cannot be moved to another
// row; it is not stored, and Open needs the same.
func (k *Keyring) Seal(plaintext, associated []byte) ([]byte, error) {
	aead := k.ciphers[k.primary]
	sealed := make([]byte, 0, 2+len(k.primary)+aead.NonceSize()+len(plaintext)+aead.Overhead())
	sealed = append(sealed, format, byte(len(k.primary)))
	sealed = append(sealed, k.primary...)
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	sealed = append(sealed, nonce...)
	return aead.Seal(sealed, nonce, plaintext, associated), nil
}

// Open decrypts what Seal returned. It fails with ErrUnknownKey or ErrCorrupt.
func (k *Keyring) Open(sealed, associated []byte) ([]byte, error) {
	id, rest, err := split(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := k.ciphers[id]
	if !ok {
		return nil, ErrUnknownKey
	}
	if len(rest) < aead.NonceSize() {
		return nil, ErrCorrupt
	}
	plaintext, err := aead.Open(nil, rest[:aead.NonceSize()], rest[aead.NonceSize():], associated)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plaintext, nil
}

// NeedsReseal reports whether a value was sealed with another key than the primary one.
func (k *Keyring) NeedsReseal(sealed []byte) bool {
	id, _, err := split(sealed)
	return err != nil || id != k.primary
}

// split reads the key id off a sealed value.
func split(sealed []byte) (id string, rest []byte, err error) {
	if len(sealed) < 2 || sealed[0] != format || len(sealed) < 2+int(sealed[1]) {
		return "", nil, ErrCorrupt
	}
	end := 2 + int(sealed[1])
	return string(sealed[2:end]), sealed[end:], nil
}
