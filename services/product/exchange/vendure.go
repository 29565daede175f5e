package exchange

import (
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/services/product"
)

// Columns of ours, in the way Vendure names custom fields.
const (
	vendureGroup  = "product:groupKey"
	vendureStatus = "product:status"
	vendureWeight = "variant:weightGrams"
)

// Rows without a name are further variants of the product above. Facets of the
// name "category" are categories, the others attributes. Assets without an
// address are file names on the other shop's disk and mean nothing here.
func parseVendure(t *table, r *reader) {
	var current *article
	var groups []string
	skipping := false
	for _, row := range t.rows {
		if name := vendureCell(row, "name"); name != "" {
			skipping = false
			current = r.vendureArticle(row, name)
			groups = split(vendureCell(row, "optiongroups"))
			r.articles = append(r.articles, current)
		} else if current == nil || skipping {
			r.fail(row.line, "name", "a name is required in the first row of a product")
			skipping = true
			continue
		}
		r.vendureVariant(current, row, groups)
	}
}

// vendureCell finds a column also when it carries a language, as in "name:en".
func vendureCell(row row, name string) string {
	if row.table.has(name) {
		return row.get(name)
	}
	for i, column := range row.table.names {
		base, language, ok := strings.Cut(column, ":")
		if ok && base == name && len(language) <= 5 && i < len(row.cells) {
			return row.cells[i]
		}
	}
	return ""
}

func (r *reader) vendureArticle(row row, name string) *article {
	a := &article{
		line: row.line, title: name, handle: vendureCell(row, "slug"), description: plainText(vendureCell(row, "description")),
		group: row.get(strings.ToLower(vendureGroup)), status: product.StatusActive,
	}
	if status := product.Status(strings.ToUpper(row.get(vendureStatus))); status == product.StatusDraft || status == product.StatusArchived {
		a.status = status
	}
	for _, facet := range split(vendureCell(row, "facets")) {
		a.facet(facet)
	}
	for _, asset := range split(row.get("assets")) {
		if strings.Contains(asset, "://") {
			a.images = append(a.images, r.image(row.line, "assets", asset, "")...)
		}
	}
	return a
}

func (a *article) facet(text string) {
	name, value, _ := strings.Cut(text, ":")
	if strings.EqualFold(strings.TrimSpace(name), "category") {
		if path := splitPath(unescape(value)); len(path) > 0 {
			a.categories = append(a.categories, path)
		}
		return
	}
	a.tag(text)
}

func (r *reader) vendureVariant(a *article, row row, groups []string) {
	v := variant{line: row.line, sku: row.get("sku")}
	r.price(&v, "price", row.get("price"), r.currency)
	v.onHand = r.number(&v, "stockOnHand", row.get("stockonhand"))
	v.grams = r.weight(&v, vendureWeight, row.get(strings.ToLower(vendureWeight)))
	values := split(vendureCell(row, "optionvalues"))
	if len(values) != len(groups) {
		r.fail(row.line, "optionValues", "there are %d values for %d option groups", len(values), len(groups))
		v.broken = true
	} else {
		for i, value := range values {
			v.options = append(v.options, pair{groups[i], value})
		}
	}
	for _, facet := range split(vendureCell(row, "variantfacets")) {
		if name, value, ok := strings.Cut(facet, ":"); ok && strings.TrimSpace(name) != "" && strings.TrimSpace(value) != "" {
			v.attributes = append(v.attributes, pair{unescape(strings.TrimSpace(name)), unescape(strings.TrimSpace(value))})
		}
	}
	for _, asset := range split(row.get("variantassets")) {
		if strings.Contains(asset, "://") {
			v.images = append(v.images, r.image(row.line, "variantAssets", asset, "")...)
		}
	}
	if class := strings.ToLower(row.get("taxcategory")); class != "" && a.taxClass == "" {
		a.taxClass = class
	}
	a.variants = append(a.variants, v)
}

func writeVendure(w *writer, articles []article) {
	w.columns("name", "slug", "description", "assets", "facets", "optionGroups", "optionValues", "sku", "price", "taxCategory",
		"stockOnHand", "trackInventory", "variantAssets", "variantFacets", vendureGroup, vendureStatus, vendureWeight)
	for _, a := range articles {
		for i, v := range a.variants {
			cells := []string{
				"optionValues", join(v.options, func(p pair) string { return p.value }), "sku", v.sku, "price", v.price.Decimal(),
				"taxCategory", a.taxClass, "stockOnHand", strconv.Itoa(int(v.onHand)), "trackInventory", "true",
				vendureWeight, strconv.Itoa(int(v.grams)),
			}
			if i == 0 {
				cells = append(cells, "name", a.title, "slug", a.handle, "description", htmlText(a.description),
					"assets", join(a.images, func(i product.Image) string { return i.ExternalURL }), "facets", a.facets(),
					"optionGroups", join(v.options, func(p pair) string { return p.name }), vendureGroup, a.group,
					vendureStatus, strings.ToLower(string(a.status)))
			}
			w.row(cells...)
		}
	}
}

func (a *article) facets() string {
	var facets []string
	for _, path := range a.categories {
		facets = append(facets, "category:"+escape(joinPath(path)))
	}
	for _, p := range a.attributes {
		facets = append(facets, escape(p.name)+":"+escape(p.value))
	}
	return strings.Join(facets, "|")
}

func split(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var parts []string
	for part := range strings.SplitSeq(text, "|") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func join[T any](list []T, text func(T) string) string {
	parts := make([]string, len(list))
	for i, item := range list {
		parts[i] = text(item)
	}
	return strings.Join(parts, "|")
}
