package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
)

// TestRoundTrip: whatever a component fails with, its caller gets the same.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[ -~äß€]{1,20}`)
	rapid.Check(t, func(t *rapid.T) {
		want := fault.New(rapid.Custom(func(t *rapid.T) fault.Kind {
			return fault.Kind(rapid.IntRange(int(fault.KindInvalidInput), int(fault.KindUnavailable)).Draw(t, "n"))
		}).Draw(t, "kind"), rapid.StringMatching(`[A-Z_]{1,20}`).Draw(t, "reason"), text.Draw(t, "message"))
		if rapid.Bool().Draw(t, "with field") {
			want = want.WithField(text.Draw(t, "field"), text.Draw(t, "value"))
		}
		if rapid.Bool().Draw(t, "with metadata") {
			want = want.WithMetadata(rapid.StringMatching(`[a-u]{1,9}`).Draw(t, "key"), text.Draw(t, "detail"))
		}
		want.RetryAfter = time.Duration(rapid.IntRange(0, 1e9).Draw(t, "retry"))
		got, own := fromWire("peer", toWire(want))
		if !own || !errors.Is(got, want) {
			t.Fatalf("%+v became %+v", want, got)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(fault.Error{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestEveryKindHasItsCode(t *testing.T) {
	t.Parallel()
	for kind := fault.KindInternal; kind <= fault.KindUnavailable; kind++ {
		code, ok := wireCodes[kind]
		if !ok || kindOf(code) != kind {
			t.Errorf("%v travels as %v and comes back as %v", kind, code, kindOf(code))
		}
	}
	if kindOf(connect.Code(99)) != fault.KindInternal {
		t.Error("an unknown code must be internal")
	}
}

func TestFromWireOfOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		kind   fault.Kind
		reason string
	}{
		"canceled here":       {context.Canceled, fault.KindUnavailable, reasonCanceled},
		"too late here":       {context.DeadlineExceeded, fault.KindUnavailable, reasonDeadline},
		"anything":            {io.ErrUnexpectedEOF, fault.KindInternal, fault.ReasonInternal},
		"canceled by a proxy": {connect.NewError(connect.CodeCanceled, ""), fault.KindUnavailable, reasonCanceled},
		"too late at a proxy": {connect.NewError(connect.CodeDeadlineExceeded, ""), fault.KindUnavailable, reasonDeadline},
		"down":                {connect.NewError(connect.CodeUnavailable, "dial tcp 10.0.0.1"), fault.KindUnavailable, fault.ReasonUnavailable},
		"unknown":             {connect.NewError(connect.CodeUnknown, "stack"), fault.KindInternal, fault.ReasonInternal},
		"not found":           {connect.NewError(connect.CodeNotFound, "nope"), fault.KindNotFound, fault.ReasonNotFound},
		"unreadable detail":   {connect.NewError(connect.CodeNotFound, "nope").WithDetail(&connect.ErrorDetail{Type: "no.such.Type"}), fault.KindNotFound, fault.ReasonNotFound},
	} {
		got, own := fromWire("peer", test.err)
		if own || got.Kind != test.kind || got.Reason != test.reason || strings.Contains(got.Message, "10.0.0.1") || strings.Contains(got.Message, "stack") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	login := (&authv1.LoginRequest{}).ProtoReflect().Descriptor()
	if got := redact(fault.Invalid("password", "bad").WithField("password", "hunter2"), login); got.Value != "" {
		t.Errorf("%+v", got)
	}
	long := redact(fault.Invalid("email", "bad").WithField("email", strings.Repeat("ä", 200)), nil)
	if long.Value != strings.Repeat("ä", maxEcho)+"…" {
		t.Errorf("%q", long.Value)
	}
	invalid := toWire(fault.Invalid("a", "bad").WithField("a", "\xff"))
	if invalid.Code() != connect.CodeInvalidArgument {
		t.Error("a value that cannot travel lost its code")
	}
}

func TestUndecodable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		stream connect.StreamType
		text   string
	}{
		"nothing sent":    {io.EOF, connect.StreamTypeUnary, "the request is empty"},
		"end of a stream": {io.EOF, connect.StreamTypeClient, "EOF"},
		"our own":         {fault.Stale("x"), connect.StreamTypeUnary, "x"},
		"malformed":       {connect.NewError(connect.CodeInvalidArgument, "near secret"), connect.StreamTypeUnary, "the request could not be decoded"},
		"large":           {connect.NewError(connect.CodeResourceExhausted, "x"), connect.StreamTypeUnary, "the request is larger than allowed"},
		"gone":            {connect.NewError(connect.CodeCanceled, "x"), connect.StreamTypeUnary, "canceled: x"},
	} {
		if got := undecodable(test.err, test.stream); got.Error() != test.text {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestValidateNamesFieldAndValue(t *testing.T) {
	t.Parallel()
	const id = "0198c1de-7b1a-7000-8000-000000000001"
	for name, test := range map[string]struct {
		message      proto.Message
		field, value string
	}{
		"fine":              {&productv1.GetProductRequest{ProductId: id}, "", ""},
		"string":            {&productv1.GetProductRequest{ProductId: "x"}, "productId", "x"},
		"number":            {&productv1.ListProductsRequest{PageSize: 101}, "pageSize", "101"},
		"enum by name":      {&productv1.ExportProductsRequest{}, "format", "FORMAT_UNSPECIFIED"},
		"enum by number":    {&productv1.ExportProductsRequest{Format: 99}, "format", "99"},
		"bytes":             {&productv1.ImportProductsRequest{Format: 1}, "content", ""},
		"missing message":   {&productv1.CreateProductRequest{}, "product", ""},
		"element of a list": {&productv1.ListProductsRequest{Attributes: []string{"a:b", "c"}}, "attributes[1]", "c"},
		"value of a map":    {&productv1.CreateProductRequest{Product: &productv1.Product{Attributes: map[string]string{"k": strings.Repeat("x", 201)}}}, `product.attributes["k"]`, strings.Repeat("x", 100) + "…"},
		"below a list":      {&productv1.CreateCategoryRequest{Category: &productv1.Category{Children: []*productv1.Category{{ParentId: "p"}}}}, "category.children[0].parentId", "p"},
		"secret":            {&authv1.LoginRequest{Email: "a@example.com"}, "password", ""},
	} {
		err := Validate(test.message)
		got := fault.From(err)
		if test.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if got == nil || got.Kind != fault.KindInvalidInput || got.Field != test.field || got.Value != test.value || !strings.HasPrefix(got.Message, test.field+" ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestFieldPathOfWhatHasNoField(t *testing.T) {
	t.Parallel()
	name := "choice"
	path := &validate.FieldPath{Elements: []*validate.FieldPathElement{{FieldName: &name}}}
	if got := fieldPath((&authv1.LoginRequest{}).ProtoReflect().Descriptor(), path); got != "choice" {
		t.Errorf("%q", got)
	}
}

func TestDeeperWalksMaps(t *testing.T) {
	t.Parallel()
	value := structpb.NewStringValue("x")
	for range 10 {
		value = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": value}})
	}
	if !recursive(value.ProtoReflect().Descriptor()) || !deeper(value.ProtoReflect(), 10) || deeper(value.ProtoReflect(), 30) {
		t.Error("depth of nested maps")
	}
	if recursive((&authv1.LoginRequest{}).ProtoReflect().Descriptor()) {
		t.Error("a flat message is not recursive")
	}
}

func TestOutsideACall(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	if RequestHeader(ctx).Get("Anything") != "" || RequestID(ctx) != "" || WantsJSON(ctx) || SetEncodedJSON(ctx, nil, "") {
		t.Error("there is no call to speak of")
	}
	SetResponseHeader(ctx, "A", "b")
	if clientHeader(ctx) == nil {
		t.Error("no header to write to")
	}
	if keys := (carrier{&connect.Header{}}).Keys(); len(keys) != 0 {
		t.Error(keys)
	}
}

// TestExchange makes a call the way the REST transport does.
func TestExchange(t *testing.T) {
	t.Parallel()
	exchange := &Exchange{}
	server := connect.NewServer()
	server.Register(connect.Method{Spec: connect.Spec{Procedure: "/a.b.C/D"}, Handler: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
		SetResponseHeader(ctx, "A", "b")
		if !WantsJSON(ctx) || !SetEncodedJSON(ctx, []byte("{}"), `"1"`) {
			return io.ErrUnexpectedEOF
		}
		return nil
	}})
	info := &connect.CallInfo{TransportInfo: exchange}
	if err := server.Call(t.Context(), "/a.b.C/D", info, nil); err != nil || string(exchange.Encoded) != "{}" || exchange.Etag != `"1"` || info.ResponseHeader().Get("A") != "b" {
		t.Errorf("%+v, %v", exchange, err)
	}
}

func TestWireError(t *testing.T) {
	t.Parallel()
	if got := WireError(errors.New("secret")); got.Code() != connect.CodeInternal || strings.Contains(got.Message(), "secret") {
		t.Errorf("%v", got)
	}
	if got := WireError(fault.NotFound("order", "1")); got.Code() != connect.CodeNotFound {
		t.Errorf("%v", got)
	}
}
