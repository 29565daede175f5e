package pdf_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/pdf"
)

func document(lines int) billing.Invoice {
	d := billing.Invoice{
		Number: "INV-2026-000042", Kind: billing.KindInvoice, OrderNumber: "CS-1001", Currency: "EUR",
		Recipient: billing.Recipient{Name: "Müller & Söhne GmbH", TaxID: "DE123456789", Address: billing.Address{
			Recipient: "Jiří Ångström", Line1: "Straße 1", City: "Łódź", PostalCode: "90-001", CountryCode: "PL",
		}},
		Amounts:    billing.Amounts{Subtotal: 4000, Discount: 500, Tax: 665, Shipping: 490, Total: 4655},
		CreateTime: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}
	for range lines {
		d.Lines = append(d.Lines, billing.Line{Description: "Lampe „Öl“ – sehr lang " + strings.Repeat("und noch länger ", 6), Quantity: 2, UnitPrice: 2000, Tax: 760, Total: 4000})
	}
	return d
}

// texts counts the pages and unpacks what they draw.
func texts(t *testing.T, printed []byte) (pages int, drawn string) {
	t.Helper()
	pages = len(regexp.MustCompile(`/Type /Page\n`).FindAll(printed, -1))
	var all strings.Builder
	for _, part := range bytes.Split(printed, []byte("stream\n"))[1:] {
		reader, err := zlib.NewReader(bytes.NewReader(part))
		if err != nil {
			continue
		}
		content, _ := io.ReadAll(reader)
		all.Write(content)
	}
	return pages, all.String()
}

// utf16 is how a text stands in the page: two bytes a rune.
func utf16(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteByte(byte(r >> 8))
		b.WriteByte(byte(r))
	}
	return b.String()
}

func TestRender(t *testing.T) {
	t.Parallel()
	d := document(1)
	printed, err := pdf.Render(d)
	if err != nil {
		t.Fatal(err)
	}
	pages, drawn := texts(t, printed)
	if pages != 1 {
		t.Errorf("%d pages", pages)
	}
	for _, want := range []string{"Invoice", "INV-2026-000042", "Müller & Söhne GmbH", "Jiří Ångström", "Łódź", "DE123456789", "46.55 EUR", "-5.00 EUR", "CS-1001", "2026-03-04"} {
		if !strings.Contains(drawn, utf16(want)) {
			t.Errorf("%q is not on the page", want)
		}
	}
	d.Kind = billing.KindCreditNote
	if printed, err = pdf.Render(d); err != nil {
		t.Fatal(err)
	}
	if _, drawn = texts(t, printed); !strings.Contains(drawn, utf16("Credit note")) {
		t.Error("the credit note does not say so")
	}
}

func TestTheSameDocumentGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	first, err := pdf.Render(document(3))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := pdf.Render(document(3))
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the bytes differ, %v", err)
		}
	}
}

func TestManyLinesTakeSeveralPages(t *testing.T) {
	t.Parallel()
	printed, err := pdf.Render(document(120))
	if err != nil {
		t.Fatal(err)
	}
	if pages, _ := texts(t, printed); pages < 3 {
		t.Errorf("%d pages", pages)
	}
}

func TestOddTextsArePrinted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a\nb\tc\x00d", "emoji 🚲 and \U0010ffff", "中文字符", "\xff\xfe", strings.Repeat("x", 3000)} {
		d := document(1)
		d.Recipient.Name, d.Lines[0].Description = text, text
		if _, err := pdf.Render(d); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("Ann", "Lamp", "EUR")
	f.Add("\x00", "🚲", "JPY")
	f.Fuzz(func(t *testing.T, name, description, currency string) {
		d := document(1)
		d.Recipient.Name, d.Recipient.Address.Line2, d.Lines[0].Description, d.Currency = name, name, description, currency
		if _, err := pdf.Render(d); err != nil {
			t.Fatal(err)
		}
	})
}
