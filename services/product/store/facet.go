package store

import (
	"context"
	"fmt"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/product"
)

const (
	// facetValues bounds the values of one facet.
	facetValues = 20
	// facetNames bounds the attributes that are counted.
	facetNames = 15
)

// Upper bounds of price ranges in whole units of the currency; the last range is open.
var priceBounds = []int64{10, 25, 50, 100, 250, 500, 1000}

// Facets counts the hits by property in one query.
func (s *Store) Facets(ctx context.Context, q product.Query) ([]product.Facet, error) {
	var stmt statement
	where, err := stmt.filter(q)
	if err != nil {
		return nil, err
	}
	source := " FROM product p"
	if q.Text != "" {
		stmt.hits(q, where, facetHits, "p.price_minor")
		source, where = " FROM hit h JOIN product p ON p.id = h.id", "true"
	}
	unit := minorUnits(s.currency)
	bounds := make([]int64, len(priceBounds))
	for i, bound := range priceBounds {
		bounds[i] = bound * unit
	}
	stmt.with = append(stmt.with, fmt.Sprintf(`base AS MATERIALIZED (SELECT p.id, p.price_minor, p.attributes%s WHERE %s LIMIT %d)`,
		source, where, facetHits))
	sql := stmt.prefix() + fmt.Sprintf(`
		(SELECT 0 AS kind, 'category' AS name, c.id::text AS value, c.name AS label, count(*)::int AS n
			FROM base b JOIN product_category m ON m.product_id = b.id JOIN category c ON c.id = m.category_id
			GROUP BY c.id, c.name ORDER BY n DESC, label LIMIT %[1]d)
		UNION ALL
		(SELECT 1, 'price', width_bucket(b.price_minor, %[3]s::bigint[])::text, '', count(*)::int
			FROM base b GROUP BY 3 ORDER BY 3)
		UNION ALL
		(SELECT 2, t.name, t.value, t.value, t.n FROM (
			SELECT a.key AS name, a.value, count(*)::int AS n,
				row_number() OVER (PARTITION BY a.key ORDER BY count(*) DESC, a.value) AS place,
				dense_rank() OVER (ORDER BY a.key) AS rank
			FROM base b, jsonb_each_text(b.attributes) a GROUP BY a.key, a.value
		) t WHERE t.place <= %[1]d AND t.rank <= %[2]d ORDER BY t.name, t.place)`, facetValues, facetNames, stmt.arg(bounds))
	rows, err := s.db.Replica().Query(ctx, sql, stmt.args...)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	defer rows.Close()
	var facets []product.Facet
	for rows.Next() {
		var kind int
		var name string
		var value product.FacetValue
		if err := rows.Scan(&kind, &name, &value.Value, &value.Label, &value.Count); err != nil {
			return nil, postgres.Fault(err)
		}
		if kind == 1 {
			value.Value, value.Label = s.priceRange(value.Value, bounds)
		}
		if len(facets) == 0 || facets[len(facets)-1].Name != name {
			facets = append(facets, product.Facet{Name: name})
		}
		last := &facets[len(facets)-1]
		last.Values = append(last.Values, value)
	}
	return facets, postgres.Fault(rows.Err())
}

// priceRange names a bucket: "min-max" in minor units as minPrice and maxPrice take them, and a label for people.
func (s *Store) priceRange(bucket string, bounds []int64) (value, label string) {
	i := int(bucket[0] - '0') // fewer than ten buckets
	low := int64(0)
	if i > 0 {
		low = bounds[i-1]
	}
	from := money.Money{CurrencyCode: s.currency, AmountMinor: low}
	if i == len(bounds) {
		return fmt.Sprintf("%d-", low), "from " + from.String()
	}
	// The bucket ends below its bound, the filter's bounds are both included.
	to := money.Money{CurrencyCode: s.currency, AmountMinor: bounds[i] - 1}
	return fmt.Sprintf("%d-%d", low, bounds[i]-1), from.Decimal() + " – " + to.String()
}

// minorUnits is how many minor units one unit of the currency has.
func minorUnits(currency string) int64 {
	exponent, err := money.Exponent(currency)
	if err != nil {
		return 1
	}
	units := int64(1)
	for range exponent {
		units *= 10
	}
	return units
}
