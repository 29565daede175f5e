package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// corsPolicy answers browsers of other origins.
type corsPolicy struct {
	origins []string
}

const (
	anyOrigin   = "*"
	corsMethods = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Guest-Token, X-Request-Id, " +
		"Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout, X-Grpc-Web, X-User-Agent"
	corsExpose = "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, " +
		"Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin"
)

// apply writes the CORS headers and reports whether the request was a preflight
// that is now answered. Credentials are never allowed: the API takes bearer
// tokens, not cookies, so no foreign page can act for a logged-in person.
func (c corsPolicy) apply(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if len(c.origins) == 0 {
		return false
	}
	header := w.Header()
	everybody := slices.Contains(c.origins, anyOrigin)
	if !everybody {
		// Also without an Origin: a cache would hand the answer to a page of an allowed origin, whose browser refuses it.
		header.Add("Vary", "Origin")
	}
	if origin == "" || !everybody && !c.allows(origin) {
		return false
	}
	if everybody {
		origin = anyOrigin // one answer for all, which a cache can keep
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", corsExpose)
	if !preflight {
		return false
	}
	header.Set("Access-Control-Allow-Methods", corsMethods)
	header.Set("Access-Control-Allow-Headers", corsHeaders)
	header.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (c corsPolicy) allows(origin string) bool {
	return slices.ContainsFunc(c.origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) })
}
