package rest

import (
	"math"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
)

// everything is a message with a field of every type, named after it.
func everything(tb testing.TB) protoreflect.MessageDescriptor {
	tb.Helper()
	fields := []*descriptorpb.FieldDescriptorProto{}
	add := func(name string, kind descriptorpb.FieldDescriptorProto_Type, typeName string, repeated bool) {
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		if repeated {
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		}
		field := &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(int32(len(fields) + 1)), Type: kind.Enum(), Label: label.Enum()}
		if typeName != "" {
			field.TypeName = proto.String(typeName)
		}
		fields = append(fields, field)
	}
	for kind := range descriptorpb.FieldDescriptorProto_Type_name {
		switch kind := descriptorpb.FieldDescriptorProto_Type(kind); kind {
		case descriptorpb.FieldDescriptorProto_TYPE_GROUP, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, descriptorpb.FieldDescriptorProto_TYPE_ENUM:
		default:
			add(strings.ToLower(strings.TrimPrefix(kind.String(), "TYPE_"))+"_field", kind, "", false)
		}
	}
	message := descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	add("enum_field", descriptorpb.FieldDescriptorProto_TYPE_ENUM, ".commerce.product.v1.Format", false)
	add("time_field", message, ".google.protobuf.Timestamp", false)
	add("duration_field", message, ".google.protobuf.Duration", false)
	add("mask_field", message, ".google.protobuf.FieldMask", false)
	add("wrapped_field", message, ".google.protobuf.Int64Value", false)
	add("wrapped_text_field", message, ".google.protobuf.StringValue", false)
	add("struct_field", message, ".google.protobuf.Struct", false)
	add("nested_field", message, ".commerce.product.v1.ListProductsRequest", false)
	add("numbers_field", descriptorpb.FieldDescriptorProto_TYPE_INT32, "", true)
	add("times_field", message, ".google.protobuf.Timestamp", true)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("everything.proto"), Package: proto.String("test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{
			"commerce/product/v1/product.proto", "google/protobuf/timestamp.proto", "google/protobuf/duration.proto", "google/protobuf/field_mask.proto",
			"google/protobuf/wrappers.proto", "google/protobuf/struct.proto",
		},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Everything"), Field: fields}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		tb.Fatal(err)
	}
	return file.Messages().Get(0)
}

func TestQueryTypes(t *testing.T) {
	t.Parallel()
	descriptor := everything(t)
	for query, want := range map[string]string{
		"int32Field=-5&sint32_field=6&sfixed32Field=7":                        `{"int32Field":-5,"sint32Field":6,"sfixed32Field":7}`,
		"int64Field=-9223372036854775808&sint64Field=1&sfixed64Field=2":       `{"int64Field":"-9223372036854775808","sint64Field":"1","sfixed64Field":"2"}`,
		"uint32Field=4294967295&fixed32Field=1":                               `{"uint32Field":4294967295,"fixed32Field":1}`,
		"uint64Field=18446744073709551615&fixed64Field=1":                     `{"uint64Field":"18446744073709551615","fixed64Field":"1"}`,
		"floatField=1.5&doubleField=-2.25":                                    `{"floatField":1.5,"doubleField":-2.25}`,
		"boolField=1":                                                         `{"boolField":true}`,
		"boolField=false":                                                     `{}`,
		"stringField=%C3%A4":                                                  `{"stringField":"ä"}`,
		"bytesField=-_8=":                                                     `{"bytesField":"+/8="}`,
		"bytesField=%2B/8":                                                    `{"bytesField":"+/8="}`,
		"enumField=VENDURE":                                                   `{"enumField":"VENDURE"}`,
		"timeField=2025-01-15T10:00:00Z&durationField=1.5s":                   `{"timeField":"2025-01-15T10:00:00Z","durationField":"1.500s"}`,
		"maskField=a,fooBar":                                                  `{"maskField":"a,fooBar"}`,
		"wrappedField=7&wrappedTextField=5":                                   `{"wrappedField":"7","wrappedTextField":"5"}`,
		"numbersField=1&numbersField=2":                                       `{"numbersField":[1,2]}`,
		"timesField=2025-01-15T10:00:00Z":                                     `{"timesField":["2025-01-15T10:00:00Z"]}`,
		"nestedField.pageSize=5&nested_field.q=x":                             `{"nestedField":{"q":"x","pageSize":5}}`,
		"structField=x&nestedField=y&nothing=1&int32Field.x=1&numbersField.a": `{}`,
	} {
		message := dynamicpb.NewMessage(descriptor)
		route := &Route{query: true}
		if err := route.decodeQuery(message, query); err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		expected := dynamicpb.NewMessage(descriptor)
		if err := protojson.Unmarshal([]byte(want), expected); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(expected, message) {
			t.Errorf("%s: %s, want %s", query, protojson.Format(message), want)
		}
	}
}

func TestQueryTypesRefuse(t *testing.T) {
	t.Parallel()
	descriptor := everything(t)
	for query, field := range map[string]string{
		"int32Field=2147483648": "int32Field", "uint32_field=-1": "uint32_field", "int64Field=1.0": "int64Field", "uint64Field=-1": "uint64Field",
		"floatField=x": "floatField", "doubleField=": "doubleField", "boolField=yes": "boolField", "bytesField=*": "bytesField", "enumField=9": "enumField",
		"timeField=today": "timeField", "durationField=1": "durationField", "wrappedField=x": "wrappedField", "numbersField=1&numbersField=x": "numbersField[1]",
		"timesField=x": "timesField[0]", "int32Field=1&int32Field=2": "int32Field", "nestedField.pageSize=x": "nestedField.pageSize", "maskField=%00%22": "maskField",
		"nothing=%ff": "", "stringField=%fe": "stringField",
	} {
		err := (&Route{query: true}).decodeQuery(dynamicpb.NewMessage(descriptor), query)
		got := fault.From(err)
		if field == "" {
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
			continue
		}
		if got == nil || got.Kind != fault.KindInvalidInput || got.Field != field {
			t.Errorf("%s: %+v", query, got)
		}
	}
}

func TestLocateNamesEveryType(t *testing.T) {
	t.Parallel()
	descriptor := everything(t)
	for body, field := range map[string]string{
		`{"int32Field":"x"}`: "int32Field", `{"int64Field":1.5}`: "int64Field", `{"uint32Field":-1}`: "uint32Field", `{"boolField":"true"}`: "boolField",
		`{"stringField":{}}`: "stringField", `{"bytesField":"*"}`: "bytesField", `{"enumField":"X"}`: "enumField", `{"timeField":5}`: "timeField",
		`{"durationField":"1"}`: "durationField", `{"maskField":["a"]}`: "maskField", `{"structField":5}`: "structField", `{"nestedField":{"pageSize":"x"}}`: "nestedField.pageSize",
		`{"numbersField":[1,null]}`: "numbersField[1]", `{"numbersField":{}}`: "numbersField", `{"timesField":[{}]}`: "timesField[0]", `{"doubleField":"x"}`: "doubleField",
		`{"boolField":null,"nestedField":null,"numbersField":null,"int32Field":[]}`: "int32Field", `{"` + strings.Repeat("x", 300) + `":1}`: strings.Repeat("x", 100) + "…",
	} {
		got := fault.From(decodeJSON(dynamicpb.NewMessage(descriptor), []byte(body)))
		if got == nil || got.Field != field || !strings.HasPrefix(got.Message, field) {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestNesting(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{`{}`: 1, `[[{}]]`: 3, `"[[["`: 0, `{"a\"[":[1]}`: 2, `]]`: 0, ``: 0, `"\\"[`: 1} {
		if got := nesting([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestMaskOfAWholeBody(t *testing.T) {
	t.Parallel()
	route := routeFor(t, http.MethodPatch)
	for body, want := range map[string]string{
		`{"product":{"name":"x","groupKey":"g"}}`:        `{"product":{"name":"x","groupKey":"g"},"updateMask":"name,groupKey"}`,
		`{"product":{"name":"x"},"updateMask":"sku"}`:    `{"product":{"name":"x"},"updateMask":"sku"}`,
		`{"product":{"name":"x"},"update_mask":"sku"}`:   `{"product":{"name":"x"},"updateMask":"sku"}`,
		`{"product":{"name":"x","etag":"2"},"etag":"1"}`: `{"product":{"name":"x","etag":"2"},"etag":"1","updateMask":"name"}`,
		`{"productId":"p"}`:                              `{"productId":"p"}`,
		`{"product":null}`:                               `{}`,
		`  `:                                             `{}`,
	} {
		var got, expected productv1.UpdateProductRequest
		if err := route.decodeBody(got.ProtoReflect(), jsonType, []byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if err := protojson.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&expected, &got) {
			t.Errorf("%s: %s, want %s", body, protojson.Format(&got), want)
		}
	}
}

func routeFor(tb testing.TB, method string) *Route {
	tb.Helper()
	descriptor := productv1.File_commerce_product_v1_product_proto.Services().ByName("ProductService").Methods().ByName("UpdateProduct")
	fields := descriptor.Input().Fields()
	return &Route{Method: method, Descriptor: descriptor, body: bodyWhole, mask: fields.ByName("update_mask"), etag: fields.ByName("etag"), limit: 1 << 20}
}

func TestEtagHeader(t *testing.T) {
	t.Parallel()
	route := routeFor(t, http.MethodPatch)
	for header, want := range map[string]string{`"1"`: "1", `W/"1"`: "1", `1`: "1", `*`: "", ``: "", `"`: "error", `"a","b"`: "error", "\xff": "error"} {
		var message productv1.UpdateProductRequest
		err := route.fillEtag(message.ProtoReflect(), http.Header{"If-Match": {header}})
		got := message.GetEtag()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	descriptor := everything(f)
	for _, seed := range []string{
		"int32Field=1&numbersField=2", "nestedField.q=%ff", "timeField=2025-01-15T10:00:00Z", "a=b;c", "structField=1", "....=", "nestedField..q=1", "bytesField=====",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		message := dynamicpb.NewMessage(descriptor)
		if err := (&Route{query: true}).decodeQuery(message, query); err != nil {
			if got := fault.From(err); got == nil || got.Kind != fault.KindInvalidInput {
				t.Fatalf("%v is no refusal of input", err)
			}
			return
		}
		if _, err := proto.Marshal(message); err != nil { // such as text that is not UTF-8
			t.Fatal(err)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"product":{"name":"a","price":{"amountMinor":"1"}}}`, `{"product":null}`, `[]`, `{"a":{"b":[[[]]]}}`, `{"product":{"name":1}}`, "{\"\xff\":1}", `{"etag":"1"} x`, `{"etag":1,"etag":2}`,
	} {
		f.Add([]byte(seed))
	}
	route := routeFor(f, http.MethodPatch)
	f.Fuzz(func(t *testing.T, body []byte) {
		var message productv1.UpdateProductRequest
		if err := route.decodeBody(message.ProtoReflect(), jsonType, body); err != nil {
			if got := fault.From(err); got == nil || got.Kind != fault.KindInvalidInput || len(got.Value) > maxEcho+len("…") {
				t.Fatalf("%+v is no refusal of input", got)
			}
			return
		}
		if _, err := proto.Marshal(&message); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSecret looks for bodies whose refusal gives a password back.
func FuzzSecret(f *testing.F) {
	for _, seed := range []string{`"S3cretValue"`, `["S3cretValue"]`, `{"S3cretValue":1}`, `S3cretValue`, `"S3cretValue","password":"S3cretValue"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !strings.Contains(value, "S3cretValue") || strings.ContainsAny(value, "{},:") {
			return // a secret in the place of a field's name is the client's own doing
		}
		err := decodeJSON(&authv1.LoginRequest{}, []byte(`{"email":"a@example.com","password":`+value+`}`))
		if got := fault.From(err); got != nil && strings.Contains(got.Message+got.Value, "S3cretValue") {
			t.Fatalf("%+v", got)
		}
	})
}

func TestFloatsOutOfRange(t *testing.T) {
	t.Parallel()
	if _, err := parseNumber(protoreflect.DoubleKind, "1e999"); err == nil {
		t.Error("an infinite number was read from digits")
	}
	if value, err := parseNumber(protoreflect.DoubleKind, "1.5"); err != nil || math.Abs(value.Float()-1.5) > 0 {
		t.Error(value, err)
	}
}
