package main

import (
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
)

func TestApply(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		schema object
		rules  *validate.FieldRules
		want   object
	}{
		"no rules change nothing": {
			schema: object{"type": "string"},
			want:   object{"type": "string"},
		},
		"text": {
			schema: object{"type": "string"},
			rules: validate.FieldRules_builder{String: validate.StringRules_builder{
				MinLen: proto.Uint64(8), MaxLen: proto.Uint64(256), Email: proto.Bool(true),
			}.Build()}.Build(),
			want: object{"type": "string", "minLength": uint64(8), "maxLength": uint64(256), "format": "email"},
		},
		"text that may be empty keeps only its upper bound": {
			schema: object{"type": "string"},
			rules: validate.FieldRules_builder{
				Ignore: validate.Ignore_IGNORE_IF_ZERO_VALUE.Enum(),
				String: validate.StringRules_builder{
					MinLen: proto.Uint64(2), MaxLen: proto.Uint64(9), Uuid: proto.Bool(true), Pattern: proto.String("x"),
				}.Build(),
			}.Build(),
			want: object{"type": "string", "maxLength": uint64(9)},
		},
		"32-bit number": {
			schema: object{"type": "integer"},
			rules: validate.FieldRules_builder{Int32: validate.Int32Rules_builder{
				Gte: proto.Int32(0), Lt: proto.Int32(100),
			}.Build()}.Build(),
			want: object{"type": "integer", "minimum": int32(0), "exclusiveMaximum": int32(100)},
		},
		"64-bit number is a string in JSON": {
			schema: object{"type": "string"},
			rules:  validate.FieldRules_builder{Int64: validate.Int64Rules_builder{Gt: proto.Int64(3)}.Build()}.Build(),
			want:   object{"type": "string", "x-exclusiveMinimum": "3"},
		},
		"list and its items": {
			schema: object{"type": "array", "items": object{"type": "string"}},
			rules: validate.FieldRules_builder{Repeated: validate.RepeatedRules_builder{
				MaxItems: proto.Uint64(20), Unique: proto.Bool(true),
				Items: validate.FieldRules_builder{String: validate.StringRules_builder{MaxLen: proto.Uint64(5)}.Build()}.Build(),
			}.Build()}.Build(),
			want: object{
				"type": "array", "maxItems": uint64(20), "uniqueItems": true,
				"items": object{"type": "string", "maxLength": uint64(5)},
			},
		},
		"bytes count as base64": {
			schema: object{"type": "string"},
			rules:  validate.FieldRules_builder{Bytes: validate.BytesRules_builder{MaxLen: proto.Uint64(3)}.Build()}.Build(),
			want:   object{"type": "string", "maxLength": 4},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apply(test.schema, test.rules)
			if diff := cmp.Diff(test.want, test.schema); diff != "" {
				t.Error(diff)
			}
		})
	}
}
