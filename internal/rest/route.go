package rest

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/rpc"
)

const (
	httpBodyName  = "google.api.HttpBody"
	fieldMaskName = "google.protobuf.FieldMask"
)

// Route is one binding of a method to HTTP. It does not change after Routes returned it.
type Route struct {
	// Method is the HTTP method, such as "GET".
	Method string
	// Pattern is the path as declared, such as "/api/v1/orders/{order_id}:cancel".
	Pattern string
	// Procedure is the method's name for connect.Server, such as "/commerce.order.v1.OrderService/CancelOrder".
	Procedure string
	// Descriptor is the bound method.
	Descriptor protoreflect.MethodDescriptor
	// Rule says who may call; nil refuses everybody.
	Rule *accessv1.Rule

	variables [][]protoreflect.FieldDescriptor
	body      bodyKind
	bodyField protoreflect.FieldDescriptor // for bodyField and bodyRaw inside a request
	answer    protoreflect.FieldDescriptor // response_body
	etag      protoreflect.FieldDescriptor
	mask      protoreflect.FieldDescriptor
	query     bool
	limit     int
}

// bodyKind says what a request body is.
type bodyKind uint8

const (
	bodyNone  bodyKind = iota // no body: everything comes from path and query
	bodyWhole                 // the request message
	bodyPart                  // one field of the request message
	bodyRaw                   // bytes as they are, in a google.api.HttpBody
)

// Cacheable reports whether a shared cache may keep the route's answers.
func (r *Route) Cacheable() bool {
	return r.Method == http.MethodGet && r.Rule.GetCacheControl() != "" && r.Rule.GetLevel() == accessv1.Level_LEVEL_PUBLIC
}

// MaxBody returns the largest accepted body in bytes.
func (r *Route) MaxBody() int { return r.limit }

// routesOf reads the bindings of one method; none without google.api.http.
func routesOf(method protoreflect.MethodDescriptor) ([]*Route, error) {
	if !proto.HasExtension(method.Options(), annotations.E_Http) {
		return nil, nil
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	var routes []*Route
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		route, err := newRoute(method, binding)
		if err != nil {
			return nil, fmt.Errorf("rest: %s: %w", method.FullName(), err)
		}
		routes = append(routes, route)
	}
	return routes, nil
}

func newRoute(method protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*Route, error) {
	if method.IsStreamingClient() || method.IsStreamingServer() {
		return nil, fmt.Errorf("a stream has no REST form")
	}
	route := &Route{
		Procedure: "/" + string(method.Parent().FullName()) + "/" + string(method.Name()), Descriptor: method, Rule: access.ForMethod(method),
		limit: rpc.MaxRequest(method),
	}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		route.Method, route.Pattern = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		route.Method, route.Pattern = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		route.Method, route.Pattern = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		route.Method, route.Pattern = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		route.Method, route.Pattern = http.MethodDelete, pattern.Delete
	default:
		return nil, fmt.Errorf("unsupported HTTP pattern %T", pattern)
	}
	if err := route.bindBody(rule); err != nil {
		return nil, err
	}
	route.query = route.body != bodyWhole
	fields := method.Input().Fields()
	if etag := fields.ByName("etag"); etag != nil && etag.Kind() == protoreflect.StringKind && !etag.IsList() {
		route.etag = etag
	}
	if mask := fields.ByName("update_mask"); mask != nil && route.Method == http.MethodPatch && mask.Message() != nil && mask.Message().FullName() == fieldMaskName {
		route.mask = mask
	}
	return route, nil
}

// bindBody finds which part of the messages are the bodies.
func (r *Route) bindBody(rule *annotations.HttpRule) error {
	input := r.Descriptor.Input()
	switch name := rule.GetBody(); name {
	case "":
	case "*":
		r.body = bodyWhole
		if input.FullName() == httpBodyName {
			r.body = bodyRaw
		}
	default:
		field := input.Fields().ByName(protoreflect.Name(name))
		if field == nil || field.Message() == nil || field.IsList() || field.IsMap() {
			return fmt.Errorf("body %q is not a message field", name)
		}
		r.body, r.bodyField = bodyPart, field
		if field.Message().FullName() == httpBodyName {
			r.body = bodyRaw
		}
	}
	if r.body == bodyRaw {
		r.limit = min(r.limit, rpc.MaxUpload)
	}
	if name := rule.GetResponseBody(); name != "" {
		r.answer = r.Descriptor.Output().Fields().ByName(protoreflect.Name(name))
		if r.answer == nil || r.answer.Message() == nil || r.answer.IsList() || r.answer.IsMap() {
			return fmt.Errorf("response body %q is not a message field", name)
		}
	}
	return nil
}

// bindVariables resolves the path's variables to fields of the request.
func (r *Route) bindVariables(variables []string) error {
	for _, variable := range variables {
		path, err := resolve(r.Descriptor.Input(), variable)
		if err != nil {
			return err
		}
		last := path[len(path)-1]
		if last.IsList() || last.IsMap() || last.Message() != nil {
			return fmt.Errorf("path variable %q is not a single value", variable)
		}
		r.variables = append(r.variables, path)
	}
	return nil
}

// resolve walks a dotted path of names in snake_case or lowerCamelCase.
func resolve(message protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	var fields []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil, fmt.Errorf("%q leads into a field that has no fields", path)
		}
		field := message.Fields().ByJSONName(name)
		if field == nil {
			field = message.Fields().ByTextName(name)
		}
		if field == nil {
			return nil, fmt.Errorf("%s has no field %q", message.FullName(), name)
		}
		fields = append(fields, field)
		message = nil
		if !field.IsList() && !field.IsMap() {
			message = field.Message()
		}
	}
	return fields, nil
}
