package main

import (
	"encoding/base64"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
)

// constrainProperties puts the limits of message's fields on the schema's properties.
func constrainProperties(schema object, message protoreflect.MessageDescriptor) {
	properties, _ := schema["properties"].(object)
	var required []any
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		property, ok := properties[field.JSONName()].(object)
		if !ok {
			continue
		}
		constrain(property, field)
		if fieldRules(field).GetRequired() || contains(schema["required"], field.JSONName()) {
			required = append(required, field.JSONName())
		}
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

func contains(list any, name string) bool {
	items, _ := list.([]any)
	for _, item := range items {
		if item == name {
			return true
		}
	}
	return false
}

func fieldRules(field protoreflect.FieldDescriptor) *validate.FieldRules {
	options, _ := field.Options().(*descriptorpb.FieldOptions)
	rules, _ := proto.GetExtension(options, validate.E_Field).(*validate.FieldRules)
	return rules
}

// constrain translates a field's protovalidate rules into JSON Schema keywords.
// Rules without a counterpart (CEL expressions, rules between fields) stay unsaid.
func constrain(schema object, field protoreflect.FieldDescriptor) {
	options, _ := field.Options().(*descriptorpb.FieldOptions)
	if secret, _ := proto.GetExtension(options, accessv1.E_Secret).(bool); secret {
		schema["format"] = "password"
	}
	apply(schema, fieldRules(field))
}

func apply(schema object, rules *validate.FieldRules) {
	if rules == nil {
		return
	}
	switch kind := rules.GetType().(type) {
	case *validate.FieldRules_String_:
		applyString(schema, kind.String_, rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE)
	case *validate.FieldRules_Bytes:
		// The JSON form is base64, so its length follows from that of the bytes.
		if kind.Bytes.HasMaxLen() {
			schema["maxLength"] = base64.StdEncoding.EncodedLen(int(kind.Bytes.GetMaxLen()))
		}
	case *validate.FieldRules_Repeated:
		setLength(schema, "minItems", kind.Repeated.HasMinItems(), kind.Repeated.GetMinItems())
		setLength(schema, "maxItems", kind.Repeated.HasMaxItems(), kind.Repeated.GetMaxItems())
		if kind.Repeated.GetUnique() {
			schema["uniqueItems"] = true
		}
		if items, ok := schema["items"].(object); ok {
			apply(items, kind.Repeated.GetItems())
		}
	case *validate.FieldRules_Map:
		setLength(schema, "minProperties", kind.Map.HasMinPairs(), kind.Map.GetMinPairs())
		setLength(schema, "maxProperties", kind.Map.HasMaxPairs(), kind.Map.GetMaxPairs())
		if values, ok := schema["additionalProperties"].(object); ok {
			apply(values, kind.Map.GetValues())
		}
	default:
		applyNumber(schema, rules)
	}
}

func applyString(schema object, rules *validate.StringRules, emptyAllowed bool) {
	if !emptyAllowed {
		setLength(schema, "minLength", rules.HasMinLen(), rules.GetMinLen())
		// An empty value passes a rule that is ignored when the value is zero;
		// JSON Schema has no such notion, so format and pattern are left out then.
		if rules.HasPattern() {
			schema["pattern"] = rules.GetPattern()
		}
		switch {
		case rules.GetUuid():
			schema["format"] = "uuid"
		case rules.GetEmail():
			schema["format"] = "email"
		case rules.GetUri():
			schema["format"] = "uri"
		}
	}
	setLength(schema, "maxLength", rules.HasMaxLen(), rules.GetMaxLen())
	setLength(schema, "minLength", rules.HasLen(), rules.GetLen())
	setLength(schema, "maxLength", rules.HasLen(), rules.GetLen())
	if len(rules.GetIn()) > 0 {
		values := make([]any, 0, len(rules.GetIn()))
		for _, value := range rules.GetIn() {
			values = append(values, value)
		}
		schema["enum"] = values
	}
}

func setLength(schema object, keyword string, present bool, value uint64) {
	if present {
		schema[keyword] = value
	}
}

// applyNumber reads the bounds of any numeric rule by name: the twelve numeric
// rule messages have the same fields. 64-bit integers are strings in JSON, where
// the keywords do not apply, so their bounds go into x-minimum and the like.
func applyNumber(schema object, rules *validate.FieldRules) {
	oneof := rules.ProtoReflect().Descriptor().Oneofs().ByName("type")
	which := rules.ProtoReflect().WhichOneof(oneof)
	if which == nil || which.Message() == nil {
		return
	}
	message := rules.ProtoReflect().Get(which).Message()
	for name, keyword := range map[protoreflect.Name]string{
		"gt": "exclusiveMinimum", "gte": "minimum", "lt": "exclusiveMaximum", "lte": "maximum",
	} {
		field := message.Descriptor().Fields().ByName(name)
		if field == nil || !message.Has(field) || field.Message() != nil {
			continue
		}
		if schema["type"] == "string" {
			schema["x-"+keyword] = message.Get(field).String()
			continue
		}
		schema[keyword] = message.Get(field).Interface()
	}
}
