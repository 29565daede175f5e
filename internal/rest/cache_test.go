package rest_test

import (
	"strings"
	"testing"
)

func TestCache(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	path := "/api/v1/products/" + productID
	first := s.do(t, "", "GET", path, "")
	etag := first.Header.Get("Etag")
	if len(etag) < 10 || !strings.HasPrefix(etag, `"`) {
		t.Fatalf("etag %q", etag)
	}
	if got := first.Header.Get("Cache-Control"); got != "public, max-age=5, stale-while-revalidate=30" {
		t.Errorf("cache control %q", got)
	}
	if first.Header.Get("Vary") != "Authorization" {
		t.Errorf("vary %q", first.Header.Get("Vary"))
	}
	for header, status := range map[string]int{
		etag: 304, `W/` + etag: 304, `"other", ` + etag: 304, "*": 304, `"other"`: 200, "": 200,
	} {
		again := s.do(t, "", "GET", path, "", "If-None-Match", header)
		if again.StatusCode != status {
			t.Errorf("If-None-Match %s: %d", header, again.StatusCode)
		}
		if status == 304 && (again.text != "" || again.Header.Get("Etag") != etag || again.Header.Get("Cache-Control") == "") {
			t.Errorf("304 with %v %q", again.Header, again.text)
		}
	}
	for _, as := range []string{"admin", "user", "cart"} {
		if got := s.do(t, as, "GET", path, "").Header.Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("as %s: cache control %q lets others see what may be theirs", as, got)
		}
	}
	if got := s.do(t, "admin", "DELETE", path, "").Header; got.Get("Cache-Control") != "no-store" || got.Get("Etag") != "" {
		t.Errorf("a change has cache headers: %v", got)
	}
	if got := s.do(t, "", "GET", "/.well-known/jwks.json", "").Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("key set: cache control %q", got)
	}
}

func TestEncodedAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	got := s.do(t, "", "GET", "/api/v1/products?q=encoded", "")
	if got.text != `{"products":[],"nextPageToken":"ready"}` || got.Header.Get("Etag") != `"v1"` || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", got.Header, got.text)
	}
	if again := s.do(t, "", "GET", "/api/v1/products?q=encoded", "", "If-None-Match", `"v1"`); again.StatusCode != 304 {
		t.Errorf("status %d", again.StatusCode)
	}
}
