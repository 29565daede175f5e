package objectstore

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
)

// shown are the types that a browser may show. Everything else is a download:
// a page that somebody uploaded must never run with the shop's rights.
var shown = []string{"image/jpeg", "image/png", "image/webp", "image/gif"}

// Handler serves objects by the URL's path, which is the key: mount it below
// http.StripPrefix. It answers GET and HEAD with ranges and conditions.
// Content-addressed objects may be cached for ever, others are asked for again.
func (s *Store) Handler(logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		key := strings.TrimPrefix(r.URL.Path, "/")
		object, err := s.Get(r.Context(), key)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrInvalidKey):
			http.Error(w, "not found", http.StatusNotFound)
			return
		case err != nil:
			logger.ErrorContext(r.Context(), "object cannot be read", "key", key, "error", err)
			http.Error(w, "the object store is not available", http.StatusServiceUnavailable)
			return
		}
		defer func() { _ = object.Close() }()
		setHeaders(w.Header(), key, object.ContentType)
		http.ServeContent(w, r, "", object.ModTime, object)
	})
}

func setHeaders(h http.Header, key, contentType string) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if slices.Contains(shown, contentType) {
		h.Set("Content-Type", contentType)
		h.Set("Content-Disposition", "inline")
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("Cache-Control", cacheControl(key))
	if sum, ok := addressed(key); ok {
		h.Set("ETag", `"`+sum+`"`)
	}
}

// cacheControl is also stored with the object, for those whom the bucket
// serves directly.
func cacheControl(key string) string {
	if _, ok := addressed(key); ok {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// addressed returns the hash in a content-addressed key.
func addressed(key string) (string, bool) {
	name := path.Base(key)
	sum := strings.TrimSuffix(name, path.Ext(name))
	if len(sum) != 64 {
		return "", false
	}
	_, err := hex.DecodeString(sum)
	return sum, err == nil
}
