// Package telemetry makes a process observable: structured logs with a
// correlation id, Prometheus metrics and OpenTelemetry traces.
package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/base32"
)

// RequestIDHeader carries the correlation id between clients, the gateway and components.
const RequestIDHeader = "X-Request-Id"

// maxRequestID bounds what clients may write into every log line, in bytes.
const maxRequestID = 64

type requestIDKey struct{}

// WithRequestID returns a context whose log lines carry the id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the correlation id of the context, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

var requestIDText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewRequestID returns a fresh random correlation id.
func NewRequestID() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	return "req-" + requestIDText.EncodeToString(random[:])
}

// ValidRequestID reports whether an id from outside may be kept: 1 to 64
// letters, digits, "-", "_", "." and ":". Others could forge log lines.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for _, char := range []byte(id) {
		switch {
		case 'a' <= char && char <= 'z', 'A' <= char && char <= 'Z', '0' <= char && char <= '9':
		case char == '-', char == '_', char == '.', char == ':':
		default:
			return false
		}
	}
	return true
}
