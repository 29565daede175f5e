package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	version   = 1
	maxIDLen  = 64
	nonceSize = 12
	headerLen = 2
)

// Errors of sealing and opening, to be tested with errors.Is.
var (
	// ErrUnknownKey tells that a field was sealed with a key that the keyring
	// does not have: it was dropped too early, or belongs to another
	// installation. The error is an *UnknownKeyError.
	ErrUnknownKey = errors.New("crypto: the key is not in the keyring")
	// ErrCorrupt tells that the bytes are not a sealed field, were changed, or
	// were sealed for another place.
	ErrCorrupt = errors.New("crypto: the sealed value is damaged or belongs elsewhere")
	// ErrInvalidKeyring tells that a keyring or its file cannot be used.
	ErrInvalidKeyring = errors.New("crypto: invalid keyring")
)

// UnknownKeyError is ErrUnknownKey with the id of the missing key.
type UnknownKeyError struct {
	// ID is the id of the missing key.
	ID string
}

// Error implements error.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("crypto: key %q is not in the keyring", e.ID)
}

// Is makes errors.Is(err, ErrUnknownKey) hold.
func (e *UnknownKeyError) Is(target error) bool { return target == ErrUnknownKey }

// Key is one secret with the id by which sealed fields name it.
type Key struct {
	// ID is 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.'.
	ID string
	// Secret has KeySize bytes.
	Secret []byte
}

// GenerateKey returns a key of random bytes, or an error for an invalid id.
func GenerateKey(id string) (Key, error) {
	if err := validateID(id); err != nil {
		return Key{}, err
	}
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails: the process ends instead
	return Key{ID: id, Secret: secret}, nil
}

// Line returns the key as a line of a key file, without the newline.
func (k Key) Line() string {
	return k.ID + ":" + base64.StdEncoding.EncodeToString(k.Secret)
}

// String hides the secret from logs.
func (k Key) String() string { return "key " + k.ID }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return k.String() }

// Keyring seals with its first key and opens with all. It is safe for
// concurrent use.
type Keyring struct {
	primary string
	ciphers map[string]cipher.AEAD
	tokens  [][]byte          // keys of TokenFor, the first key's first
	streams map[string][]byte // keys from which SealStream derives
}

// NewKeyring makes a keyring of one or more keys, the first of which seals.
// It returns ErrInvalidKeyring for no keys, bad ids, ids given twice and
// secrets that do not have KeySize bytes.
func NewKeyring(keys ...Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: it has no key", ErrInvalidKeyring)
	}
	ring := &Keyring{
		primary: keys[0].ID, ciphers: make(map[string]cipher.AEAD, len(keys)), streams: make(map[string][]byte, len(keys)),
	}
	for _, key := range keys {
		if err := validateID(key.ID); err != nil {
			return nil, err
		}
		if _, twice := ring.ciphers[key.ID]; twice {
			return nil, fmt.Errorf("%w: id %q is there twice", ErrInvalidKeyring, key.ID)
		}
		if len(key.Secret) != KeySize {
			return nil, fmt.Errorf("%w: key %q has %d bytes, not %d", ErrInvalidKeyring, key.ID, len(key.Secret), KeySize)
		}
		ring.tokens = append(ring.tokens, tokenKey(key.Secret))
		block, err := aes.NewCipher(key.Secret)
		if err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrInvalidKeyring, key.ID, err)
		}
		ring.streams[key.ID] = bytes.Clone(key.Secret)
		if ring.ciphers[key.ID], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrInvalidKeyring, key.ID, err)
		}
	}
	return ring, nil
}

func validateID(id string) error {
	if id == "" || len(id) > maxIDLen {
		return fmt.Errorf("%w: a key id has 1 to %d characters", ErrInvalidKeyring, maxIDLen)
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("%w: a key id has letters, digits, '-', '_' and '.' only", ErrInvalidKeyring)
		}
	}
	return nil
}

// Seal encrypts a field for one place: Open needs the same associated data.
// The same plaintext gives other bytes each time. Seal returns no error today;
// the signature leaves room for keys that live elsewhere.
func (r *Keyring) Seal(plaintext, associatedData []byte) ([]byte, error) {
	header := append([]byte{version, byte(len(r.primary))}, r.primary...)
	sealed := make([]byte, len(header)+nonceSize, len(header)+nonceSize+len(plaintext)+16)
	copy(sealed, header)
	nonce := sealed[len(header):]
	_, _ = rand.Read(nonce) // never fails: the process ends instead
	return r.ciphers[r.primary].Seal(sealed, nonce, plaintext, bind(header, associatedData)), nil
}

// Open decrypts what Seal made. It returns ErrCorrupt, or
// ErrUnknownKey.
func (r *Keyring) Open(sealed, associatedData []byte) ([]byte, error) {
	id, header, rest, err := split(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := r.ciphers[id]
	if !ok {
		return nil, &UnknownKeyError{ID: id}
	}
	plaintext, err := aead.Open(nil, rest[:nonceSize], rest[nonceSize:], bind(header, associatedData))
	if err != nil {
		return nil, ErrCorrupt
	}
	return plaintext, nil
}

// NeedsReseal tells whether a field should be opened and sealed again: it was
// not sealed with the first key. Bytes that are no sealed field need it too,
// and fail when opened.
func (r *Keyring) NeedsReseal(sealed []byte) bool {
	id, _, _, err := split(sealed)
	return err != nil || id != r.primary
}

// Primary returns the id of the key that seals.
func (r *Keyring) Primary() string { return r.primary }

func split(sealed []byte) (id string, header, rest []byte, err error) {
	if len(sealed) < headerLen || sealed[0] != version {
		return "", nil, nil, ErrCorrupt
	}
	end := headerLen + int(sealed[1])
	if sealed[1] == 0 || int(sealed[1]) > maxIDLen || len(sealed) < end+nonceSize+16 {
		return "", nil, nil, ErrCorrupt
	}
	id = string(sealed[headerLen:end])
	if validateID(id) != nil {
		return "", nil, nil, ErrCorrupt
	}
	return id, sealed[:end], sealed[end:], nil
}

// bind authenticates the header together with the caller's data. The header
// tells its own length, so the two cannot be shifted against each other.
func bind(header, associatedData []byte) []byte {
	return bytes.Join([][]byte{header, associatedData}, nil)
}
