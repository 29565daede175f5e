// Package fault is the platform's one error type. A component fails with a
// fault, one interceptor turns it into a wire error and the client turns it
// back, so errors.Is against a sentinel holds across the network.
//
// A fault's Message, Field, Value and Metadata go to the caller: they never
// hold a secret. What only operators may see is the cause.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Kind is the class of a failure. It alone decides the wire code and the HTTP status.
type Kind uint8

// The classes of failure.
const (
	// KindInternal is a defect or an unclassified failure; its text never reaches a caller.
	KindInternal Kind = iota
	// KindInvalidInput is a request that can never succeed as it is.
	KindInvalidInput
	// KindAuthFailed is a caller whose identity is missing or not proven.
	KindAuthFailed
	// KindUnauthorized is a known caller without the permission.
	KindUnauthorized
	// KindNotFound is a resource that does not exist or is not the caller's.
	KindNotFound
	// KindConflict is a request the present state refuses; the reason says which rule.
	KindConflict
	// KindStale is a write based on an outdated version of the resource.
	KindStale
	// KindRateLimit is a caller who used up a quota; RetryAfter says when to come back.
	KindRateLimit
	// KindUnavailable is a dependency that is down or busy; RetryAfter says when to come back.
	KindUnavailable

	kinds
)

// Error is one failure as the caller may see it, plus the cause only operators see.
// Values are immutable: every With method returns a copy, so sentinels are safe.
type Error struct {
	// Kind decides the wire code and the HTTP status.
	Kind Kind
	// Reason is a stable name in UPPER_SNAKE_CASE that clients may branch on.
	Reason string
	// Message is a sentence for people. It holds no secret.
	Message string
	// Field is the offending request field in lowerCamelCase, such as "items[0].quantity", or "".
	Field string
	// Value is the offending value, "" when it is secret or there is none.
	Value string
	// RetryAfter is how long to wait before trying again; 0 means unknown.
	RetryAfter time.Duration
	// Metadata is further public detail, such as the available quantity.
	Metadata map[string]string

	cause error
}

// New returns a fault, usually kept as a sentinel. A blank reason becomes the kind's code.
func New(kind Kind, reason, message string) *Error {
	if kind >= kinds {
		kind = KindInternal
	}
	if reason == "" {
		reason = statuses[kind].code
	}
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// Invalid reports a request field that can never be accepted as it is.
func Invalid(field, format string, args ...any) *Error {
	e := New(KindInvalidInput, ReasonInvalidInput, fmt.Sprintf(format, args...))
	e.Field = field
	return e
}

// NotFound reports a resource that does not exist or is not the caller's.
func NotFound(resource, id string) *Error {
	e := New(KindNotFound, ReasonNotFound, resource+" was not found")
	e.Metadata = map[string]string{"resource": resource}
	if id != "" {
		e.Metadata["id"] = id
	}
	return e
}

// Conflict reports a request the present state refuses, under a reason of its own.
func Conflict(reason, format string, args ...any) *Error {
	return New(KindConflict, reason, fmt.Sprintf(format, args...))
}

// Stale reports a write based on an outdated etag.
func Stale(format string, args ...any) *Error {
	return New(KindStale, ReasonStaleEtag, fmt.Sprintf(format, args...))
}

// Unavailable reports a dependency that is down or busy.
func Unavailable(dependency string, retryAfter time.Duration) *Error {
	e := New(KindUnavailable, ReasonUnavailable, dependency+" is not available at the moment")
	e.RetryAfter = retryAfter
	return e
}

// AuthFailed reports a caller whose identity is missing or not proven.
func AuthFailed(message string) *Error {
	return New(KindAuthFailed, ReasonAuthFailed, message)
}

// Unauthorized reports a known caller without the permission.
func Unauthorized(message string) *Error {
	return New(KindUnauthorized, ReasonUnauthorized, message)
}

// RateLimit reports a caller who used up a quota.
func RateLimit(retryAfter time.Duration) *Error {
	e := New(KindRateLimit, ReasonRateLimit, "too many requests, try again later")
	e.RetryAfter = retryAfter
	return e
}

// From returns the nearest *Error in err's chain, or nil.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// Error returns the message and, for operators, the cause.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Reason
	}
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same kind and reason. It is called
// for every error of the chain; unwrapping the target would compare causes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t != nil && e.Kind == t.Kind && e.Reason == t.Reason
}

// WithField returns a copy that names the offending field and its value.
func (e *Error) WithField(field, value string) *Error {
	c := e.clone()
	c.Field, c.Value = field, value
	return c
}

// WithMessage returns a copy with another message.
func (e *Error) WithMessage(format string, args ...any) *Error {
	c := e.clone()
	c.Message = fmt.Sprintf(format, args...)
	return c
}

// WithMetadata returns a copy with one more public detail.
func (e *Error) WithMetadata(key, value string) *Error {
	c := e.clone()
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return c
}

// WithRetryAfter returns a copy that says when to come back.
func (e *Error) WithRetryAfter(wait time.Duration) *Error {
	c := e.clone()
	c.RetryAfter = wait
	return c
}

// WithCause returns a copy that wraps err for errors.Is and for logs. Callers never see it.
func (e *Error) WithCause(err error) *Error {
	c := e.clone()
	c.cause = err
	return c
}

func (e *Error) clone() *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	return &c
}
