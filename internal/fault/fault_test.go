package fault_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/fault"
)

var errOutOfStock = fault.New(fault.KindConflict, "OUT_OF_STOCK", "not enough stock")

func TestConstructors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    *fault.Error
		kind   fault.Kind
		reason string
		code   string
		status int
		text   string
	}{
		{"invalid", fault.Invalid("email", "is %s", "bad"), fault.KindInvalidInput, "INVALID_INPUT", "INVALID_INPUT", http.StatusBadRequest, "email: is bad"},
		{"not found", fault.NotFound("product", "1"), fault.KindNotFound, "NOT_FOUND", "NOT_FOUND", http.StatusNotFound, "product was not found"},
		{"conflict", fault.Conflict("CART_EMPTY", "cart %d", 7), fault.KindConflict, "CART_EMPTY", "CART_EMPTY", http.StatusConflict, "cart 7"},
		{"conflict without reason", fault.Conflict("", "x"), fault.KindConflict, "CONFLICT", "CONFLICT", http.StatusConflict, "x"},
		{"stale", fault.Stale("product changed"), fault.KindStale, "STALE_ETAG", "STALE_ETAG", http.StatusPreconditionFailed, "product changed"},
		{"auth", fault.AuthFailed("log in"), fault.KindAuthFailed, "AUTH_FAILED", "AUTH_FAILED", http.StatusUnauthorized, "log in"},
		{"unauthorized", fault.Unauthorized("no"), fault.KindUnauthorized, "UNAUTHORIZED", "UNAUTHORIZED", http.StatusForbidden, "no"},
		{"rate", fault.RateLimit(time.Second), fault.KindRateLimit, "RATE_LIMIT", "RATE_LIMIT", http.StatusTooManyRequests, "too many requests, try again later"},
		{"unavailable", fault.Unavailable("stripe", time.Second), fault.KindUnavailable, "UNAVAILABLE", "UNAVAILABLE", http.StatusServiceUnavailable, "stripe is not available at the moment"},
		{"internal", fault.New(fault.KindInternal, "", ""), fault.KindInternal, "INTERNAL_ERROR", "INTERNAL_ERROR", http.StatusInternalServerError, "INTERNAL_ERROR"},
		{"unknown kind", fault.New(fault.Kind(200), "", "m"), fault.KindInternal, "INTERNAL_ERROR", "INTERNAL_ERROR", http.StatusInternalServerError, "m"},
		{"own reason keeps kind's code", fault.New(fault.KindNotFound, "NO_PRODUCT", "m"), fault.KindNotFound, "NO_PRODUCT", "NOT_FOUND", http.StatusNotFound, "m"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.err.Kind != test.kind || test.err.Reason != test.reason {
				t.Errorf("kind, reason = %v, %q; want %v, %q", test.err.Kind, test.err.Reason, test.kind, test.reason)
			}
			if test.err.Code() != test.code {
				t.Errorf("code = %q, want %q", test.err.Code(), test.code)
			}
			if test.err.Kind.HTTPStatus() != test.status {
				t.Errorf("status = %d, want %d", test.err.Kind.HTTPStatus(), test.status)
			}
			if test.err.Error() != test.text {
				t.Errorf("text = %q, want %q", test.err.Error(), test.text)
			}
		})
	}
}

func TestCopiesLeaveSentinelAlone(t *testing.T) {
	t.Parallel()
	base := errOutOfStock.WithMetadata("available", "1")
	other := base.WithMetadata("available", "2").WithField("items[0].quantity", "3").
		WithMessage("only %d left", 2).WithRetryAfter(time.Minute).WithCause(io.EOF)
	if errOutOfStock.Metadata != nil || base.Metadata["available"] != "1" || base.Field != "" || base.RetryAfter != 0 {
		t.Errorf("a copy changed its origin: %+v %+v", errOutOfStock, base)
	}
	if other.Metadata["available"] != "2" || other.Field != "items[0].quantity" || other.Value != "3" || other.RetryAfter != time.Minute {
		t.Errorf("copy lost something: %+v", other)
	}
	if got := other.Error(); got != "items[0].quantity: only 2 left: EOF" {
		t.Errorf("text = %q", got)
	}
	if !errors.Is(other, errOutOfStock) || !errors.Is(other, io.EOF) {
		t.Error("copy is neither its sentinel nor its cause")
	}
}

func TestIsAndFrom(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("place order: %w", errOutOfStock)
	if !errors.Is(wrapped, fault.Conflict("OUT_OF_STOCK", "other text")) {
		t.Error("same kind and reason must be the same fault")
	}
	for _, other := range []error{fault.Conflict("CART_EMPTY", ""), fault.New(fault.KindStale, "OUT_OF_STOCK", ""), io.EOF} {
		if errors.Is(wrapped, other) {
			t.Errorf("must not be %v", other)
		}
	}
	if fault.From(wrapped) != errOutOfStock {
		t.Error("From missed the fault in the chain")
	}
	if fault.From(io.EOF) != nil || fault.From(nil) != nil {
		t.Error("From invented a fault")
	}
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for kind := fault.KindInternal; kind <= fault.KindUnavailable; kind++ {
		if kind.String() == "" || seen[kind.String()] {
			t.Errorf("kind %d has no name of its own", kind)
		}
		seen[kind.String()] = true
	}
	if unknown := fault.Kind(99); unknown.String() != "internal" || unknown.HTTPStatus() != 500 || (&fault.Error{Kind: unknown}).Code() != "INTERNAL_ERROR" {
		t.Error("an unknown kind must be internal")
	}
}
