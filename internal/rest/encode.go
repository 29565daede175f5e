package rest

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Encoding answers is most of the work of a public read, and protojson looks
// every name and type up again for each message. This encoder reads the
// descriptors once and writes the same JSON in about half the time; a test
// compares the two on random messages.

// encoding is protojson in the contract's form, for the types this encoder leaves to it.
var encoding = protojson.MarshalOptions{EmitDefaultValues: true}

// Marshal encodes a message as the contract's JSON, just as the transport
// does: zeros and empty lists are visible, unset messages are not. It serves
// handlers that keep answers for rpc.SetEncodedJSON.
func Marshal(message proto.Message) ([]byte, error) {
	return appendMessage(nil, message.ProtoReflect())
}

// plan is what is known of a message type before the first message.
type plan struct {
	fields []fieldPlan
	own    bool // the type has a JSON form of its own, which protojson knows
	time   bool // google.protobuf.Timestamp
}

type fieldPlan struct {
	descriptor protoreflect.FieldDescriptor
	name       string // `"lowerCamel":`
	optional   bool
}

var plans sync.Map // protoreflect.MessageDescriptor → *plan

func planOf(descriptor protoreflect.MessageDescriptor) *plan {
	if known, ok := plans.Load(descriptor); ok {
		result, _ := known.(*plan)
		return result
	}
	result := &plan{
		own:  descriptor.ParentFile().Package() == "google.protobuf",
		time: descriptor.FullName() == "google.protobuf.Timestamp",
	}
	fields := descriptor.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		result.fields = append(result.fields, fieldPlan{descriptor: field, name: `"` + field.JSONName() + `":`, optional: field.HasPresence()})
	}
	plans.Store(descriptor, result)
	return result
}

func appendMessage(out []byte, message protoreflect.Message) ([]byte, error) {
	p := planOf(message.Descriptor())
	if p.time {
		if next, ok := appendTime(out, message, p); ok {
			return next, nil
		}
	}
	if p.own {
		return encoding.MarshalAppend(out, message.Interface())
	}
	out = append(out, '{')
	empty := true
	var err error
	for i := range p.fields {
		field := &p.fields[i]
		if field.optional && !message.Has(field.descriptor) {
			continue
		}
		if !empty {
			out = append(out, ',')
		}
		empty = false
		out = append(out, field.name...)
		if out, err = appendField(out, field.descriptor, message.Get(field.descriptor)); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendField(out []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) ([]byte, error) {
	switch {
	case field.IsList():
		return appendList(out, field, value.List())
	case field.IsMap():
		return appendMap(out, field, value.Map())
	default:
		return appendValue(out, field, value)
	}
}

func appendList(out []byte, field protoreflect.FieldDescriptor, list protoreflect.List) ([]byte, error) {
	out = append(out, '[')
	var err error
	for i := range list.Len() {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendValue(out, field, list.Get(i)); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// appendMap writes the pairs by key, so that equal answers have equal entity tags.
func appendMap(out []byte, field protoreflect.FieldDescriptor, pairs protoreflect.Map) ([]byte, error) {
	keys := make([]protoreflect.MapKey, 0, pairs.Len())
	pairs.Range(func(key protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, key)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	out = append(out, '{')
	var err error
	for i, key := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendString(out, key.String()); err != nil {
			return nil, err
		}
		out = append(out, ':')
		if out, err = appendValue(out, field.MapValue(), pairs.Get(key)); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendValue(out []byte, field protoreflect.FieldDescriptor, value protoreflect.Value) ([]byte, error) {
	switch field.Kind() {
	case protoreflect.StringKind:
		return appendString(out, value.String())
	case protoreflect.BoolKind:
		return strconv.AppendBool(out, value.Bool()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(out, value.Int(), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(out, value.Uint(), 10), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return append(strconv.AppendInt(append(out, '"'), value.Int(), 10), '"'), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return append(strconv.AppendUint(append(out, '"'), value.Uint(), 10), '"'), nil
	case protoreflect.FloatKind:
		return appendFloat(out, value.Float(), 32), nil
	case protoreflect.DoubleKind:
		return appendFloat(out, value.Float(), 64), nil
	case protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(out, '"'), value.Bytes()), '"'), nil
	case protoreflect.EnumKind:
		return appendEnum(out, field.Enum(), value.Enum()), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(out, value.Message())
	default:
		return nil, fmt.Errorf("rest: %s has unknown kind %v", field.FullName(), field.Kind())
	}
}

func appendEnum(out []byte, enum protoreflect.EnumDescriptor, number protoreflect.EnumNumber) []byte {
	if enum.FullName() == "google.protobuf.NullValue" {
		return append(out, "null"...)
	}
	known := enum.Values().ByNumber(number)
	if known == nil { // a value of a newer version
		return strconv.AppendInt(out, int64(number), 10)
	}
	return append(append(append(out, '"'), known.Name()...), '"')
}

func appendFloat(out []byte, number float64, bits int) []byte {
	switch {
	case math.IsNaN(number):
		return append(out, `"NaN"`...)
	case math.IsInf(number, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(number, -1):
		return append(out, `"-Infinity"`...)
	}
	format := byte('f')
	if size := math.Abs(number); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, number, format, -1, bits)
}

const hexDigits = "0123456789abcdef"

var errNotUTF8 = fmt.Errorf("rest: a text of the answer is not valid UTF-8")

// appendString writes a JSON string. Only what JSON demands is escaped.
func appendString(out []byte, text string) ([]byte, error) {
	out = append(out, '"')
	start, ascii := 0, true
	for i := range len(text) {
		char := text[i]
		if char >= utf8.RuneSelf {
			ascii = false
			continue
		}
		if char >= ' ' && char != '"' && char != '\\' {
			continue
		}
		out = append(out, text[start:i]...)
		start = i + 1
		switch char {
		case '"', '\\':
			out = append(out, '\\', char)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[char>>4], hexDigits[char&15])
		}
	}
	if !ascii && !utf8.ValidString(text) {
		return nil, errNotUTF8
	}
	return append(append(out, text[start:]...), '"'), nil
}

// appendTime writes a timestamp with 0, 3, 6 or 9 digits of a second. It
// leaves what is out of range to protojson, which refuses it.
func appendTime(out []byte, message protoreflect.Message, p *plan) ([]byte, bool) {
	seconds := message.Get(p.fields[0].descriptor).Int()
	nanos := message.Get(p.fields[1].descriptor).Int()
	if nanos < 0 || nanos >= 1e9 || seconds < -62135596800 || seconds > 253402300799 {
		return out, false
	}
	const second, fraction = "2006-01-02T15:04:05", ".000000000"
	out = append(out, '"')
	at := time.Unix(seconds, nanos).UTC()
	layout := second
	switch {
	case nanos == 0:
	case nanos%1e6 == 0:
		layout += fraction[:4]
	case nanos%1e3 == 0:
		layout += fraction[:7]
	default:
		layout += fraction
	}
	return append(at.AppendFormat(out, layout), 'Z', '"'), true
}
