package rest

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
)

// TestEncoderAgreesWithProtojson compares the two on random messages.
func TestEncoderAgreesWithProtojson(t *testing.T) {
	t.Parallel()
	types := []protoreflect.MessageDescriptor{
		(&productv1.ListProductsResponse{}).ProtoReflect().Descriptor(), (&orderv1.GetOrderResponse{}).ProtoReflect().Descriptor(),
		(&authv1.ValidateTokenResponse{}).ProtoReflect().Descriptor(), (&productv1.ListCategoriesResponse{}).ProtoReflect().Descriptor(), everything(t),
	}
	rapid.Check(t, func(t *rapid.T) {
		message := dynamicpb.NewMessage(rapid.SampledFrom(types).Draw(t, "type"))
		fill(t, message, 0)
		want, err := encoding.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var wanted, given any
		if err := json.Unmarshal(want, &wanted); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &given); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if diff := cmp.Diff(wanted, given); diff != "" {
			t.Fatalf("%s\n%s", got, diff)
		}
	})
}

// fill sets random fields to random values.
func fill(t *rapid.T, message protoreflect.Message, depth int) {
	descriptor := message.Descriptor()
	switch descriptor.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		message.Set(descriptor.Fields().ByName("seconds"), protoreflect.ValueOfInt64(rapid.Int64Range(0, 253402300799/2).Draw(t, "seconds")))
		message.Set(descriptor.Fields().ByName("nanos"), protoreflect.ValueOfInt32(rapid.SampledFrom([]int32{0, 5e8, 1000, 1, 999999999}).Draw(t, "nanos")))
		return
	case fieldMaskName, "google.protobuf.Struct":
		return
	}
	fields := descriptor.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if depth > 3 || !rapid.Bool().Draw(t, "set") {
			continue
		}
		switch {
		case field.IsMap():
			for range rapid.IntRange(0, 3).Draw(t, "pairs") {
				message.Mutable(field).Map().Set(value(t, field.MapKey()).MapKey(), value(t, field.MapValue()))
			}
		case field.IsList():
			list := message.Mutable(field).List()
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				if field.Message() != nil {
					fill(t, list.AppendMutable().Message(), depth+1)
				} else {
					list.Append(value(t, field))
				}
			}
		case field.Message() != nil:
			fill(t, message.Mutable(field).Message(), depth+1)
		default:
			message.Set(field, value(t, field))
		}
	}
}

func value(t *rapid.T, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Draw(t, "text"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.OneOf(rapid.Float32(), rapid.Just(float32(math.Inf(-1)))).Draw(t, "float"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(1e-9)).Draw(t, "double"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	default:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(0, 9).Draw(t, "enum")))
	}
}

func TestEncoderEdges(t *testing.T) {
	t.Parallel()
	for want, message := range map[string]proto.Message{
		`{"nextPageToken":"a\"\\\n\r\t\u0001\u001f/ä< \u007f","products":[],"facets":[]}`: &productv1.ListProductsResponse{NextPageToken: "a\"\\\n\r\t\x01\x1f/ä<\u2028\x7f"},
		`"1969-12-31T23:59:59.500Z"`: &timestamppb.Timestamp{Seconds: -1, Nanos: 5e8},
		`{"a":null}`:                 &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNullValue()}},
	} {
		got, err := Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		reference, err := encoding.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var given, expected any
		if json.Unmarshal(got, &given) != nil || json.Unmarshal(reference, &expected) != nil || !cmp.Equal(given, expected) {
			t.Errorf("%s, protojson writes %s (like %s)", got, reference, want)
		}
	}
	for name, message := range map[string]proto.Message{
		"text":        &productv1.ListProductsResponse{NextPageToken: "\xff"},
		"in a list":   &productv1.Product{CategoryIds: []string{"\xff"}},
		"map key":     &productv1.Product{Attributes: map[string]string{"\xff": ""}},
		"map value":   &productv1.Product{Attributes: map[string]string{"a": "\xff"}},
		"time":        &productv1.Product{CreateTime: &timestamppb.Timestamp{Nanos: -1}},
		"unknown any": &anypb.Any{TypeUrl: "x/no.such.Type", Value: []byte{1}},
	} {
		if got, err := Marshal(message); err == nil {
			t.Errorf("%s: encoded as %s", name, got)
		}
	}
}

func TestEncoderIsStable(t *testing.T) {
	t.Parallel()
	product := &productv1.Product{Attributes: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}}
	first, err := Marshal(product)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if again, err := Marshal(product); err != nil || string(again) != string(first) {
			t.Fatalf("equal answers differ: %s, %s", first, again)
		}
	}
}

func BenchmarkMarshal(b *testing.B) {
	list := &productv1.ListProductsResponse{}
	for range 20 {
		list.Products = append(list.Products, &productv1.Product{
			Id: "0198c1de-7b1a-7000-8000-000000000001", Slug: "mug", Name: "Mug", Description: "A mug for coffee and tea.", Stock: &productv1.Stock{Available: 3},
			CategoryIds: []string{"0198c1de-7b1a-7000-8000-000000000002"}, Attributes: map[string]string{"color": "red"}, CreateTime: timestamppb.Now(), UpdateTime: timestamppb.Now(),
		})
	}
	for name, marshal := range map[string]func(proto.Message) ([]byte, error){"ours": Marshal, "protojson": encoding.Marshal} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := marshal(list); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
