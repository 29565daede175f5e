// Package exchange reads and writes catalog files of other shops: Shopify's
// product CSV, the CSV of Vendure's importer and Medusa's product import CSV.
//
// Each format maps its rows to articles (what those shops call a product) with
// variants; a variant becomes one product of ours. What a format has no column
// for travels in tags such as "commerce.tax:reduced", so that a file we wrote
// reads back as the same catalog. Nothing is fetched: addresses of images are
// kept as they are, https only.
package exchange

import (
	"bytes"
	"io"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/product"
)

// Format is a file format.
type Format string

// The formats.
const (
	// Shopify is Shopify's product CSV, with the old and the new column names.
	Shopify Format = "shopify"
	// Vendure is the CSV of Vendure's importer.
	Vendure Format = "vendure"
	// Medusa is the product import CSV of Medusa 2.
	Medusa Format = "medusa"
)

// Formats lists the formats by name.
var Formats = []Format{Shopify, Vendure, Medusa}

// ContentType of every format's files.
const ContentType = "text/csv; charset=utf-8"

type codec struct {
	// key is the column without which the file is not of this format.
	key   []string
	parse func(*table, *reader)
	write func(*writer, []article)
}

var codecs = map[Format]codec{
	Shopify: {key: []string{"title"}, parse: parseShopify, write: writeShopify},
	Vendure: {key: []string{"name"}, parse: parseVendure, write: writeVendure},
	Medusa:  {key: []string{"product title", "product handle"}, parse: parseMedusa, write: writeMedusa},
}

// Parse reads a file. Prices are in the currency unless a column names another.
// Rows that make no sense are reported, the others returned; an error means that
// the whole file is not of the format.
func Parse(format Format, data []byte, currency string) ([]product.Item, []product.RowError, error) {
	c, ok := codecs[format]
	if !ok {
		return nil, nil, fault.Invalid("format", "the format is not known").WithField("format", string(format))
	}
	t, err := readTable(data)
	if err != nil {
		return nil, nil, err
	}
	if !t.has(c.key...) {
		return nil, nil, fault.Invalid("content", "the file has no column %q, so it is not in the format %s", c.key[0], format)
	}
	r := &reader{currency: currency, errors: t.errors}
	c.parse(t, r)
	return r.items(), r.errors, nil
}

// Write writes products to a file. Products of one group are written as variants
// of one article where the format can say what they are.
func Write(format Format, w io.Writer, products []product.Product, categories []product.Category) error {
	c, ok := codecs[format]
	if !ok {
		return fault.Invalid("format", "the format is not known").WithField("format", string(format))
	}
	var buffer bytes.Buffer
	out := &writer{buffer: &buffer}
	c.write(out, articles(products, categories))
	_, err := w.Write(buffer.Bytes())
	return err
}
