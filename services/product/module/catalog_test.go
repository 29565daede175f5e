package module

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/product/catalog"
)

func TestCategoriesOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.must(t, admin, "POST", "/api/v1/categories", `{"name":"Home & Garden"}`)
	id := home.at("category", "id")
	if home.at("category", "slug") != "home-and-garden" {
		t.Errorf("created %s", home.text)
	}
	child := b.must(t, admin, "POST", "/api/v1/categories", `{"name":"Lamps","parentId":"`+id+`","position":2}`)
	b.must(t, admin, "POST", "/api/v1/categories", `{"name":"Chairs","parentId":"`+id+`","position":1}`)
	b.must(t, guest, "GET", "/api/v1/categories", "")
	moved := b.must(t, admin, "PATCH", "/api/v1/categories/"+child.at("category", "id"), `{"name":"Lights"}`)
	if moved.at("category", "name") != "Lights" || moved.at("category", "parentId") != id || moved.at("category", "etag") != "2" {
		t.Errorf("renamed %s", moved.text)
	}
	tree, err := b.products.ListCategories(as(t, guest), &productv1.ListCategoriesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range tree.GetCategories()[0].GetChildren() {
		names = append(names, c.GetName())
	}
	if len(tree.GetCategories()) != 1 || strings.Join(names, " ") != "Chairs Lights" {
		t.Errorf("tree %v", tree)
	}
	childID := child.at("category", "id")
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"own child":      {"PATCH", "/api/v1/categories/" + id, `{"parentId":"` + childID + `"}`, 409, "CATEGORY_CYCLE"},
		"itself":         {"PATCH", "/api/v1/categories/" + id, `{"parentId":"` + id + `"}`, 409, "CATEGORY_CYCLE"},
		"no parent":      {"PATCH", "/api/v1/categories/" + id, `{"parentId":"` + uuid.NewString() + `"}`, 400, "INVALID_INPUT"},
		"stale":          {"PATCH", "/api/v1/categories/" + childID, `{"name":"x","etag":"1"}`, 412, "STALE_ETAG"},
		"has children":   {"DELETE", "/api/v1/categories/" + id, "", 409, "CATEGORY_NOT_EMPTY"},
		"slug taken":     {"POST", "/api/v1/categories", `{"name":"x","slug":"lamps"}`, 409, "ALREADY_EXISTS"},
		"no name":        {"POST", "/api/v1/categories", `{"slug":"x"}`, 400, "INVALID_INPUT"},
		"unknown":        {"DELETE", "/api/v1/categories/" + uuid.NewString(), "", 404, "NOT_FOUND"},
		"unknown update": {"PATCH", "/api/v1/categories/" + uuid.NewString(), `{"name":"x"}`, 404, "NOT_FOUND"},
	} {
		if got := b.call(t, admin, test.method, test.path, test.body); got.status != test.status || got.at("error", "code") != test.code {
			t.Errorf("%s answers %d %s, want %d %s", name, got.status, got.text, test.status, test.code)
		}
	}
	b.must(t, admin, "DELETE", "/api/v1/categories/"+childID, "")
}

func TestTrap29OnlyPicturesAreStoredAndServed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.create(t, &productv1.Product{Name: "Pictured"})
	for name, data := range map[string]string{
		"svg":  `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"html": `<html><script>alert(1)</script></html>`,
		"text": "hello",
		"none": "",
		"png?": "\x89PNG\r\n\x1a\n<script>",
	} {
		_, err := b.products.AddProductImage(as(t, admin), &productv1.AddProductImageRequest{
			ProductId: p.GetId(), Image: &httpbody.HttpBody{ContentType: "image/png", Data: []byte(data)},
		})
		if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput || f.Field != "image" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 640, 480))); err != nil {
		t.Fatal(err)
	}
	// What the client calls it does not matter.
	added, err := b.products.AddProductImage(as(t, admin), &productv1.AddProductImageRequest{
		ProductId: p.GetId(), Alt: "Front", Image: &httpbody.HttpBody{ContentType: "text/html", Data: picture.Bytes()},
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := b.products.GetProduct(as(t, guest), &productv1.GetProductRequest{ProductId: p.GetId()})
	if err != nil || len(shown.GetProduct().GetImages()) != 1 || shown.GetProduct().GetImages()[0].GetAlt() != "Front" || shown.GetProduct().GetEtag() != "2" {
		t.Fatalf("%v, %v", shown, err)
	}
	for _, url := range []string{added.GetImage().GetUrl(), added.GetImage().GetThumbnailUrl()} {
		path, ok := strings.CutPrefix(url, "https://shop.example")
		got := b.call(t, guest, "GET", path, "")
		if !ok || got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "image/") || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s answers %d %v", url, got.status, got.header)
		}
	}
	remove := &productv1.DeleteProductImageRequest{ProductId: p.GetId(), ImageId: added.GetImage().GetId()}
	if _, err := b.products.DeleteProductImage(as(t, admin), remove); err != nil {
		t.Fatal(err)
	}
	if _, err := b.products.DeleteProductImage(as(t, admin), remove); fault.From(err) == nil || fault.From(err).Kind != fault.KindNotFound {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestListPagesOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 7 {
		b.create(t, &productv1.Product{Name: fmt.Sprintf("Thing %d", i), Attributes: map[string]string{"even": fmt.Sprint(i%2 == 0)}})
	}
	for _, id := range []string{"guest", "admin"} {
		who := guest
		if id == "admin" {
			who = admin
		}
		seen, token := 0, ""
		for page := range 10 {
			got := b.must(t, who, "GET", "/api/v1/products?orderBy=name&pageSize=3&pageToken="+token, "")
			list, _ := got.body["products"].([]any)
			seen += len(list)
			if token = got.at("nextPageToken"); token == "" {
				break
			}
			if page == 0 {
				// A token belongs to its list.
				if other := b.call(t, who, "GET", "/api/v1/products?orderBy=price&pageToken="+token, ""); other.status != http.StatusBadRequest {
					t.Errorf("%s: the token of another list answers %d", id, other.status)
				}
			}
		}
		if seen != 7 {
			t.Errorf("%s saw %d products, want 7", id, seen)
		}
	}
	got := b.must(t, guest, "GET", "/api/v1/products?attributes=even:true&facets=true&q=thing", "")
	list, _ := got.body["products"].([]any)
	facets, _ := got.body["facets"].([]any)
	if len(list) != 4 || len(facets) == 0 {
		t.Errorf("filtered %s", got.text)
	}
	if got := b.call(t, guest, "GET", "/api/v1/products?attributes=even", ""); got.status != http.StatusBadRequest {
		t.Errorf("a filter without a value answers %d", got.status)
	}
}

func TestImportIsIdempotentAndReportsRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	file := "name,slug,sku,price,stockOnHand,facets,assets\n" +
		"Lamp,lamp,L-1,10.00,5,category:Home > Lamps|color:red,https://img.example/1.jpg\n" +
		"Chair,chair,C-1,x,5,,\n" +
		"Table,table,T-1,20.00,5,category:Home,\n" +
		"Twin,twin,L-1,1.00,1,,\n"
	request := &productv1.ImportProductsRequest{Format: productv1.Format_VENDURE, Content: []byte(file), DryRun: true}
	run := func(created, updated, unchanged int32) *productv1.ImportProductsResponse {
		t.Helper()
		got, err := b.products.ImportProducts(as(t, admin), request)
		if err != nil {
			t.Fatal(err)
		}
		if got.GetCreated() != created || got.GetUpdated() != updated || got.GetUnchanged() != unchanged {
			t.Fatalf("created %d, updated %d, unchanged %d; want %d, %d, %d", got.GetCreated(), got.GetUpdated(), got.GetUnchanged(), created, updated, unchanged)
		}
		return got
	}
	report := run(2, 0, 0)
	var problems []string
	for _, e := range report.GetErrors() {
		problems = append(problems, fmt.Sprintf("%d %s", e.GetLine(), e.GetField()))
	}
	if strings.Join(problems, ", ") != "3 price, 5 sku" {
		t.Errorf("errors %v", report.GetErrors())
	}
	if list := b.must(t, guest, "GET", "/api/v1/products", ""); list.text != b.must(t, guest, "GET", "/api/v1/products", "").text || strings.Contains(list.text, "Lamp") {
		t.Errorf("a dry run left %s", list.text)
	}
	request.DryRun = false
	run(2, 0, 0)
	run(0, 0, 2)
	// Two pieces are sold; the old file does not bring them back.
	lamp := b.must(t, admin, "GET", "/api/v1/products/by-slug/lamp", "")
	b.must(t, admin, "POST", "/api/v1/products/"+lamp.at("product", "id")+":adjustStock", `{"delta":-2,"reason":"sold"}`)
	request.Content = []byte(strings.ReplaceAll(file, "10.00", "12.00"))
	run(0, 1, 1)
	p, err := b.products.GetProductBySlug(as(t, admin), &productv1.GetProductBySlugRequest{Slug: "lamp"})
	if err != nil || p.GetProduct().GetPrice().GetAmountMinor() != 1200 || p.GetProduct().GetStock().GetOnHand() != 3 ||
		len(p.GetProduct().GetImages()) != 1 || len(p.GetProduct().GetCategoryIds()) != 1 {
		t.Fatalf("%v, %v", p, err)
	}
	for _, format := range []productv1.Format{productv1.Format_SHOPIFY, productv1.Format_VENDURE, productv1.Format_MEDUSA} {
		exported, err := b.products.ExportProducts(as(t, admin), &productv1.ExportProductsRequest{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		request = &productv1.ImportProductsRequest{Format: format, Content: exported.GetData()}
		if report := run(0, 0, 2); len(report.GetErrors()) > 0 {
			t.Errorf("%s: %v", format, report.GetErrors())
		}
	}
	if got := b.call(t, admin, "GET", "/api/v1/products:export?format=SHOPIFY", ""); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/csv") || !strings.Contains(got.header.Get("Content-Disposition"), "products-shopify.csv") {
		t.Errorf("export over REST answers %d %v", got.status, got.header)
	}
	if _, err := b.products.ImportProducts(as(t, admin), &productv1.ImportProductsRequest{Format: productv1.Format_MEDUSA, Content: []byte(file)}); fault.From(err) == nil || fault.From(err).Field != "content" {
		t.Errorf("the wrong format: %v", err)
	}
}

func TestDemoCatalog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n, err := catalog.Load(as(t, admin), b.client, "EUR")
	if err != nil || n != 64 {
		t.Fatalf("%d products, %v", n, err)
	}
	for range 2 { // the second finds nothing to do
		if err := catalog.Paint(as(t, admin), b.client); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.products.ListProducts(as(t, guest), &productv1.ListProductsRequest{PageSize: 100, Facets: true})
	if err != nil || len(list.GetProducts()) != n {
		t.Fatalf("%d listed, %v", len(list.GetProducts()), err)
	}
	for _, p := range list.GetProducts() {
		if len(p.GetImages()) != 1 || len(p.GetCategoryIds()) != 1 || p.GetPrice().GetAmountMinor() == 0 {
			t.Fatalf("%s looks bare: %v", p.GetName(), p)
		}
	}
	if again, err := catalog.Load(as(t, admin), b.client, "EUR"); err != nil || again != 0 {
		t.Errorf("the second time: %d, %v", again, err)
	}
	// A list costs the same number of queries through all layers, cached or not.
	for _, want := range []int{2, 0} {
		got := pgtest.CountQueries(as(t, guest), func(ctx context.Context) {
			if _, err := b.products.ListProducts(ctx, &productv1.ListProductsRequest{Q: "mug", Facets: true}); err != nil {
				t.Error(err)
			}
		})
		if got != want {
			t.Errorf("%d queries, want %d", got, want)
		}
	}
}
