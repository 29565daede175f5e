package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/product"
	entcategory "github.com/commercestack/commercestack/ent/product/category"
	"github.com/commercestack/commercestack/ent/product/productimage"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

// insertBatch keeps a statement below the 65,535 parameters of the protocol.
const insertBatch = 1000

// InsertProducts adds products with their categories, external images and stock.
func (t *tx) InsertProducts(ctx context.Context, products []product.Product, reason string) error {
	for len(products) > 0 {
		n := min(len(products), insertBatch)
		if err := t.insertProducts(ctx, products[:n], reason); err != nil {
			return err
		}
		products = products[n:]
	}
	return nil
}

func (t *tx) insertProducts(ctx context.Context, products []product.Product, reason string) error {
	rows := make([]*ent.ProductCreate, len(products))
	levels := make([]*ent.StockLevelCreate, len(products))
	var entries []*ent.StockEntryCreate
	var images []*ent.ProductImageCreate
	for i, p := range products {
		rows[i] = t.client.Product.Create().SetID(p.ID).SetSlug(p.Slug).SetSku(p.SKU).SetName(p.Name).
			SetDescription(p.Description).SetCurrencyCode(p.Price.CurrencyCode).SetPriceMinor(p.Price.AmountMinor).
			SetTaxClass(p.TaxClass).SetStatus(string(p.Status)).SetWeightGrams(p.WeightGrams).SetGroupKey(p.GroupKey).
			SetAttributes(attributes(p)).SetVersion(p.Version).SetCreateTime(p.CreateTime).SetUpdateTime(p.UpdateTime)
		levels[i] = t.client.StockLevel.Create().SetID(p.ID).SetOnHand(p.Stock.OnHand)
		if p.Stock.OnHand > 0 {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			entries = append(entries, t.client.StockEntry.Create().SetID(id).SetProductID(p.ID).
				SetKind(string(product.EntryAdjusted)).SetOnHandDelta(p.Stock.OnHand).SetReservedDelta(0).
				SetReason(reason).SetCreateTime(p.CreateTime))
		}
		for _, image := range p.Images {
			images = append(images, t.newImage(p.ID, image, p.CreateTime))
		}
	}
	if err := t.client.Product.CreateBulk(rows...).Exec(ctx); err != nil {
		// A person adds one product, and learns which value is taken. An import's slugs and SKUs are free.
		return named(err, products[0])
	}
	if err := t.client.StockLevel.CreateBulk(levels...).Exec(ctx); err != nil {
		return err
	}
	if err := t.client.StockEntry.CreateBulk(entries...).Exec(ctx); err != nil {
		return err
	}
	if err := t.client.ProductImage.CreateBulk(images...).Exec(ctx); err != nil {
		return err
	}
	return t.insertMemberships(ctx, products)
}

func (t *tx) insertMemberships(ctx context.Context, products []product.Product) error {
	var productIDs, categoryIDs []uuid.UUID
	for _, p := range products {
		for _, id := range p.CategoryIDs {
			productIDs, categoryIDs = append(productIDs, p.ID), append(categoryIDs, id)
		}
	}
	if len(productIDs) == 0 {
		return nil
	}
	_, err := t.ExecContext(ctx, `INSERT INTO product_category (product_id, category_id)
		SELECT given.product_id, given.category_id FROM unnest($1::uuid[], $2::uuid[]) AS given (product_id, category_id) ON CONFLICT DO NOTHING`, productIDs, categoryIDs)
	return named(err, product.Product{})
}

func (t *tx) newImage(productID uuid.UUID, image product.Image, now time.Time) *ent.ProductImageCreate {
	return t.client.ProductImage.Create().SetID(image.ID).SetProductID(productID).SetObjectKey(image.ObjectKey).
		SetThumbnailKey(image.ThumbnailKey).SetExternalURL(image.ExternalURL).SetAlt(image.Alt).
		SetWidth(image.Width).SetHeight(image.Height).SetPosition(image.Position).SetCreateTime(now)
}

// InsertImage adds an image behind the others; the same id again changes nothing.
func (t *tx) InsertImage(ctx context.Context, productID uuid.UUID, image product.Image, now time.Time) (product.Image, error) {
	rows, err := t.client.ProductImage.Query().Where(productimage.ProductID(productID)).
		Order(productimage.ByPosition(), productimage.ByID()).All(ctx)
	if err != nil {
		return product.Image{}, err
	}
	for _, row := range rows {
		if row.ID == image.ID {
			return imageFromRow(row), nil
		}
		image.Position = row.Position + 1
	}
	return image, t.newImage(productID, image, now).Exec(ctx)
}

// DeleteImage removes an image of the product.
func (t *tx) DeleteImage(ctx context.Context, productID, imageID uuid.UUID) error {
	n, err := t.client.ProductImage.Delete().
		Where(productimage.ID(imageID), productimage.ProductID(productID)).Exec(ctx)
	if err == nil && n == 0 {
		return product.NotFoundImage(imageID.String())
	}
	return err
}

// ReplaceExternalImages swaps the product's external images for others.
func (t *tx) ReplaceExternalImages(
	ctx context.Context, productID uuid.UUID, images []product.Image, now time.Time,
) error {
	_, err := t.client.ProductImage.Delete().
		Where(productimage.ProductID(productID), productimage.ExternalURLNEQ("")).Exec(ctx)
	if err != nil {
		return err
	}
	rows := make([]*ent.ProductImageCreate, len(images))
	for i, image := range images {
		rows[i] = t.newImage(productID, image, now)
	}
	return t.client.ProductImage.CreateBulk(rows...).Exec(ctx)
}

// Categories returns all categories.
func (t *tx) Categories(ctx context.Context) ([]product.Category, error) {
	return categories(ctx, t.client)
}

// InsertCategory adds a category.
func (t *tx) InsertCategory(ctx context.Context, c product.Category) error {
	err := t.client.Category.Create().SetID(c.ID).SetSlug(c.Slug).SetName(c.Name).SetNillableParentID(nullable(c.ParentID)).
		SetPosition(c.Position).SetVersion(c.Version).SetCreateTime(c.CreateTime).SetUpdateTime(c.UpdateTime).Exec(ctx)
	return namedCategory(err, c)
}

// UpdateCategory writes a category whose stored version is one lower.
func (t *tx) UpdateCategory(ctx context.Context, c product.Category) error {
	update := t.client.Category.Update().Where(entcategory.ID(c.ID), entcategory.Version(c.Version-1)).
		SetSlug(c.Slug).SetName(c.Name).SetPosition(c.Position).SetVersion(c.Version).SetUpdateTime(c.UpdateTime)
	if c.ParentID == uuid.Nil {
		update.ClearParentID()
	} else {
		update.SetParentID(c.ParentID)
	}
	n, err := update.Save(ctx)
	if err == nil && n == 0 {
		return fault.Stale("the category was changed in the meantime; read it again")
	}
	return namedCategory(err, c)
}

// DeleteCategory removes a category without children.
func (t *tx) DeleteCategory(ctx context.Context, id uuid.UUID) error {
	err := t.client.Category.DeleteOneID(id).Exec(ctx)
	if postgres.IsForeignKey(err, "category_category_children") {
		return product.ErrCategoryNotEmpty
	}
	return err
}

func namedCategory(err error, c product.Category) error {
	switch {
	case postgres.IsUnique(err, "category_slug_key"):
		return product.Taken("slug", c.Slug)
	case postgres.IsCheck(err, "category_cycle_check"), postgres.IsCheck(err, "category_parent_check"):
		return product.ErrCategoryCycle.WithField("parentId", c.ParentID.String())
	default:
		return err
	}
}
