// Package objectstore keeps uploads in a folder or in S3-compatible storage.
package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/s3blob"   // s3://
	"gocloud.dev/gcerrors"
)

// ErrNotFound says that there is no object with the key.
var ErrNotFound = errors.New("objectstore: no such object")

// ErrTooLarge says that an object has more bytes than allowed. Nothing was stored.
var ErrTooLarge = errors.New("objectstore: the object is too large")

// Store is one bucket. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
}

// Open opens "file:///folder" or "s3://bucket?region=…&endpoint=…". The folder
// must exist; credentials of S3 come from the environment as AWS's tools take them.
func Open(ctx context.Context, address string) (*Store, error) {
	if strings.HasPrefix(address, "file://") && !strings.Contains(address, "?") {
		// Temporary files stay in the folder: a rename across file systems fails.
		address += "?no_tmp_dir=true&create_dir=true"
	}
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("objectstore: %w", err)
	}
	return New(bucket), nil
}

// New returns a store over a bucket, which Close closes.
func New(bucket *blob.Bucket) *Store { return &Store{bucket: bucket} }

// Put stores at most limit bytes under a key. A larger body is ErrTooLarge and
// leaves what was there before.
func (s *Store) Put(ctx context.Context, key, contentType string, body io.Reader, limit int64) error {
	writeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	writer, err := s.bucket.NewWriter(writeCtx, key, &blob.WriterOptions{
		ContentType: contentType, CacheControl: "public, max-age=31536000, immutable", DisableContentTypeDetection: true,
	})
	if err != nil {
		return fmt.Errorf("objectstore: put: %w", err)
	}
	written, err := io.Copy(writer, io.LimitReader(body, limit+1))
	if err != nil || written > limit {
		cancel() // a cancelled writer stores nothing
		_ = writer.Close()
		if err != nil {
			return fmt.Errorf("objectstore: put: %w", err)
		}
		return ErrTooLarge
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("objectstore: put: %w", err)
	}
	return nil
}

// Object is a stored object being read. The caller closes it.
type Object struct {
	io.ReadCloser

	// ContentType as it was stored.
	ContentType string
	// Size in bytes.
	Size int64
}

// Get opens an object, or fails with ErrNotFound.
func (s *Store) Get(ctx context.Context, key string) (*Object, error) {
	reader, err := s.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("objectstore: get: %w", err)
	}
	return &Object{ReadCloser: reader, ContentType: reader.ContentType(), Size: reader.Size()}, nil
}

// Delete removes an object; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("objectstore: delete: %w", err)
	}
	return nil
}

// Close frees the bucket.
func (s *Store) Close() error { return s.bucket.Close() }
