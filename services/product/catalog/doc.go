// Package catalog is the demo shop: a file in Shopify's format that goes through
// the importer like anybody's, and pictures that are drawn for it, so that a
// fresh shop looks alive.
package catalog

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"strings"

	"github.com/commercestack/commercestack/internal/money"
)

//go:embed demo.csv
var file []byte

// File returns the demo catalog in Shopify's format with prices that the
// currency can hold: without decimals, where it has none.
func File(currency string) ([]byte, error) {
	exponent, err := money.Exponent(currency)
	if err != nil {
		return nil, err
	}
	rows, column, err := read()
	if err != nil || exponent >= 2 {
		return file, err
	}
	for _, row := range rows[1:] {
		// 16.90 units of two decimals become 1690 of a currency whose smallest unit is worth about as much.
		row[column["Variant Price"]] = strings.ReplaceAll(row[column["Variant Price"]], ".", "")
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func read() (rows [][]string, column map[string]int, err error) {
	rows, err = csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		return nil, nil, err
	}
	column = make(map[string]int, len(rows[0]))
	for i, name := range rows[0] {
		column[name] = i
	}
	return rows, column, nil
}

// motif is what the picture of a product shows.
type motif struct{ kind, color string }

// motifs returns what to draw, by SKU.
func motifs() (map[string]motif, error) {
	rows, column, err := read()
	if err != nil {
		return nil, err
	}
	bySKU := make(map[string]motif, len(rows))
	kind := ""
	colored := false
	for _, row := range rows[1:] {
		if text := row[column["Type"]]; text != "" {
			kind = text
			colored = row[column["Option1 Name"]] == "Color"
		}
		m := motif{kind: kind}
		if colored {
			m.color = row[column["Option1 Value"]]
		}
		bySKU[row[column["Variant SKU"]]] = m
	}
	return bySKU, nil
}
