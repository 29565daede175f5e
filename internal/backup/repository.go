package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/objectstore"
)

// Names of a backup's objects below its id.
const (
	dumpName     = "/dump"
	manifestName = "/manifest.json"
)

// Repository is the place where a shop's backups are kept.
type Repository struct {
	store *objectstore.Store
}

// Open opens the folder of a store; see objectstore.OpenAt.
func Open(ctx context.Context, storeURL, folder string) (*Repository, error) {
	store, err := objectstore.OpenAt(ctx, storeURL, folder)
	if err != nil {
		return nil, err
	}
	return New(store), nil
}

// New makes a repository of an open store, which Close closes.
func New(store *objectstore.Store) *Repository { return &Repository{store: store} }

// Close frees what Open took.
func (r *Repository) Close() error { return r.store.Close() }

// counter counts and sums what is written through it.
type counter struct {
	n   int64
	sum hash.Hash
}

func newCounter() *counter { return &counter{sum: sha256.New()} }

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.sum.Write(p)
}

func (c *counter) hex() string { return hex.EncodeToString(c.sum.Sum(nil)) }

// Create seals and stores a dump, and then its manifest.
func (r *Repository) Create(ctx context.Context, ring *crypto.Keyring, head Head, dump io.Reader) (Manifest, error) {
	if err := head.Validate(); err != nil {
		return Manifest{}, err
	}
	bound, err := head.bound()
	if err != nil {
		return Manifest{}, err
	}
	plain, stored := newCounter(), newCounter()
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(seal(ring, io.MultiWriter(writer, stored), io.TeeReader(dump, plain), bound))
	}()
	err = r.store.PutStream(ctx, head.ID+dumpName, "application/octet-stream", reader)
	_ = reader.CloseWithError(err) // ends the sealer when the store gave up first
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: store the dump: %w", err)
	}
	m := Manifest{Format: Format, Head: head, KeyID: ring.Primary(), DumpSize: plain.n, StoredSize: stored.n, SHA256: stored.hex()}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Manifest{}, err
	}
	if err := r.store.Put(ctx, head.ID+manifestName, "application/json", bytes.NewReader(append(text, '\n')), maxManifest); err != nil {
		return Manifest{}, fmt.Errorf("backup: store the manifest: %w", err)
	}
	return m, nil
}

func seal(ring *crypto.Keyring, to io.Writer, from io.Reader, bound []byte) error {
	sealed, err := ring.SealStream(to, bound)
	if err != nil {
		return err
	}
	if _, err := io.Copy(sealed, from); err != nil {
		return err
	}
	return sealed.Close()
}

// List returns the complete backups, oldest first. A manifest that cannot be read
// is left out and told in damaged, by id: the others are as good as before.
func (r *Repository) List(ctx context.Context) (all []Manifest, damaged []string, err error) {
	keys, err := r.store.List(ctx, "")
	if err != nil {
		return nil, nil, fmt.Errorf("backup: %w", err)
	}
	for _, key := range keys {
		id, ok := strings.CutSuffix(key, manifestName)
		if !ok || !validID.MatchString(id) {
			continue
		}
		m, err := r.manifest(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound): // it was deleted meanwhile
		case errors.Is(err, ErrInvalid):
			damaged = append(damaged, id)
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b Manifest) int { return strings.Compare(a.ID, b.ID) })
	return all, damaged, nil
}

func (r *Repository) manifest(ctx context.Context, id string) (Manifest, error) {
	object, err := r.store.Get(ctx, id+manifestName)
	if errors.Is(err, objectstore.ErrNotFound) {
		return Manifest{}, fmt.Errorf("%w: %s", ErrNotFound, shorten(id))
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: read a manifest: %w", err)
	}
	defer func() { _ = object.Close() }()
	text, err := io.ReadAll(io.LimitReader(object, maxManifest+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: read a manifest: %w", err)
	}
	m, err := ParseManifest(text)
	if err == nil && m.ID != id {
		err = fmt.Errorf("%w: it is that of another backup", ErrInvalid)
	}
	return m, err
}

// Find returns the backup of an id, or the newest one for Latest.
func (r *Repository) Find(ctx context.Context, id string) (Manifest, error) {
	if id != Latest {
		if !validID.MatchString(id) {
			return Manifest{}, fmt.Errorf("%w: %q is no id", ErrNotFound, shorten(id))
		}
		return r.manifest(ctx, id)
	}
	all, damaged, err := r.List(ctx)
	if err != nil {
		return Manifest{}, err
	}
	if len(all) == 0 {
		return Manifest{}, fmt.Errorf("%w: there is none at all (%d with a damaged manifest)", ErrNotFound, len(damaged))
	}
	newest := all[len(all)-1]
	// An older one must not be taken silently for the newest.
	if len(damaged) > 0 && slices.Max(damaged) > newest.ID {
		return Manifest{}, fmt.Errorf("%w: %s, which is newer than %s; name the one to take", ErrInvalid, slices.Max(damaged), newest.ID)
	}
	return newest, nil
}

// Fetch opens a dump. What was written is complete and as it was stored only
// when the error is nil.
func (r *Repository) Fetch(ctx context.Context, ring *crypto.Keyring, m Manifest, to io.Writer) error {
	bound, err := m.bound()
	if err != nil {
		return err
	}
	object, err := r.store.Get(ctx, m.ID+dumpName)
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%w: %s has a manifest and no dump", ErrDamaged, m.ID)
	}
	if err != nil {
		return fmt.Errorf("backup: read the dump: %w", err)
	}
	defer func() { _ = object.Close() }()
	stored := newCounter()
	plain, _, err := ring.OpenStream(io.TeeReader(object, stored), bound)
	if err != nil {
		return damage(m, err)
	}
	size, err := io.Copy(to, plain)
	if err != nil {
		return damage(m, err)
	}
	if size != m.DumpSize || stored.n != m.StoredSize || stored.hex() != m.SHA256 {
		return fmt.Errorf("%w: %s has another size or sum than its manifest says", ErrDamaged, m.ID)
	}
	return nil
}

// damage keeps what a missing key and a failing store say, and calls everything else by its name.
func damage(m Manifest, err error) error {
	if errors.Is(err, crypto.ErrCorrupt) {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, m.ID, err)
	}
	return fmt.Errorf("backup: open the dump of %s: %w", m.ID, err)
}

// Prune deletes the backups whose time is over and what uploads left behind, and
// returns the ids of the backups.
func (r *Repository) Prune(ctx context.Context, now time.Time, retention time.Duration) (gone []string, err error) {
	all, _, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range Expired(all, now, retention) {
		for _, name := range []string{manifestName, dumpName} {
			if err := r.store.Delete(ctx, m.ID+name); err != nil {
				return gone, fmt.Errorf("backup: delete %s: %w", m.ID, err)
			}
		}
		gone = append(gone, m.ID)
	}
	return gone, r.sweep(ctx, now)
}

// sweep removes what uploads without a manifest left behind that nobody writes any more.
func (r *Repository) sweep(ctx context.Context, now time.Time) error {
	keys, err := r.store.List(ctx, "")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, key := range keys {
		id, _, _ := strings.Cut(key, "/")
		if !orphaned(id, now) || slices.Contains(keys, id+manifestName) {
			continue
		}
		if err := r.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("backup: remove what an upload left behind: %w", err)
		}
	}
	return nil
}
