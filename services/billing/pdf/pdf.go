// Package pdf prints billing's documents. The same document gives the same
// bytes, so it can be printed again at any time instead of being stored.
package pdf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// Sizes of an A4 page in millimetres.
const (
	margin     = 20.0
	lineHeight = 6.0
	content    = 210 - 2*margin
	columnText = 86.0
	columnQty  = 14.0
	columnSum  = 35.0
)

const family = "go"

// Render prints a document as PDF.
func Render(d billing.Invoice) ([]byte, error) {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.SetCreationDate(d.CreateTime.UTC())
	doc.SetModificationDate(d.CreateTime.UTC())
	doc.SetCatalogSort(true)
	doc.SetTitle(title(d)+" "+d.Number, true)
	doc.AddUTF8FontFromBytes(family, "", goregular.TTF)
	doc.AddUTF8FontFromBytes(family, "B", gobold.TTF)
	doc.SetMargins(margin, margin, margin)
	doc.SetAutoPageBreak(true, margin)
	doc.SetFooterFunc(func() {
		doc.SetY(-margin)
		doc.SetFont(family, "", 8)
		doc.CellFormat(0, lineHeight, d.Number+"  ·  "+strconv.Itoa(doc.PageNo()), "", 0, "C", false, 0, "")
	})
	doc.AddPage()
	head(doc, d)
	lines(doc, d)
	sums(doc, d)
	var out bytes.Buffer
	if err := doc.Output(&out); err != nil {
		return nil, fmt.Errorf("pdf: %s: %w", d.Number, err)
	}
	return out.Bytes(), nil
}

func title(d billing.Invoice) string {
	if d.Kind == billing.KindCreditNote {
		return "Credit note"
	}
	return "Invoice"
}

func head(doc *fpdf.Fpdf, d billing.Invoice) {
	doc.SetFont(family, "B", 18)
	doc.CellFormat(0, 12, title(d), "", 1, "L", false, 0, "")
	doc.SetFont(family, "", 10)
	r := d.Recipient
	for _, text := range []string{
		r.Name, differs(r.Address.Recipient, r.Name), r.Address.Line1, r.Address.Line2, joined(r.Address.PostalCode, r.Address.City),
		joined(r.Address.Region, r.Address.CountryCode), labelled("Tax ID: ", r.TaxID),
	} {
		if text != "" {
			doc.CellFormat(0, lineHeight, plain(text), "", 1, "L", false, 0, "")
		}
	}
	doc.Ln(lineHeight)
	for _, row := range [][2]string{
		{"Number", d.Number}, {"Date", d.CreateTime.UTC().Format(time.DateOnly)}, {"Order", d.OrderNumber},
	} {
		doc.CellFormat(30, lineHeight, row[0], "", 0, "L", false, 0, "")
		doc.CellFormat(0, lineHeight, plain(row[1]), "", 1, "L", false, 0, "")
	}
	doc.Ln(lineHeight)
}

func lines(doc *fpdf.Fpdf, d billing.Invoice) {
	doc.SetFont(family, "B", 9)
	row(doc, "B", "Description", "Qty", "Unit price", "Total")
	doc.SetFont(family, "", 9)
	for _, line := range d.Lines {
		parts := doc.SplitText(plain(line.Description), columnText-2)
		if len(parts) == 0 {
			parts = []string{""}
		}
		for i, part := range parts {
			if i > 0 {
				row(doc, "", part, "", "", "")
				continue
			}
			row(doc, "", part, strconv.Itoa(int(line.Quantity)), amount(d, line.UnitPrice), amount(d, line.Total))
		}
	}
	doc.Ln(lineHeight / 2)
}

func row(doc *fpdf.Fpdf, border, text, quantity, unit, total string) {
	doc.CellFormat(columnText, lineHeight, text, border, 0, "L", false, 0, "")
	doc.CellFormat(columnQty, lineHeight, quantity, border, 0, "R", false, 0, "")
	doc.CellFormat(columnSum, lineHeight, unit, border, 0, "R", false, 0, "")
	doc.CellFormat(columnSum, lineHeight, total, border, 1, "R", false, 0, "")
}

func sums(doc *fpdf.Fpdf, d billing.Invoice) {
	sum := func(label string, minor int64) {
		doc.CellFormat(content-columnSum, lineHeight, label, "", 0, "R", false, 0, "")
		doc.CellFormat(columnSum, lineHeight, amount(d, minor), "", 1, "R", false, 0, "")
	}
	sum("Subtotal", d.Amounts.Subtotal)
	if d.Amounts.Discount != 0 {
		sum("Discount", -d.Amounts.Discount)
	}
	sum("Shipping", d.Amounts.Shipping)
	sum("Tax", d.Amounts.Tax)
	doc.SetFont(family, "B", 10)
	sum("Total", d.Amounts.Total)
}

func amount(d billing.Invoice, minor int64) string {
	return money.Money{CurrencyCode: d.Currency, AmountMinor: minor}.String()
}

// plain keeps control characters and runes outside the fonts' plane away from
// the printer, which would fail on them.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		case r > 0xffff:
			return '□'
		default:
			return r
		}
	}, strings.ToValidUTF8(text, "□"))
}

func joined(a, b string) string { return strings.TrimSpace(a + " " + b) }

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + text
}

func differs(text, from string) string {
	if text == from {
		return ""
	}
	return text
}
