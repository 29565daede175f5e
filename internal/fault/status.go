package fault

import "net/http"

// The stable reasons of the REST contract. A KindConflict has a reason of its own.
const (
	ReasonInvalidInput = "INVALID_INPUT"
	ReasonAuthFailed   = "AUTH_FAILED"
	ReasonUnauthorized = "UNAUTHORIZED"
	ReasonNotFound     = "NOT_FOUND"
	ReasonConflict     = "CONFLICT"
	ReasonStaleEtag    = "STALE_ETAG"
	ReasonRateLimit    = "RATE_LIMIT"
	ReasonInternal     = "INTERNAL_ERROR"
	ReasonUnavailable  = "UNAVAILABLE"
)

// statuses is the only place where a kind gets its HTTP status and its code on REST.
var statuses = [kinds]struct {
	name string
	code string
	http int
}{
	KindInternal:     {"internal", ReasonInternal, http.StatusInternalServerError},
	KindInvalidInput: {"invalid_input", ReasonInvalidInput, http.StatusBadRequest},
	KindAuthFailed:   {"auth_failed", ReasonAuthFailed, http.StatusUnauthorized},
	KindUnauthorized: {"unauthorized", ReasonUnauthorized, http.StatusForbidden},
	KindNotFound:     {"not_found", ReasonNotFound, http.StatusNotFound},
	KindConflict:     {"conflict", ReasonConflict, http.StatusConflict},
	KindStale:        {"stale", ReasonStaleEtag, http.StatusPreconditionFailed},
	KindRateLimit:    {"rate_limit", ReasonRateLimit, http.StatusTooManyRequests},
	KindUnavailable:  {"unavailable", ReasonUnavailable, http.StatusServiceUnavailable},
}

// String returns the kind's name for logs, such as "invalid_input".
func (k Kind) String() string {
	if k >= kinds {
		k = KindInternal
	}
	return statuses[k].name
}

// HTTPStatus returns the kind's HTTP status.
func (k Kind) HTTPStatus() int {
	if k >= kinds {
		k = KindInternal
	}
	return statuses[k].http
}

// Code returns the code of the REST error body: the reason of a conflict, else the kind's.
func (e *Error) Code() string {
	if e.Kind == KindConflict && e.Reason != "" {
		return e.Reason
	}
	if e.Kind >= kinds {
		return ReasonInternal
	}
	return statuses[e.Kind].code
}
