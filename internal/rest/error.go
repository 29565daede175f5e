package rest

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// statusClientClosed is what a request that its client gave up counts as.
const statusClientClosed = 499

// internalText is all that a client learns about a failure of ours.
const internalText = "something went wrong on our side"

type errorBody struct {
	Error errorInfo `json:"error"`
}

type errorInfo struct {
	Code      string            `json:"code"`
	Message   string            `json:"message"`
	Details   map[string]string `json:"details"`
	Timestamp string            `json:"timestamp"`
	RequestID string            `json:"requestId"`
}

// WriteError answers with the contract's error body. An err that holds no
// fault becomes INTERNAL_ERROR with a fixed text.
func WriteError(ctx context.Context, w http.ResponseWriter, err error) {
	writeError(ctx, w, nil, 0, err)
}

// writeError answers with err. Status replaces the fault's own unless it is 0;
// route may be nil.
func writeError(ctx context.Context, w http.ResponseWriter, route *Route, status int, err error) {
	failure := fault.From(err)
	if failure == nil || failure.Kind == fault.KindInternal {
		failure = fault.New(fault.KindInternal, "", internalText)
	}
	if status == 0 {
		status = failure.Kind.HTTPStatus()
	}
	if wire := connect.CodeOf(err); wire == connect.CodeCanceled {
		status = statusClientClosed
	}
	failure = route.outside(failure)
	header := w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Content-Length"} {
		header.Del(name) // they describe an answer that is not sent
	}
	header.Set("Content-Type", jsonType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(failure.RetryAfter.Seconds())))))
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
	if id := telemetry.RequestID(ctx); id != "" {
		header.Set(telemetry.RequestIDHeader, id)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(newErrorBody(failure, header.Get(telemetry.RequestIDHeader))) // the client may be gone
}

func newErrorBody(failure *fault.Error, requestID string) errorBody {
	details := maps.Clone(failure.Metadata)
	if details == nil {
		details = make(map[string]string, 2)
	}
	if failure.Field != "" {
		details["field"] = failure.Field
	}
	if failure.Value != "" {
		details["value"] = failure.Value
	}
	message := failure.Message
	if message == "" {
		message = failure.Reason
	}
	return errorBody{errorInfo{
		Code: failure.Code(), Message: message, Details: details, Timestamp: time.Now().UTC().Format(time.RFC3339), RequestID: requestID,
	}}
}

// outside names the field as the client wrote it: a body that is one field of
// the request message has no name of its own.
func (r *Route) outside(failure *fault.Error) *fault.Error {
	if r == nil || r.body != bodyPart {
		return failure
	}
	prefix := r.bodyField.JSONName() + "."
	field, ok := strings.CutPrefix(failure.Field, prefix)
	if !ok {
		return failure
	}
	message := failure.Message
	if rest, ok := strings.CutPrefix(message, failure.Field); ok {
		message = field + rest
	}
	result := *failure.WithField(field, failure.Value)
	result.Message = message
	return &result
}
