package stripesim

import (
	"fmt"
	"net/http"
	"strings"
)

// apiError is an error as Stripe answers it.
type apiError struct {
	Status int `json:"-"`
	// Commit tells that the attempt itself is a fact to keep: a declined card
	// leaves a failed charge and an intent that waits for another card.
	Commit bool `json:"-"`

	Type          string `json:"type"`
	Code          string `json:"code,omitempty"`
	DeclineCode   string `json:"decline_code,omitempty"`
	Message       string `json:"message"`
	Param         string `json:"param,omitempty"`
	DocURL        string `json:"doc_url,omitempty"`
	Charge        string `json:"charge,omitempty"`
	PaymentIntent any    `json:"payment_intent,omitempty"`
	PaymentMethod any    `json:"payment_method,omitempty"`
}

const (
	typeInvalid     = "invalid_request_error"
	typeCard        = "card_error"
	typeAPI         = "api_error"
	typeIdempotency = "idempotency_error"

	codeUnexpectedState = "payment_intent_unexpected_state"
	codeResourceMissing = "resource_missing"
)

// Error implements error with what the caller of the API reads.
func (e *apiError) Error() string { return e.Message }

func (e *apiError) withDoc() *apiError {
	if e.Code != "" {
		e.DocURL = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(e.Code, "_", "-")
	}
	return e
}

func invalid(code, param, format string, args ...any) *apiError {
	e := &apiError{
		Status: http.StatusBadRequest, Type: typeInvalid, Code: code, Param: param,
		Message: fmt.Sprintf(format, args...),
	}
	return e.withDoc()
}

// missing is an unknown id: 404 when the id is in the path, 400 when it is a
// parameter.
func missing(status int, object, id, param string) *apiError {
	e := invalid(codeResourceMissing, param, "No such %s: '%s'", object, clip(id))
	e.Status = status
	return e
}

func unexpectedState(pi *paymentIntent, format string, args ...any) *apiError {
	e := invalid(codeUnexpectedState, "", format, args...)
	e.PaymentIntent = render(pi)
	return e
}

func serverError() *apiError {
	return &apiError{
		Status: http.StatusInternalServerError, Type: typeAPI,
		Message: "Sorry! There was an error while talking to one of our backends.",
	}
}

func rateLimited() *apiError {
	return &apiError{
		Status: http.StatusTooManyRequests, Type: typeInvalid, Code: "rate_limit",
		Message: "Request rate limit exceeded.",
	}
}

func lockTimeout() *apiError {
	return &apiError{
		Status: http.StatusTooManyRequests, Type: typeInvalid, Code: "lock_timeout",
		Message: "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
	}
}

func idempotencyMismatch(format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: typeIdempotency, Message: fmt.Sprintf(format, args...)}
}

func idempotencyInUse(key string) *apiError {
	return &apiError{
		Status: http.StatusConflict, Type: typeIdempotency, Code: "idempotency_key_in_use",
		Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (%s).", key),
	}
}

// clip keeps hostile ids from filling answers and logs.
func clip(s string) string {
	const limit = 100
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
