package crypto

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFileLen bounds a key file: more is not a key file.
const maxFileLen = 1 << 20

// ParseKeyring reads a key file: one id:base64 a line, the first seals; empty
// lines and lines that start with # are skipped. Errors name the line and
// never what stands in it.
func ParseKeyring(content []byte) (*Keyring, error) {
	var keys []Key
	scanner := bufio.NewScanner(bytes.NewReader(content))
	for line := 1; scanner.Scan(); line++ {
		text := strings.TrimSpace(scanner.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		id, encoded, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("%w: line %d is not id:base64", ErrInvalidKeyring, line)
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: the key is not base64", ErrInvalidKeyring, line)
		}
		keys = append(keys, Key{ID: id, Secret: secret})
	}
	if scanner.Err() != nil {
		return nil, fmt.Errorf("%w: it cannot be read: %w", ErrInvalidKeyring, scanner.Err())
	}
	return NewKeyring(keys...)
}

// LoadKeyring reads the key file at path; see ParseKeyring.
func LoadKeyring(path string) (*Keyring, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKeyring, err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxFileLen))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKeyring, err)
	}
	ring, err := ParseKeyring(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// GenerateKeyring returns the content of a key file with one fresh key of a
// random id. It returns no error today; see Seal.
func GenerateKeyring() ([]byte, error) {
	name := make([]byte, 4)
	_, _ = rand.Read(name) // never fails: the process ends instead
	key, err := GenerateKey(hex.EncodeToString(name))
	if err != nil {
		return nil, err
	}
	return []byte(key.Line() + "\n"), nil
}
