package stripe

import (
	"errors"
	"net/http"

	"github.com/sony/gobreaker/v2"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/billing"
)

// failure is a call without a result, and what else is known of it.
type failure struct {
	billing.ProviderError

	// decline is the intent that a bank refused.
	decline *stripego.PaymentIntent
	// breaker tells that the call was not made at all, so repeating it now is useless.
	breaker bool
	// state tells that the thing is in a state that does not allow the call.
	state bool
}

// Unwrap lets callers see the domain's error.
func (f *failure) Unwrap() error { return &f.ProviderError }

// classify says what an error means for money: whether the call may have had an
// effect, and whether it can ever succeed.
func classify(err error) *failure {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &failure{ProviderError: billing.ProviderError{Outage: billing.Refused, Code: "unreachable", Message: "the provider did not answer recently"}, breaker: true}
	}
	if errors.Is(err, errBudget) {
		return &failure{ProviderError: billing.ProviderError{Outage: billing.Refused, Code: "budget", Message: errBudget.Error()}, breaker: true}
	}
	var e *stripego.Error
	if !errors.As(err, &e) {
		// The transport's text may hold addresses but no key.
		return &failure{ProviderError: billing.ProviderError{Outage: billing.Lost, Code: "connection", Message: err.Error()}}
	}
	f := &failure{ProviderError: billing.ProviderError{Code: string(e.Code), Message: e.Msg}}
	if f.Code == "" {
		f.Code = string(e.Type)
	}
	switch {
	case e.Type == stripego.ErrorTypeCard:
		f.Outage, f.decline = billing.Rejected, e.PaymentIntent
	case e.HTTPStatusCode == http.StatusTooManyRequests:
		f.Outage = billing.Refused
	case e.HTTPStatusCode == http.StatusUnauthorized, e.HTTPStatusCode == http.StatusForbidden:
		// Our key is wrong: nothing happened, and no customer is to blame.
		f.Outage, f.breaker = billing.Refused, true
	case e.HTTPStatusCode == http.StatusNotFound:
		f.Outage = billing.Missing
	case e.HTTPStatusCode == http.StatusConflict, e.Type == stripego.ErrorTypeIdempotency:
		// A twin of this call is under way, or was made with other parameters.
		f.Outage = billing.Lost
	case e.HTTPStatusCode >= http.StatusBadRequest && e.HTTPStatusCode < http.StatusInternalServerError:
		f.Outage = billing.Rejected
		f.state = e.Code == stripego.ErrorCodePaymentIntentUnexpectedState
	default:
		f.Outage = billing.Lost
	}
	return f
}

// unreachable tells whether the provider gave no proper answer.
func unreachable(err error) bool {
	if err == nil {
		return false
	}
	var e *stripego.Error
	return !errors.As(err, &e) || e.HTTPStatusCode >= http.StatusInternalServerError || e.HTTPStatusCode == 0
}

// outcome names a result for the metrics.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	f := classify(err)
	switch {
	case f.decline != nil:
		return "declined"
	default:
		return [...]string{billing.Lost: "lost", billing.Refused: "refused", billing.Rejected: "rejected", billing.Missing: "missing"}[f.Outage]
	}
}
