package identity

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// minSecret is the shortest accepted secret in bytes: the output size of the hash.
const minSecret = 32

// maxKeyFile bounds a key file in bytes; a bigger file is not a key file.
const maxKeyFile = 64 << 10

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Key is one shared secret with a name.
type Key struct {
	// ID names the key in the header: letters, digits, "_" and "-", at most 32.
	ID string
	// Secret is at least 32 random bytes.
	Secret []byte
}

// Keys is a rotation: the first signs, all verify.
type Keys []Key

// GenerateKeys returns one fresh random key, for a process that talks to itself.
func GenerateKeys() Keys {
	secret := make([]byte, minSecret)
	name := make([]byte, 4)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	_, _ = rand.Read(name)
	return Keys{{ID: hex.EncodeToString(name), Secret: secret}}
}

// ParseKeys reads lines of "id:base64"; blank lines and lines that start with "#" are skipped.
func ParseKeys(data []byte) (Keys, error) {
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("identity keys: more than %d bytes", maxKeyFile)
	}
	var keys Keys
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxKeyFile)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, text, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("identity keys: line %d is not id:base64", number)
		}
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("identity keys: line %d is not base64", number) // the cause would quote the secret
		}
		keys = append(keys, Key{ID: strings.TrimSpace(id), Secret: secret})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("identity keys: %w", err)
	}
	return keys, keys.validate()
}

// LoadKeys reads a key file, see ParseKeys.
func LoadKeys(path string) (Keys, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity keys: %w", err)
	}
	return ParseKeys(data)
}

// Encode returns the keys in the form ParseKeys reads.
func (k Keys) Encode() []byte {
	var out bytes.Buffer
	for _, key := range k {
		fmt.Fprintf(&out, "%s:%s\n", key.ID, base64.StdEncoding.EncodeToString(key.Secret))
	}
	return out.Bytes()
}

func (k Keys) validate() error {
	if len(k) == 0 {
		return fmt.Errorf("identity keys: none given")
	}
	seen := make(map[string]bool, len(k))
	for _, key := range k {
		if !keyID.MatchString(key.ID) {
			return fmt.Errorf("identity keys: bad key id %q", key.ID)
		}
		if seen[key.ID] {
			return fmt.Errorf("identity keys: key %q given twice", key.ID)
		}
		if len(key.Secret) < minSecret {
			return fmt.Errorf("identity keys: key %q is shorter than %d bytes", key.ID, minSecret)
		}
		seen[key.ID] = true
	}
	return nil
}
