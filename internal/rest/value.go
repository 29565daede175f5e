package rest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
)

// setField sets the field at the end of path to the text of a path variable or
// query parameter. Name is what the client called it.
func setField(message protoreflect.Message, path []protoreflect.FieldDescriptor, name string, texts ...string) error {
	last := path[len(path)-1]
	for _, field := range path[:len(path)-1] {
		message = message.Mutable(field).Message()
	}
	if !last.IsList() {
		if len(texts) > 1 {
			return fault.Invalid(name, "%s is given more than once", name)
		}
		value, err := parse(message, last, texts[0])
		if err != nil {
			return wrong(last, name, texts[0])
		}
		message.Set(last, value)
		return nil
	}
	list := message.Mutable(last).List()
	for i, text := range texts {
		value, err := parse(message, last, text)
		if err != nil {
			return wrong(last, fmt.Sprintf("%s[%d]", name, i), text)
		}
		list.Append(value)
	}
	return nil
}

// wrong says which value is not of its field's type.
func wrong(field protoreflect.FieldDescriptor, name, value string) error {
	result := fault.Invalid(name, "%s must be %s", name, expects(field))
	if access.Secret(field) || !utf8.ValidString(value) {
		return result
	}
	return result.WithField(name, value)
}

var errType = fmt.Errorf("not a value of the field's type")

// parse reads one value of a field from its text form.
func parse(parent protoreflect.Message, field protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		if !utf8.ValidString(text) {
			return protoreflect.Value{}, errType
		}
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BoolKind:
		switch text {
		case "true", "1":
			return protoreflect.ValueOfBool(true), nil
		case "false", "0":
			return protoreflect.ValueOfBool(false), nil
		}
		return protoreflect.Value{}, errType
	case protoreflect.EnumKind:
		return parseEnum(field.Enum(), text)
	case protoreflect.BytesKind:
		return parseBytes(text)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return parseMessage(parent, field, text)
	default:
		return parseNumber(field.Kind(), text)
	}
}

func parseNumber(kind protoreflect.Kind, text string) (protoreflect.Value, error) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		number, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(number)), err
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		number, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(number), err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		number, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(number)), err
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		number, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(number), err
	case protoreflect.FloatKind:
		number, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(number)), err
	default:
		number, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(number), err
	}
}

func parseEnum(enum protoreflect.EnumDescriptor, text string) (protoreflect.Value, error) {
	if value := enum.Values().ByName(protoreflect.Name(text)); value != nil {
		return protoreflect.ValueOfEnum(value.Number()), nil
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil || enum.Values().ByNumber(protoreflect.EnumNumber(number)) == nil {
		return protoreflect.Value{}, errType
	}
	return protoreflect.ValueOfEnum(protoreflect.EnumNumber(number)), nil
}

func parseBytes(text string) (protoreflect.Value, error) {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	data, err := encoding.DecodeString(strings.TrimRight(text, "="))
	return protoreflect.ValueOfBytes(data), err
}

// parseMessage reads types whose JSON form is a plain value: times, masks, wrappers.
func parseMessage(parent protoreflect.Message, field protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	var value protoreflect.Value
	if field.IsList() {
		value = parent.NewField(field).List().NewElement()
	} else {
		value = parent.NewField(field)
	}
	quoted, err := json.Marshal(text)
	if err != nil || !plain(field.Message()) {
		return protoreflect.Value{}, errType
	}
	message := value.Message().Interface()
	if protojson.Unmarshal(quoted, message) == nil {
		return value, nil
	}
	return value, protojson.Unmarshal([]byte(text), message)
}

// plain reports whether a message's JSON form is a string, number or boolean.
func plain(message protoreflect.MessageDescriptor) bool {
	switch message.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", fieldMaskName,
		"google.protobuf.StringValue", "google.protobuf.BytesValue", "google.protobuf.BoolValue",
		"google.protobuf.Int32Value", "google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue":
		return true
	default:
		return false
	}
}

// expects names the type of one value of a field for people.
func expects(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		return "a text in UTF-8"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.BytesKind:
		return "base64"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		names := make([]string, values.Len())
		for i := range names {
			names[i] = string(values.Get(i).Name())
		}
		return "one of " + strings.Join(names, ", ")
	case protoreflect.MessageKind, protoreflect.GroupKind:
		switch field.Message().FullName() {
		case "google.protobuf.Timestamp":
			return "a time such as 2025-01-15T10:00:00Z"
		case "google.protobuf.Duration":
			return "a duration such as 3.5s"
		case fieldMaskName:
			return "names of fields, separated by commas"
		}
		return "an object"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "a whole number of 32 bits"
	default:
		return "a whole number"
	}
}
