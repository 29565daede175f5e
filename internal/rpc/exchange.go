package rpc

import (
	"context"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/telemetry"
)

// RequestID returns the correlation id of the call, or "".
func RequestID(ctx context.Context) string { return telemetry.RequestID(ctx) }

// RequestHeader returns the headers of the call a handler serves, such as
// Idempotency-Key or Stripe-Signature. It is nil outside a call; a nil header
// answers "" to Get. In process it holds only what the calling component set.
func RequestHeader(ctx context.Context) *connect.Header {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return nil
	}
	return info.RequestHeader()
}

// SetResponseHeader sets a header of the answer to the call a handler serves.
// Outside a call it does nothing.
func SetResponseHeader(ctx context.Context, key, value string) {
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		info.ResponseHeader().Set(key, value)
	}
}

// Exchange is what the REST transport hangs on a call so that interceptors and
// handlers can tell it more than a message says. It belongs to one call.
type Exchange struct {
	// Anonymous is true once the caller is known to be nobody in particular,
	// so that the answer is the same for everybody.
	Anonymous bool
	// Encoded is an answer that the handler had ready as JSON.
	Encoded []byte
	// Etag is the entity tag of Encoded, quoted; "" lets the transport compute one.
	Etag string
}

func exchangeOf(ctx context.Context) *Exchange {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return nil
	}
	exchange, _ := info.TransportInfo.(*Exchange)
	return exchange
}

// WantsJSON reports whether the answer goes out as the REST contract's JSON,
// so that a handler may use SetEncodedJSON instead of building a message.
func WantsJSON(ctx context.Context) bool { return exchangeOf(ctx) != nil }

// SetEncodedJSON hands the REST transport an answer that is already encoded,
// for hot public reads. It reports false when the call came another way; the
// handler must then answer with a message. Body must not change afterwards,
// and must be what the transport would have written for the message. Etag is
// quoted, or "" to have it computed.
func SetEncodedJSON(ctx context.Context, body []byte, etag string) bool {
	exchange := exchangeOf(ctx)
	if exchange == nil {
		return false
	}
	exchange.Encoded, exchange.Etag = body, etag
	return true
}
