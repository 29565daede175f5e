package rest

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/fault"
)

// decodePath sets the fields of the path's variables. They win over the body,
// so that a request changes what its address says.
func (r *Route) decodePath(message protoreflect.Message, values []string) error {
	for i, path := range r.variables {
		name := jsonPath(path)
		if err := setField(message, path, name, values[i]); err != nil {
			return err
		}
	}
	return nil
}

// decodeQuery sets the fields that query parameters name. Parameters that name
// no field are ignored: proxies, trackers and caches add their own. So are
// those that name what the path or the body already says.
func (r *Route) decodeQuery(message protoreflect.Message, raw string) error {
	if raw == "" || !r.query {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return fault.Invalid("", "the query string is not valid")
	}
	for _, name := range sortedKeys(values) {
		path, err := resolve(message.Descriptor(), name)
		if err != nil || r.taken(path) || !settable(path[len(path)-1]) {
			continue
		}
		for _, value := range values[name] {
			if !utf8.ValidString(value) {
				return fault.Invalid(name, "%s is not valid UTF-8", name)
			}
		}
		if err := setField(message, path, name, values[name]...); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys) // the same request names the same field
	return keys
}

// settable reports whether a query parameter can hold the field.
func settable(field protoreflect.FieldDescriptor) bool {
	return !field.IsMap() && (field.Message() == nil || plain(field.Message()))
}

// taken reports whether path or body set the field.
func (r *Route) taken(path []protoreflect.FieldDescriptor) bool {
	if r.bodyField != nil && path[0] == r.bodyField {
		return true
	}
	return slices.ContainsFunc(r.variables, func(variable []protoreflect.FieldDescriptor) bool { return slices.Equal(variable, path) })
}

func jsonPath(path []protoreflect.FieldDescriptor) string {
	var name strings.Builder
	name.WriteString(path[0].JSONName())
	for _, field := range path[1:] {
		name.WriteString("." + field.JSONName())
	}
	return name.String()
}
