package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

const (
	// rankedHits bounds what is ranked: reading the vectors of every hit of a frequent word is what makes search slow.
	// Of more hits the newest are ranked.
	rankedHits = 400
	// unrankedHits bounds the hits that are sorted by something else.
	unrankedHits = 10_000
	// similarHits bounds the products that a misspelled word is compared with.
	similarHits = 200
	// facetHits bounds what facets count.
	facetHits = 20_000
)

// statement builds one SQL statement and its parameters.
type statement struct {
	with []string
	args []any
}

// arg adds a parameter and returns its placeholder.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return fmt.Sprintf("$%d", len(s.args))
}

func (s *statement) prefix() string {
	if len(s.with) == 0 {
		return ""
	}
	return "WITH RECURSIVE " + strings.Join(s.with, ", ") + " "
}

// filter returns the conditions of the query but its words.
func (s *statement) filter(q product.Query) (string, error) {
	where := []string{"p.delete_time IS NULL", "p.status = " + s.arg(string(q.Status))}
	if q.MinPrice > 0 {
		where = append(where, "p.price_minor >= "+s.arg(q.MinPrice))
	}
	if q.MaxPrice > 0 {
		where = append(where, "p.price_minor <= "+s.arg(q.MaxPrice))
	}
	if q.InStock {
		where = append(where, "s.on_hand > s.reserved")
	}
	if q.CategoryID != uuid.Nil {
		s.with = append(s.with, `tree AS (SELECT c.id FROM category c WHERE c.id = `+s.arg(q.CategoryID)+`
			UNION SELECT c.id FROM category c JOIN tree t ON c.parent_id = t.id)`)
		where = append(where, `p.id IN (SELECT m.product_id FROM product_category m JOIN tree t ON t.id = m.category_id)`)
	}
	for _, name := range sortedKeys(q.Attributes) {
		alternatives := make([]string, 0, len(q.Attributes[name]))
		for _, value := range q.Attributes[name] {
			pair, err := json.Marshal(map[string]string{name: value})
			if err != nil {
				return "", err
			}
			alternatives = append(alternatives, "p.attributes @> "+s.arg(string(pair))+"::jsonb")
		}
		where = append(where, "("+strings.Join(alternatives, " OR ")+")")
	}
	return strings.Join(where, " AND "), nil
}

// hits adds the products that match the words, with their score. Products that
// only look alike count when no product has the words.
func (s *statement) hits(q product.Query, where string, limit int) {
	words := q.Words()
	terms := make([]string, len(words))
	for i, word := range words {
		terms[i] = "'" + word + "':*"
	}
	// Both dictionaries: prefixes of any language's words, and English words in another form.
	terms[0] = s.arg(strings.Join(terms, " & "))
	match := fmt.Sprintf("(to_tsquery('simple', %[1]s) || to_tsquery('english', %[1]s))", terms[0])
	score := "0::float8"
	if q.Order == product.OrderRelevance {
		score = "ts_rank(f.search, " + match + ", 1)::float8"
	}
	s.with = append(s.with,
		`found AS MATERIALIZED (SELECT p.id, p.search`+from+` WHERE `+where+` AND p.search @@ `+match+
			fmt.Sprintf(` ORDER BY p.id DESC LIMIT %d)`, limit),
		`hit AS MATERIALIZED (SELECT f.id, `+score+` AS score FROM found f UNION ALL
			SELECT a.id, a.score FROM similar_products(`+s.arg(strings.Join(words, " "))+fmt.Sprintf(`, %d) a
			WHERE NOT EXISTS (SELECT 1 FROM found))`, similarHits))
}

// List returns one page in one query.
func (s *Store) List(ctx context.Context, q product.Query) (product.Page, error) {
	var stmt statement
	where, err := stmt.filter(q)
	if err != nil {
		return product.Page{}, err
	}
	source := from
	if q.Text != "" {
		limit := unrankedHits
		if q.Order == product.OrderRelevance {
			limit = rankedHits
		}
		stmt.hits(q, where, limit)
		source += " JOIN hit h ON h.id = p.id"
	}
	key, cast := sortKey(q.Order)
	direction, comparison := "", ">"
	if q.Descending {
		direction, comparison = " DESC", "<"
	}
	if q.After != nil {
		where += fmt.Sprintf(" AND (%s, p.id) %s (%s::%s, %s)", key, comparison, stmt.arg(cursorValue(q.Order, q.After)), cast, stmt.arg(q.After.ID))
	}
	sql := stmt.prefix() + `SELECT ` + columns + imageColumn + `, ` + key + source + ` WHERE ` + where +
		fmt.Sprintf(` ORDER BY %s%s, p.id%s LIMIT %d`, key, direction, direction, q.PageSize+1)
	return s.page(ctx, q, sql, stmt.args)
}

func (s *Store) page(ctx context.Context, q product.Query, sql string, args []any) (product.Page, error) {
	rows, err := s.db.Replica().Query(ctx, sql, args...)
	if err != nil {
		return product.Page{}, postgres.Fault(err)
	}
	defer rows.Close()
	var page product.Page
	var last product.Cursor
	for rows.Next() {
		if len(page.Products) == q.PageSize {
			page.Next = &last
			break
		}
		var c product.Cursor
		p, err := scanProduct(rows, cursorTarget(q.Order, &c))
		if err != nil {
			return product.Page{}, postgres.Fault(err)
		}
		c.ID = p.ID
		last = c
		page.Products = append(page.Products, p)
	}
	rows.Close()
	return page, postgres.Fault(rows.Err())
}

func sortKey(order product.OrderKey) (expression, cast string) {
	switch order {
	case product.OrderName:
		return "left(lower(p.name), 60)", "text"
	case product.OrderPrice:
		return "p.price_minor", "bigint"
	case product.OrderRelevance:
		return "h.score", "float8"
	default:
		return "p.create_time", "timestamptz"
	}
}

func cursorValue(order product.OrderKey, c *product.Cursor) any {
	switch order {
	case product.OrderName:
		return c.Text
	case product.OrderPrice:
		return c.Number
	case product.OrderRelevance:
		return c.Score
	default:
		return c.Time
	}
}

func cursorTarget(order product.OrderKey, c *product.Cursor) any {
	switch order {
	case product.OrderName:
		return &c.Text
	case product.OrderPrice:
		return &c.Number
	case product.OrderRelevance:
		return &c.Score
	default:
		return &c.Time
	}
}

func sortedKeys(attributes map[string][]string) []string {
	return slices.Sorted(maps.Keys(attributes))
}
