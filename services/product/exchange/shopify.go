package exchange

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/services/product"
)

// Shopify renamed its columns; files with the old names are still everywhere.
// Rows of one handle are one product: the first has what its variants share,
// rows with an image address only add images.
func parseShopify(t *table, r *reader) {
	byHandle := map[string]*article{}
	positions := map[*article][]int{}
	var current *article
	for _, row := range t.rows {
		handle := row.get("handle", "url handle")
		title := row.get("title")
		a := byHandle[handle]
		switch {
		case handle == "" && title == "" && current != nil:
			a = current
		case a == nil && title == "":
			r.fail(row.line, "Title", "a title is required in the first row of a product")
			continue
		case a == nil || handle == "":
			a = shopifyArticle(row, handle, title)
			r.articles = append(r.articles, a)
			if handle != "" {
				byHandle[handle] = a
			}
		}
		current = a
		for _, image := range r.image(row.line, row.named("Image Src", "Product image URL"), row.get("image src", "product image url"), row.get("image alt text")) {
			position, err := strconv.Atoi(row.get("image position"))
			if err != nil {
				position = len(a.images) + 1
			}
			at := len(positions[a])
			for at > 0 && positions[a][at-1] > position {
				at--
			}
			positions[a] = slices.Insert(positions[a], at, position)
			a.images = slices.Insert(a.images, at, image)
		}
		r.shopifyVariant(a, row)
	}
}

func shopifyArticle(row row, handle, title string) *article {
	a := &article{
		line: row.line, handle: handle, title: title, description: plainText(row.get("body (html)", "description")),
		status: shopifyStatus(row),
	}
	for tag := range strings.SplitSeq(row.get("tags"), ",") {
		a.tag(tag)
	}
	if path := splitPath(row.get("product category", "standard product type")); len(path) > 0 {
		a.categories = slices.Insert(a.categories, 0, path)
	} else if kind := row.get("type", "custom product type"); kind != "" {
		a.categories = slices.Insert(a.categories, 0, []string{kind})
	}
	if vendor := row.get("vendor"); vendor != "" && !slices.ContainsFunc(a.attributes, func(p pair) bool { return p.name == "vendor" }) {
		a.attributes = append(a.attributes, pair{"vendor", vendor})
	}
	return a
}

func shopifyStatus(row row) product.Status {
	switch strings.ToLower(row.get("status")) {
	case "archived":
		return product.StatusArchived
	case "draft":
		return product.StatusDraft
	case "active":
		return product.StatusActive
	}
	if strings.EqualFold(row.get("published", "published on online store"), "false") {
		return product.StatusDraft
	}
	return product.StatusActive
}

// shopifyVariant adds the variant of a row, unless the row only adds an image.
func (r *reader) shopifyVariant(a *article, row row) {
	price := row.get("variant price", "price")
	sku := row.get("variant sku", "sku")
	v := variant{line: row.line, sku: strings.TrimPrefix(sku, "'")}
	for i := 1; i <= 3; i++ {
		name := row.get(fmt.Sprintf("option%d name", i))
		value := row.get(fmt.Sprintf("option%d value", i))
		if value == "" {
			continue
		}
		if name == "" && len(a.variants) > 0 && len(a.variants[0].options) > len(v.options) {
			name = a.variants[0].options[len(v.options)].name // only the first row of a product names its options
		}
		if name == "" {
			name = fmt.Sprintf("option %d", i)
		}
		if !defaultOption(name, value) {
			v.options = append(v.options, pair{name, value})
		}
	}
	if price == "" && sku == "" && len(v.options) == 0 && len(a.variants) > 0 {
		return
	}
	r.price(&v, row.named("Variant Price", "Price"), price, r.currency)
	v.onHand = max(0, r.signed(&v, row.named("Variant Inventory Qty", "Inventory quantity"), row.get("variant inventory qty", "inventory quantity")))
	v.grams = r.weight(&v, row.named("Variant Grams", "Weight value (grams)"), row.get("variant grams", "weight value (grams)"))
	v.images = r.image(row.line, row.named("Variant Image", "Variant image URL"), row.get("variant image", "variant image url"), "")
	a.variants = append(a.variants, v)
}

// signed reads a quantity that Shopify lets fall below nought where it oversells.
func (r *reader) signed(v *variant, field, text string) int32 {
	if strings.HasPrefix(text, "-") {
		r.number(v, field, text[1:])
		return 0
	}
	return r.number(v, field, text)
}

// defaultOption knows how shops name the option of a product without options.
func defaultOption(name, value string) bool {
	switch strings.ToLower(value) {
	case "default title", "default option value", "default variant":
		return true
	case "default":
		name = strings.ToLower(name)
		return name == "title" || name == "variant" || strings.HasPrefix(name, "default")
	default:
		return false
	}
}

func writeShopify(w *writer, articles []article) {
	w.columns("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published",
		"Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value",
		"Variant SKU", "Variant Grams", "Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy",
		"Variant Fulfillment Service", "Variant Price", "Variant Requires Shipping", "Variant Taxable",
		"Image Src", "Image Position", "Image Alt Text", "Gift Card", "Status")
	for _, a := range articles {
		rows := max(len(a.variants), len(a.images))
		for i := range rows {
			cells := []string{"Handle", a.handle}
			if i == 0 {
				category := ""
				if len(a.categories) > 0 {
					category = joinPath(a.categories[0])
				}
				cells = append(cells, "Title", a.title, "Body (HTML)", htmlText(a.description), "Product Category", category,
					"Tags", strings.Join(a.tags(1), ", "), "Published", strings.ToUpper(strconv.FormatBool(a.status == product.StatusActive)),
					"Gift Card", "FALSE", "Status", strings.ToLower(string(a.status)))
			}
			if i < len(a.variants) {
				cells = append(cells, shopifyCells(a.variants[i], i == 0)...)
			}
			if i < len(a.images) {
				cells = append(cells, "Image Src", a.images[i].ExternalURL, "Image Position", strconv.Itoa(i+1), "Image Alt Text", a.images[i].Alt)
			}
			w.row(cells...)
		}
	}
}

func shopifyCells(v variant, first bool) []string {
	cells := []string{
		"Variant SKU", v.sku, "Variant Grams", strconv.Itoa(int(v.grams)), "Variant Inventory Tracker", "shopify",
		"Variant Inventory Qty", strconv.Itoa(int(v.onHand)), "Variant Inventory Policy", "deny",
		"Variant Fulfillment Service", "manual", "Variant Price", v.price.Decimal(), "Variant Requires Shipping", "TRUE",
		"Variant Taxable", "TRUE",
	}
	if len(v.options) == 0 {
		return append(cells, "Option1 Name", "Title", "Option1 Value", "Default Title")
	}
	for i, option := range v.options {
		column := fmt.Sprintf("Option%d ", i+1)
		if first {
			cells = append(cells, column+"Name", option.name)
		}
		cells = append(cells, column+"Value", option.value)
	}
	return cells
}
