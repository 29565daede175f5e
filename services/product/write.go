package product

import (
	"context"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// CreateInput is a new product.
type CreateInput struct {
	// ID of the product to be; the same id again returns what was made the first time.
	ID uuid.UUID
	// Product without id, images and times. Its slug is derived from the name when empty.
	Product Product
	// OnHand is the first quantity on hand; it goes through the ledger.
	OnHand int32
}

// Create adds a product.
func (s *Service) Create(ctx context.Context, input CreateInput) (Product, error) {
	p := input.Product
	p.ID = input.ID
	p.Images, p.Stock = nil, Stock{OnHand: input.OnHand}
	p.normalize()
	if err := p.validate(); err != nil {
		return Product{}, err
	}
	if p.Price.CurrencyCode != s.currency {
		return Product{}, s.foreignCurrency(p.Price.CurrencyCode)
	}
	if input.OnHand < 0 || input.OnHand > maxOnHand {
		return Product{}, fault.Invalid("stock.onHand", "a stock is between 0 and %d pieces", maxOnHand)
	}
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Touch(ctx); err != nil {
			return err
		}
		if exists, err := tx.Exists(ctx, p.ID); err != nil || exists {
			return err
		}
		return s.insert(ctx, tx, p)
	})
	if err != nil {
		return Product{}, err
	}
	return s.store.ProductByID(ctx, p.ID)
}

func (s *Service) insert(ctx context.Context, tx Tx, p Product) error {
	if p.Slug == "" {
		base := Slugify(p.Name, "product")
		taken, err := tx.TakenSlugs(ctx, []string{base})
		if err != nil {
			return err
		}
		p.Slug = freeSlug(base, taken)
	}
	p.Version = 1
	p.CreateTime = s.time()
	p.UpdateTime = p.CreateTime
	if err := tx.InsertProducts(ctx, []Product{p}, "initial stock"); err != nil {
		return err
	}
	return tx.Publish(ctx, Changed(p.ID))
}

func (s *Service) foreignCurrency(code string) error {
	return fault.Invalid("price.currencyCode", "the shop sells in %s", s.currency).
		WithField("price.currencyCode", code)
}

// UpdateInput changes a product.
type UpdateInput struct {
	// ID of the product.
	ID uuid.UUID
	// Fields to take from Product, in snake_case; empty means those that are set. "*" means all that can be changed.
	Fields []string
	// Product with the new values.
	Product Product
	// Etag the product must still have; empty means any.
	Etag string
}

// Update changes the named fields of a product.
func (s *Service) Update(ctx context.Context, input UpdateInput) (Product, error) {
	version, err := parseEtag(input.Etag)
	if err != nil {
		return Product{}, err
	}
	err = s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Touch(ctx); err != nil {
			return err
		}
		p, err := tx.Product(ctx, input.ID)
		if err != nil {
			return err
		}
		if version != 0 && version != p.Version {
			return errStale
		}
		if err := s.apply(&p, input); err != nil {
			return err
		}
		p.Version++
		p.UpdateTime = s.time()
		if err := tx.UpdateProduct(ctx, p); err != nil {
			return err
		}
		return tx.Publish(ctx, Changed(p.ID))
	})
	if err != nil {
		return Product{}, err
	}
	return s.store.ProductByID(ctx, input.ID)
}

// mutable lists the fields an update may name, and how each is taken over.
var mutable = map[string]func(to *Product, from Product){
	"slug":         func(to *Product, from Product) { to.Slug = from.Slug },
	"name":         func(to *Product, from Product) { to.Name = from.Name },
	"description":  func(to *Product, from Product) { to.Description = from.Description },
	"price":        func(to *Product, from Product) { to.Price = from.Price },
	"category_ids": func(to *Product, from Product) { to.CategoryIDs = from.CategoryIDs },
	"sku":          func(to *Product, from Product) { to.SKU = from.SKU },
	"attributes":   func(to *Product, from Product) { to.Attributes = from.Attributes },
	"tax_class":    func(to *Product, from Product) { to.TaxClass = from.TaxClass },
	"status":       func(to *Product, from Product) { to.Status = from.Status },
	"weight_grams": func(to *Product, from Product) { to.WeightGrams = from.WeightGrams },
	"group_key":    func(to *Product, from Product) { to.GroupKey = from.GroupKey },
}

// Fields that a client may send back as it read them; they are not its to change.
var outputOnly = map[string]bool{
	"id": true, "images": true, "etag": true, "create_time": true, "update_time": true,
}

func (s *Service) apply(p *Product, input UpdateInput) error {
	price := p.Price
	for _, field := range input.Fields {
		name, _, _ := strings.Cut(field, ".")
		switch take, ok := mutable[name]; {
		case field == "*":
			for _, take := range mutable {
				take(p, input.Product)
			}
		case ok:
			take(p, input.Product)
		case name == "stock":
			return fault.Invalid("stock", "stock is changed by adjustStock")
		case !outputOnly[name]:
			return fault.Invalid("updateMask", "the product has no field of this name").WithField("updateMask", field)
		}
	}
	slug := p.Slug
	p.normalize()
	if slug == "" {
		return fault.Invalid("slug", "a slug is required")
	}
	if err := p.validate(); err != nil {
		return err
	}
	// A price that an import brought in another currency may stay, but nobody sets one.
	if p.Price != price && p.Price.CurrencyCode != s.currency {
		return s.foreignCurrency(p.Price.CurrencyCode)
	}
	return nil
}

// Delete takes a product out of the catalog. What orders and the ledger hold stays.
func (s *Service) Delete(ctx context.Context, id uuid.UUID, etag string) error {
	version, err := parseEtag(etag)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Touch(ctx); err != nil {
			return err
		}
		p, err := tx.Product(ctx, id)
		if err != nil {
			return err
		}
		if version != 0 && version != p.Version {
			return errStale
		}
		if err := tx.DeleteProduct(ctx, id, s.time()); err != nil {
			return err
		}
		return tx.Publish(ctx, Deleted(id))
	})
}
