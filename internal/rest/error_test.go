package rest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/rest"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	adjust := "/api/v1/products/" + productID + ":adjustStock"
	tests := []struct {
		name, as, method, path, body string
		status                       int
		code, field, value, message  string
	}{
		{"type of a query parameter", "", "GET", "/api/v1/products?pageSize=ten", "", 400, "INVALID_INPUT", "pageSize", "ten", "pageSize must be a whole number of 32 bits"},
		{"snake case is named as given", "", "GET", "/api/v1/products?page_size=1.5", "", 400, "INVALID_INPUT", "page_size", "1.5", ""},
		{"out of range for its type", "", "GET", "/api/v1/products?pageSize=99999999999", "", 400, "INVALID_INPUT", "pageSize", "99999999999", ""},
		{"out of range for its rule", "", "GET", "/api/v1/products?pageSize=101", "", 400, "INVALID_INPUT", "pageSize", "101", ""},
		{"bool", "", "GET", "/api/v1/products?inStock=maybe", "", 400, "INVALID_INPUT", "inStock", "maybe", "inStock must be true or false"},
		{"enum", "", "GET", "/api/v1/products?status=SOLD", "", 400, "INVALID_INPUT", "status", "SOLD", "status must be one of STATUS_UNSPECIFIED, ACTIVE, DRAFT, ARCHIVED"},
		{"twice", "", "GET", "/api/v1/products?q=a&q=b", "", 400, "INVALID_INPUT", "q", "", "q is given more than once"},
		{"not UTF-8", "", "GET", "/api/v1/products?q=%ff", "", 400, "INVALID_INPUT", "q", "", ""},
		{"bad query", "", "GET", "/api/v1/products?q=%zz", "", 400, "INVALID_INPUT", "", "", ""},
		{"bad id", "", "GET", "/api/v1/products/1", "", 400, "INVALID_INPUT", "productId", "1", ""},
		{"path not UTF-8", "", "GET", "/api/v1/products/%ff", "", 400, "INVALID_INPUT", "productId", "", ""},
		{"unknown id", "", "GET", "/api/v1/products/0198c1de-7b1a-7000-8000-000000000002", "", 404, "NOT_FOUND", "", "", "product was not found"},
		{"address", "", "POST", "/api/v1/auth/register", `{"email":"notanemail","password":"long enough"}`, 400, "INVALID_INPUT", "email", "notanemail", ""},
		{"secret is not echoed", "", "POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"short"}`, 400, "INVALID_INPUT", "password", "", ""},
		{"secret of a wrong type", "", "POST", "/api/v1/auth/login", `{"email":"a@example.com","password":12345678}`, 400, "INVALID_INPUT", "password", "", ""},
		{"secret named by a handler", "", "POST", "/api/v1/auth/login", `{"email":"a@example.com","password":"hunter2"}`, 401, "AUTH_FAILED", "password", "", ""},
		{"unknown field", "", "POST", "/api/v1/auth/login", `{"email":"a@example.com","pasword":"x"}`, 400, "INVALID_INPUT", "pasword", "", "pasword is not a known field"},
		{"nested unknown field", "admin", "POST", "/api/v1/products", `{"name":"a","price":{"amount":1}}`, 400, "INVALID_INPUT", "price.amount", "", ""},
		{"nested type", "admin", "POST", "/api/v1/products", `{"name":"a","price":{"currencyCode":"EUR","amountMinor":"19.99"}}`, 400, "INVALID_INPUT", "price.amountMinor", "19.99", ""},
		{"list element", "admin", "POST", "/api/v1/products", `{"name":"a","categoryIds":["x",5]}`, 400, "INVALID_INPUT", "categoryIds[1]", "5", ""},
		{"not a list", "admin", "POST", "/api/v1/products", `{"name":"a","categoryIds":"x"}`, 400, "INVALID_INPUT", "categoryIds", "", "categoryIds must be a list"},
		{"list rule", "admin", "POST", "/api/v1/products", `{"name":"a","categoryIds":["x"]}`, 400, "INVALID_INPUT", "categoryIds[0]", "x", ""},
		{"map value", "admin", "POST", "/api/v1/products", `{"attributes":{"a":1}}`, 400, "INVALID_INPUT", `attributes["a"]`, "1", ""},
		{"not a map", "admin", "POST", "/api/v1/products", `{"attributes":[1]}`, 400, "INVALID_INPUT", "attributes", "", ""},
		{"map key rule", "admin", "POST", "/api/v1/products", `{"attributes":{"":"x"}}`, 400, "INVALID_INPUT", `attributes[""]`, "", ""},
		{"time", "admin", "POST", "/api/v1/products", `{"createTime":"yesterday"}`, 400, "INVALID_INPUT", "createTime", "yesterday", ""},
		{"object for a message", "admin", "POST", "/api/v1/products", `{"price":5}`, 400, "INVALID_INPUT", "price", "", "price must be an object"},
		{"pattern", "admin", "POST", "/api/v1/products", `{"name":"a","slug":"Big Slug"}`, 400, "INVALID_INPUT", "slug", "Big Slug", ""},
		{"long value is cut", "admin", "POST", "/api/v1/products", `{"slug":"` + strings.Repeat("É", 150) + `"}`, 400, "INVALID_INPUT", "slug", strings.Repeat("É", 100) + "…", ""},
		{"missing body", "admin", "POST", "/api/v1/products", ``, 400, "INVALID_INPUT", "product", "", ""},
		{"not an object", "admin", "POST", adjust, `[1]`, 400, "INVALID_INPUT", "", "", "the body must be an object"},
		{"null", "admin", "POST", adjust, `null`, 400, "INVALID_INPUT", "", "", "the body must be an object"},
		{"two values", "admin", "POST", adjust, `{} {}`, 400, "INVALID_INPUT", "", "", "the body has more than one JSON value"},
		{"not JSON", "admin", "POST", adjust, `{"delta":`, 400, "INVALID_INPUT", "", "", ""},
		{"given twice", "admin", "POST", adjust, `{"delta":1,"delta":2,"reason":"x"}`, 400, "INVALID_INPUT", "", "", ""},
		{"body not UTF-8", "admin", "POST", adjust, "{\"reason\":\"\xff\"}", 400, "INVALID_INPUT", "", "", "the body is not valid UTF-8"},
		{"deep JSON", "admin", "POST", adjust, `{"reason":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, 400, "INVALID_INPUT", "", "", "the body nests deeper than 100 levels"},
		{"deep messages", "admin", "POST", "/api/v1/categories", strings.Repeat(`{"children":[`, 40) + strings.Repeat(`]}`, 40), 400, "INVALID_INPUT", "", "", "the request nests deeper than 32 messages"},
		{"rule of a number", "admin", "POST", adjust, `{"delta":0,"reason":"x"}`, 400, "INVALID_INPUT", "delta", "0", ""},
		{"who are you", "", "POST", adjust, `{"delta":1,"reason":"x"}`, 401, "AUTH_FAILED", "", "", ""},
		{"no identity at all", "nobody", "GET", "/api/v1/products", ``, 401, "AUTH_FAILED", "", "", ""},
		{"you may not", "user", "POST", adjust, `not even read`, 403, "UNAUTHORIZED", "", "", ""},
		{"conflict", "admin", "POST", "/api/v1/products", `{"name":"conflict","sku":"A1"}`, 409, "SKU_TAKEN", "sku", "A1", "sku A1 is taken"},
		{"stale", "admin", "POST", "/api/v1/products", `{"name":"stale"}`, 412, "STALE_ETAG", "", "", ""},
		{"busy", "admin", "POST", "/api/v1/products", `{"name":"busy"}`, 503, "UNAVAILABLE", "", "", ""},
		{"limit", "admin", "POST", "/api/v1/products", `{"name":"limit"}`, 429, "RATE_LIMIT", "", "", ""},
		{"unforeseen", "admin", "POST", "/api/v1/products", `{"name":"broken"}`, 500, "INTERNAL_ERROR", "", "", "something went wrong on our side"},
		{"panic", "", "GET", "/api/v1/products?q=panic", ``, 500, "INTERNAL_ERROR", "", "", "something went wrong on our side"},
		{"not implemented", "", "GET", "/api/v1/categories", ``, 404, "NOT_FOUND", "", "", ""},
		{"bad If-Match", "admin", "DELETE", "/api/v1/products/" + productID + "#", ``, 400, "INVALID_INPUT", "If-Match", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if test.name == "bad If-Match" {
				headers = []string{"If-Match", `"1", "2"`}
			}
			got := s.do(t, test.as, test.method, test.path, test.body, headers...)
			body := got.failure(t)
			if got.StatusCode != test.status || body.Error.Code != test.code {
				t.Fatalf("%d %s, want %d %s", got.StatusCode, got.text, test.status, test.code)
			}
			if body.Error.Details["field"] != test.field || body.Error.Details["value"] != test.value {
				t.Errorf("details %q, want %q %q", body.Error.Details, test.field, test.value)
			}
			if body.Error.Message == "" || test.message != "" && body.Error.Message != test.message {
				t.Errorf("message %q, want %q", body.Error.Message, test.message)
			}
			for _, secret := range []string{"hunter2", "12345678", "10.0.0.1", "secret"} {
				if strings.Contains(got.text, secret) {
					t.Errorf("%q leaked: %s", secret, got.text)
				}
			}
		})
	}
}

func TestErrorHeaders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	busy := s.do(t, "admin", "POST", "/api/v1/products", `{"name":"busy"}`)
	if busy.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q: 1.5 s must round up", busy.Header.Get("Retry-After"))
	}
	limit := s.do(t, "admin", "POST", "/api/v1/products", `{"name":"limit"}`)
	if limit.Header.Get("Retry-After") != "30" {
		t.Errorf("Retry-After %q", limit.Header.Get("Retry-After"))
	}
	conflict := s.do(t, "admin", "POST", "/api/v1/products", `{"name":"conflict"}`).failure(t)
	if conflict.Error.Details["owner"] != "other" {
		t.Errorf("metadata is lost: %v", conflict.Error.Details)
	}
	login := s.do(t, "", "POST", "/api/v1/auth/login", `{"email":"a@example.com","password":"x"}`)
	if login.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Error("401 names no scheme")
	}
	if got := s.do(t, "", "GET", "/api/v1/products?pageSize=x", "", "X-Request-Id", "mine-1"); got.failure(t).Error.RequestID != "mine-1" {
		t.Error("the client's request id is lost")
	}
	if got := s.do(t, "", "GET", "/api/v1/products", "", "X-Request-Id", "forged\"}"); got.Header.Get("X-Request-Id") == "forged\"}" {
		t.Error("a request id that forges log lines was kept")
	}
}

func TestInternalIsLoggedOnceAndOnlyThere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.do(t, "admin", "POST", "/api/v1/products", `{"name":"broken"}`, "X-Request-Id", "trace-me")
	if got.StatusCode != 500 {
		t.Fatal(got.text)
	}
	logs := s.logs.String()
	if strings.Count(logs, "hunter2") != 1 || strings.Count(logs, `"requestId":"trace-me"`) != 1 || !strings.Contains(logs, `"level":"ERROR"`) {
		t.Errorf("logs: %s", logs)
	}
	s.do(t, "", "GET", "/api/v1/products?q=panic", "")
	if logs = s.logs.String(); !strings.Contains(logs, "rest_test.(*catalog).ListProducts") {
		t.Errorf("the panic's stack is not logged: %s", logs)
	}
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	login := `{"email":"a@example.com","password":"` + strings.Repeat("x", 5<<20) + `"}`
	got := s.do(t, "", "POST", "/api/v1/auth/login", login)
	if body := got.failure(t); got.StatusCode != http.StatusRequestEntityTooLarge || body.Error.Code != "INVALID_INPUT" {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	image := strings.Repeat("x", 8<<20)
	if got := s.do(t, "admin", "POST", "/api/v1/products/"+productID+"/images", image, "Content-Type", "image/png"); got.StatusCode != 200 {
		t.Errorf("an image of 8 MiB: %d %s", got.StatusCode, got.text)
	}
	if got := s.do(t, "admin", "POST", "/api/v1/products/"+productID+"/images", image+image, "Content-Type", "image/png"); got.StatusCode != 413 {
		t.Errorf("an image of 16 MiB: %d", got.StatusCode)
	}
	if got := s.do(t, "", "POST", "/api/v1/billing/webhooks/stripe", image); got.StatusCode != 413 {
		t.Errorf("a webhook of 8 MiB: %d", got.StatusCode)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/auth/login", struct{ *strings.Reader }{strings.NewReader(login)})
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.Client().Do(request) // without a length
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 413 {
		t.Errorf("chunked: %d", response.StatusCode)
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const path, body = "/api/v1/auth/validate", `{"token":"x"}`
	for value, status := range map[string]int{
		"application/json": 200, "application/json; charset=UTF-8": 200, "application/merge-patch+json": 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json; charset=latin1": 415, "a/b/c": 415,
	} {
		if got := s.do(t, "", "POST", path, body, "Content-Type", value); got.StatusCode != status {
			t.Errorf("%s: %d %s", value, got.StatusCode, got.text)
		}
	}
	if got := s.do(t, "", "POST", path, body, "Content-Encoding", "gzip"); got.StatusCode != 415 {
		t.Errorf("compressed: %d", got.StatusCode)
	}
	if got := s.do(t, "", "POST", "/api/v1/orders/"+productID+":cancel", "", "Content-Type", "text/plain"); got.StatusCode != 404 {
		t.Errorf("an empty body has no type to refuse: %d %s", got.StatusCode, got.text)
	}
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/products?q=wait", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client().Do(request); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for range 100 {
		if strings.Contains(s.logs.String(), `"code":"canceled"`) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the call did not end as canceled: %s", s.logs.String())
}

func TestWriteErrorOfAnythingElse(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Etag", `"1"`)
	rest.WriteError(t.Context(), recorder, errors.New("disk on fire"))
	if recorder.Code != 500 || strings.Contains(recorder.Body.String(), "fire") || recorder.Header().Get("Etag") != "" {
		t.Errorf("%d %v %s", recorder.Code, recorder.Header(), recorder.Body)
	}
}
