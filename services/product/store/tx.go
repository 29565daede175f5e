package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	ent "github.com/commercestack/commercestack/ent/product"
	entproduct "github.com/commercestack/commercestack/ent/product/product"
	"github.com/commercestack/commercestack/ent/product/productcategory"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

// tx implements product.Tx.
type tx struct {
	*postgres.Tx

	client *ent.Client
}

var _ product.Tx = (*tx)(nil)

// Touch raises the catalog's version and takes its row lock.
func (t *tx) Touch(ctx context.Context) error {
	_, err := t.ExecContext(ctx, `UPDATE catalog_state SET version = version + 1 WHERE id = 1`)
	return err
}

// Product returns a product that is not deleted, or a NotFound fault.
func (t *tx) Product(ctx context.Context, id uuid.UUID) (product.Product, error) {
	products, err := t.query(ctx, selectProduct+` WHERE p.id = $1 AND p.delete_time IS NULL`, id)
	return single(products, err, id.String())
}

// Exists reports whether a product with the id was ever made.
func (t *tx) Exists(ctx context.Context, id uuid.UUID) (bool, error) {
	return t.client.Product.Query().Where(entproduct.ID(id)).Exist(ctx)
}

// ProductsBySKU returns the products that are not deleted, by SKU, or by slug where they have no SKU.
func (t *tx) ProductsBySKU(ctx context.Context, skus []string) (map[string]product.Product, error) {
	products, err := t.query(ctx, selectProduct+` WHERE p.delete_time IS NULL AND
		((p.sku <> '' AND p.sku = ANY ($1)) OR (p.sku = '' AND p.slug = ANY ($1)))`, skus)
	if err != nil {
		return nil, err
	}
	found := make(map[string]product.Product, len(products))
	for _, p := range products {
		key := p.SKU
		if key == "" {
			key = p.Slug
		}
		found[key] = p
	}
	return found, nil
}

func (t *tx) query(ctx context.Context, sql string, args ...any) ([]product.Product, error) {
	rows, err := t.QueryContext(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var products []product.Product
	for rows.Next() {
		p, err := scanProduct(rows)
		if err != nil {
			return nil, err
		}
		products = append(products, p)
	}
	return products, rows.Err()
}

// stemLength leaves room for a number behind the stem of a slug.
const stemLength = 150

// TakenSlugs returns which slugs start with one of the stems.
func (t *tx) TakenSlugs(ctx context.Context, stems []string) (map[string]bool, error) {
	taken := map[string]bool{}
	// Most stems are free: an exact look-up says so without reading every slug that starts alike.
	patterns, err := t.slugs(ctx, `slug = ANY ($1)`, stems)
	if err != nil || len(patterns) == 0 {
		return taken, err
	}
	for i, stem := range patterns {
		taken[stem] = true
		patterns[i] = stem[:min(len(stem), stemLength)] + "%"
	}
	slugs, err := t.slugs(ctx, `slug LIKE ANY ($1)`, patterns)
	for _, slug := range slugs {
		taken[slug] = true
	}
	return taken, err
}

func (t *tx) slugs(ctx context.Context, where string, values []string) ([]string, error) {
	rows, err := t.QueryContext(ctx, `SELECT slug FROM product WHERE delete_time IS NULL AND `+where, values)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var slugs []string
	for rows.Next() {
		var slug string
		if err := rows.Scan(&slug); err != nil {
			return nil, err
		}
		slugs = append(slugs, slug)
	}
	return slugs, rows.Err()
}

// UpdateProduct writes all fields of a product whose stored version is one lower.
func (t *tx) UpdateProduct(ctx context.Context, p product.Product) error {
	n, err := t.client.Product.Update().
		Where(entproduct.ID(p.ID), entproduct.Version(p.Version-1), entproduct.DeleteTimeIsNil()).
		SetSlug(p.Slug).SetSku(p.SKU).SetName(p.Name).SetDescription(p.Description).
		SetCurrencyCode(p.Price.CurrencyCode).SetPriceMinor(p.Price.AmountMinor).SetTaxClass(p.TaxClass).
		SetStatus(string(p.Status)).SetWeightGrams(p.WeightGrams).SetGroupKey(p.GroupKey).SetAttributes(attributes(p)).
		SetVersion(p.Version).SetUpdateTime(p.UpdateTime).Save(ctx)
	if err != nil {
		return named(err, p)
	}
	if n == 0 {
		return fault.Stale("the product was changed in the meantime; read it again")
	}
	_, err = t.client.ProductCategory.Delete().
		Where(productcategory.ProductID(p.ID), productcategory.CategoryIDNotIn(p.CategoryIDs...)).Exec(ctx)
	if err != nil {
		return err
	}
	return t.insertMemberships(ctx, []product.Product{p})
}

// DeleteProduct takes a product out of the catalog; its row stays for orders and the ledger.
func (t *tx) DeleteProduct(ctx context.Context, id uuid.UUID, now time.Time) error {
	return t.client.Product.Update().Where(entproduct.ID(id), entproduct.DeleteTimeIsNil()).
		SetDeleteTime(now).SetUpdateTime(now).AddVersion(1).Exec(ctx)
}

// AdjustStock changes the quantity on hand once for each ledger id.
func (t *tx) AdjustStock(ctx context.Context, a product.Adjustment) (product.Stock, error) {
	var outcome string
	var stock product.Stock
	err := t.QueryRowContext(ctx, `SELECT outcome, on_hand, reserved FROM adjust_stock($1, $2, $3, $4, $5)`,
		a.ID, a.ProductID, a.Delta, a.Reason, a.Time).Scan(&outcome, &stock.OnHand, &stock.Reserved)
	if err != nil {
		return product.Stock{}, err
	}
	switch outcome {
	case "MISSING":
		return product.Stock{}, product.NotFoundProduct(a.ProductID.String())
	case "TOO_LOW":
		return product.Stock{}, product.TooLow(a, stock)
	case "TOO_HIGH":
		return product.Stock{}, product.TooHigh(a)
	default:
		return stock, nil
	}
}

// Publish writes events into the outbox of this transaction.
func (t *tx) Publish(ctx context.Context, events ...product.Event) error {
	messages := make([]event.Event, len(events))
	for i, e := range events {
		id := e.ProductID.String()
		if e.Deleted {
			messages[i] = event.New(id, &eventv1.ProductDeleted{ProductId: id})
		} else {
			messages[i] = event.New(id, &eventv1.ProductChanged{ProductId: id})
		}
	}
	return outbox.Write(ctx, t.Tx, messages...)
}

// named says which field of the product a constraint speaks of.
func named(err error, p product.Product) error {
	switch {
	case postgres.IsUnique(err, "product_slug_key"):
		return product.Taken("slug", p.Slug)
	case postgres.IsUnique(err, "product_sku_key"):
		return product.Taken("sku", p.SKU)
	case postgres.IsForeignKey(err, "product_category_category_category"):
		return fault.Invalid("categoryIds", "a category does not exist")
	default:
		return err
	}
}

func attributes(p product.Product) map[string]string {
	if p.Attributes == nil {
		return map[string]string{}
	}
	return p.Attributes
}
