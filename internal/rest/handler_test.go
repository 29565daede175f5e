package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, as, method, path, body string
		headers                      []string
		want                         proto.Message
	}{
		{
			"query in both spellings", "", "GET", "/api/v1/products?q=a%20b&minPrice=9007199254740993&max_price=5&inStock=true&attributes=color:red&attributes=size:L&status=DRAFT&facets=1", "", nil,
			&productv1.ListProductsRequest{Q: "a b", MinPrice: 9007199254740993, MaxPrice: 5, InStock: true, Attributes: []string{"color:red", "size:L"}, Status: productv1.Product_DRAFT, Facets: true},
		},
		{"unknown parameters are ignored", "", "GET", "/api/v1/products?utm_source=x&q=y&products.foo=1&q.z=2", "", nil, &productv1.ListProductsRequest{Q: "y"}},
		{"enum by number", "", "GET", "/api/v1/products?status=2", "", nil, &productv1.ListProductsRequest{Status: productv1.Product_DRAFT}},
		{"path variable", "", "GET", "/api/v1/products/" + productID, "", nil, &productv1.GetProductRequest{ProductId: productID}},
		{"path wins over query", "", "GET", "/api/v1/products/" + productID + "?productId=other", "", nil, &productv1.GetProductRequest{ProductId: productID}},
		{"percent-encoded variable", "", "GET", "/api/v1/products/%30198c1de-7b1a-7000-8000-000000000001", "", nil, &productv1.GetProductRequest{ProductId: productID}},
		{
			"custom verb", "admin", "POST", "/api/v1/products/" + productID + ":adjustStock", `{"delta":-2,"reason":"broken"}`, nil,
			&productv1.AdjustStockRequest{ProductId: productID, Delta: -2, Reason: "broken"},
		},
		{
			"path wins over body", "admin", "POST", "/api/v1/products/" + productID + ":adjustStock", `{"productId":"other","delta":1,"reason":"x"}`, nil,
			&productv1.AdjustStockRequest{ProductId: productID, Delta: 1, Reason: "x"},
		},
		{"verb on a collection", "admin", "GET", "/api/v1/products:export?format=SHOPIFY", "", nil, &productv1.ExportProductsRequest{Format: productv1.Format_SHOPIFY}},
		{
			"body is a field", "admin", "POST", "/api/v1/products", `{"name":"Mug","price":{"currencyCode":"EUR","amountMinor":"1999"}}`, nil,
			&productv1.CreateProductRequest{Product: &productv1.Product{Name: "Mug", Price: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 1999}}},
		},
		{
			"patch fills the mask", "admin", "PATCH", "/api/v1/products/" + productID, `{"id":"x","name":"Cup","description":null,"category_ids":[],"price":{"currencyCode":"EUR","amountMinor":1}}`,
			[]string{"If-Match", `"7"`},
			&productv1.UpdateProductRequest{
				ProductId: productID, Product: &productv1.Product{Id: "x", Name: "Cup", Price: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 1}},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name", "description", "price", "category_ids"}}, Etag: "7",
			},
		},
		{
			"patch keeps a given mask", "admin", "PATCH", "/api/v1/products/" + productID + "?updateMask=name,groupKey&etag=3", `{"name":"Cup","sku":"A"}`,
			[]string{"If-Match", `"7"`},
			&productv1.UpdateProductRequest{
				ProductId: productID, Product: &productv1.Product{Name: "Cup", Sku: "A"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name", "group_key"}}, Etag: "3",
			},
		},
		{
			"patch takes the etag of the body", "admin", "PATCH", "/api/v1/products/" + productID, `{"name":"Cup","etag":"9"}`, nil,
			&productv1.UpdateProductRequest{ProductId: productID, Product: &productv1.Product{Name: "Cup", Etag: "9"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"name"}}, Etag: "9"},
		},
		{"weak etag", "admin", "DELETE", "/api/v1/products/" + productID, "", []string{"If-Match", `W/"12"`}, &productv1.DeleteProductRequest{ProductId: productID, Etag: "12"}},
		{"bare etag", "admin", "DELETE", "/api/v1/products/" + productID, "", []string{"If-Match", `12`}, &productv1.DeleteProductRequest{ProductId: productID, Etag: "12"}},
		{"any etag", "admin", "DELETE", "/api/v1/products/" + productID, "", []string{"If-Match", `*`}, &productv1.DeleteProductRequest{ProductId: productID}},
		{
			"raw body", "admin", "POST", "/api/v1/products/" + productID + "/images?alt=front", "\xff\xd8raw",
			[]string{"Content-Type", "image/jpeg"},
			&productv1.AddProductImageRequest{ProductId: productID, Alt: "front", Image: &httpbody.HttpBody{ContentType: "image/jpeg", Data: []byte("\xff\xd8raw")}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			got := s.do(t, test.as, test.method, test.path, test.body, test.headers...)
			if got.StatusCode != http.StatusOK {
				t.Fatalf("status %d: %s", got.StatusCode, got.text)
			}
			if diff := cmp.Diff(test.want, <-s.catalog.seen, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tests := []struct{ name, as, method, path, body, want string }{
		{"zeros and empty lists are visible", "", "POST", "/api/v1/auth/validate", `{"token":"x"}`, `{"valid":false,"roles":[],"permissions":[]}`},
		{"numbers of 64 bits are strings", "admin", "POST", "/api/v1/products/" + productID + ":adjustStock", `{"delta":5,"reason":"r"}`, `{"stock":{"available":0,"onHand":5,"reserved":0}}`},
		{"key set of RFC 7517", "", "GET", "/.well-known/jwks.json", "", `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"abc","kid":"k1","alg":"EdDSA","use":"sig"}]}`},
		{"empty answer", "admin", "DELETE", "/api/v1/products/" + productID, "", `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := s.do(t, test.as, test.method, test.path, test.body)
			if got.StatusCode != http.StatusOK || got.compact(t) != test.want {
				t.Errorf("%d %s, want %s", got.StatusCode, got.text, test.want)
			}
			if got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Request-Id") == "" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", got.Header)
			}
		})
	}
	t.Run("money and times", func(t *testing.T) {
		t.Parallel()
		got := s.do(t, "", "GET", "/api/v1/products/"+productID, "", "User-Agent", "tester/2")
		for _, part := range []string{`"amountMinor":"1999"`, `"createTime":"2025-01-15T10:00:00Z"`, `"categoryIds":[]`, `"status":"STATUS_UNSPECIFIED"`} {
			if !strings.Contains(got.compact(t), part) {
				t.Errorf("no %s in %s", part, got.text)
			}
		}
		if strings.Contains(got.text, "updateTime") {
			t.Error("an unset message is visible")
		}
		var message productv1.GetProductResponse
		if err := protojson.Unmarshal([]byte(got.text), &message); err != nil {
			t.Error(err)
		}
		if got.Header.Get("X-Agent") != "tester/2" {
			t.Error("the handler saw no request header, or its own header is lost")
		}
	})
	t.Run("raw answer", func(t *testing.T) {
		t.Parallel()
		got := s.do(t, "admin", "GET", "/api/v1/products:export?format=1", "")
		if got.text != "Handle,Title\n" || got.Header.Get("Content-Type") != "text/csv" || !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%v %q", got.Header, got.text)
		}
		if got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("cache control %q", got.Header.Get("Cache-Control"))
		}
	})
}

func TestWebhookKeepsBytes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const body = `{ "id":"evt_1" ,"x":1.0}`
	got := s.do(t, "", "POST", "/api/v1/billing/webhooks/stripe", body, "Stripe-Signature", "t=1,v1=a")
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	request, _ := (<-s.payments.seen).(*billingv1.HandleStripeWebhookRequest)
	if string(request.GetEvent().GetData()) != body {
		t.Errorf("the signed bytes changed: %q", request.GetEvent().GetData())
	}
}

func TestPatchOwnProfile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.do(t, "user", "PATCH", "/api/v1/users/me", `{"displayName":"Ada"}`)
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	request, _ := (<-s.profiles.seen).(*userv1.UpdateMeRequest)
	if diff := cmp.Diff([]string{"display_name"}, request.GetUpdateMask().GetPaths()); diff != "" {
		t.Error(diff)
	}
}

func TestRoutingOverHTTP(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tests := []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/api/v1/nothing", 404, "NOT_FOUND", ""},
		{"GET", "/api/v1/products/", 404, "NOT_FOUND", ""},
		{"PUT", "/api/v1/products", 405, "INVALID_INPUT", "GET, HEAD, OPTIONS, POST"},
		{"GET", "/api/v1/products/" + productID + ":adjustStock", 400, "INVALID_INPUT", ""},
		{"DELETE", "/api/v1/auth/login", 405, "INVALID_INPUT", "OPTIONS, POST"},
		{"OPTIONS", "/api/v1/auth/login", 204, "", "OPTIONS, POST"},
		{"OPTIONS", "/nothing", 404, "NOT_FOUND", ""},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			got := s.do(t, "", test.method, test.path, "")
			if got.StatusCode != test.status || got.Header.Get("Allow") != test.allow {
				t.Errorf("status %d, allow %q: %s", got.StatusCode, got.Header.Get("Allow"), got.text)
			}
			if test.code != "" && got.failure(t).Error.Code != test.code {
				t.Errorf("body %s", got.text)
			}
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		t.Parallel()
		got := s.do(t, "", "HEAD", "/api/v1/products/"+productID, "")
		if got.StatusCode != 200 || got.text != "" || got.Header.Get("Etag") == "" || got.ContentLength < 100 {
			t.Errorf("%d %v %q", got.StatusCode, got.Header, got.text)
		}
	})
}
