package v1beta1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/conversion"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// Kind is the only kind of this version.
const Kind = "CommerceStack"

// Convert brings an object of the kind to another version, in place. It moves what
// has another place and leaves everything else as it was written: a duration of
// 90m stays 90m, a false that is a default too stays, and what is not there is not
// added. Fields that are of another type than their schema says are left alone.
func Convert(object map[string]any, apiVersion string) error {
	if kind := object["kind"]; kind != Kind {
		return fmt.Errorf("kind is %v, want %s", kind, Kind)
	}
	from, _ := object["apiVersion"].(string)
	older, newer := v1alpha1.GroupVersion.String(), GroupVersion.String()
	switch {
	case from == older && apiVersion == newer:
		upgrade(object)
	case from == newer && apiVersion == older:
		downgrade(object)
	case from == apiVersion && (from == older || from == newer):
		return nil
	default:
		return fmt.Errorf("apiVersion is %v and the version asked for %s, want %s and %s", object["apiVersion"], apiVersion, older, newer)
	}
	object["apiVersion"] = apiVersion
	return nil
}

// ConvertTo implements conversion.Convertible.
func (s *CommerceStack) ConvertTo(hub conversion.Hub) error {
	return translate(s, hub, downgrade, v1alpha1.GroupVersion.String())
}

// ConvertFrom implements conversion.Convertible.
func (s *CommerceStack) ConvertFrom(hub conversion.Hub) error {
	return translate(hub, s, upgrade, GroupVersion.String())
}

// translate converts Go types as their JSON is converted, so that there is one
// conversion.
func translate(from, to runtime.Object, convert func(map[string]any), apiVersion string) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(from)
	if err != nil {
		return fmt.Errorf("read %T: %w", from, err)
	}
	convert(object)
	if _, named := object["apiVersion"]; named {
		object["apiVersion"] = apiVersion
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, to); err != nil {
		return fmt.Errorf("write %T: %w", to, err)
	}
	return nil
}

// upgrade makes an object of v1alpha1 one of v1beta1.
func upgrade(object map[string]any) {
	showScaling(object)
	for _, f := range fields {
		for _, parent := range find(object, f.in) {
			move(parent, f.older, f.newer)
		}
	}
	for _, v := range values {
		for _, parent := range find(object, v.in) {
			replace(parent, v.field, v.newer)
		}
	}
	for _, rollout := range find(object, path{"spec", "rollout"}) {
		nest(rollout)
	}
}

// downgrade makes an object of v1beta1 one of v1alpha1.
func downgrade(object map[string]any) {
	for _, rollout := range find(object, path{"spec", "rollout"}) {
		flatten(rollout)
	}
	for _, v := range values {
		for _, parent := range find(object, v.in) {
			replace(parent, v.field, v.older())
		}
	}
	for _, f := range fields {
		for _, parent := range find(object, f.in) {
			move(parent, f.newer, f.older)
		}
	}
	hideScaling(object)
}

// path names mappings below an object; each is the one element after another. An
// element on a list stands for all of its items.
type path []string

// fields have another name.
var fields = []struct {
	in           path
	older, newer string
}{
	{path{"spec"}, "services", "components"},
	{path{"spec", "backup"}, "restoreTest", "drillSchedule"},
	{path{"spec", "rollout", "notifications"}, "on", "events"},
	{path{"status"}, "services", "components"},
	{path{"status"}, "servicesReady", "componentsReady"},
}

// names are what v1alpha1 calls something, and what v1beta1 does.
type names map[string]string

// value is a field whose values have other names.
type value struct {
	in    path
	field string
	newer names
}

func (v value) older() names {
	older := names{}
	for before, after := range v.newer {
		older[after] = before
	}
	return older
}

var (
	switches  = names{"Off": "Disabled"}
	toggles   = names{"On": "Enabled", "Off": "Disabled"}
	databases = names{string(v1alpha1.DataManaged): string(PostgresCloudNativePG)}

	values = []value{
		{path{"spec", "postgres"}, "mode", databases},
		{path{"status"}, "postgresMode", databases},
		{path{"spec", "gateway"}, "waf", switches},
		{path{"spec", "gateway", "tls"}, "mode", switches},
		{path{"spec", "networkPolicy"}, "mode", switches},
		{path{"spec", "observability"}, "serviceMonitors", toggles},
	}
)

// find returns the mappings that a path leads to.
func find(object map[string]any, to path) []map[string]any {
	if len(to) == 0 {
		return []map[string]any{object}
	}
	rest := to[1:]
	switch below := object[to[0]].(type) {
	case map[string]any:
		return find(below, rest)
	case []any:
		var found []map[string]any
		for _, item := range below {
			if mapping, ok := item.(map[string]any); ok {
				found = append(found, find(mapping, rest)...)
			}
		}
		return found
	default:
		return nil
	}
}

// move gives a field another name.
func move(parent map[string]any, from, to string) {
	if content, ok := parent[from]; ok {
		delete(parent, from)
		parent[to] = content
	}
}

// replace gives a value its other name.
func replace(parent map[string]any, field string, by names) {
	if word, ok := parent[field].(string); ok && by[word] != "" {
		parent[field] = by[word]
	}
}

// canaryFields are what only canaries have.
var canaryFields = []string{"steps", "analysis"}

// nest puts the strategy of a rollout and what belongs to it into one place.
func nest(rollout map[string]any) {
	strategy, canary := map[string]any{}, map[string]any{}
	for _, name := range canaryFields {
		if content, ok := rollout[name]; ok {
			delete(rollout, name)
			canary[name] = content
		}
	}
	if len(canary) > 0 {
		strategy["canary"] = canary
	}
	if kind, ok := rollout["strategy"]; ok {
		strategy["type"] = kind
	}
	if len(strategy) > 0 {
		rollout["strategy"] = strategy
	}
}

// flatten is the way back of nest.
func flatten(rollout map[string]any) {
	strategy, ok := rollout["strategy"].(map[string]any)
	if !ok {
		return
	}
	delete(rollout, "strategy")
	if kind, ok := strategy["type"]; ok {
		rollout["strategy"] = kind
	}
	canary, _ := strategy["canary"].(map[string]any)
	for _, name := range canaryFields {
		if content, ok := canary[name]; ok {
			rollout[name] = content
		}
	}
}
