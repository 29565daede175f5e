package product

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Store keeps the catalog and the stock.
type Store interface {
	// InTx runs body in one transaction, again when the database asks for it.
	InTx(ctx context.Context, body func(ctx context.Context, tx Tx) error) error
	// ProductByID returns a product that is not deleted, or a NotFound fault.
	ProductByID(ctx context.Context, id uuid.UUID) (Product, error)
	// ProductBySlug returns a product that is not deleted, or a NotFound fault.
	ProductBySlug(ctx context.Context, slug string) (Product, error)
	// ProductsByID returns the products among ids that are not deleted, in no order, without images.
	ProductsByID(ctx context.Context, ids []uuid.UUID) ([]Product, error)
	// List returns one page in one query.
	List(ctx context.Context, query Query) (Page, error)
	// Facets counts the hits by property in one query.
	Facets(ctx context.Context, query Query) ([]Facet, error)
	// ProductsAfter returns up to limit products that are not deleted, by id, with images.
	ProductsAfter(ctx context.Context, after uuid.UUID, limit int) ([]Product, error)
	// Categories returns all categories.
	Categories(ctx context.Context) ([]Category, error)
	// RefreshStatistics tells the database's planner about many new rows.
	RefreshStatistics(ctx context.Context) error
	// Entries returns up to limit ledger rows older than before (all when it is zero), newest first.
	Entries(ctx context.Context, productID, before uuid.UUID, limit int) ([]Entry, error)

	// Reserve reserves all lines of sorted, summed demand or none. The outcomes are those of the database function.
	Reserve(ctx context.Context, order uuid.UUID, demand []Line, expire, now time.Time) ([]ReserveOutcome, error)
	// Extend moves the expiry of a live reservation later and returns its state and expiry.
	Extend(ctx context.Context, order uuid.UUID, expire time.Time) (ReservationState, time.Time, error)
	// Commit sells a live reservation and returns the state after it.
	Commit(ctx context.Context, order uuid.UUID, now time.Time) (ReservationState, error)
	// Release gives the pieces back and returns the state after it.
	Release(ctx context.Context, order uuid.UUID, reason string, now time.Time) (ReservationState, error)
	// Expire ends up to limit overdue reservations and returns how many.
	Expire(ctx context.Context, now time.Time, limit int) (int, error)
}

// Tx is one transaction on the catalog.
type Tx interface {
	// Touch raises the catalog's version and so takes the lock that makes catalog changes take turns. Call it first.
	Touch(ctx context.Context) error
	// Product returns a product that is not deleted, or a NotFound fault.
	Product(ctx context.Context, id uuid.UUID) (Product, error)
	// Exists reports whether a product with the id was ever made.
	Exists(ctx context.Context, id uuid.UUID) (bool, error)
	// ProductsBySKU returns the products that are not deleted, by SKU, or by slug where they have no SKU.
	ProductsBySKU(ctx context.Context, skus []string) (map[string]Product, error)
	// TakenSlugs returns which slugs start with one of the stems, among products that are not deleted.
	TakenSlugs(ctx context.Context, stems []string) (map[string]bool, error)
	// InsertProducts adds products with their categories, external images and stock; the quantity on hand goes through
	// the ledger with the reason.
	InsertProducts(ctx context.Context, products []Product, reason string) error
	// UpdateProduct writes all fields of a product whose stored version is one lower, or fails as stale.
	UpdateProduct(ctx context.Context, p Product) error
	// DeleteProduct takes a product out of the catalog.
	DeleteProduct(ctx context.Context, id uuid.UUID, now time.Time) error
	// AdjustStock changes the quantity on hand once for each ledger id.
	AdjustStock(ctx context.Context, adjustment Adjustment) (Stock, error)
	// InsertImage adds an image at the end; the same id again changes nothing.
	InsertImage(ctx context.Context, productID uuid.UUID, image Image, now time.Time) (Image, error)
	// DeleteImage removes an image of the product, or fails with NotFound.
	DeleteImage(ctx context.Context, productID, imageID uuid.UUID) error
	// ReplaceExternalImages swaps the product's external images for others.
	ReplaceExternalImages(ctx context.Context, productID uuid.UUID, images []Image, now time.Time) error
	// Categories returns all categories.
	Categories(ctx context.Context) ([]Category, error)
	// InsertCategory adds a category.
	InsertCategory(ctx context.Context, c Category) error
	// UpdateCategory writes a category whose stored version is one lower, or fails as stale.
	UpdateCategory(ctx context.Context, c Category) error
	// DeleteCategory removes a category without children.
	DeleteCategory(ctx context.Context, id uuid.UUID) error
	// Publish writes events into the outbox of this transaction.
	Publish(ctx context.Context, events ...Event) error
}

// Pictures keeps uploaded pictures. Equal pictures share an object, so objects are never deleted with an image.
type Pictures interface {
	// Put checks, scales and stores a picture and returns where it is. Bytes that are none fail on the field "image".
	Put(ctx context.Context, data []byte) (Picture, error)
}

// Picture is where an uploaded picture is kept.
type Picture struct {
	// Key and ThumbnailKey name the objects.
	Key, ThumbnailKey string
	// Width and Height in pixels.
	Width, Height int32
}

// Config is what the service needs. All fields are required.
type Config struct {
	// Store keeps the catalog.
	Store Store
	// Pictures keeps uploads.
	Pictures Pictures
	// Currency is the shop's ISO 4217 currency.
	Currency string
	// Now is the clock.
	Now func() time.Time
}

// Service is the product component's rules.
type Service struct {
	store    Store
	pictures Pictures
	currency string
	now      func() time.Time
}

// New returns a service, or an error when the config lacks something.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Pictures == nil || config.Now == nil {
		return nil, errors.New("product: store, pictures and clock are required")
	}
	if err := money.Zero(config.Currency).Validate(); err != nil {
		return nil, err
	}
	return &Service{store: config.Store, pictures: config.Pictures, currency: config.Currency, now: config.Now}, nil
}

// Currency is the shop's ISO 4217 currency.
func (s *Service) Currency() string { return s.currency }

// time is the clock at the precision of the database.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func newID() (uuid.UUID, error) { return uuid.NewV7() }
