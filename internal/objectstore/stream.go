package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gocloud.dev/blob"
)

const (
	// streamPart is the size of the parts in which S3 takes a large object, of
	// which there may be ten thousand: 320 GiB.
	streamPart = 32 << 20
	// streamAtOnce bounds the memory: so many parts are on their way.
	streamAtOnce = 2
)

// OpenAt opens the part of a store that is below a folder: keys begin there, and
// nothing outside can be named. A folder that begins with a dot cannot be
// reached through a store without one, whose keys have no such part, nor through
// its Handler: what lies there is never served.
func OpenAt(ctx context.Context, storeURL, folder string) (*Store, error) {
	if err := validateKey(strings.TrimPrefix(folder, ".")); err != nil {
		return nil, fmt.Errorf("folder of the store: %w", err)
	}
	store, err := Open(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	store.bucket = blob.PrefixedBucket(store.bucket, folder+"/")
	return store, nil
}

// PutStream stores what r gives, however much it is. An error leaves nothing
// behind that Get would find.
func (s *Store) PutStream(ctx context.Context, key, contentType string, r io.Reader) error {
	options := &blob.WriterOptions{ContentType: contentType, BufferSize: streamPart, MaxConcurrency: streamAtOnce}
	return s.write(ctx, key, options, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// List returns the keys that begin with a prefix, in their order.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for each := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := each.Next(ctx)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, translate("list", err)
		}
		if validateKey(object.Key) == nil {
			keys = append(keys, object.Key)
		}
	}
}
