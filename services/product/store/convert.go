package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/product"
	"github.com/commercestack/commercestack/services/product"
)

// One row is a whole product: lists cost one query whatever their size.
const (
	columns = `p.id, p.slug, p.sku, p.name, p.description, p.currency_code, p.price_minor, p.tax_class, p.status,
	p.weight_grams, p.group_key, p.attributes::text, p.version, p.create_time, p.update_time,
	s.on_hand, s.reserved,
	coalesce((SELECT string_agg(c.category_id::text, ',' ORDER BY c.category_id) FROM product_category c
		WHERE c.product_id = p.id), '')`
	imageColumn = `, coalesce((SELECT json_agg(json_build_object('id', i.id, 'key', i.object_key, 'thumbnail', i.thumbnail_key,
		'url', i.external_url, 'alt', i.alt, 'width', i.width, 'height', i.height, 'position', i.position)
		ORDER BY i.position, i.id)::text FROM product_image i WHERE i.product_id = p.id), '')`
	noImages      = `, ''`
	from          = ` FROM product p JOIN stock_level s ON s.product_id = p.id`
	selectProduct = `SELECT ` + columns + imageColumn + from
	selectPlain   = `SELECT ` + columns + noImages + from
)

type scanner interface{ Scan(dest ...any) error }

// scanProduct reads columns, the images and whatever the query adds behind them.
func scanProduct(row scanner, more ...any) (product.Product, error) {
	var p product.Product
	var attributes, categoryIDs, images string
	dest := []any{
		&p.ID, &p.Slug, &p.SKU, &p.Name, &p.Description, &p.Price.CurrencyCode, &p.Price.AmountMinor, &p.TaxClass, &p.Status,
		&p.WeightGrams, &p.GroupKey, &attributes, &p.Version, &p.CreateTime, &p.UpdateTime,
		&p.Stock.OnHand, &p.Stock.Reserved, &categoryIDs, &images,
	}
	if err := row.Scan(append(dest, more...)...); err != nil {
		return p, err
	}
	p.CreateTime, p.UpdateTime = p.CreateTime.UTC(), p.UpdateTime.UTC()
	if attributes != "{}" {
		if err := json.Unmarshal([]byte(attributes), &p.Attributes); err != nil {
			return p, fmt.Errorf("attributes of product %s: %w", p.ID, err)
		}
	}
	var err error
	if p.CategoryIDs, err = parseIDs(categoryIDs); err != nil {
		return p, err
	}
	p.Images, err = parseImages(images)
	return p, err
}

func parseIDs(text string) ([]uuid.UUID, error) {
	if text == "" {
		return nil, nil
	}
	ids := make([]uuid.UUID, 0, strings.Count(text, ",")+1)
	for part := range strings.SplitSeq(text, ",") {
		id, err := uuid.Parse(part)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func parseImages(text string) ([]product.Image, error) {
	if text == "" {
		return nil, nil
	}
	var rows []struct {
		ID                       uuid.UUID
		Key, Thumbnail, URL, Alt string
		Width, Height, Position  int32
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil { //nolint:musttag // imageColumn names its keys like these fields
		return nil, err
	}
	images := make([]product.Image, len(rows))
	for i, r := range rows {
		images[i] = product.Image{
			ID: r.ID, ObjectKey: r.Key, ThumbnailKey: r.Thumbnail, ExternalURL: r.URL, Alt: r.Alt,
			Width: r.Width, Height: r.Height, Position: r.Position,
		}
	}
	return images, nil
}

func categoryFromRow(row *ent.Category) product.Category {
	c := product.Category{
		ID: row.ID, Slug: row.Slug, Name: row.Name, Position: row.Position, Version: row.Version,
		CreateTime: row.CreateTime.UTC(), UpdateTime: row.UpdateTime.UTC(),
	}
	if row.ParentID != nil {
		c.ParentID = *row.ParentID
	}
	return c
}

func entryFromRow(row *ent.StockEntry) product.Entry {
	e := product.Entry{
		ID: row.ID, ProductID: row.ProductID, Kind: product.EntryKind(row.Kind),
		OnHandDelta: row.OnHandDelta, ReservedDelta: row.ReservedDelta, Reason: row.Reason, CreateTime: row.CreateTime.UTC(),
	}
	if row.OrderID != nil {
		e.OrderID = *row.OrderID
	}
	return e
}

func imageFromRow(row *ent.ProductImage) product.Image {
	return product.Image{
		ID: row.ID, ObjectKey: row.ObjectKey, ThumbnailKey: row.ThumbnailKey, ExternalURL: row.ExternalURL, Alt: row.Alt,
		Width: row.Width, Height: row.Height, Position: row.Position,
	}
}

// nullable turns the zero UUID into NULL.
func nullable(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
