package backup

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrNotFound tells that there is no complete backup of that id, or none at all.
	ErrNotFound = errors.New("backup: there is no such backup")
	// ErrInvalid tells that a manifest is not one, or contradicts itself.
	ErrInvalid = errors.New("backup: the manifest is damaged")
	// ErrDamaged tells that the stored dump is not what the manifest says.
	ErrDamaged = errors.New("backup: the dump is damaged")
	// ErrNotEmpty tells that a database to restore into has a shop in it.
	ErrNotEmpty = errors.New("backup: the database is not empty")
	// ErrNewer tells that a backup has migrations that this program does not know.
	ErrNewer = errors.New("backup: the backup is of a newer version")
)

// Format of manifests that this package writes.
const Format = 1

// Latest names the newest backup.
const Latest = "latest"

// maxManifest bounds a manifest: more is not one.
const maxManifest = 1 << 20

// idTime is the time in an id. Its letters are such that ids sort by time.
const idTime = "20060102t150405z"

var validID = regexp.MustCompile(`^[0-9]{8}t[0-9]{6}z-[0-9a-f]{8}$`)

// Head is what is known before the dump is stored, and authenticated with it.
type Head struct {
	// ID of the backup.
	ID string `json:"id"`
	// SnapshotTime is a moment just before the snapshot: what was committed by then is in it.
	SnapshotTime time.Time `json:"snapshotTime"`
	// Server is the version of PostgreSQL.
	Server string `json:"server"`
	// Schemas that are in the dump.
	Schemas []string `json:"schemas"`
	// Migrations are the newest applied versions, by schema and set, such as order/platform.
	Migrations map[string]int64 `json:"migrations"`
}

// NewHead begins a backup of a snapshot.
func NewHead(snapshot time.Time) Head {
	tail := make([]byte, 4)
	_, _ = rand.Read(tail) // never fails: the process ends instead
	snapshot = snapshot.UTC().Truncate(time.Second)
	return Head{ID: snapshot.Format(idTime) + "-" + hex.EncodeToString(tail), SnapshotTime: snapshot}
}

// Validate finds what contradicts itself.
func (h Head) Validate() error {
	if !validID.MatchString(h.ID) {
		return fmt.Errorf("%w: %q is no id", ErrInvalid, shorten(h.ID))
	}
	at, err := time.Parse(idTime, h.ID[:len(idTime)])
	if err != nil || !at.Equal(h.SnapshotTime) {
		return fmt.Errorf("%w: the time of the snapshot is not that of the id", ErrInvalid)
	}
	return nil
}

// bound is what is authenticated with the dump.
func (h Head) bound() ([]byte, error) {
	text, err := json.Marshal(h)
	return append([]byte("commercestack backup\n"), text...), err
}

// Manifest describes a complete backup.
type Manifest struct {
	// Format of the manifest and of the dump.
	Format int `json:"format"`
	Head
	// KeyID names the key that the dump was sealed with.
	KeyID string `json:"keyId"`
	// DumpSize is the size of the dump before it was sealed, in bytes.
	DumpSize int64 `json:"dumpSize"`
	// StoredSize is the size of the stored object.
	StoredSize int64 `json:"storedSize"`
	// SHA256 of the stored object, in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

var validSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate finds what contradicts itself.
func (m Manifest) Validate() error {
	switch {
	case m.Format != Format:
		return fmt.Errorf("%w: format %d is not %d", ErrInvalid, m.Format, Format)
	case m.KeyID == "" || m.DumpSize < 0 || m.StoredSize < 0 || !validSum.MatchString(m.SHA256):
		return fmt.Errorf("%w: it lacks a key, a size or a sum", ErrInvalid)
	}
	return m.Head.Validate()
}

// ParseManifest reads a manifest. Fields that it does not know are refused: they
// could matter.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > maxManifest {
		return m, fmt.Errorf("%w: it is too long", ErrInvalid)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("%w: it is not the JSON of one", ErrInvalid)
	}
	if decoder.More() {
		return Manifest{}, fmt.Errorf("%w: something follows it", ErrInvalid)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// shorten keeps somebody else's text out of long errors.
func shorten(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
