package audit

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
)

const writeWithin = 5 * time.Second

// Interceptor writes one row for each call of a method whose access rule says
// audit, whether it succeeded or not. dbFor returns the database of the
// component that owns a procedure, or nil. A row that cannot be written is
// logged as an error with everything it holds: the call has had its effect.
func Interceptor(dbFor func(procedure string) *postgres.DB, logger *slog.Logger) connect.ServerInterceptor {
	if logger == nil {
		logger = slog.Default()
	}
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			method, ok := spec.Schema.(protoreflect.MethodDescriptor)
			if !ok || !access.ForMethod(method).GetAudit() {
				return next(ctx, spec, stream)
			}
			db := dbFor(spec.Procedure)
			if db == nil {
				return next(ctx, spec, stream)
			}
			w := &watched{ServerStream: stream}
			err := next(ctx, spec, w)
			entry := w.entry(method, err)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
			defer cancel()
			if failure := Record(ctx, db, entry); failure != nil {
				logger.ErrorContext(ctx, "audit row not written", slog.String("action", entry.Action),
					slog.String("resource", entry.Resource), slog.Any("details", entry.Details), slog.Any("cause", failure))
			}
			return err
		}
	}
}

// watched remembers the first message either way.
type watched struct {
	connect.ServerStream

	request, response proto.Message
}

// Receive implements connect.ServerStream.
func (w *watched) Receive(msg any) error {
	err := w.ServerStream.Receive(msg)
	if message, ok := msg.(proto.Message); ok && err == nil && w.request == nil {
		w.request = message
	}
	return err
}

// Send implements connect.ServerStream.
func (w *watched) Send(msg any) error {
	if message, ok := msg.(proto.Message); ok && w.response == nil {
		w.response = message
	}
	return w.ServerStream.Send(msg)
}

func (w *watched) entry(method protoreflect.MethodDescriptor, err error) Entry {
	outcome := "ok"
	if err != nil {
		outcome = fault.ReasonInternal
		if f := fault.From(err); f != nil {
			outcome = f.Reason
		}
	}
	entry := Entry{
		Action:  string(method.Parent().Name()) + "/" + string(method.Name()),
		Details: map[string]any{"outcome": outcome},
	}
	if w.request != nil {
		facts := map[string]any{}
		entry.Resource = gather(w.request.ProtoReflect(), facts)
		if len(facts) > 0 {
			entry.Details["request"] = facts
		}
	}
	if entry.Resource == "" && w.response != nil {
		entry.Resource = answered(w.response.ProtoReflect())
	}
	return entry
}

// gather puts what may be kept of the fields that are set into facts: values of ids, enums, flags and
// numbers; of everything else only that it was there. It returns the first id as a resource.
func gather(message protoreflect.Message, facts map[string]any) (resource string) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !message.Has(field) {
			continue
		}
		name := field.JSONName()
		facts[name] = true
		if access.Secret(field) || field.IsList() || field.IsMap() {
			continue
		}
		value := message.Get(field)
		switch kind := field.Kind(); {
		case kind == protoreflect.StringKind && isID(field):
			id := clip(value.String())
			facts[name] = id
			if resource == "" {
				resource = noun(field, message.Descriptor()) + "/" + id
			}
		case kind == protoreflect.EnumKind:
			facts[name] = enumName(field, value.Enum())
		case kind == protoreflect.BoolKind, kind == protoreflect.Int32Kind, kind == protoreflect.Int64Kind:
			facts[name] = value.Interface()
		}
	}
	return resource
}

func isID(field protoreflect.FieldDescriptor) bool {
	return field.Name() == "id" || strings.HasSuffix(string(field.Name()), "_id")
}

// noun names what an id field identifies: "order" for order_id, and for the id of CancelOrderRequest.
func noun(field protoreflect.FieldDescriptor, message protoreflect.MessageDescriptor) string {
	if name, ok := strings.CutSuffix(string(field.Name()), "_id"); ok {
		return name
	}
	name := strings.TrimSuffix(string(message.Name()), "Request")
	for i := len(name) - 1; i > 0; i-- {
		if name[i] >= 'A' && name[i] <= 'Z' {
			name = name[i:]
			break
		}
	}
	return strings.ToLower(name)
}

func enumName(field protoreflect.FieldDescriptor, number protoreflect.EnumNumber) string {
	if value := field.Enum().Values().ByNumber(number); value != nil {
		return string(value.Name())
	}
	return "UNKNOWN"
}

// answered finds the id of the resource that an answer wraps: {"order": {"id": …}}.
func answered(message protoreflect.Message) string {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || field.IsList() || field.IsMap() || !message.Has(field) {
			continue
		}
		inner := message.Get(field).Message()
		id := inner.Descriptor().Fields().ByName("id")
		if id != nil && id.Kind() == protoreflect.StringKind && !access.Secret(id) && inner.Has(id) {
			return string(field.Name()) + "/" + clip(inner.Get(id).String())
		}
	}
	return ""
}

// clip bounds what a caller can write into a row, and leaves out what PostgreSQL's text refuses.
func clip(text string) string {
	const longest = 100
	text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "")
	}
	return text
}
