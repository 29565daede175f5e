package store

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/services/product"
)

const (
	picturePrefix = "product"
	maxPicture    = 8 << 20
)

// Pictures keeps uploads in the object store, drawn anew in two sizes.
type Pictures struct{ objects *objectstore.Store }

var _ product.Pictures = Pictures{}

// NewPictures returns pictures in a store of objects.
func NewPictures(objects *objectstore.Store) Pictures { return Pictures{objects: objects} }

// Put checks, scales and stores a picture.
func (p Pictures) Put(ctx context.Context, data []byte) (product.Picture, error) {
	renditions, err := p.objects.PutPicture(ctx, picturePrefix, bytes.NewReader(data), objectstore.PictureLimits{Bytes: maxPicture})
	switch {
	case errors.Is(err, objectstore.ErrNotPicture):
		return product.Picture{}, fault.Invalid("image", "the file is not a JPEG, PNG, GIF or WebP picture")
	case errors.Is(err, objectstore.ErrTooLarge):
		return product.Picture{}, fault.Invalid("image", "a picture has at most 8 MiB")
	case errors.Is(err, objectstore.ErrTooManyPixels):
		return product.Picture{}, fault.Invalid("image", "the picture has too many pixels")
	case err != nil:
		return product.Picture{}, fault.Unavailable("object storage", time.Second).WithCause(err)
	}
	large, small := renditions[0], renditions[len(renditions)-1]
	return product.Picture{
		Key: large.Key, ThumbnailKey: small.Key,
		Width: int32(large.Width), Height: int32(large.Height),
	}, nil
}
