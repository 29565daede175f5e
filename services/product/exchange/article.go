package exchange

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/product"
)

// What a variant's name is made of: "Title – Red / Large".
const (
	nameJoin  = " – "
	valueJoin = " / "
	pathJoin  = " > "
)

// maxGrams is the heaviest product.
const maxGrams = 100_000_000

// Tags that say what a format has no column for.
const (
	tagCategory = "commerce.category"
	tagGroup    = "commerce.group"
	tagTax      = "commerce.tax"
)

// article is what other shops call a product: what its variants have in common.
type article struct {
	line        int
	handle      string
	title       string
	description string
	status      product.Status
	taxClass    string
	group       string // set when the article is one of several with the same group
	categories  [][]string
	attributes  []pair
	images      []product.Image
	variants    []variant
}

type variant struct {
	line    int
	sku     string
	price   money.Money
	onHand  int32
	grams   int32
	options []pair
	// attributes of this variant alone that are no options.
	attributes []pair
	images     []product.Image
	broken     bool
}

type pair struct{ name, value string }

// reader collects articles and what is wrong with rows.
type reader struct {
	currency string
	articles []*article
	errors   []product.RowError
}

func (r *reader) fail(line int, field, format string, args ...any) {
	r.errors = append(r.errors, product.RowError{Line: line, Field: field, Message: fmt.Sprintf(format, args...)})
}

// price reads a price in whole units, such as "19.99".
func (r *reader) price(v *variant, field, text, currency string) {
	if text == "" {
		r.fail(v.line, field, "a price is required")
		v.broken = true
		return
	}
	price, err := money.Parse(text, currency)
	switch {
	case err != nil:
		r.fail(v.line, field, "%q is not a price in %s", clip(text), clip(currency))
		v.broken = true
	case price.IsNegative():
		r.fail(v.line, field, "a price is not negative")
		v.broken = true
	default:
		v.price = price
	}
}

// number reads a whole number of at least 0; an empty text is 0.
func (r *reader) number(v *variant, field, text string) int32 {
	if text == "" {
		return 0
	}
	// Exports of spreadsheets write whole numbers as "12.0".
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 32)
	if err != nil || n < 0 || strings.Trim(fraction, "0") != "" {
		r.fail(v.line, field, "%q is not a whole number of at least 0", clip(text))
		v.broken = true
		return 0
	}
	return int32(n)
}

// weight reads grams, which other shops convert from ounces with all decimals; an empty text is 0.
func (r *reader) weight(v *variant, field, text string) int32 {
	if text == "" {
		return 0
	}
	grams, err := strconv.ParseFloat(text, 64)
	if err != nil || !(grams >= 0 && grams <= maxGrams) {
		r.fail(v.line, field, "%q is not a weight between 0 and %d grams", clip(text), int(maxGrams))
		v.broken = true
		return 0
	}
	return int32(math.Round(grams))
}

// image keeps an https address; other addresses are reported and left out.
func (r *reader) image(line int, field, address, alt string) []product.Image {
	if address == "" {
		return nil
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || len(address) > 2000 {
		r.fail(line, field, "the image is left out: only https addresses are kept")
		return nil
	}
	return []product.Image{{ExternalURL: address, Alt: clipTo(alt, 300)}}
}

// tag takes a tag of ours apart; a foreign tag without a colon means nothing to us.
func (a *article) tag(text string) {
	name, value, ok := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), unescape(strings.TrimSpace(value))
	if !ok || name == "" || value == "" {
		return
	}
	switch name {
	case tagCategory:
		a.categories = append(a.categories, splitPath(value))
	case tagGroup:
		a.group = value
	case tagTax:
		a.taxClass = value
	default:
		a.attributes = append(a.attributes, pair{unescape(name), value})
	}
}

// tags says as tags what the format has no column for.
func (a *article) tags(skipCategories int) []string {
	var tags []string
	for i, path := range a.categories {
		if i >= skipCategories {
			tags = append(tags, tagCategory+":"+escape(joinPath(path)))
		}
	}
	if a.group != "" {
		tags = append(tags, tagGroup+":"+escape(a.group))
	}
	if a.taxClass != "" && a.taxClass != product.DefaultTaxClass {
		tags = append(tags, tagTax+":"+escape(a.taxClass))
	}
	for _, p := range a.attributes {
		tags = append(tags, escape(p.name)+":"+escape(p.value))
	}
	return tags
}

// items turns the articles into products.
func (r *reader) items() []product.Item {
	var items []product.Item
	for _, a := range r.articles {
		if len(a.variants) == 0 {
			r.fail(a.line, "", "the product has no row with a price")
		}
		lines := map[string]int{}
		for _, v := range a.variants {
			if v.broken {
				continue
			}
			item := a.item(v)
			r.distinguish(&item, v, lines)
			items = append(items, item)
		}
	}
	return items
}

// distinguish gives variants of one article that share a SKU, which some shops
// allow, one each: with their options behind it, the same in every import.
func (r *reader) distinguish(item *product.Item, v variant, lines map[string]int) {
	sku := item.Product.SKU
	first, twice := lines[sku]
	if !twice {
		lines[sku] = v.line
		return
	}
	if len(v.options) == 0 {
		return // nothing tells them apart; the import refuses the second
	}
	values := make([]string, len(v.options))
	for i, option := range v.options {
		values[i] = option.value
	}
	item.Product.SKU = sku + "-" + product.Slugify(strings.Join(values, " "), "variant")
	r.fail(v.line, "sku", "the SKU is in line %d too; this variant became %q", first, item.Product.SKU)
}

func (a *article) item(v variant) product.Item {
	handle := a.handle
	if handle == "" {
		handle = product.Slugify(a.title, "product")
	}
	p := product.Product{
		SKU: v.sku, Name: a.title, Description: a.description, Price: v.price, TaxClass: a.taxClass, Status: a.status,
		WeightGrams: v.grams, GroupKey: a.group, Slug: product.Slugify(handle, "product"), Attributes: map[string]string{},
	}
	for _, attribute := range a.attributes {
		p.Attributes[strings.ReplaceAll(attribute.name, ":", " ")] = attribute.value
	}
	for _, attribute := range v.attributes {
		p.Attributes[strings.ReplaceAll(attribute.name, ":", " ")] = attribute.value
	}
	values := make([]string, len(v.options))
	for i, option := range v.options {
		values[i] = option.value
		p.Attributes[optionName(option.name)] = option.value
	}
	if len(values) > 0 {
		p.Name = a.title + nameJoin + strings.Join(values, valueJoin)
		p.Slug = product.Slugify(handle+" "+strings.Join(values, " "), "product")
	}
	if len(values) > 0 && p.GroupKey == "" {
		p.GroupKey = handle
	}
	if p.SKU == "" {
		// The slug is what stays the same in the next file of the same shop.
		p.SKU = p.Slug
	}
	return product.Item{
		Line: v.line, Product: p, OnHand: v.onHand, Categories: a.categories, Images: distinct(v.images, a.images),
	}
}

// optionName makes one filter of "Color", "color " and "COLOR". A colon would end the name in a filter.
func optionName(name string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), ":", " "))
}

func distinct(lists ...[]product.Image) []product.Image {
	var out []product.Image
	for _, image := range slices.Concat(lists...) {
		if !slices.ContainsFunc(out, func(i product.Image) bool { return i.ExternalURL == image.ExternalURL }) {
			out = append(out, image)
		}
	}
	return out
}

// articles puts products together again.
func articles(products []product.Product, categories []product.Category) []article {
	paths := pathsOf(categories)
	groups := map[string][]product.Product{}
	for _, p := range products {
		if p.GroupKey != "" {
			groups[p.GroupKey] = append(groups[p.GroupKey], p)
		}
	}
	var list []article
	done := map[string]bool{}
	for _, p := range products {
		members := groups[p.GroupKey]
		if p.GroupKey == "" || done[p.GroupKey] && len(members) == 0 {
			list = append(list, alone(p, paths))
			continue
		}
		if done[p.GroupKey] {
			continue
		}
		done[p.GroupKey] = true
		if a, ok := together(members, paths); ok {
			list = append(list, a)
			continue
		}
		for _, member := range members {
			list = append(list, alone(member, paths))
		}
	}
	return list
}

// alone writes a product as an article of its own.
func alone(p product.Product, paths map[uuid.UUID][]string) article {
	a := common(p, paths)
	a.handle, a.title, a.group, a.images = p.Slug, p.Name, p.GroupKey, external(p.Images)
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		a.attributes = append(a.attributes, pair{name, p.Attributes[name]})
	}
	a.variants = []variant{variantOf(p)}
	return a
}

func common(p product.Product, paths map[uuid.UUID][]string) article {
	a := article{description: p.Description, status: p.Status, taxClass: p.TaxClass}
	for _, id := range p.CategoryIDs {
		if path, ok := paths[id]; ok {
			a.categories = append(a.categories, path)
		}
	}
	slices.SortFunc(a.categories, slices.Compare)
	return a
}

func variantOf(p product.Product) variant {
	sku := p.SKU
	if sku == "" {
		sku = p.Slug
	}
	return variant{sku: sku, price: p.Price, onHand: p.Stock.OnHand, grams: p.WeightGrams}
}

// together writes the members of a group as one article, if reading it back
// would make exactly these products.
func together(members []product.Product, paths map[uuid.UUID][]string) (article, bool) {
	first := members[0]
	title, _, ok := strings.Cut(first.Name, nameJoin)
	names, ok2 := optionNames(first, title)
	if !ok || !ok2 {
		return article{}, false
	}
	a := common(first, paths)
	a.handle, a.title, a.images = first.GroupKey, title, external(first.Images)
	for _, name := range slices.Sorted(maps.Keys(first.Attributes)) {
		if !slices.Contains(names, name) {
			a.attributes = append(a.attributes, pair{name, first.Attributes[name]})
		}
	}
	for _, p := range members {
		v := variantOf(p)
		for _, name := range names {
			v.options = append(v.options, pair{name, p.Attributes[name]})
		}
		if !slices.Equal(urls(p.Images), urls(first.Images)) {
			return article{}, false
		}
		again := a.item(v).Product
		same := common(p, paths)
		if again.Name != p.Name || again.Slug != p.Slug || again.GroupKey != p.GroupKey ||
			!maps.Equal(again.Attributes, p.Attributes) || p.Description != a.description || p.Status != a.status ||
			p.TaxClass != a.taxClass || !slices.EqualFunc(same.categories, a.categories, slices.Equal[[]string]) {
			return article{}, false
		}
		a.variants = append(a.variants, v)
	}
	return a, true
}

// optionNames finds the attributes whose values follow the title in the name.
func optionNames(p product.Product, title string) ([]string, bool) {
	_, rest, _ := strings.Cut(p.Name, title+nameJoin)
	var names []string
	for value := range strings.SplitSeq(rest, valueJoin) {
		found := ""
		for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
			if p.Attributes[name] == value && !slices.Contains(names, name) {
				found = name
				break
			}
		}
		if found == "" {
			return nil, false
		}
		names = append(names, found)
	}
	return names, len(names) <= 3
}

func external(images []product.Image) []product.Image {
	return slices.DeleteFunc(slices.Clone(images), func(i product.Image) bool { return i.ExternalURL == "" })
}

func urls(images []product.Image) []string {
	var list []string
	for _, image := range external(images) {
		list = append(list, image.ExternalURL, image.Alt)
	}
	return list
}

func pathsOf(categories []product.Category) map[uuid.UUID][]string {
	byID := make(map[uuid.UUID]product.Category, len(categories))
	for _, c := range categories {
		byID[c.ID] = c
	}
	paths := make(map[uuid.UUID][]string, len(categories))
	for _, c := range categories {
		path := []string{c.Name}
		for parent, ok := byID[c.ParentID]; ok && len(path) < 32; parent, ok = byID[parent.ParentID] {
			path = append(path, parent.Name)
		}
		slices.Reverse(path)
		paths[c.ID] = path
	}
	return paths
}

func splitPath(text string) []string {
	var path []string
	for name := range strings.SplitSeq(text, ">") {
		if name = strings.TrimSpace(unescape(name)); name != "" {
			path = append(path, name)
		}
	}
	return path
}

func joinPath(path []string) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = pathEscaper.Replace(name)
	}
	return strings.Join(names, pathJoin)
}

// Characters that separate tags and facets in the formats.
var (
	escaper     = strings.NewReplacer("%", "%25", ",", "%2C", "|", "%7C", ":", "%3A")
	pathEscaper = strings.NewReplacer("%", "%25", ">", "%3E")
	unescaper   = strings.NewReplacer("%25", "%", "%2C", ",", "%7C", "|", "%3A", ":", "%3E", ">")
)

func escape(text string) string { return escaper.Replace(text) }

func unescape(text string) string { return unescaper.Replace(text) }

func clip(text string) string { return clipTo(text, 40) }

func clipTo(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit])
}
