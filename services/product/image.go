package product

import (
	"context"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// MaxImages bounds the images of one product.
const MaxImages = 30

// AddImageInput is a picture for a product.
type AddImageInput struct {
	// ID of the image to be; the same id again returns what was made the first time.
	ID, ProductID uuid.UUID
	// Data of the picture; its bytes say what it is, whatever the client says.
	Data []byte
	// Alt is the alternative text.
	Alt string
}

// AddImage stores a picture and shows it with the product. The object is
// written first: a crash in between leaves an object nobody names, never an
// image without its object.
func (s *Service) AddImage(ctx context.Context, input AddImageInput) (Image, error) {
	if err := checkText("alt", input.Alt, 300); err != nil {
		return Image{}, err
	}
	p, err := s.store.ProductByID(ctx, input.ProductID)
	if err != nil {
		return Image{}, err
	}
	for _, image := range p.Images {
		if image.ID == input.ID {
			return image, nil
		}
	}
	if len(p.Images) >= MaxImages {
		return Image{}, fault.Invalid("image", "a product has at most %d images", MaxImages)
	}
	picture, err := s.pictures.Put(ctx, input.Data)
	if err != nil {
		return Image{}, err
	}
	image := Image{
		ID: input.ID, ObjectKey: picture.Key, ThumbnailKey: picture.ThumbnailKey, Alt: input.Alt,
		Width: picture.Width, Height: picture.Height,
	}
	err = s.changeProduct(ctx, input.ProductID, func(ctx context.Context, tx Tx) error {
		var err error
		image, err = tx.InsertImage(ctx, input.ProductID, image, s.time())
		return err
	})
	return image, err
}

// DeleteImage removes an image from a product. Its object stays: another
// product may show the same picture.
func (s *Service) DeleteImage(ctx context.Context, productID, imageID uuid.UUID) error {
	return s.changeProduct(ctx, productID, func(ctx context.Context, tx Tx) error {
		return tx.DeleteImage(ctx, productID, imageID)
	})
}

// changeProduct makes a change that belongs to a product: its version rises and the event leaves.
func (s *Service) changeProduct(ctx context.Context, id uuid.UUID, change func(context.Context, Tx) error) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Touch(ctx); err != nil {
			return err
		}
		p, err := tx.Product(ctx, id)
		if err != nil {
			return err
		}
		if err := change(ctx, tx); err != nil {
			return err
		}
		p.Version++
		p.UpdateTime = s.time()
		if err := tx.UpdateProduct(ctx, p); err != nil {
			return err
		}
		return tx.Publish(ctx, Changed(id))
	})
}
