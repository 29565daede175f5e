package gateway

import (
	"net/http"
)

// Transform changes headers on the way in and out, for what a shop's own
// network needs.
type Transform struct {
	// SetRequest headers are set on requests to components.
	SetRequest map[string]string
	// RemoveRequest headers are removed from requests.
	RemoveRequest []string
	// SetResponse headers are set on answers unless the component set them.
	SetResponse map[string]string
}

func (t Transform) apply(w http.ResponseWriter, r *http.Request) {
	for _, name := range t.RemoveRequest {
		r.Header.Del(name)
	}
	for name, value := range t.SetRequest {
		r.Header.Set(name, value)
	}
	for name, value := range t.SetResponse {
		w.Header().Set(name, value)
	}
}

// setSecurityHeaders writes what every answer carries. Pages set a content
// security policy of their own.
func (g *Gateway) setSecurityHeaders(w http.ResponseWriter) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if g.config.HSTS {
		header.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}
