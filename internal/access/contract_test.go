package access_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/analytics/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	_ "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/access"
)

var (
	permission = regexp.MustCompile(`^(read|write|manage):[a-z]+$`)
	address    = regexp.MustCompile(`^(/api/v1/[a-z]|/\.well-known/)[A-Za-z0-9/{}._:-]*$`)
)

func methods(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	var all []protoreflect.MethodDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "commerce.") {
			return true
		}
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				all = append(all, file.Services().Get(i).Methods().Get(j))
			}
		}
		return true
	})
	if len(all) < 60 {
		t.Fatalf("found only %d methods", len(all))
	}
	return all
}

// TestEveryMethodHasARule keeps the contract closed: whoever adds a method says who may call it.
func TestEveryMethodHasARule(t *testing.T) {
	t.Parallel()
	for _, method := range methods(t) {
		rule := access.ForMethod(method)
		if rule == nil {
			t.Errorf("%s has no rule", method.FullName())
			continue
		}
		if problem := misruled(method, rule); problem != "" {
			t.Errorf("%s %s", method.FullName(), problem)
		}
	}
}

func misruled(method protoreflect.MethodDescriptor, rule *accessv1.Rule) string {
	http := proto.HasExtension(method.Options(), annotations.E_Http)
	switch {
	case rule.GetLevel() == accessv1.Level_LEVEL_UNSPECIFIED:
		return "names no level"
	case rule.GetLevel() == accessv1.Level_LEVEL_USER && !permission.MatchString(rule.GetPermission()):
		return "is for users but names no permission"
	case rule.GetLevel() != accessv1.Level_LEVEL_USER && rule.GetPermission() != "":
		return "names a permission that nobody checks"
	case rule.GetLevel() == accessv1.Level_LEVEL_SERVICE && http:
		return "is internal but has an address outside"
	case rule.GetLevel() != accessv1.Level_LEVEL_SERVICE && !http:
		return "is open but has no address"
	case rule.GetCacheControl() != "" && rule.GetLevel() != accessv1.Level_LEVEL_PUBLIC:
		return "would let a shared cache keep private answers"
	case !slices.Contains([]string{"", "read", "write", "credentials", "payment", "webhook"}, rule.GetRateLimit()):
		return "names an unknown rate limit"
	default:
		return ""
	}
}

// TestEveryRouteHasTheContractsShape keeps addresses, verbs and bodies as clients expect them.
func TestEveryRouteHasTheContractsShape(t *testing.T) {
	t.Parallel()
	taken := map[string]protoreflect.FullName{}
	for _, method := range methods(t) {
		if !proto.HasExtension(method.Options(), annotations.E_Http) {
			continue
		}
		rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
		verb, path := verbAndPath(rule)
		if !address.MatchString(path) {
			t.Errorf("%s: odd address %q", method.FullName(), path)
		}
		if other, twice := taken[verb+path]; twice {
			t.Errorf("%s has the address of %s", method.FullName(), other)
		}
		taken[verb+path] = method.FullName()
		if (verb == "GET") != noSideEffects(method) {
			t.Errorf("%s: GET and NO_SIDE_EFFECTS belong together", method.FullName())
		}
		if body := rule.GetBody(); (body == "") != (verb == "GET" || verb == "DELETE") {
			t.Errorf("%s: %s with body %q", method.FullName(), verb, body)
		}
		if cached := access.ForMethod(method).GetCacheControl(); cached != "" && verb != "GET" {
			t.Errorf("%s: a change with cache control %q", method.FullName(), cached)
		}
	}
}

func noSideEffects(method protoreflect.MethodDescriptor) bool {
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

func verbAndPath(rule *annotations.HttpRule) (verb, path string) {
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", pattern.Get
	case *annotations.HttpRule_Post:
		return "POST", pattern.Post
	case *annotations.HttpRule_Put:
		return "PUT", pattern.Put
	case *annotations.HttpRule_Patch:
		return "PATCH", pattern.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", pattern.Delete
	default:
		return "", ""
	}
}
