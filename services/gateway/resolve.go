package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	analyticsv1 "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

// Name is the gateway's own name among the components.
const Name = "gateway"

// contracts are the files whose services the gateway serves.
var contracts = []protoreflect.FileDescriptor{
	authv1.File_commerce_auth_v1_auth_proto, userv1.File_commerce_user_v1_user_proto, productv1.File_commerce_product_v1_product_proto,
	orderv1.File_commerce_order_v1_order_proto, billingv1.File_commerce_billing_v1_billing_proto,
	notificationv1.File_commerce_notification_v1_notification_proto, analyticsv1.File_commerce_analytics_v1_analytics_proto,
}

// page is a route that is neither RPC nor REST, by path: exact, or a prefix
// when it ends in a slash.
type page struct {
	path, component string
}

// pages are the routes of browsers and of development. A component that is
// nowhere answers 404.
var pages = []page{
	{"/", "storefront"},
	{"/admin", "admin"},
	{"/admin/", "admin"},
	{"/dev/mail", "notification"},
	{"/dev/stripe/", "stripesim"},
	{"/docs", Name},
	{"/healthz", Name},
	{"/media/", "product"},
	{"/openapi.json", Name},
	{"/readyz", Name},
	{"/reset-password", "auth"},
	{"/shop/", "storefront"},
	{"/static/", "storefront"},
	{"/verify-email", "auth"},
}

// endpoint is what the gateway knows of the target of a request.
type endpoint struct {
	// component that serves it.
	component string
	// name for figures and limits: a procedure or a path of the table of pages.
	name string
	// policy names the rate limit.
	policy string
	// rule is nil for pages, which see to their own visitors.
	rule *accessv1.Rule
	// ignoresToken is true where a token that does not hold is no obstacle, so
	// that a client with an expired token can still log in or refresh.
	ignoresToken bool
}

// resolver finds the endpoint of a request.
type resolver struct {
	table      *rest.Table
	procedures map[string]endpoint
	pages      map[string]endpoint
	prefixes   []string
}

func newResolver() (*resolver, error) {
	r := &resolver{procedures: make(map[string]endpoint), pages: make(map[string]endpoint)}
	var services []protoreflect.ServiceDescriptor
	for _, file := range contracts {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			services = append(services, service)
			for j := range service.Methods().Len() {
				r.addMethod(service.Methods().Get(j))
			}
		}
	}
	for _, p := range pages {
		r.pages[p.path] = endpoint{component: p.component, name: p.path, policy: "read"}
		if strings.HasSuffix(p.path, "/") && p.path != "/" {
			r.prefixes = append(r.prefixes, p.path)
		}
	}
	slices.SortFunc(r.prefixes, func(a, b string) int { return len(b) - len(a) })
	var err error
	r.table, err = rest.Routes(services...)
	return r, err
}

func (r *resolver) addMethod(method protoreflect.MethodDescriptor) {
	procedure := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	rule := access.ForMethod(method)
	policy := rule.GetRateLimit()
	if policy == "" {
		policy = "write"
		if readOnly(method) {
			policy = "read"
		}
	}
	r.procedures[procedure] = endpoint{
		component: rpc.ComponentOf(procedure), name: procedure, policy: policy, rule: rule,
		ignoresToken: rule.GetRateLimit() == "credentials" && rule.GetLevel() == accessv1.Level_LEVEL_PUBLIC,
	}
}

// resolve returns the endpoint of a request. When there is none, allow lists
// the HTTP methods that the path has.
func (r *resolver) resolve(request *http.Request) (to endpoint, allow []string, ok bool) {
	path := request.URL.Path
	if isRPC(path) {
		if to, ok = r.procedures[path]; ok {
			return to, nil, true
		}
		if strings.HasPrefix(path, "/grpc.") {
			return endpoint{component: Name, name: "grpc", policy: "read"}, nil, true
		}
		return endpoint{}, nil, false
	}
	if to, ok = r.pages[path]; ok {
		return to, nil, true
	}
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(path, prefix) {
			return r.pages[prefix], nil, true
		}
	}
	match, found := r.table.Match(request.Method, request.URL.EscapedPath())
	if !found {
		return endpoint{}, match.Allow, false
	}
	return r.procedures[match.Route.Procedure], nil, true
}

// readOnly holds for methods that the contract declares free of side effects.
func readOnly(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// isRPC tells Connect, gRPC and gRPC-Web paths from the others.
func isRPC(path string) bool {
	return strings.HasPrefix(path, "/commerce.") || strings.HasPrefix(path, "/grpc.")
}

// errorWriter answers RPC clients in their own protocol.
var errorWriter = connecthttp.NewErrorWriter()

// writeFault answers a request with an error in the protocol the caller speaks.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	if isRPC(r.URL.Path) && errorWriter.IsSupported(r) {
		if failure := fault.From(err); failure != nil && failure.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(max(1, ceilSeconds(failure.RetryAfter))))
		}
		if failed := errorWriter.Write(w, r, rpc.WireError(err)); failed == nil {
			return
		}
	}
	rest.WriteError(r.Context(), w, err)
}
