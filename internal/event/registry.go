package event

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
)

// registry maps messages to event types and back.
type registry struct {
	byMessage map[protoreflect.FullName]string
	byType    map[string]protoreflect.MessageType
}

var types = newRegistry(eventv1.File_commerce_event_v1_event_proto)

// newRegistry takes every message of the file that is no part of another one.
func newRegistry(file protoreflect.FileDescriptor) registry {
	parts := map[protoreflect.FullName]bool{}
	for message := range each(file.Messages()) {
		fields := message.Fields()
		for i := range fields.Len() {
			if part := fields.Get(i).Message(); part != nil {
				parts[part.FullName()] = true
			}
		}
	}
	r := registry{byMessage: map[protoreflect.FullName]string{}, byType: map[string]protoreflect.MessageType{}}
	for message := range each(file.Messages()) {
		if parts[message.FullName()] {
			continue
		}
		generated, err := protoregistry.GlobalTypes.FindMessageByName(message.FullName())
		if err != nil {
			panic("event: " + err.Error()) // the generated package registers every message it describes
		}
		kind := typeName(string(message.Name()))
		r.byMessage[message.FullName()] = kind
		r.byType[kind] = generated
	}
	return r
}

func each(messages protoreflect.MessageDescriptors) func(func(protoreflect.MessageDescriptor) bool) {
	return func(yield func(protoreflect.MessageDescriptor) bool) {
		for i := range messages.Len() {
			if !yield(messages.Get(i)) {
				return
			}
		}
	}
}

// typeName turns UserRegistered into USER_REGISTERED.
func typeName(message string) string {
	var b strings.Builder
	for i, r := range message {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// newPayload returns an empty message of the type, nil when the type is unknown.
func newPayload(kind string) proto.Message {
	t, ok := types.byType[kind]
	if !ok {
		return nil
	}
	return t.New().Interface()
}

// TypeOf returns the event type of a message of commerce.event.v1, "" when it is none.
// TypeOf(&eventv1.UserRegistered{}) is "USER_REGISTERED".
func TypeOf(payload proto.Message) string {
	return types.byMessage[payload.ProtoReflect().Descriptor().FullName()]
}

// Types returns every known event type, sorted.
func Types() []string { return slices.Sorted(maps.Keys(types.byType)) }
