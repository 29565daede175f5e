package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
)

// maxEcho is the longest wrong value in bytes that is given back.
const maxEcho = 100

// locate finds out what is wrong with a body that the decoder refused. It runs
// on failures only, so it may be slow; it decides nothing.
func locate(message protoreflect.MessageDescriptor, body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fault.Invalid("", "the body is not valid JSON (near byte %d)", decoder.InputOffset())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fault.Invalid("", "the body has more than one JSON value")
	}
	if err := inspect(message, "", value); err != nil {
		return err
	}
	return fault.Invalid("", "the body is not valid: perhaps a field is given twice")
}

func inspect(message protoreflect.MessageDescriptor, path string, value any) error {
	members, ok := value.(map[string]any)
	if !ok {
		if path == "" {
			return fault.Invalid("", "the body must be an object")
		}
		return fault.Invalid(path, "%s must be an object", path)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			at = cut(at)
			return fault.Invalid(at, "%s is not a known field", at)
		}
		if err := inspectField(message, field, at, members[name]); err != nil {
			return err
		}
	}
	return nil
}

func inspectField(parent protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor, path string, value any) error {
	switch {
	case value == nil && !field.IsList() && !field.IsMap():
		return nil
	case value == nil:
		return nil
	case field.IsList():
		list, ok := value.([]any)
		if !ok {
			return fault.Invalid(path, "%s must be a list", path)
		}
		for i, element := range list {
			if err := inspectOne(parent, field, path+"["+strconv.Itoa(i)+"]", element, []any{element}); err != nil {
				return err
			}
		}
		return nil
	case field.IsMap():
		members, ok := value.(map[string]any)
		if !ok {
			return fault.Invalid(path, "%s must be an object", path)
		}
		for _, key := range slices.Sorted(maps.Keys(members)) {
			err := inspectOne(parent, field, path+"["+strconv.Quote(cut(key))+"]", members[key], map[string]any{key: members[key]})
			if err != nil {
				return err
			}
		}
		return nil
	default:
		return inspectOne(parent, field, path, value, value)
	}
}

// inspectOne tries a single value in an otherwise empty message.
func inspectOne(parent protoreflect.MessageDescriptor, field protoreflect.FieldDescriptor, path string, value, alone any) error {
	kind := field
	if field.IsMap() {
		kind = field.MapValue()
	}
	if kind.Message() != nil && kind.Message().ParentFile().Package() != "google.protobuf" {
		return inspect(kind.Message(), path, value)
	}
	trial, err := json.Marshal(map[string]any{field.JSONName(): alone})
	if err == nil && protojson.Unmarshal(trial, dynamicpb.NewMessage(parent)) == nil {
		return nil
	}
	result := fault.Invalid(path, "%s must be %s", path, expects(kind))
	text, isText := value.(string)
	if number, ok := value.(json.Number); ok {
		text, isText = number.String(), true
	}
	if access.Secret(field) || !isText {
		return result
	}
	return result.WithField(path, cut(text))
}

func cut(text string) string {
	if len(text) <= maxEcho {
		return text
	}
	return string(bytes.ToValidUTF8([]byte(text[:maxEcho]), nil)) + "…"
}
