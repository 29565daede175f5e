package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // s3:// URLs
	"gocloud.dev/gcerrors"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrNotFound tells that there is no object with the key.
	ErrNotFound = errors.New("objectstore: no such object")
	// ErrInvalidKey tells that a text cannot be a key.
	ErrInvalidKey = errors.New("objectstore: invalid key")
	// ErrInvalidURL tells that a store's URL cannot be used.
	ErrInvalidURL = errors.New("objectstore: invalid store URL")
	// ErrTooLarge tells that a body has more bytes than its limit.
	ErrTooLarge = errors.New("objectstore: too many bytes")
)

// Store is one bucket. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	// decoding bounds how many pictures are in memory at the same time.
	decoding chan struct{}
}

// Open opens the store that a URL names: file:///absolute/folder and
// file://relative/folder make the folder when it is missing, s3://bucket?region=…
// takes the parameters and credentials of the AWS SDK (endpoint, region,
// s3ForcePathStyle …). It returns ErrInvalidURL for everything else. A bucket
// that cannot be reached shows at first use; see Ping.
func Open(ctx context.Context, storeURL string) (*Store, error) {
	u, err := url.Parse(storeURL)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be parsed", ErrInvalidURL) // the text may hold credentials
	}
	var bucket *blob.Bucket
	switch u.Scheme {
	case "file":
		bucket, err = openFolder(u)
	case "s3":
		bucket, err = blob.OpenBucket(ctx, storeURL)
	default:
		return nil, fmt.Errorf("%w: scheme %q is neither file nor s3", ErrInvalidURL, u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidURL, err)
	}
	return New(bucket), nil
}

// New makes a store of a bucket that is open already; Close closes it.
func New(bucket *blob.Bucket) *Store {
	return &Store{bucket: bucket, decoding: make(chan struct{}, min(2, runtime.GOMAXPROCS(0)))}
}

func openFolder(u *url.URL) (*blob.Bucket, error) {
	folder := filepath.FromSlash(u.Host + u.Path)
	if folder == "" {
		return nil, errors.New("the folder is missing")
	}
	// NoTempDir: a file is renamed into place, which fails across file systems.
	return fileblob.OpenBucket(folder, &fileblob.Options{CreateDir: true, NoTempDir: true, DirFileMode: 0o750})
}

// Ping tells whether the bucket can be reached.
func (s *Store) Ping(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("objectstore: %w", err)
	}
	if !ok {
		return errors.New("objectstore: the bucket does not exist or may not be read")
	}
	return nil
}

// Close frees what Open took. It must not be called while the store is in use.
func (s *Store) Close() error { return s.bucket.Close() }

// Put stores what r gives under a key, replacing what was there, at most limit
// bytes. It returns ErrInvalidKey, or ErrTooLarge with nothing stored.
func (s *Store) Put(ctx context.Context, key, contentType string, r io.Reader, limit int64) error {
	return s.write(ctx, key, &blob.WriterOptions{ContentType: contentType, CacheControl: cacheControl(key)}, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(r, limit+1))
		if err == nil && n > limit {
			err = fmt.Errorf("%w: more than %d", ErrTooLarge, limit)
		}
		return err
	})
}

// write stores what fill writes; if that fails, nothing.
func (s *Store) write(ctx context.Context, key string, options *blob.WriterOptions, fill func(io.Writer) error) error {
	if err := validateKey(key); err != nil {
		return err
	}
	// Cancelling before Close is how a half-written object is dropped.
	writing, drop := context.WithCancel(ctx)
	defer drop()
	options.DisableContentTypeDetection = true
	w, err := s.bucket.NewWriter(writing, key, options)
	if err != nil {
		return fmt.Errorf("objectstore: put: %w", err)
	}
	if err := fill(w); err != nil {
		drop()
		_ = w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("objectstore: put: %w", err)
	}
	return nil
}

// Object is a stored object that is being read. The caller closes it.
type Object struct {
	io.ReadSeekCloser

	// ContentType is what Put was told.
	ContentType string
	// Size is in bytes.
	Size int64
	// ModTime is when the object was stored.
	ModTime time.Time
}

// Get opens an object for reading. It returns ErrNotFound or ErrInvalidKey.
func (s *Store) Get(ctx context.Context, key string) (*Object, error) {
	if err := validateKey(key); err != nil {
		return nil, err
	}
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, translate("get", err)
	}
	return &Object{ReadSeekCloser: r, ContentType: r.ContentType(), Size: r.Size(), ModTime: r.ModTime()}, nil
}

// Exists tells whether there is an object with the key.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	if err := validateKey(key); err != nil {
		return false, err
	}
	ok, err := s.bucket.Exists(ctx, key)
	if err != nil {
		return false, translate("look up", err)
	}
	return ok, nil
}

// Delete removes an object; one that is not there is no error, so that a
// deletion can be repeated.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := validateKey(key); err != nil {
		return err
	}
	if err := s.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return translate("delete", err)
	}
	return nil
}

func translate(what string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return ErrNotFound
	}
	return fmt.Errorf("objectstore: %s: %w", what, err)
}

// maxKeyLen keeps keys below the limits of S3 (1024) and of file names.
const maxKeyLen = 255

// validateKey allows slash-separated names of a-z, A-Z, 0-9, '-', '_' and '.',
// none of which begins with a dot: no key leaves its folder, and none meets the
// files in which a folder keeps content types.
func validateKey(key string) error {
	if key == "" || len(key) > maxKeyLen || strings.HasSuffix(key, ".attrs") {
		return ErrInvalidKey
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' {
			return ErrInvalidKey
		}
		for _, c := range []byte(part) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !letter && c != '-' && c != '_' && c != '.' {
				return ErrInvalidKey
			}
		}
	}
	return nil
}
