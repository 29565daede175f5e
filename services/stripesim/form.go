package stripesim

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// form reads the parameters of one request. The first mistake is kept and told
// by finish, together with parameters that nobody asked for: a caller's typing
// error must not pass silently.
type form struct {
	values url.Values
	used   map[string]bool
	err    *apiError
}

func newForm(values url.Values) *form {
	return &form{values: values, used: make(map[string]bool)}
}

func (f *form) fail(err *apiError) {
	if f.err == nil {
		f.err = err
	}
}

// finish returns the first mistake, or the first unknown parameter.
func (f *form) finish() *apiError {
	if f.err != nil {
		return f.err
	}
	var unknown []string
	for name := range f.values {
		if !f.used[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	name := root(slices.Min(unknown))
	return invalid("parameter_unknown", name, "Received unknown parameter: %s", clip(name))
}

// ignore accepts parameters that Stripe documents and the simulator does not
// model, with everything nested in them.
func (f *form) ignore(names ...string) {
	for name := range f.values {
		if slices.Contains(names, root(name)) {
			f.used[name] = true
		}
	}
}

func (f *form) has(name string) bool { return f.values.Has(name) }

// text returns a parameter; nil when absent, empty when it is to be unset.
func (f *form) text(name string) *string {
	if !f.values.Has(name) {
		return nil
	}
	f.used[name] = true
	value := f.values.Get(name)
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		f.fail(invalid("", name, "Invalid UTF-8 in parameter: %s", name))
		return nil
	}
	const limit = 5000
	if utf8.RuneCountInString(value) > limit {
		f.fail(invalid("parameter_invalid_string_too_long", name, "Invalid string: %s; must be at most %d characters", name, limit))
		return nil
	}
	return &value
}

func (f *form) textOr(name, absent string) string {
	if value := f.text(name); value != nil {
		return *value
	}
	return absent
}

// required returns a parameter that must be there and not be empty.
func (f *form) required(name string) string {
	value := f.text(name)
	switch {
	case value == nil:
		f.fail(invalid("parameter_missing", name, "Missing required param: %s.", name))
		return ""
	case *value == "":
		f.fail(invalid("parameter_invalid_empty", name,
			"You passed an empty string for '%s'. We assume empty values are an attempt to unset a parameter; however '%s' cannot be unset.", name, name))
		return ""
	}
	return *value
}

// integer returns nil when the parameter is absent or not a whole number.
func (f *form) integer(name string) *int64 {
	text := f.text(name)
	if text == nil {
		return nil
	}
	n, err := strconv.ParseInt(*text, 10, 64)
	if err != nil {
		f.fail(invalid("parameter_invalid_integer", name, "Invalid integer: %s", clip(*text)))
		return nil
	}
	return &n
}

func (f *form) positive(name string) *int64 {
	n := f.integer(name)
	if n != nil && *n <= 0 {
		f.fail(invalid("parameter_invalid_integer", name, "This value must be greater than or equal to 1."))
		return nil
	}
	return n
}

func (f *form) flag(name string) bool {
	switch text := f.text(name); {
	case text == nil || *text == "false":
		return false
	case *text == "true":
		return true
	default:
		f.fail(invalid("", name, "Invalid boolean: %s", clip(*text)))
		return false
	}
}

// oneOf returns the parameter when it is one of the allowed words, or absent.
func (f *form) oneOf(name, absent string, allowed ...string) string {
	text := f.text(name)
	if text == nil || *text == "" {
		return absent
	}
	if !slices.Contains(allowed, *text) {
		f.fail(invalid("", name, "Invalid %s: must be one of %s", name, strings.Join(allowed, ", ")))
		return absent
	}
	return *text
}

// list returns name[], name[0], name[1] … in order.
func (f *form) list(name string) []string {
	type item struct {
		index int
		value string
	}
	var items []item
	for key, values := range f.values {
		inner, ok := nested(key, name)
		if !ok {
			continue
		}
		index, err := strconv.Atoi(inner)
		if err != nil && inner != "" {
			continue
		}
		f.used[key] = true
		for i, v := range values {
			items = append(items, item{index + i, v})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return a.index - b.index })
	var out []string
	for _, it := range items {
		out = append(out, it.value)
	}
	return out
}

// fields returns name[key]=value pairs of one level.
func (f *form) fields(name string) map[string]string {
	var out map[string]string
	for key := range f.values {
		inner, ok := nested(key, name)
		if !ok || inner == "" || strings.ContainsAny(inner, "[]") {
			continue
		}
		if out == nil {
			out = make(map[string]string)
		}
		if value := f.text(key); value != nil {
			out[inner] = *value
		}
	}
	return out
}

const (
	metadataMaxKeys     = 50
	metadataMaxKeyLen   = 40
	metadataMaxValueLen = 500
)

// metadata applies the request's metadata to what the object has: an empty
// value removes its key, an empty metadata removes all.
func (f *form) metadata(old map[string]string) map[string]string {
	merged := make(map[string]string, len(old))
	if empty := f.text("metadata"); empty == nil {
		maps.Copy(merged, old)
	}
	for key, value := range f.fields("metadata") {
		switch {
		case utf8.RuneCountInString(key) > metadataMaxKeyLen:
			f.fail(invalid("", "metadata", "Metadata keys must be at most %d characters", metadataMaxKeyLen))
		case utf8.RuneCountInString(value) > metadataMaxValueLen:
			f.fail(invalid("", "metadata", "Metadata values can have up to %d characters", metadataMaxValueLen))
		case value == "":
			delete(merged, key)
		default:
			merged[key] = value
		}
	}
	if len(merged) > metadataMaxKeys {
		f.fail(invalid("", "metadata", "You can only have up to %d metadata keys", metadataMaxKeys))
	}
	return merged
}

// nested returns what stands in name[…]; deeper levels stay as a][b.
func nested(key, name string) (string, bool) {
	rest, ok := strings.CutPrefix(key, name+"[")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "]")
}

// root is the outermost name: payment_method_options of
// payment_method_options[card][moto].
func root(key string) string {
	name, _, _ := strings.Cut(key, "[")
	return name
}
