package exchange

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/services/product"
)

// Each row is a variant; rows of one handle (or one title, without handles) are
// one product. Prices stand in a column for each currency.
func parseMedusa(t *table, r *reader) {
	priceColumn := "variant price " + strings.ToLower(r.currency)
	byKey := map[string]*article{}
	for _, row := range t.rows {
		key, title := row.get("product handle"), row.get("product title")
		if key == "" {
			key = title
		}
		a := byKey[key]
		if a == nil {
			if title == "" {
				r.fail(row.line, "Product Title", "a title is required in the first row of a product")
				continue
			}
			a = r.medusaArticle(row, title)
			byKey[key] = a
			r.articles = append(r.articles, a)
		}
		r.medusaVariant(a, row, priceColumn)
	}
}

func (r *reader) medusaArticle(row row, title string) *article {
	a := &article{
		line: row.line, handle: row.get("product handle"), title: title, description: row.get("product description"),
		status: medusaStatus(row.get("product status")),
	}
	for _, text := range row.numbered("product tag ") {
		a.tag(text)
	}
	for _, text := range row.numbered("product category ") {
		// What looks like an id of the other shop is no name.
		if path := splitPath(text); len(path) > 0 && !strings.HasPrefix(text, "pcat_") {
			a.categories = append(a.categories, path)
		}
	}
	if material := row.get("product material"); material != "" {
		a.attributes = append(a.attributes, pair{"material", material})
	}
	images := row.numbered("product image ")
	if len(images) == 0 {
		images = []string{row.get("product thumbnail")}
	}
	for _, address := range images {
		a.images = append(a.images, r.image(row.line, "Product Image", address, "")...)
	}
	return a
}

func medusaStatus(text string) product.Status {
	switch strings.ToLower(text) {
	case "draft", "proposed":
		return product.StatusDraft
	case "rejected":
		return product.StatusArchived
	default:
		return product.StatusActive
	}
}

func (r *reader) medusaVariant(a *article, row row, priceColumn string) {
	v := variant{line: row.line, sku: row.get("variant sku")}
	r.price(&v, "Variant Price "+r.currency, row.get(priceColumn), r.currency)
	v.onHand = r.number(&v, "Variant Inventory Quantity", row.get("variant inventory quantity"))
	weight := row.get("variant weight")
	if weight == "" {
		weight = row.get("product weight")
	}
	v.grams = r.weight(&v, "Variant Weight", weight)
	for i := 1; row.table.has(fmt.Sprintf("variant option %d value", i)); i++ {
		name, value := row.get(fmt.Sprintf("variant option %d name", i)), row.get(fmt.Sprintf("variant option %d value", i))
		if value == "" || defaultOption(name, value) {
			continue
		}
		if name == "" {
			name = fmt.Sprintf("option %d", i)
		}
		v.options = append(v.options, pair{name, value})
	}
	a.variants = append(a.variants, v)
}

// numbered returns the cells of the columns "prefix1", "prefix1 url", "prefix2" and so on that are not empty.
func (r row) numbered(prefix string) []string {
	var cells []string
	for i, name := range r.table.names {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || i >= len(r.cells) || r.cells[i] == "" {
			continue
		}
		if _, err := strconv.Atoi(strings.TrimSuffix(rest, " url")); err == nil {
			cells = append(cells, r.cells[i])
		}
	}
	return cells
}

func writeMedusa(w *writer, articles []article) {
	var tags, categories, images, options int
	currencies := map[string]bool{}
	for _, a := range articles {
		tags, categories, images = max(tags, len(a.tags(len(a.categories)))), max(categories, len(a.categories)), max(images, len(a.images))
		for _, v := range a.variants {
			options = max(options, len(v.options))
			currencies[v.price.CurrencyCode] = true
		}
	}
	columns := []string{
		"Product Id", "Product Handle", "Product Title", "Product Subtitle", "Product Description", "Product Status", "Product Thumbnail",
	}
	columns = append(columns, numbers("Product Tag %d", tags)...)
	columns = append(columns, numbers("Product Category %d", categories)...)
	columns = append(columns, "Variant Id", "Variant Title", "Variant SKU", "Variant Allow Backorder", "Variant Manage Inventory",
		"Variant Inventory Quantity", "Variant Weight")
	for _, code := range sorted(currencies) {
		columns = append(columns, "Variant Price "+code)
	}
	for i := 1; i <= max(options, 1); i++ {
		columns = append(columns, fmt.Sprintf("Variant Option %d Name", i), fmt.Sprintf("Variant Option %d Value", i))
	}
	w.columns(append(columns, numbers("Product Image %d Url", images)...)...)
	for _, a := range articles {
		for _, v := range a.variants {
			w.row(medusaCells(a, v)...)
		}
	}
}

func medusaCells(a article, v variant) []string {
	status := map[product.Status]string{
		product.StatusActive: "published", product.StatusDraft: "draft", product.StatusArchived: "rejected",
	}[a.status]
	cells := []string{
		"Product Handle", a.handle, "Product Title", a.title, "Product Description", a.description, "Product Status", status,
		"Variant SKU", v.sku, "Variant Allow Backorder", "FALSE", "Variant Manage Inventory", "TRUE",
		"Variant Inventory Quantity", strconv.Itoa(int(v.onHand)), "Variant Weight", strconv.Itoa(int(v.grams)),
		"Variant Price " + v.price.CurrencyCode, v.price.Decimal(),
	}
	for i, tag := range a.tags(len(a.categories)) {
		cells = append(cells, fmt.Sprintf("Product Tag %d", i+1), tag)
	}
	for i, path := range a.categories {
		cells = append(cells, fmt.Sprintf("Product Category %d", i+1), joinPath(path))
	}
	for i, image := range a.images {
		cells = append(cells, fmt.Sprintf("Product Image %d Url", i+1), image.ExternalURL)
		if i == 0 {
			cells = append(cells, "Product Thumbnail", image.ExternalURL)
		}
	}
	options := v.options
	title := make([]string, 0, len(options))
	if len(options) == 0 {
		options = []pair{{"Default option", "Default option value"}}
	}
	for i, option := range options {
		cells = append(cells, fmt.Sprintf("Variant Option %d Name", i+1), option.name, fmt.Sprintf("Variant Option %d Value", i+1), option.value)
		title = append(title, option.value)
	}
	return append(cells, "Variant Title", strings.Join(title, valueJoin))
}

func numbers(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i+1)
	}
	return list
}
