package catalog

import (
	"bytes"
	"image/jpeg"
	"testing"

	"github.com/commercestack/commercestack/services/product/exchange"
)

func TestEveryProductHasAPicture(t *testing.T) {
	t.Parallel()
	bySKU, err := motifs()
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[motif][]byte{}
	for sku, m := range bySKU {
		if drawn[m] != nil {
			continue
		}
		if drawn[m], err = draw(m); err != nil {
			t.Fatalf("%s: %v", sku, err)
		}
		config, err := jpeg.DecodeConfig(bytes.NewReader(drawn[m]))
		if err != nil || config.Width != side || config.Height != side {
			t.Errorf("%s: %+v, %v", sku, config, err)
		}
	}
	if len(drawn) < 40 {
		t.Errorf("only %d different pictures", len(drawn))
	}
}

func TestDrawRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, m := range []motif{{kind: "ghost"}, {kind: "mug", color: "Infrared"}} {
		if _, err := draw(m); err == nil {
			t.Errorf("%+v was drawn", m)
		}
	}
	for _, path := range []string{"X 1 2", "M 1", "L a b"} {
		if err := trace(nil, path); err == nil {
			t.Errorf("outline %q was traced", path)
		}
	}
}

func TestFileFitsCurrencies(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]int64{"EUR": 1690, "JPY": 1690, "KWD": 16900} {
		content, err := File(currency)
		if err != nil {
			t.Fatal(err)
		}
		items, problems, err := exchange.Parse(exchange.Shopify, content, currency)
		if err != nil || len(problems) > 0 || len(items) != 64 {
			t.Fatalf("%s: %d items, %v, %v", currency, len(items), problems, err)
		}
		if got := items[0].Product.Price; got.AmountMinor != want || got.CurrencyCode != currency {
			t.Errorf("%s: first price %v, want %d", currency, got, want)
		}
	}
	if _, err := File("XXQ"); err == nil {
		t.Error("an unknown currency was taken")
	}
}
