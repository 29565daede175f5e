package module

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/fault"
)

func TestProductOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := b.must(t, admin, "POST", "/api/v1/products", `{"name":"Blaue Tasse – groß","price":{"currencyCode":"EUR","amountMinor":"1999"},
		"stock":{"available":7},"sku":"CUP-1","attributes":{"color":"blue"}}`)
	id, slug := made.at("product", "id"), made.at("product", "slug")
	if slug != "blaue-tasse-gross" || made.at("product", "price", "amountMinor") != "1999" || made.at("product", "status") != "ACTIVE" {
		t.Fatalf("created %s", made.text)
	}
	for _, path := range []string{"/api/v1/products/" + id, "/api/v1/products/by-slug/" + slug} {
		for range 2 { // loaded, then cached
			got := b.must(t, guest, "GET", path, "")
			if got.at("product", "id") != id || got.body["product"].(map[string]any)["stock"].(map[string]any)["available"] != float64(7) {
				t.Errorf("%s answers %s", path, got.text)
			}
			if tag := got.header.Get("Etag"); tag != `"1.7.0"` {
				t.Errorf("%s has etag %s", path, tag)
			}
		}
	}
	cached := b.must(t, guest, "GET", "/api/v1/products/"+id, "")
	if again := b.call(t, guest, "GET", "/api/v1/products/"+id, "", "If-None-Match: "+cached.header.Get("Etag")); again.status != http.StatusNotModified {
		t.Errorf("the same etag answers %d", again.status)
	}
	// The entity tag of the answer is good for a conditional update, once.
	patched := b.must(t, admin, "PATCH", "/api/v1/products/"+id, `{"name":"Blue cup"}`, "If-Match: "+cached.header.Get("Etag"))
	if patched.at("product", "name") != "Blue cup" || patched.at("product", "slug") != slug || patched.at("product", "etag") != "2" {
		t.Errorf("patched %s", patched.text)
	}
	stale := b.call(t, admin, "PATCH", "/api/v1/products/"+id, `{"name":"x"}`, "If-Match: "+cached.header.Get("Etag"))
	if stale.status != http.StatusPreconditionFailed || stale.at("error", "code") != "STALE_ETAG" {
		t.Errorf("a stale etag answers %d %s", stale.status, stale.text)
	}
	if seen := b.must(t, guest, "GET", "/api/v1/products/"+id, ""); seen.at("product", "name") != "Blue cup" {
		t.Errorf("after the update a guest sees %s", seen.text)
	}
	adjusted := b.must(t, admin, "POST", "/api/v1/products/"+id+":adjustStock", `{"delta":-2,"reason":"broken"}`)
	if !strings.Contains(adjusted.text, `"onHand":5`) && !strings.Contains(adjusted.text, `"onHand": 5`) {
		t.Errorf("adjusted %s", adjusted.text)
	}
	b.must(t, admin, "DELETE", "/api/v1/products/"+id, "")
	if gone := b.call(t, guest, "GET", "/api/v1/products/"+id, ""); gone.status != http.StatusNotFound {
		t.Errorf("a deleted product answers %d", gone.status)
	}
	if again := b.call(t, admin, "DELETE", "/api/v1/products/"+id, ""); again.status != http.StatusNotFound {
		t.Errorf("deleting it again answers %d", again.status)
	}
	// Its name and number are free again.
	b.must(t, admin, "POST", "/api/v1/products", `{"name":"Blue cup","slug":"`+slug+`","sku":"CUP-1","price":{"currencyCode":"EUR","amountMinor":"1"}}`)
}

func TestRESTRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create(t, &productv1.Product{Name: "Taken", Sku: "TAKEN"})
	hidden := b.create(t, &productv1.Product{Name: "Hidden", Status: productv1.Product_DRAFT})
	price := `"price":{"currencyCode":"EUR","amountMinor":"5"}`
	for name, test := range map[string]struct {
		as                 string
		method, path, body string
		status             int
		code, field        string
	}{
		"guest creates":      {"guest", "POST", "/api/v1/products", `{"name":"x",` + price + `}`, 401, "AUTH_FAILED", ""},
		"user creates":       {"user", "POST", "/api/v1/products", `{"name":"x",` + price + `}`, 403, "UNAUTHORIZED", ""},
		"no price":           {"admin", "POST", "/api/v1/products", `{"name":"x"}`, 400, "INVALID_INPUT", "price"},
		"no name":            {"admin", "POST", "/api/v1/products", `{` + price + `}`, 400, "INVALID_INPUT", "name"},
		"negative price":     {"admin", "POST", "/api/v1/products", `{"name":"x","price":{"currencyCode":"EUR","amountMinor":"-1"}}`, 400, "INVALID_INPUT", "price.amountMinor"},
		"foreign currency":   {"admin", "POST", "/api/v1/products", `{"name":"x","price":{"currencyCode":"USD","amountMinor":"1"}}`, 400, "INVALID_INPUT", "price.currencyCode"},
		"unknown currency":   {"admin", "POST", "/api/v1/products", `{"name":"x","price":{"currencyCode":"XXQ","amountMinor":"1"}}`, 400, "INVALID_INPUT", "price.currencyCode"},
		"sku taken":          {"admin", "POST", "/api/v1/products", `{"name":"x","sku":"TAKEN",` + price + `}`, 409, "ALREADY_EXISTS", "sku"},
		"slug taken":         {"admin", "POST", "/api/v1/products", `{"name":"x","slug":"taken",` + price + `}`, 409, "ALREADY_EXISTS", "slug"},
		"bad slug":           {"admin", "POST", "/api/v1/products", `{"name":"x","slug":"A b",` + price + `}`, 400, "INVALID_INPUT", "slug"},
		"nul":                {"admin", "POST", "/api/v1/products", `{"name":"a\u0000b",` + price + `}`, 400, "INVALID_INPUT", "name"},
		"no such category":   {"admin", "POST", "/api/v1/products", `{"name":"x","categoryIds":["` + uuid.NewString() + `"],` + price + `}`, 400, "INVALID_INPUT", "categoryIds"},
		"guest sees draft":   {"guest", "GET", "/api/v1/products/" + hidden.GetId(), "", 404, "NOT_FOUND", ""},
		"guest sees by slug": {"guest", "GET", "/api/v1/products/by-slug/hidden", "", 404, "NOT_FOUND", ""},
		"guest lists drafts": {"guest", "GET", "/api/v1/products?status=DRAFT", "", 403, "UNAUTHORIZED", ""},
		"bad id":             {"guest", "GET", "/api/v1/products/none", "", 400, "INVALID_INPUT", "productId"},
		"unknown id":         {"guest", "GET", "/api/v1/products/" + uuid.NewString(), "", 404, "NOT_FOUND", ""},
		"bad order":          {"guest", "GET", "/api/v1/products?orderBy=color", "", 400, "INVALID_INPUT", "orderBy"},
		"bad token":          {"guest", "GET", "/api/v1/products?pageToken=abc", "", 400, "INVALID_INPUT", ""},
		"bad price range":    {"guest", "GET", "/api/v1/products?minPrice=9&maxPrice=2", "", 400, "INVALID_INPUT", "minPrice"},
		"stock by update":    {"admin", "PATCH", "/api/v1/products/" + hidden.GetId(), `{"stock":{"onHand":5}}`, 400, "INVALID_INPUT", "stock"},
		"adjust by nothing":  {"admin", "POST", "/api/v1/products/" + hidden.GetId() + ":adjustStock", `{"delta":0,"reason":"x"}`, 400, "INVALID_INPUT", "delta"},
		"adjust below":       {"admin", "POST", "/api/v1/products/" + hidden.GetId() + ":adjustStock", `{"delta":-1,"reason":"x"}`, 409, "STOCK_RESERVED", "delta"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who := map[string]func() answer{
				"guest": func() answer { return b.call(t, guest, test.method, test.path, test.body) },
				"user":  func() answer { return b.call(t, user, test.method, test.path, test.body) },
				"admin": func() answer { return b.call(t, admin, test.method, test.path, test.body) },
			}
			got := who[test.as]()
			if got.status != test.status || got.at("error", "code") != test.code {
				t.Fatalf("answers %d %s, want %d %s", got.status, got.text, test.status, test.code)
			}
			if field := got.at("error", "details", "field"); test.field != "" && field != test.field {
				t.Errorf("names %q, want %q", field, test.field)
			}
		})
	}
}

func TestCreateIsIdempotent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := `{"name":"Once","stock":{"onHand":3},"price":{"currencyCode":"EUR","amountMinor":"5"}}`
	first := b.must(t, admin, "POST", "/api/v1/products", body, "Idempotency-Key: k1")
	again := b.must(t, admin, "POST", "/api/v1/products", body, "Idempotency-Key: k1")
	if first.at("product", "id") != again.at("product", "id") || again.header.Get(idempotencyReplayed) != "true" {
		t.Errorf("the same key made %s and %s", first.text, again.text)
	}
	other := b.must(t, admin, "POST", "/api/v1/products", body)
	if other.at("product", "slug") != "once-2" {
		t.Errorf("the second of the name has slug %q", other.at("product", "slug"))
	}
	path := "/api/v1/products/" + first.at("product", "id") + ":adjustStock"
	for range 2 {
		got := b.must(t, admin, "POST", path, `{"delta":4,"reason":"delivery"}`, "Idempotency-Key: k2")
		if got.body["stock"].(map[string]any)["onHand"] != float64(7) {
			t.Errorf("adjusted to %s", got.text)
		}
	}
}

const idempotencyReplayed = "Idempotent-Replayed"

func TestEventsLeaveWithTheTransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Heard of"})
	if _, err := b.products.UpdateProduct(as(t, admin), &productv1.UpdateProductRequest{ProductId: p.GetId(), Product: &productv1.Product{Name: "Renamed"}}); err != nil {
		t.Fatal(err)
	}
	// A refused change says nothing.
	if _, err := b.products.UpdateProduct(as(t, admin), &productv1.UpdateProductRequest{
		ProductId: p.GetId(), Product: &productv1.Product{Name: "Never"}, Etag: "1",
	}); fault.From(err) == nil || fault.From(err).Kind != fault.KindStale {
		t.Fatalf("stale update: %v", err)
	}
	if _, err := b.products.DeleteProduct(as(t, admin), &productv1.DeleteProductRequest{ProductId: p.GetId()}); err != nil {
		t.Fatal(err)
	}
	rows, err := b.db.Pool().Query(t.Context(), `SELECT event_type, payload->>'productId' FROM outbox ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var kind, id string
		if err := rows.Scan(&kind, &id); err != nil {
			t.Fatal(err)
		}
		if id != p.GetId() {
			t.Errorf("%s is about %s", kind, id)
		}
		got = append(got, kind)
	}
	if want := "PRODUCT_CHANGED PRODUCT_CHANGED PRODUCT_DELETED"; strings.Join(got, " ") != want {
		t.Errorf("events %v, want %s", got, want)
	}
}

func TestTrap10PricesKeepTheirExponent(t *testing.T) {
	t.Parallel()
	for currency, minor := range map[string]int64{"JPY": 1980, "KWD": 12345, "EUR": 1999} {
		b := newBench(t, inCurrency(currency))
		made := b.create(t, &productv1.Product{Name: "Thing", Price: &typev1.Money{CurrencyCode: currency, AmountMinor: minor}})
		exported, err := b.products.ExportProducts(as(t, admin), &productv1.ExportProductsRequest{Format: productv1.Format_SHOPIFY})
		if err != nil {
			t.Fatal(err)
		}
		decimal := map[string]string{"JPY": "1980", "KWD": "12.345", "EUR": "19.99"}[currency]
		if !strings.Contains(string(exported.GetData()), ","+decimal+",") {
			t.Errorf("%s: export lacks %s: %s", currency, decimal, exported.GetData())
		}
		report, err := b.products.ImportProducts(as(t, admin), &productv1.ImportProductsRequest{Format: productv1.Format_SHOPIFY, Content: exported.GetData()})
		if err != nil || report.GetUnchanged() != 1 || len(report.GetErrors()) > 0 {
			t.Errorf("%s: import of the export: %v, %v", currency, report, err)
		}
		got, err := b.products.GetProduct(as(t, guest), &productv1.GetProductRequest{ProductId: made.GetId()})
		if err != nil || got.GetProduct().GetPrice().GetAmountMinor() != minor {
			t.Errorf("%s: price %v (%v), want %d", currency, got.GetProduct().GetPrice(), err, minor)
		}
	}
}

func TestStockServiceIsForServicesOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Thing", Stock: &productv1.Stock{OnHand: 2}})
	batch, err := b.stock.BatchGetProducts(as(t, guest), &productv1.BatchGetProductsRequest{ProductIds: []string{p.GetId(), uuid.NewString()}})
	if err != nil || len(batch.GetProducts()) != 1 || batch.GetProducts()[0].GetStock().GetAvailable() != 2 {
		t.Fatalf("batch %v, %v", batch, err)
	}
	for _, method := range []string{"ReserveStock", "CommitReservation", "ReleaseReservation", "ExtendReservation", "BatchGetProducts"} {
		if got := b.call(t, admin, "POST", "/commerce.product.v1.StockService/"+method, `{}`); got.status == http.StatusOK {
			t.Errorf("%s is open over REST: %s", method, got.text)
		}
	}
}
