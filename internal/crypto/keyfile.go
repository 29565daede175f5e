package crypto

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFileLen bounds a key file: more is not a key file.
const maxFileLen = 1 << 20

// ParseKeyring reads a key file: one id:base64 a line, the first seals; empty
// lines and lines that start with # are skipped. Errors name the line and
// never what stands in it.
func ParseKeyring(r io.Reader) (*Keyring, error) {
	var keys []Key
	scanner := bufio.NewScanner(io.LimitReader(r, maxFileLen))
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

// LoadKeyring reads the key file at path; see ParseKeyring. It refuses a file
// that others than its owner and group may read.
func LoadKeyring(path string) (*Keyring, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKeyring, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidKeyring, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%w: everybody may read %s (mode %s); make it 0600", ErrInvalidKeyring, path, info.Mode().Perm())
	}
	ring, err := ParseKeyring(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// LoadOrCreateKeyring reads the key file at path, and makes one with a fresh
// key first when there is none. Two processes that start together end with the
// same file.
func LoadOrCreateKeyring(path, id string) (*Keyring, error) {
	key, err := GenerateKey(id)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := createFile(path, key.Line()+"\n"); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("%w: %w", ErrInvalidKeyring, err)
		}
	}
	return LoadKeyring(path)
}

// createFile lets the file appear whole or not at all: half a key file would
// lock its owner out of the data.
func createFile(path, text string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".keyring-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.WriteString(text)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Link(temporary.Name(), path) // fails when another was first
}
