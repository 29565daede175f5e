package objectstore_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/commercestack/commercestack/internal/objectstore"
)

func serve(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestServePicture(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	renditions, err := store.PutPicture(t.Context(), "products", bytes.NewReader(asJPEG(t, flag(64, 64, 255))), objectstore.PictureLimits{})
	if err != nil {
		t.Fatal(err)
	}
	h := http.StripPrefix("/media", store.Handler(slog.New(slog.DiscardHandler)))
	path := "/media/" + renditions[0].Key
	w := serve(h, "GET", path)
	want := map[string]string{
		"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Content-Disposition": "inline",
		"Cache-Control": "public, max-age=31536000, immutable", "Content-Security-Policy": "default-src 'none'; sandbox",
	}
	for name, value := range want {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	etag := w.Header().Get("ETag")
	if w.Code != 200 || int64(w.Body.Len()) != renditions[0].Size || !strings.Contains(path, strings.Trim(etag, `"`)) {
		t.Errorf("%d, %d bytes, ETag %s", w.Code, w.Body.Len(), etag)
	}
	if w := serve(h, "GET", path, "If-None-Match", etag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("conditional: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := serve(h, "HEAD", path); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := serve(h, "GET", path, "Range", "bytes=0-1"); w.Code != 206 || w.Body.String() != "\xff\xd8" {
		t.Errorf("range: %d %q", w.Code, w.Body)
	}
}

// An object of a type that could run scripts is only ever a download.
func TestServeOtherTypes(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	h := store.Handler(slog.New(slog.DiscardHandler))
	for _, contentType := range []string{"text/html", "image/svg+xml", "application/pdf", ""} {
		put(t, store, "a", contentType, "<script>alert(1)</script>")
		w := serve(h, "GET", "/a")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Disposition") != "attachment" ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-cache" || w.Header().Get("ETag") != "" {
			t.Errorf("%q: %d %v", contentType, w.Code, w.Header())
		}
	}
}

func TestServeRefusals(t *testing.T) {
	t.Parallel()
	h := newStore(t).Handler(slog.New(slog.DiscardHandler))
	for path, want := range map[string]int{"/none": 404, "/": 404, "/%2e%2e/secret": 404, "/a//b": 404} {
		if w := serve(h, "GET", path); w.Code != want {
			t.Errorf("GET %s: %d, want %d", path, w.Code, want)
		}
	}
	if w := serve(h, "POST", "/a"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", w.Code, w.Header())
	}
	away := objectstore.New(memblob.OpenBucket(nil))
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	if w := serve(away.Handler(slog.New(slog.DiscardHandler)), "GET", "/a"); w.Code != 503 {
		t.Errorf("store away: %d", w.Code)
	}
}
