package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// domain marks the ErrorInfo of our own faults.
	domain = "commercestack"
	// valueKey carries the offending value of a field in the ErrorInfo's metadata.
	valueKey = "value"
	// maxEcho bounds how much of an offending value is given back, in characters.
	maxEcho = 100
	// internalText is all that a caller learns about a failure that nobody foresaw.
	internalText = "something went wrong on our side"
)

// wireCodes is the only place where a kind of fault gets its wire code.
var wireCodes = map[fault.Kind]connect.Code{
	fault.KindInternal:     connect.CodeInternal,
	fault.KindInvalidInput: connect.CodeInvalidArgument,
	fault.KindAuthFailed:   connect.CodeUnauthenticated,
	fault.KindUnauthorized: connect.CodePermissionDenied,
	fault.KindNotFound:     connect.CodeNotFound,
	fault.KindConflict:     connect.CodeFailedPrecondition,
	fault.KindStale:        connect.CodeAborted,
	fault.KindRateLimit:    connect.CodeResourceExhausted,
	fault.KindUnavailable:  connect.CodeUnavailable,
}

// kindOf is the reverse of wireCodes, widened to codes that other servers use.
func kindOf(code connect.Code) fault.Kind {
	switch code {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange:
		return fault.KindInvalidInput
	case connect.CodeUnauthenticated:
		return fault.KindAuthFailed
	case connect.CodePermissionDenied:
		return fault.KindUnauthorized
	case connect.CodeNotFound:
		return fault.KindNotFound
	case connect.CodeFailedPrecondition, connect.CodeAlreadyExists:
		return fault.KindConflict
	case connect.CodeAborted:
		return fault.KindStale
	case connect.CodeResourceExhausted:
		return fault.KindRateLimit
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return fault.KindUnavailable
	case connect.CodeUnknown, connect.CodeUnimplemented, connect.CodeInternal, connect.CodeDataLoss:
		return fault.KindInternal
	default:
		return fault.KindInternal
	}
}

// classify returns the fault a handler's error amounts to. Everything that
// nobody mapped becomes an internal fault whose text hides the cause.
func classify(ctx context.Context, err error) *fault.Error {
	known := fault.From(err)
	interrupted := known != nil && known.Reason == reasonCanceled || known == nil && errors.Is(err, context.Canceled)
	if known != nil && known.Kind != fault.KindInternal && !interrupted {
		return known
	}
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.Canceled):
		return errCanceled.WithCause(err)
	case ended != nil, errors.Is(err, context.DeadlineExceeded):
		return errDeadline.WithCause(err)
	case interrupted: // not by this caller, who shall try again
		return errInterrupted.WithCause(err)
	}
	if foreign, ok := errors.AsType[*connect.Error](err); ok && known == nil && !foreign.IsRemote() {
		// Only libraries beside our handlers author these: reflection, health, an unimplemented method.
		if kind := kindOf(foreign.Code()); kind != fault.KindInternal {
			return fault.New(kind, "", foreign.Message()).WithCause(err)
		}
		if foreign.Code() == connect.CodeUnimplemented {
			return errUnimplemented.WithCause(err)
		}
	}
	return fault.New(fault.KindInternal, fault.ReasonInternal, internalText).WithCause(err)
}

var (
	errCanceled      = fault.New(fault.KindUnavailable, reasonCanceled, "the caller went away")
	errDeadline      = fault.New(fault.KindUnavailable, reasonDeadline, "this took too long, try again").WithRetryAfter(time.Second)
	errInterrupted   = fault.New(fault.KindUnavailable, "", "this was interrupted, try again").WithRetryAfter(time.Second)
	errUnimplemented = fault.New(fault.KindNotFound, reasonUnimplemented, "there is no such method")
)

// Reasons whose wire code says more than their kind's.
const (
	reasonCanceled      = "CANCELED"
	reasonDeadline      = "DEADLINE_EXCEEDED"
	reasonUnimplemented = "UNIMPLEMENTED"
)

func codeOf(f *fault.Error) connect.Code {
	switch f.Reason {
	case reasonCanceled:
		return connect.CodeCanceled
	case reasonDeadline:
		return connect.CodeDeadlineExceeded
	case reasonUnimplemented:
		return connect.CodeUnimplemented
	default:
		return wireCodes[f.Kind]
	}
}

// redact drops what must not be echoed and cuts what is too long to echo.
func redact(f *fault.Error, request protoreflect.MessageDescriptor) *fault.Error {
	if f.Value == "" {
		return f
	}
	if request != nil && access.SecretPath(request, f.Field) {
		return f.WithField(f.Field, "")
	}
	return f.WithField(f.Field, echo(f.Value))
}

// echo cuts a value to what may be given back.
func echo(value string) string {
	count := 0
	for i := range value {
		if count == maxEcho {
			return value[:i] + "…"
		}
		count++
	}
	return value
}

// toWire turns a classified fault into the error that travels. The fault stays
// its local cause, so a transport in this process need not decode the details.
func toWire(f *fault.Error) *connect.Error {
	wire := connect.NewError(codeOf(f), f.Message).WithCause(f)
	metadata := f.Metadata
	if f.Value != "" {
		metadata = maps.Clone(f.Metadata)
		if metadata == nil {
			metadata = make(map[string]string, 1)
		}
		metadata[valueKey] = f.Value
	}
	wire = withDetail(wire, &errdetails.ErrorInfo{Reason: f.Reason, Domain: domain, Metadata: metadata})
	if f.Field != "" {
		wire = withDetail(wire, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: f.Field, Description: f.Message}}})
	}
	if f.RetryAfter > 0 {
		wire = withDetail(wire, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	return wire
}

func withDetail(wire *connect.Error, message proto.Message) *connect.Error {
	detail, err := connectproto.NewErrorDetail(message)
	if err != nil { // a metadata string that is not UTF-8; the code still tells the caller enough
		return wire
	}
	return wire.WithDetail(detail)
}

// fromWire turns the error of a call into a fault. Own marks the answer of one
// of our components, in contrast to a failure on the way to it.
func fromWire(target string, err error) (result *fault.Error, own bool) {
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok {
		if errors.Is(err, context.Canceled) {
			return errCanceled.WithCause(err), false
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return errDeadline.WithCause(err), false
		}
		return fault.New(fault.KindInternal, "", internalText).WithCause(fmt.Errorf("call %s: %w", target, err)), false
	}
	// The server's causes stay behind, as they do when the call crosses a network.
	cause := fmt.Errorf("call %s: %w", target, connect.NewError(wire.Code(), wire.Message()))
	result = fault.New(kindOf(wire.Code()), "", wire.Message())
	for _, detail := range wire.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			continue // a detail of a newer version
		}
		switch message := message.(type) {
		case *errdetails.ErrorInfo:
			own = own || message.GetDomain() == domain
			result.Reason = message.GetReason()
			result.Metadata = maps.Clone(message.GetMetadata())
			result.Value = result.Metadata[valueKey]
			delete(result.Metadata, valueKey)
		case *errdetails.BadRequest:
			if violations := message.GetFieldViolations(); len(violations) > 0 {
				result.Field = violations[0].GetField()
			}
		case *errdetails.RetryInfo:
			result.RetryAfter = message.GetRetryDelay().AsDuration()
		}
	}
	if !own {
		result = unanswered(target, wire.Code(), result)
	}
	switch wire.Code() { //nolint:exhaustive // only these two have a meaning in Go
	case connect.CodeCanceled:
		cause = errors.Join(context.Canceled, cause)
	case connect.CodeDeadlineExceeded:
		cause = errors.Join(context.DeadlineExceeded, cause)
	}
	return result.WithCause(cause), own
}

// unanswered words a failure that no component of ours described.
func unanswered(target string, code connect.Code, f *fault.Error) *fault.Error {
	switch code {
	case connect.CodeCanceled:
		return errCanceled
	case connect.CodeDeadlineExceeded:
		return errDeadline
	case connect.CodeUnavailable:
		return fault.Unavailable(target, max(f.RetryAfter, time.Second))
	default:
		if f.Kind == fault.KindInternal {
			return fault.New(fault.KindInternal, "", internalText)
		}
		return f
	}
}
