package product

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// OrderKey is what a list is sorted by.
type OrderKey string

// The orders of a list; the id breaks ties.
const (
	// OrderRelevance puts the best hits first; without words it is OrderCreateTime, newest first.
	OrderRelevance OrderKey = "relevance"
	// OrderName sorts by lower-cased name.
	OrderName OrderKey = "name"
	// OrderPrice sorts by minor units.
	OrderPrice OrderKey = "price"
	// OrderCreateTime sorts by age.
	OrderCreateTime OrderKey = "create_time"
)

// DefaultPageSize and MaxPageSize bound a page.
const (
	DefaultPageSize = 20
	MaxPageSize     = 100
)

// maxWords bounds what a search looks for.
const maxWords = 8

// Query says which products to list.
type Query struct {
	// Text as typed; prefixes and small typos match. Empty lists all.
	Text string
	// CategoryID with its descendants; the zero UUID means any.
	CategoryID uuid.UUID
	// MinPrice and MaxPrice in minor units; MaxPrice 0 means no bound.
	MinPrice, MaxPrice int64
	// InStock keeps only products with available pieces.
	InStock bool
	// Attributes by name; values of one name are alternatives.
	Attributes map[string][]string
	// Status to list.
	Status Status
	// Order and its direction.
	Order OrderKey
	// Descending turns the order around.
	Descending bool
	// PageSize is how many products to return.
	PageSize int
	// After is the last product of the page before, nil for the first page.
	After *Cursor
}

// Cursor is a place in a list: the sort value that belongs to the order, and the id.
type Cursor struct {
	// Score is the sort value of OrderRelevance.
	Score float64 `json:"s,omitempty"`
	// Text is the sort value of OrderName.
	Text string `json:"t,omitempty"`
	// Number is the sort value of OrderPrice.
	Number int64 `json:"n,omitempty"`
	// Time is the sort value of OrderCreateTime.
	Time time.Time `json:"c,omitzero"`
	// ID of the product.
	ID uuid.UUID `json:"i"`
}

// Page is a part of a list.
type Page struct {
	// Products in order.
	Products []Product
	// Next is where the next page starts, nil on the last page.
	Next *Cursor
}

// Facet counts hits by the values of one property.
type Facet struct {
	// Name is "category", "price" or an attribute's.
	Name string
	// Values, the most frequent first; those of "price" in rising order.
	Values []FacetValue
}

// FacetValue is one value of a facet.
type FacetValue struct {
	// Value to filter by: a category id, "min-max" in minor units, or an attribute's value.
	Value string
	// Label for people.
	Label string
	// Count of hits.
	Count int32
}

// ParseOrder reads "price", "price desc" and so on. Empty means by relevance.
func ParseOrder(text string) (key OrderKey, descending bool, err error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return OrderRelevance, true, nil
	}
	key = OrderKey(fields[0])
	switch key {
	case OrderRelevance:
		descending = true
	case OrderName, OrderPrice, OrderCreateTime:
	default:
		return "", false, invalidOrder(text)
	}
	switch {
	case len(fields) == 1:
		return key, descending, nil
	case len(fields) == 2 && fields[1] == "desc":
		return key, true, nil
	case len(fields) == 2 && fields[1] == "asc" && key != OrderRelevance:
		return key, false, nil
	default:
		return "", false, invalidOrder(text)
	}
}

func invalidOrder(text string) error {
	return fault.Invalid("orderBy", "the order is relevance, name, price or create_time, with or without desc").
		WithField("orderBy", text)
}

// Get returns a product by id. Hidden ones are found by those who may see them.
func (s *Service) Get(ctx context.Context, id uuid.UUID, hidden bool) (Product, error) {
	p, err := s.store.ProductByID(ctx, id)
	return visible(p, err, id.String(), hidden)
}

// GetBySlug returns a product by slug. Hidden ones are found by those who may see them.
func (s *Service) GetBySlug(ctx context.Context, slug string, hidden bool) (Product, error) {
	p, err := s.store.ProductBySlug(ctx, slug)
	return visible(p, err, slug, hidden)
}

func visible(p Product, err error, id string, hidden bool) (Product, error) {
	switch {
	case err != nil:
		return Product{}, err
	case p.Status != StatusActive && !hidden:
		return Product{}, NotFoundProduct(id)
	default:
		return p, nil
	}
}

// BatchGet returns the products on sale among ids, in no order and without images.
func (s *Service) BatchGet(ctx context.Context, ids []uuid.UUID) ([]Product, error) {
	found, err := s.store.ProductsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	active := found[:0]
	for _, p := range found {
		if p.Status == StatusActive {
			active = append(active, p)
		}
	}
	return active, nil
}

// List returns a page of products. It is one query of the database.
func (s *Service) List(ctx context.Context, query Query) (Page, error) {
	query, ok, err := query.complete()
	if err != nil || !ok {
		return Page{}, err
	}
	return s.store.List(ctx, query)
}

// Facets counts the hits of a query by category, price and attribute. It is one query of the database.
func (s *Service) Facets(ctx context.Context, query Query) ([]Facet, error) {
	query, ok, err := query.complete()
	if err != nil || !ok {
		return nil, err
	}
	return s.store.Facets(ctx, query)
}

// complete fills defaults. It is not ok when nothing can match.
func (q Query) complete() (Query, bool, error) {
	if q.MaxPrice > 0 && q.MinPrice > q.MaxPrice {
		return q, false, fault.Invalid("minPrice", "the lowest price is above the highest")
	}
	if err := checkText("q", q.Text, 200); err != nil {
		return q, false, err
	}
	if q.Status == "" {
		q.Status = StatusActive
	}
	if q.PageSize <= 0 {
		q.PageSize = DefaultPageSize
	}
	q.PageSize = min(q.PageSize, MaxPageSize)
	q.Text = strings.TrimSpace(q.Text)
	if q.Order == "" {
		q.Order, q.Descending = OrderRelevance, true
	}
	if q.Text == "" && q.Order == OrderRelevance {
		q.Order, q.Descending = OrderCreateTime, true
	}
	return q, q.Text == "" || len(q.Words()) > 0, nil
}

// Words returns the letters and digits of the text, lower-cased: at most the first eight words.
func (q Query) Words() []string {
	words := strings.FieldsFunc(strings.ToLower(q.Text), func(r rune) bool { return !isWordRune(r) })
	return words[:min(len(words), maxWords)]
}
