// Package store keeps the catalog and the stock in PostgreSQL: writes of the
// catalog through Ent, lists and everything about stock in SQL of its own,
// because their number of round trips is a promise.
package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ent "github.com/commercestack/commercestack/ent/product"
	entcategory "github.com/commercestack/commercestack/ent/product/category"
	"github.com/commercestack/commercestack/ent/product/stockentry"
	"github.com/commercestack/commercestack/internal/combine"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

// Store implements product.Store.
type Store struct {
	db       *postgres.DB
	client   *ent.Client
	currency string
	// reservings are of one product each.
	reservings *combine.Combiner[reserving, reserved]
}

var _ product.Store = (*Store)(nil)

// New returns a store on the product component's schema. Price ranges are counted in the currency.
func New(db *postgres.DB, currency string) *Store {
	s := &Store{db: db, client: ent.NewClient(ent.Driver(db.Driver())), currency: currency}
	s.reservings = combine.New(reserveTogether, s.reserveMany)
	return s
}

// InTx runs body in one transaction.
func (s *Store) InTx(ctx context.Context, body func(ctx context.Context, tx product.Tx) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, sqlTx *postgres.Tx) error {
		return body(ctx, &tx{Tx: sqlTx, client: ent.NewClient(ent.Driver(sqlTx.Driver()))})
	})
}

// ProductByID returns a product that is not deleted, or a NotFound fault.
func (s *Store) ProductByID(ctx context.Context, id uuid.UUID) (product.Product, error) {
	products, err := s.query(ctx, selectProduct+` WHERE p.id = $1 AND p.delete_time IS NULL`, id)
	return single(products, err, id.String())
}

// ProductBySlug returns a product that is not deleted, or a NotFound fault.
func (s *Store) ProductBySlug(ctx context.Context, slug string) (product.Product, error) {
	products, err := s.query(ctx, selectProduct+` WHERE p.slug = $1 AND p.delete_time IS NULL`, slug)
	return single(products, err, slug)
}

// ProductsByID returns the products among ids that are not deleted, without images.
func (s *Store) ProductsByID(ctx context.Context, ids []uuid.UUID) ([]product.Product, error) {
	return s.query(ctx, selectPlain+` WHERE p.id = ANY ($1) AND p.delete_time IS NULL`, ids)
}

// ProductsAfter returns up to limit products that are not deleted, by id.
func (s *Store) ProductsAfter(ctx context.Context, after uuid.UUID, limit int) ([]product.Product, error) {
	return s.query(ctx, selectProduct+` WHERE p.id > $1 AND p.delete_time IS NULL ORDER BY p.id LIMIT $2`, after, limit)
}

func single(products []product.Product, err error, id string) (product.Product, error) {
	switch {
	case err != nil:
		return product.Product{}, err
	case len(products) == 0:
		return product.Product{}, product.NotFoundProduct(id)
	default:
		return products[0], nil
	}
}

func (s *Store) query(ctx context.Context, sql string, args ...any) ([]product.Product, error) {
	rows, err := s.db.Pool().Query(ctx, sql, args...)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	products, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (product.Product, error) {
		return scanProduct(row)
	})
	return products, postgres.Fault(err)
}

// Categories returns all categories.
func (s *Store) Categories(ctx context.Context) ([]product.Category, error) {
	return categories(ctx, s.client)
}

func categories(ctx context.Context, client *ent.Client) ([]product.Category, error) {
	rows, err := client.Category.Query().Order(entcategory.ByID()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	list := make([]product.Category, len(rows))
	for i, row := range rows {
		list[i] = categoryFromRow(row)
	}
	return list, nil
}

// RefreshStatistics tells the database's planner about many new rows.
func (s *Store) RefreshStatistics(ctx context.Context) error {
	_, err := s.db.Pool().Exec(ctx, `SELECT refresh_statistics()`)
	return postgres.Fault(err)
}

// Entries returns up to limit ledger rows older than before, newest first.
func (s *Store) Entries(ctx context.Context, productID, before uuid.UUID, limit int) ([]product.Entry, error) {
	query := s.client.StockEntry.Query().Where(stockentry.ProductID(productID))
	if before != uuid.Nil {
		query.Where(stockentry.IDLT(before))
	}
	rows, err := query.Order(ent.Desc(stockentry.FieldID)).Limit(limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	entries := make([]product.Entry, len(rows))
	for i, row := range rows {
		entries[i] = entryFromRow(row)
	}
	return entries, nil
}
