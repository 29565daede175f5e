package backup_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/backup"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/objectstore"
)

// place is a repository in a folder, and the folder.
type place struct {
	*backup.Repository
	folder string
}

func newPlace(t *testing.T) place {
	t.Helper()
	root := t.TempDir()
	r, err := backup.Open(t.Context(), "file://"+root, ".backups/shop/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return place{r, filepath.Join(root, ".backups/shop/demo")}
}

func newRing(t *testing.T, ids ...string) *crypto.Keyring {
	t.Helper()
	keys := make([]crypto.Key, len(ids))
	for i, id := range ids {
		keys[i] = crypto.Key{ID: id, Secret: bytes.Repeat([]byte(id), crypto.KeySize)[:crypto.KeySize]}
	}
	ring, err := crypto.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func (p place) create(t *testing.T, ring *crypto.Keyring, at time.Time, dump string) backup.Manifest {
	t.Helper()
	m, err := p.Create(t.Context(), ring, backup.NewHead(at), strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p place) ids(t *testing.T) []string {
	t.Helper()
	all, _, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestBackupsComeBack(t *testing.T) {
	t.Parallel()
	p, ring := newPlace(t), newRing(t, "k1")
	if _, err := p.Find(t.Context(), backup.Latest); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("an empty repository: %v", err)
	}
	first := p.create(t, ring, midnight, strings.Repeat("first ", 50_000))
	second := p.create(t, newRing(t, "k2"), midnight.Add(time.Hour), "second")
	if got := p.ids(t); !slices.Equal(got, []string{first.ID, second.ID}) {
		t.Errorf("listed %v", got)
	}
	if newest, err := p.Find(t.Context(), backup.Latest); err != nil || newest.ID != second.ID {
		t.Errorf("latest is %s, %v", newest.ID, err)
	}
	var out bytes.Buffer
	found, err := p.Find(t.Context(), first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Fetch(t.Context(), newRing(t, "k2", "k1"), found, &out); err != nil || out.Len() != 300_000 {
		t.Errorf("%d bytes: %v", out.Len(), err)
	}
	if err := p.Fetch(t.Context(), newRing(t, "k3"), found, io.Discard); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	stored, err := os.ReadFile(filepath.Join(p.folder, first.ID, "dump"))
	if err != nil || bytes.Contains(stored, []byte("first")) {
		t.Errorf("the stored dump is not sealed: %v", err)
	}
	for _, id := range []string{"", "../x", "20261126t000000z-00000000"} {
		if _, err := p.Find(t.Context(), id); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

// What is stored is changed in every way that somebody with the bucket can.
func TestChangedBackupsAreRefused(t *testing.T) {
	t.Parallel()
	ring := newRing(t, "k1")
	for name, change := range map[string]func(t *testing.T, dump, manifest string, old []byte){
		"cut off":       func(t *testing.T, dump, _ string, old []byte) { write(t, dump, old[:len(old)-1]) },
		"a flipped bit": func(t *testing.T, dump, _ string, old []byte) { old[len(old)/2] ^= 1; write(t, dump, old) },
		"one byte more": func(t *testing.T, dump, _ string, old []byte) { write(t, dump, append(old, 0)) },
		"empty":         func(t *testing.T, dump, _ string, _ []byte) { write(t, dump, nil) },
		"no dump":       func(t *testing.T, dump, _ string, _ []byte) { remove(t, dump) },
		"a manifest that says otherwise": func(t *testing.T, _, manifest string, _ []byte) {
			text, err := os.ReadFile(manifest)
			if err != nil {
				t.Fatal(err)
			}
			write(t, manifest, bytes.Replace(text, []byte(`"server": ""`), []byte(`"server": "9.6"`), 1))
		},
	} {
		p := newPlace(t)
		m := p.create(t, ring, midnight, strings.Repeat("dump ", 100_000))
		dump := filepath.Join(p.folder, m.ID, "dump")
		old, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		change(t, dump, filepath.Join(p.folder, m.ID, "manifest.json"), old)
		found, err := p.Find(t.Context(), m.ID)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := p.Fetch(t.Context(), ring, found, io.Discard); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An old dump under a newer id does not open: the id is sealed in.
func TestAnOldDumpIsNoNewOne(t *testing.T) {
	t.Parallel()
	p, ring := newPlace(t), newRing(t, "k1")
	old := p.create(t, ring, midnight, "old")
	fresh := p.create(t, ring, midnight.Add(time.Hour), "new")
	content, err := os.ReadFile(filepath.Join(p.folder, old.ID, "dump"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.folder, fresh.ID, "dump"), content)
	if err := p.Fetch(t.Context(), ring, fresh, io.Discard); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(filepath.Join(p.folder, old.ID, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.folder, fresh.ID, "manifest.json"), text)
	if _, err := p.Find(t.Context(), fresh.ID); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("the manifest of another: %v", err)
	}
	// Nor is the older one then silently the latest.
	if _, err := p.Find(t.Context(), backup.Latest); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("latest beside a damaged newer one: %v", err)
	}
}

// failingReader dies in the middle, as pg_dump's file on a full disk.
type failingReader struct{ left int }

var errDisk = errors.New("the disk is gone")

func (f *failingReader) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, errDisk
	}
	n := min(f.left, len(p))
	f.left -= n
	return n, nil
}

func TestAnUploadThatFailsIsNoBackup(t *testing.T) {
	t.Parallel()
	p, ring := newPlace(t), newRing(t, "k1")
	if _, err := p.Create(t.Context(), ring, backup.NewHead(midnight), &failingReader{left: 1 << 20}); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	if got := p.ids(t); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
}

// A process that dies between the dump and its manifest leaves a dump that is no
// backup, counts for nothing, and goes a day later.
func TestDyingBeforeTheManifest(t *testing.T) {
	t.Parallel()
	p, ring := newPlace(t), newRing(t, "k1")
	whole := p.create(t, ring, midnight, "whole")
	half := p.create(t, ring, midnight.Add(time.Hour), "half")
	remove(t, filepath.Join(p.folder, half.ID, "manifest.json"))
	if newest, err := p.Find(t.Context(), backup.Latest); err != nil || newest.ID != whole.ID {
		t.Errorf("latest is %s, %v", newest.ID, err)
	}
	dump := filepath.Join(p.folder, half.ID, "dump")
	write(t, dump+"123", []byte("what a folder's store writes before it renames"))
	prune := func(now time.Time) {
		t.Helper()
		if gone, err := p.Prune(t.Context(), now, 24*365*time.Hour); err != nil || len(gone) != 0 {
			t.Fatalf("%v, %v", gone, err)
		}
	}
	prune(midnight.Add(2 * time.Hour))
	if _, err := os.Stat(dump); err != nil {
		t.Errorf("an upload that may still run was removed: %v", err)
	}
	prune(midnight.Add(26 * time.Hour))
	if _, err := os.Stat(dump); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left behind stays: %v", err)
	}
	if _, err := os.Stat(dump + "123"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left behind stays: %v", err)
	}
	if got := p.ids(t); !slices.Equal(got, []string{whole.ID}) {
		t.Errorf("listed %v", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	p, ring := newPlace(t), newRing(t, "k1")
	old := p.create(t, ring, midnight.AddDate(0, 0, -40), "old")
	kept := p.create(t, ring, midnight, "kept")
	gone, err := p.Prune(t.Context(), midnight.Add(time.Hour), 30*24*time.Hour)
	if err != nil || !slices.Equal(gone, []string{old.ID}) {
		t.Errorf("%v, %v", gone, err)
	}
	if got := p.ids(t); !slices.Equal(got, []string{kept.ID}) {
		t.Errorf("listed %v", got)
	}
	if _, err := os.Stat(filepath.Join(p.folder, old.ID, "dump")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old dump: %v", err)
	}
}

// A store of uploads, whose objects customers see, does not reach the backups in it.
func TestUploadsDoNotReachBackups(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r, err := backup.Open(t.Context(), "file://"+root, ".backups/shop/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	m := place{r, ""}.create(t, newRing(t, "k1"), midnight, "dump")
	uploads, err := objectstore.Open(t.Context(), "file://"+root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = uploads.Close() })
	if _, err := uploads.Get(t.Context(), ".backups/shop/demo/"+m.ID+"/dump"); !errors.Is(err, objectstore.ErrInvalidKey) {
		t.Errorf("%v", err)
	}
	if _, err := backup.Open(t.Context(), "file://"+root, "../elsewhere"); !errors.Is(err, objectstore.ErrInvalidKey) {
		t.Errorf("a folder outside: %v", err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
