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
		where = append(where, "EXISTS (SELECT 1 FROM stock_level s WHERE s.product_id = p.id AND s.on_hand > s.reserved)")
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

// hits adds the products that match the words, with their sort key. Products
// that only look alike count when no product has the words.
func (s *statement) hits(q product.Query, where string, limit int, key string) {
	words := q.Words()
	terms := make([]string, len(words))
	for i, word := range words {
		terms[i] = "'" + word + "':*"
	}
	// Both dictionaries: prefixes of any language's words, and English words in another form.
	match := fmt.Sprintf("(to_tsquery('simple', %[1]s) || to_tsquery('english', %[1]s))", s.arg(strings.Join(terms, " & ")))
	found, alike := key, key
	if key == scoreKey {
		found, alike = "p.search", "a.score"
	}
	s.with = append(s.with, `found AS MATERIALIZED (SELECT p.id, `+found+` AS key FROM product p WHERE `+where+` AND p.search @@ `+match+
		fmt.Sprintf(` ORDER BY p.id DESC LIMIT %d)`, limit))
	ranked := "f.key"
	if key == scoreKey {
		ranked = "ts_rank(f.key, " + match + ", 1)::float8"
	}
	s.with = append(s.with, `hit AS MATERIALIZED (SELECT f.id, `+ranked+` AS key FROM found f UNION ALL
		SELECT p.id, `+alike+` FROM similar_products(`+s.arg(strings.Join(words, " "))+fmt.Sprintf(`, %d) a JOIN product p ON p.id = a.id
		WHERE NOT EXISTS (SELECT 1 FROM found) AND `, similarHits)+where+`)`)
}

// List returns one page in one query.
func (s *Store) List(ctx context.Context, q product.Query) (product.Page, error) {
	sql, args, err := listSQL(q)
	if err != nil {
		return product.Page{}, err
	}
	return s.page(ctx, q, sql, args)
}

// listSQL picks the page's ids first and reads the wide rows of those alone, whatever the planner knows of the tables.
func listSQL(q product.Query) (string, []any, error) {
	var stmt statement
	where, err := stmt.filter(q)
	if err != nil {
		return "", nil, err
	}
	key, cast := sortKey(q.Order)
	direction, comparison := "", ">"
	if q.Descending {
		direction, comparison = " DESC", "<"
	}
	after, order := "", fmt.Sprintf(` ORDER BY %[1]s%[2]s, p.id%[2]s LIMIT %[3]d`, key, direction, q.PageSize+1)
	if q.After != nil {
		after = fmt.Sprintf("(%s, p.id) %s (%s::%s, %s)", key, comparison, stmt.arg(cursorValue(q.Order, q.After)), cast, stmt.arg(q.After.ID))
	}
	switch q.Text {
	case "":
		if after != "" {
			where += " AND " + after
		}
		stmt.with = append(stmt.with, `page AS MATERIALIZED (SELECT p.id, `+key+` AS key FROM product p WHERE `+where+order+`)`)
	default:
		limit := unrankedHits
		if q.Order == product.OrderRelevance {
			limit = rankedHits
		}
		stmt.hits(q, where, limit, key)
		if after != "" {
			after = ` WHERE ` + strings.ReplaceAll(after, key, "p.key")
		}
		stmt.with = append(stmt.with, `page AS MATERIALIZED (SELECT p.id, p.key FROM hit p`+after+strings.ReplaceAll(order, key, "p.key")+`)`)
	}
	return stmt.prefix() + `SELECT ` + columns + imageColumn + `, g.key FROM page g JOIN product p ON p.id = g.id
		JOIN stock_level s ON s.product_id = g.id` + fmt.Sprintf(` ORDER BY g.key%[1]s, g.id%[1]s`, direction), stmt.args, nil
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

// scoreKey stands for the score of a hit, which is no column.
const scoreKey = "score"

func sortKey(order product.OrderKey) (expression, cast string) {
	switch order {
	case product.OrderName:
		return "left(lower(p.name), 60)", "text"
	case product.OrderPrice:
		return "p.price_minor", "bigint"
	case product.OrderRelevance:
		return scoreKey, "float8"
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
