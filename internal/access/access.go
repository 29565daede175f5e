// Package access answers who may call a method. The rule stands in the
// method's descriptor, so the gateway and the component enforce the same one.
// A method without a rule is refused to everybody.
package access

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
)

// rolePermissions is the only place that says what a role may do.
var rolePermissions = map[string][]string{
	"admin": {"*"},
	"user":  {"read:own", "write:own"},
	"guest": {"read:public"},
}

// The refusals of Check.
var (
	errNoRule   = fault.Unauthorized("this method is not open to anybody")
	errLogin    = fault.AuthFailed("log in to use this method")
	errMissing  = fault.Unauthorized("you lack the permission for this method")
	errInternal = fault.Unauthorized("this method is for the platform's own components")
)

// Permissions returns what the roles together may do, sorted and without
// duplicates. Everybody may read what is public; an unknown role adds nothing.
func Permissions(roles []string) []string {
	all := slices.Clone(rolePermissions["guest"])
	for _, role := range roles {
		all = append(all, rolePermissions[role]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Role reports whether the platform knows the role.
func Role(name string) bool {
	_, known := rolePermissions[name]
	return known
}

// Check returns nil when id may call a method with the rule, else
// fault.KindAuthFailed (who are you?) or fault.KindUnauthorized (you may not).
func Check(rule *accessv1.Rule, id identity.Identity) error {
	switch rule.GetLevel() {
	case accessv1.Level_LEVEL_PUBLIC:
		return nil
	case accessv1.Level_LEVEL_USER:
		if id.Anonymous() {
			return errLogin
		}
		if !id.Can(rule.GetPermission()) {
			return errMissing
		}
		return nil
	case accessv1.Level_LEVEL_SERVICE:
		if id.Service == "" {
			return errInternal
		}
		return nil
	case accessv1.Level_LEVEL_UNSPECIFIED:
		return errNoRule
	default:
		return errNoRule
	}
}

// cache maps descriptors to what was read from their options. Reads take no
// lock and allocate nothing; a write copies the map, which happens once a
// descriptor.
type cache[K comparable, V any] struct {
	mutex   sync.Mutex
	entries atomic.Pointer[map[K]V]
}

func (c *cache[K, V]) get(key K, read func(K) V) V {
	if entries := c.entries.Load(); entries != nil {
		if value, ok := (*entries)[key]; ok {
			return value
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	next := make(map[K]V)
	if entries := c.entries.Load(); entries != nil {
		maps.Copy(next, *entries)
	}
	value := read(key)
	next[key] = value
	c.entries.Store(&next)
	return value
}

var rules cache[protoreflect.MethodDescriptor, *accessv1.Rule]

// ForMethod returns the rule of a method, or nil when it has none.
func ForMethod(method protoreflect.MethodDescriptor) *accessv1.Rule {
	if method == nil {
		return nil
	}
	return rules.get(method, func(method protoreflect.MethodDescriptor) *accessv1.Rule {
		options := method.Options()
		if !proto.HasExtension(options, accessv1.E_Rule) {
			return nil
		}
		rule, _ := proto.GetExtension(options, accessv1.E_Rule).(*accessv1.Rule)
		return rule
	})
}
