package browser

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Problem is an error as a person reads it.
type Problem struct {
	// Status is the HTTP status.
	Status int
	// Title and Text are sentences.
	Title, Text string
	// Field is the form field that is wrong, or "".
	Field string
	// RequestID finds the request in the logs.
	RequestID string
}

// Explain turns an error into sentences. What is no fault is logged and not shown.
func (s *Site) Explain(r *http.Request, err error) Problem {
	p := Problem{RequestID: telemetry.RequestID(r.Context())}
	failure := fault.From(err)
	if failure == nil {
		failure = fault.New(fault.KindInternal, "", "")
	}
	switch failure.Kind {
	case fault.KindInvalidInput:
		p.Status, p.Title, p.Field = http.StatusBadRequest, "Please check what you entered", failure.Field
		p.Text = Sentence(about(failure))
	case fault.KindAuthFailed:
		p.Status, p.Title, p.Text = http.StatusUnauthorized, "You are not logged in", Sentence(failure.Message)
	case fault.KindUnauthorized:
		p.Status, p.Title, p.Text = http.StatusForbidden, "This is not allowed", Sentence(failure.Message)
	case fault.KindNotFound:
		p.Status, p.Title, p.Text = http.StatusNotFound, "Not found", Sentence(failure.Message)
	case fault.KindConflict:
		p.Status, p.Title, p.Text = http.StatusConflict, "This did not work", Sentence(failure.Message)
	case fault.KindStale:
		p.Status, p.Title = http.StatusPreconditionFailed, "Somebody else was faster"
		p.Text = "This was changed while you looked at it. Open the page again and repeat."
	case fault.KindRateLimit:
		p.Status, p.Title, p.Text = http.StatusTooManyRequests, "Too many attempts", later(failure)
	case fault.KindUnavailable:
		p.Status, p.Title, p.Text = http.StatusServiceUnavailable, "Not available at the moment", later(failure)
	default:
		p.Status, p.Title = http.StatusInternalServerError, "Something went wrong"
		p.Text = "This is our mistake. Try again in a minute."
	}
	if p.Status >= http.StatusInternalServerError {
		s.config.Logger.ErrorContext(r.Context(), "page failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	return p
}

// about names the field in front of a message such as "must be given".
func about(failure *fault.Error) string {
	first, _ := utf8.DecodeRuneInString(failure.Message)
	if failure.Field == "" || unicode.IsUpper(first) || !strings.HasPrefix(failure.Message, "must ") && !strings.HasPrefix(failure.Message, "value ") {
		return failure.Message
	}
	return fieldName(failure.Field) + " " + failure.Message
}

// fieldName turns "shippingAddress.postalCode" or "postal_code" into "postal code".
func fieldName(field string) string {
	field = field[strings.LastIndex(field, ".")+1:]
	var b strings.Builder
	for _, char := range field {
		switch {
		case char == '_':
			b.WriteByte(' ')
		case unicode.IsUpper(char):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(char))
		default:
			b.WriteRune(char)
		}
	}
	return b.String()
}

func later(failure *fault.Error) string {
	seconds := int(math.Ceil(failure.RetryAfter.Seconds()))
	if seconds <= 1 {
		return "Try again in a moment."
	}
	if seconds < 120 {
		return fmt.Sprintf("Try again in %d seconds.", seconds)
	}
	return fmt.Sprintf("Try again in %d minutes.", (seconds+59)/60)
}

// Sentence starts with a capital letter and ends with a full stop.
func Sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return text
}
