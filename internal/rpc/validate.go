package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
)

// maxDepth bounds how deep messages of a recursive type may nest.
const maxDepth = 32

// validator is shared: it compiles the rules of a message once a process.
var validator = sync.OnceValues(func() (protovalidate.Validator, error) {
	return protovalidate.New(protovalidate.WithFailFast())
})

// validated checks every request message before a handler sees it.
type validated struct {
	connect.ServerStream
	method *method
}

// Receive reads, decodes and checks the next request message.
func (v *validated) Receive(msg any) error {
	if err := v.ServerStream.Receive(msg); err != nil {
		return undecodable(err, v.method.spec.StreamType)
	}
	message, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rpc: request is %T, not a protobuf message", msg)
	}
	if v.method.recursive && deeper(message.ProtoReflect(), maxDepth) {
		return fault.Invalid("", "the request nests deeper than %d messages", maxDepth)
	}
	return Validate(message)
}

// undecodable words a failure to read a request. The decoder's own text may
// quote a secret, so it goes no further.
func undecodable(err error, stream connect.StreamType) error {
	if errors.Is(err, io.EOF) {
		if stream == connect.StreamTypeUnary {
			return fault.Invalid("", "the request is empty")
		}
		return err
	}
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok || fault.From(err) != nil {
		return err
	}
	switch wire.Code() {
	case connect.CodeInvalidArgument:
		return fault.Invalid("", "the request could not be decoded")
	case connect.CodeResourceExhausted:
		return fault.Invalid("", "the request is larger than allowed")
	default:
		return err
	}
}

// Validate checks a message against the rules of its descriptor. It fails
// with fault.KindInvalidInput that names the first offending field.
func Validate(message proto.Message) error {
	rules, err := validator()
	if err != nil {
		return fmt.Errorf("rpc: validator: %w", err)
	}
	err = rules.Validate(message)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok || len(invalid.Violations) == 0 {
		return fmt.Errorf("rpc: validation rules of %s: %w", message.ProtoReflect().Descriptor().FullName(), err)
	}
	return violated(message.ProtoReflect().Descriptor(), invalid.Violations[0])
}

func violated(message protoreflect.MessageDescriptor, violation *protovalidate.Violation) error {
	path := fieldPath(message, violation.Proto.GetField())
	text := strings.TrimPrefix(violation.Proto.GetMessage(), "value ")
	if text == "" {
		text = "is not valid (" + violation.Proto.GetRuleId() + ")"
	}
	name := path
	if name == "" {
		name = "the request"
	}
	result := fault.Invalid(path, "%s %s", name, text)
	if access.SecretPath(message, path) || access.Secret(violation.FieldDescriptor) {
		return result
	}
	return result.WithField(path, echo(scalar(violation.FieldDescriptor, violation.FieldValue)))
}

// fieldPath spells a path as the JSON form does, such as "items[0].productId".
func fieldPath(message protoreflect.MessageDescriptor, path *validate.FieldPath) string {
	var out strings.Builder
	for _, element := range path.GetElements() {
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		var field protoreflect.FieldDescriptor
		if message != nil {
			field = message.Fields().ByNumber(protoreflect.FieldNumber(element.GetFieldNumber()))
		}
		if field == nil {
			out.WriteString(element.GetFieldName()) // a oneof
			continue
		}
		out.WriteString(field.JSONName())
		switch subscript := element.GetSubscript().(type) {
		case *validate.FieldPathElement_Index:
			out.WriteString("[" + strconv.FormatUint(subscript.Index, 10) + "]")
		case *validate.FieldPathElement_StringKey:
			out.WriteString("[" + strconv.Quote(echo(subscript.StringKey)) + "]")
		}
		if field.IsMap() {
			field = field.MapValue()
		}
		message = field.Message()
	}
	return out.String()
}

// scalar spells a value for people; messages, lists and bytes are not echoed.
// An element of a list comes without its field.
func scalar(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	if !value.IsValid() {
		return ""
	}
	switch value := value.Interface().(type) {
	case string:
		return value
	case bool, int32, int64, uint32, uint64, float32, float64:
		return fmt.Sprint(value)
	case protoreflect.EnumNumber:
		if field != nil && field.Enum() != nil {
			if known := field.Enum().Values().ByNumber(value); known != nil {
				return string(known.Name())
			}
		}
		return strconv.Itoa(int(value))
	default:
		return ""
	}
}

// recursive reports whether a message of the type can contain itself.
func recursive(message protoreflect.MessageDescriptor) bool {
	return cyclic(message, map[protoreflect.FullName]bool{})
}

func cyclic(message protoreflect.MessageDescriptor, above map[protoreflect.FullName]bool) bool {
	if above[message.FullName()] {
		return true
	}
	above[message.FullName()] = true
	defer delete(above, message.FullName())
	fields := message.Fields()
	for i := range fields.Len() {
		if next := fields.Get(i).Message(); next != nil && cyclic(next, above) {
			return true
		}
	}
	return false
}

// deeper reports whether messages nest more than limit deep.
func deeper(message protoreflect.Message, limit int) bool {
	if limit == 0 {
		return true
	}
	found := false
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() && field.Message() != nil:
			list := value.List()
			for i := 0; i < list.Len() && !found; i++ {
				found = deeper(list.Get(i).Message(), limit-1)
			}
		case field.IsMap() && field.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				found = deeper(value.Message(), limit-1)
				return !found
			})
		case !field.IsMap() && field.Message() != nil:
			found = deeper(value.Message(), limit-1)
		}
		return !found
	})
	return found
}

// Warm compiles the validation rules of every method of the server, so that
// no request waits for it. It ends early with ctx.
func Warm(ctx context.Context, server *connect.Server) error {
	rules, err := validator()
	if err != nil {
		return fmt.Errorf("rpc: validator: %w", err)
	}
	for spec := range server.Specs() {
		descriptor, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := rules.Validate(newMessage(descriptor.Input()))
		if _, invalid := errors.AsType[*protovalidate.ValidationError](err); err != nil && !invalid {
			return fmt.Errorf("rpc: validation rules of %s: %w", spec.Procedure, err)
		}
	}
	return nil
}
