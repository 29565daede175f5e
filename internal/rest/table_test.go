package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/rest"
)

func contract(tb testing.TB) *rest.Table {
	tb.Helper()
	var services []protoreflect.ServiceDescriptor
	for _, file := range []protoreflect.FileDescriptor{
		authv1.File_commerce_auth_v1_auth_proto, userv1.File_commerce_user_v1_user_proto, productv1.File_commerce_product_v1_product_proto,
		orderv1.File_commerce_order_v1_order_proto, billingv1.File_commerce_billing_v1_billing_proto,
	} {
		for i := range file.Services().Len() {
			services = append(services, file.Services().Get(i))
		}
	}
	table, err := rest.Routes(services...)
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	t.Parallel()
	table := contract(t)
	tests := []struct {
		method, path, name string
		values             []string
		allow              []string
	}{
		{"GET", "/api/v1/products", "ListProducts", nil, nil},
		{"HEAD", "/api/v1/products", "ListProducts", nil, nil},
		{"GET", "/api/v1/products/abc", "GetProduct", []string{"abc"}, nil},
		{"GET", "/api/v1/products/a%2Fb%20c", "GetProduct", []string{"a/b c"}, nil},
		{"GET", "/api/v1/products/by-slug/x", "GetProductBySlug", []string{"x"}, nil},
		{"GET", "/api/v1/products/by-slug", "GetProduct", []string{"by-slug"}, nil},
		{"GET", "/api/v1/products/by-slug/stockEntries", "GetProductBySlug", []string{"stockEntries"}, nil},
		{"DELETE", "/api/v1/products/by-slug/images/i", "DeleteProductImage", []string{"by-slug", "i"}, nil},
		{"GET", "/api/v1/products:export", "ExportProducts", nil, nil},
		{"POST", "/api/v1/products:import", "ImportProducts", nil, nil},
		{"POST", "/api/v1/products/abc:adjustStock", "AdjustStock", []string{"abc"}, nil},
		{"GET", "/api/v1/products/a:b", "GetProduct", []string{"a:b"}, nil},
		{"POST", "/api/v1/products/:adjustStock", "", nil, []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}},
		{"GET", "/api/v1/users/me", "GetMe", nil, nil},
		{"GET", "/api/v1/users/me/addresses", "ListAddresses", nil, nil},
		{"GET", "/api/v1/users/someone", "GetUser", []string{"someone"}, nil},
		{"PATCH", "/api/v1/carts/c/items/p", "UpdateCartItem", []string{"c", "p"}, nil},
		{"PUT", "/api/v1/products", "", nil, []string{"GET", "HEAD", "OPTIONS", "POST"}},
		{"PATCH", "/api/v1/users/me", "UpdateMe", nil, nil},
		{"PUT", "/api/v1/users/me", "", nil, []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}},
		{"GET", "/api/v1/%70roducts", "ListProducts", nil, nil},
		{"GET", "/api/v1/products/%zz", "", nil, nil},
		{"GET", "/", "", nil, nil},
		{"GET", "", "", nil, nil},
		{"GET", "/api/v1//products", "", nil, nil},
		{"GET", "/" + strings.Repeat("a/", 100), "", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			match, ok := table.Match(test.method, test.path)
			name := ""
			if ok {
				name = string(match.Route.Descriptor.Name())
			}
			if name != test.name || !slices.Equal(match.Values, test.values) {
				t.Errorf("%q %q, want %q %q", name, match.Values, test.name, test.values)
			}
			if test.allow != nil {
				if diff := cmp.Diff(test.allow, match.Allow); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestEveryRouteFindsItself guards against routes that hide each other.
func TestEveryRouteFindsItself(t *testing.T) {
	t.Parallel()
	table := contract(t)
	if len(table.All()) < 50 {
		t.Fatalf("%d routes", len(table.All()))
	}
	for _, route := range table.All() {
		path := route.Pattern
		for strings.Contains(path, "{") {
			start, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
			path = path[:start] + "0198c1de" + path[end+1:]
		}
		match, ok := table.Match(route.Method, path)
		if !ok || match.Route != route {
			t.Errorf("%s %s finds %v", route.Method, path, match.Route)
		}
		if route.Cacheable() && route.Method != http.MethodGet {
			t.Errorf("%s is cacheable", route.Pattern)
		}
		if route.MaxBody() < 1<<20 {
			t.Errorf("%s takes only %d bytes", route.Pattern, route.MaxBody())
		}
	}
}

// newService makes a service of methods over product messages, for rules the contract does not have.
func newService(tb testing.TB, methods ...*descriptorpb.MethodDescriptorProto) protoreflect.ServiceDescriptor {
	tb.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("test.proto"), Package: proto.String("test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"commerce/product/v1/product.proto", "google/api/annotations.proto"},
		Service:    []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("TestService"), Method: methods}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		tb.Fatal(err)
	}
	return file.Services().Get(0)
}

func newMethod(tb testing.TB, name, rule string) *descriptorpb.MethodDescriptorProto {
	tb.Helper()
	var http annotations.HttpRule
	if err := prototext.Unmarshal([]byte(rule), &http); err != nil {
		tb.Fatal(err)
	}
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, annotations.E_Http, &http)
	return &descriptorpb.MethodDescriptorProto{
		Name: proto.String(name), InputType: proto.String(".commerce.product.v1.UpdateProductRequest"), OutputType: proto.String(".commerce.product.v1.UpdateProductResponse"), Options: options,
	}
}

func TestRoutesRefuse(t *testing.T) {
	t.Parallel()
	for rule, problem := range map[string]string{
		`get: "no-slash"`:                           "does not start with a slash",
		`get: "/a/{product_id"`:                     "unsupported variable",
		`get: "/a/{product_id=b/*}"`:                "unsupported variable",
		`get: "/a/**"`:                              "bad segment",
		`get: "/a/b:c!"`:                            "bad verb",
		`get: "/a/{missing}"`:                       "no field",
		`get: "/a/{product_id.x}"`:                  "has no fields",
		`get: "/a/{product}"`:                       "not a single value",
		`get: "/a/{product.category_ids}"`:          "not a single value",
		`post: "/a" body: "etag"`:                   "not a message field",
		`post: "/a" body: "nothing"`:                "not a message field",
		`get: "/a" response_body: "nothing"`:        "not a message field",
		`custom: {kind: "LOCK" path: "/a"}`:         "unsupported HTTP pattern",
		`get: "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h"`: "more than 16 segments",
	} {
		_, err := rest.Routes(newService(t, newMethod(t, "Broken", rule)))
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v, want %q", rule, err, problem)
		}
	}
	_, err := rest.Routes(newService(t, newMethod(t, "A", `get: "/a/{product_id}"`), newMethod(t, "B", `get: "/a/{etag=*}"`)))
	if err == nil || !strings.Contains(err.Error(), "already bound") {
		t.Errorf("two methods share an address: %v", err)
	}
	stream := newMethod(t, "Stream", `get: "/a"`)
	stream.ServerStreaming = proto.Bool(true)
	if _, err := rest.Routes(newService(t, stream)); err == nil {
		t.Error("a stream has no REST form")
	}
}

func TestAdditionalBindings(t *testing.T) {
	t.Parallel()
	table, err := rest.Routes(newService(t, newMethod(t, "Update", `put: "/a/{product_id}" body: "*" additional_bindings { patch: "/b/{product.id}" body: "product" response_body: "product" }`)))
	if err != nil {
		t.Fatal(err)
	}
	for method, path := range map[string]string{"PUT": "/a/1", "PATCH": "/b/1"} {
		if match, ok := table.Match(method, path); !ok || match.Route.Procedure != "/test.v1.TestService/Update" {
			t.Errorf("%s %s: %v", method, path, match)
		}
	}
	if _, ok := table.Match("PATCH", "/a/1"); ok {
		t.Error("bindings mix")
	}
}

func FuzzMatch(f *testing.F) {
	table := contract(f)
	for _, seed := range []string{"/api/v1/products/a:adjustStock", "/api/v1/products/%2F", "//", "/api/v1/users/me:", "/:", "/api/v1/carts/a/items/b"} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		match, ok := table.Match(method, path)
		if ok != (match.Route != nil) || ok && len(match.Allow) > 0 {
			t.Fatalf("%+v, %v", match, ok)
		}
		if ok && len(match.Values) != strings.Count(match.Route.Pattern, "{") {
			t.Fatalf("%s: values %q", match.Route.Pattern, match.Values)
		}
		for _, value := range match.Values {
			if value == "" {
				t.Fatal("an empty variable")
			}
		}
	})
}
