package exchange

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/product"
)

func parse(t testing.TB, format Format, file string) ([]product.Item, []product.RowError) {
	t.Helper()
	items, problems, err := Parse(format, []byte(file), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	return items, problems
}

func item(items []product.Item, sku string) product.Item {
	for _, i := range items {
		if i.Product.SKU == sku {
			return i
		}
	}
	return product.Item{}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestShopify(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shopify_old.csv", "shopify_new.csv"} {
		items, problems := parse(t, Shopify, fixture(t, name))
		if len(problems) != 0 || len(items) != 5 {
			t.Fatalf("%s: %d items, %v", name, len(items), problems)
		}
		got := item(items, "TS-RED-S")
		want := product.Item{
			Line: 2, OnHand: 12, Categories: [][]string{{"Apparel", "Shirts"}},
			Product: product.Product{
				SKU: "TS-RED-S", Name: "Shirt, plain – Red / S", Slug: "plain-shirt-red-s", GroupKey: "plain-shirt", WeightGrams: 180,
				Description: "Soft & light.\n\nWash at 40°.", Price: money.Money{CurrencyCode: "EUR", AmountMinor: 1950},
				Status: product.StatusActive, Attributes: map[string]string{"color": "Red", "size": "S", "vendor": "Acme", "material": "cotton"},
			},
			Images: []product.Image{{ExternalURL: "https://img.example/red.jpg"}, {ExternalURL: "https://img.example/1.jpg", Alt: "Front"}, {ExternalURL: "https://img.example/2.jpg"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := item(items, "TS-BLU-M"); got.Product.Name != "Shirt, plain – Blue / M" || got.Product.Attributes["color"] != "Blue" || got.OnHand != 0 {
			t.Errorf("%s: second row: %+v", name, got)
		}
		if got := item(items, "mug"); got.Product.Name != "Mug" || got.Product.GroupKey != "" || got.Product.Status != product.StatusDraft ||
			len(got.Product.Attributes) != 0 || !slices.Equal(got.Categories[0], []string{"Kitchen"}) {
			t.Errorf("%s: single variant: %+v", name, got)
		}
		if got := item(items, "OLD"); got.Product.Status != product.StatusArchived {
			t.Errorf("%s: archived: %+v", name, got.Product)
		}
	}
}

func TestVendure(t *testing.T) {
	t.Parallel()
	items, problems := parse(t, Vendure, fixture(t, "vendure.csv"))
	if len(problems) != 0 || len(items) != 3 {
		t.Fatalf("%d items, %v", len(items), problems)
	}
	got := item(items, "N13-8")
	want := product.Item{
		Line: 2, OnHand: 100, Categories: [][]string{{"Electronics"}, {"Computers"}},
		Product: product.Product{
			SKU: "N13-8", Name: "Notebook – 13 inch / 8GB", Slug: "notebook-13-inch-8gb", GroupKey: "notebook", TaxClass: "standard",
			Description: `Fast, "light" and quiet.`, Price: money.Money{CurrencyCode: "EUR", AmountMinor: 129900}, Status: product.StatusActive,
			Attributes: map[string]string{"screen size": "13 inch", "ram": "8GB", "brand": "Acme"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := item(items, "PEN"); got.Product.Name != "Pen" || got.Product.TaxClass != "reduced" || len(got.Images) != 1 {
		t.Errorf("simple product: %+v", got)
	}
}

func TestVendureVariantsThatShareANumber(t *testing.T) {
	t.Parallel()
	items, problems := parse(t, Vendure, "name,sku,price,optionGroups,optionValues,variantFacets\n"+
		"Chair,404,100,finish,mustard,color:yellow|broken|x:\n,404,100,,mint,color:green\n,404,100,,pearl,\nStool,7,5,,,\n,7,5,,,\n")
	var got []string
	for _, i := range items {
		got = append(got, i.Product.SKU+" "+i.Product.Attributes["color"])
	}
	if want := []string{"404 yellow", "404-mint green", "404-pearl ", "7 ", "7 "}; !slices.Equal(got, want) {
		t.Errorf("items %q, want %q", got, want)
	}
	if len(problems) != 2 || problems[0].Line != 3 || problems[0].Field != "sku" {
		t.Errorf("notes %v", problems)
	}
}

func TestMedusa(t *testing.T) {
	t.Parallel()
	items, problems := parse(t, Medusa, fixture(t, "medusa.csv"))
	if len(problems) != 0 || len(items) != 3 {
		t.Fatalf("%d items, %v", len(items), problems)
	}
	got := item(items, "SWEAT-S")
	want := product.Item{
		Line: 2, OnHand: 7, Categories: [][]string{{"Clothes", "Sweaters"}},
		Product: product.Product{
			SKU: "SWEAT-S", Name: "Sweater – S", Slug: "sweater-s", GroupKey: "sweater", WeightGrams: 400, Description: "Warm.",
			Price: money.Money{CurrencyCode: "EUR", AmountMinor: 1000}, Status: product.StatusActive,
			Attributes: map[string]string{"size": "S", "material": "wool", "season": "winter"},
		},
		Images: []product.Image{{ExternalURL: "https://img.example/a.png"}, {ExternalURL: "https://img.example/b.png"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := item(items, "CAP"); got.Product.Name != "Cap" || got.Product.Status != product.StatusDraft {
		t.Errorf("default option: %+v", got)
	}
}

func TestRowErrorsNameLineAndColumn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		format Format
		file   string
		items  int
		want   []string
	}{
		"shopify prices":    {Shopify, "Handle,Title,Variant Price,Variant SKU\na,A,,1\nb,B,x,2\nc,C,1.999,3\nd,D,-1,4\ne,E,5,5\n", 1, []string{"2 Variant Price", "3 Variant Price", "4 Variant Price", "5 Variant Price"}},
		"shopify no title":  {Shopify, "Handle,Title,Variant Price\na,,5\nb,B,5\n", 1, []string{"2 Title"}},
		"shopify grams":     {Shopify, "Handle,Title,Variant Price,Variant Grams,Variant Inventory Qty\na,A,5,heavy,1\nb,B,5,226.796185,2.0\nc,C,5,,many\nd,D,5,-1,1\ne,E,5,NaN,1\nf,F,5,1,1.5\n", 1, []string{"2 Variant Grams", "4 Variant Inventory Qty", "5 Variant Grams", "6 Variant Grams", "7 Variant Inventory Qty"}},
		"shopify image":     {Shopify, "Handle,Title,Variant Price,Image Src\na,A,5,http://x.example/1.jpg\nb,B,5,javascript:alert(1)\n", 2, []string{"2 Image Src", "3 Image Src"}},
		"shopify oversold":  {Shopify, "Handle,Title,Variant Price,Variant Inventory Qty\na,A,5,-3\n", 1, nil},
		"shopify new names": {Shopify, "URL handle,Title,Price,Inventory quantity,Product image URL\na,A,x,1,\nb,B,5,many,\nc,C,5,1,javascript:alert(1)\n", 1, []string{"2 Price", "3 Inventory quantity", "4 Product image URL"}},
		"no variant":        {Vendure, "name,sku,price\n", 0, nil},
		"vendure orphan":    {Vendure, "name,sku,price\n,1,5\n,2,5\nA,3,5\n", 1, []string{"2 name", "3 name"}},
		"vendure options":   {Vendure, "name,sku,price,optionGroups,optionValues\nA,1,5,size|color,S\n,2,5,,S|red\n", 1, []string{"2 optionValues"}},
		"medusa no title":   {Medusa, "Product Handle,Product Title,Variant Price EUR\nx,,5\n", 0, []string{"2 Product Title"}},
		"medusa currency":   {Medusa, "Product Handle,Product Title,Variant Price USD\nx,X,5\n", 0, []string{"2 Variant Price EUR"}},
		"too many cells":    {Vendure, "name,sku,price\nA,1,5,6\nB,2,5\n", 1, []string{"2 "}},
		"text after quotes": {Vendure, "name,sku,price\n\"A\"x,1,5\nB,2,5\n", 1, []string{"2 "}},
		"open quote":        {Vendure, "name,sku,price\nB,2,5\n\"A,1,5\n", 1, []string{"3 "}},
	} {
		items, problems := parse(t, test.format, test.file)
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%d %s", p.Line, p.Field))
		}
		if len(items) != test.items || !slices.Equal(got, test.want) {
			t.Errorf("%s: %d items, errors %q; want %d, %q", name, len(items), got, test.items, test.want)
		}
	}
}

func TestWholeFileErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		format Format
		file   string
		field  string
	}{
		"empty":        {Shopify, "", "content"},
		"other format": {Shopify, "name,sku\n", "content"},
		"binary":       {Vendure, "name\x00,sku\n", "content"},
		"latin 1":      {Vendure, "name\nK\xfcche\n", "content"},
		"open header":  {Vendure, "\"name,sku\n", "content"},
		"wide":         {Vendure, "name" + strings.Repeat(",", maxColumns) + "\n", "content"},
		"long":         {Vendure, "name\n" + strings.Repeat("a\n", maxRows+1), "content"},
		"format":       {"lotus", "name\n", "format"},
	} {
		_, _, err := Parse(test.format, []byte(test.file), "EUR")
		if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput || f.Field != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Write("lotus", &bytes.Buffer{}, nil, nil); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestTableIsLenientWhereFilesAre(t *testing.T) {
	t.Parallel()
	table, err := readTable([]byte("\xef\xbb\xbf Name  ;SKU ; \"price\"\r\n  A ;\"1;2\"   ; 5 \r\n\r\n;;\n\"x\n\"\"y\"\"\";2;'=SUM(1)\n"))
	if err != nil || len(table.errors) > 0 || len(table.rows) != 2 {
		t.Fatalf("%+v, %v", table, err)
	}
	first, second := table.rows[0], table.rows[1]
	if first.get("name") != "A" || first.get("sku") != "1;2" || first.get("price") != "5" || first.line != 2 {
		t.Errorf("first row %q in line %d", first.cells, first.line)
	}
	if second.get("name") != "x\n\"y\"" || second.get("price") != "=SUM(1)" || second.line != 5 {
		t.Errorf("second row %q in line %d", second.cells, second.line)
	}
	if first.get("none", "sku") != "1;2" || first.get("none") != "" {
		t.Error("columns that do not exist have cells")
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                               "plain",
		"<p>One</p><p>Two</p>":                "One\n\nTwo",
		"a<br>b<br/>c":                        "a\nb\nc",
		"5 &lt; 6 &amp; 7":                    "5 < 6 & 7",
		"<ul><li>x</li><li>y</li></ul>":       "x\n\ny",
		"<script>alert(1)</script>ok":         "ok",
		"<style>p{}</style><b>bold</b> text":  "bold text",
		"unclosed <b":                         "unclosed",
		"<img src=x onerror=alert(1)>picture": "picture",
	} {
		if got := plainText(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	for _, text := range []string{"a", "a\nb\n\nc", "5 < 6 & 7 > 2 \"x\" 'y'", "&amp;", "<p>"} {
		if got := plainText(htmlText(text)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
}

// catalogs draws small catalogs with groups, categories, attributes and awkward texts.
func catalogs(t *rapid.T) ([]product.Product, []product.Category) {
	word := rapid.SampledFrom([]string{"Red", "S, M", "a|b", "50%", "x:y", "=1+1", "Größe", "\"quoted\"", "-5", "it's", "'", "A > B", "ok"})
	var categories []product.Category
	for i := range rapid.IntRange(0, 4).Draw(t, "categories") {
		c := product.Category{ID: uuid.New(), Name: word.Draw(t, "category") + fmt.Sprint(i)}
		if i > 0 && rapid.Bool().Draw(t, "nested") {
			c.ParentID = categories[i-1].ID
		}
		categories = append(categories, c)
	}
	var products []product.Product
	for i := range rapid.IntRange(0, 6).Draw(t, "products") {
		p := product.Product{
			ID: uuid.New(), SKU: fmt.Sprintf("SKU-%d", i), Name: word.Draw(t, "name") + fmt.Sprint(" ", i), Slug: fmt.Sprintf("slug-%d", i),
			Description: word.Draw(t, "text") + "\n" + word.Draw(t, "text"), Status: rapid.SampledFrom([]product.Status{product.StatusActive, product.StatusDraft, product.StatusArchived}).Draw(t, "status"),
			Price: money.Money{CurrencyCode: "EUR", AmountMinor: rapid.Int64Range(0, 1e9).Draw(t, "price")}, TaxClass: rapid.SampledFrom([]string{"standard", "reduced"}).Draw(t, "tax"),
			WeightGrams: rapid.Int32Range(0, 1e6).Draw(t, "grams"), Stock: product.Stock{OnHand: rapid.Int32Range(0, 1e6).Draw(t, "pieces")},
			Attributes: map[string]string{},
		}
		for j := range rapid.IntRange(0, 3).Draw(t, "attributes") {
			p.Attributes[fmt.Sprintf("Attr %d", j)] = word.Draw(t, "value")
		}
		if len(categories) > 0 && rapid.Bool().Draw(t, "in category") {
			p.CategoryIDs = []uuid.UUID{rapid.SampledFrom(categories).Draw(t, "which").ID}
		}
		if rapid.Bool().Draw(t, "image") {
			p.Images = []product.Image{{ExternalURL: "https://img.example/" + fmt.Sprint(i) + ".jpg"}, {ObjectKey: "ours"}}
		}
		switch rapid.IntRange(0, 2).Draw(t, "group") {
		case 1: // variants as an import makes them
			p.GroupKey, p.Name, p.Slug = "shirt", "Shirt – "+fmt.Sprint(i), fmt.Sprintf("shirt-%d", i)
			p.Attributes = map[string]string{"size": fmt.Sprint(i), "fabric": "cotton"}
			p.Description, p.Status, p.TaxClass, p.CategoryIDs, p.Images = "All alike.", product.StatusActive, "standard", nil, nil
		case 2: // members of a group that have nothing else in common
			p.GroupKey = "loose, group"
		}
		products = append(products, p)
	}
	return products, categories
}

func TestExportReadsBackAsTheSameCatalog(t *testing.T) {
	t.Parallel()
	for _, format := range Formats {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				products, categories := catalogs(t)
				var file bytes.Buffer
				if err := Write(format, &file, products, categories); err != nil {
					t.Fatal(err)
				}
				if len(products) == 0 && format == Medusa {
					return // its price column follows the products
				}
				items, problems, err := Parse(format, file.Bytes(), "EUR")
				if err != nil || len(problems) > 0 || len(items) != len(products) {
					t.Fatalf("%d of %d items, %v, %v in\n%s", len(items), len(products), problems, err, file.String())
				}
				paths := pathsOf(categories)
				for _, p := range products {
					got := item(items, p.SKU)
					want := p
					want.ID, want.CategoryIDs, want.Images, want.Stock = uuid.Nil, nil, nil, product.Stock{}
					if got.Product.TaxClass == "" {
						got.Product.TaxClass = product.DefaultTaxClass
					}
					if diff := cmp.Diff(want, got.Product); diff != "" {
						t.Fatalf("(-want +got):\n%s\nin\n%s", diff, file.String())
					}
					if got.OnHand != p.Stock.OnHand || len(got.Images) != len(external(p.Images)) {
						t.Fatalf("%d pieces, %v; want %d, %v", got.OnHand, got.Images, p.Stock.OnHand, p.Images)
					}
					if len(p.CategoryIDs) > 0 && (len(got.Categories) != 1 || !slices.Equal(got.Categories[0], paths[p.CategoryIDs[0]])) {
						t.Fatalf("categories %q, want %q in\n%s", got.Categories, paths[p.CategoryIDs[0]], file.String())
					}
				}
			})
		})
	}
}

func fuzz(f *testing.F, format Format, seeds ...string) {
	f.Helper()
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		items, problems, err := Parse(format, data, "EUR")
		if err != nil {
			if fault.From(err) == nil {
				t.Errorf("not a fault: %v", err)
			}
			return
		}
		for _, p := range problems {
			if p.Line < 1 || p.Message == "" {
				t.Errorf("row error %+v", p)
			}
		}
		for _, i := range items {
			if i.Product.SKU == "" || i.Product.Slug == "" || i.Product.Price.IsNegative() || i.OnHand < 0 || i.Product.WeightGrams < 0 || i.Line < 2 {
				t.Errorf("item %+v", i)
			}
			for _, image := range i.Images {
				if !strings.HasPrefix(image.ExternalURL, "https://") && !strings.HasPrefix(image.ExternalURL, "HTTPS://") && !strings.EqualFold(image.ExternalURL[:8], "https://") {
					t.Errorf("image %q", image.ExternalURL)
				}
			}
		}
	})
}

func FuzzShopify(f *testing.F) {
	fuzz(f, Shopify, fixture(f, "shopify_old.csv"), fixture(f, "shopify_new.csv"), "Title,Variant Price\nA,1\n", "title;price\n\"a\";5\n")
}

func FuzzVendure(f *testing.F) {
	fuzz(f, Vendure, fixture(f, "vendure.csv"), "name,price,facets\nA,1,category:a|b:c\n")
}

func FuzzMedusa(f *testing.F) {
	fuzz(f, Medusa, fixture(f, "medusa.csv"), "Product Title,Variant Price EUR\nA,1\n")
}
