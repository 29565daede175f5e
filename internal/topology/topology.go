// Package topology is the architecture as data: the components, whom each one
// calls, and what each one keeps. The program checks its configuration by it and
// the operator derives network policies from it, so the two cannot disagree.
package topology

import "slices"

// Gateway is the one component that is reached from outside.
const Gateway = "gateway"

// Component is one component of the platform.
type Component struct {
	// Name of the component.
	Name string
	// Calls are the components it calls, sorted.
	Calls []string
	// Data is true with tables of its own. Such a component has queues too: an
	// outbox at least.
	Data bool
	// Redis is true where Redis is used. Everything works without it, slower or less strictly.
	Redis bool
}

var components = []Component{
	{Name: "auth", Calls: []string{"notification"}, Data: true, Redis: true},
	{Name: "user", Calls: []string{"auth", "billing", "order"}, Data: true},
	{Name: "product", Data: true, Redis: true},
	{Name: "order", Calls: []string{"auth", "billing", "product"}, Data: true},
	{Name: "billing", Calls: []string{"order"}, Data: true},
	{Name: "notification", Data: true},
	{Name: "analytics", Data: true},
	{Name: "admin", Calls: []string{"analytics", "auth", "billing", "notification", "order", "product", "user"}, Redis: true},
	{Name: "storefront", Calls: []string{"auth", "billing", "order", "product", "user"}, Redis: true},
	{Name: Gateway, Calls: []string{"admin", "analytics", "auth", "billing", "notification", "order", "product", "storefront", "user"}, Redis: true},
}

// Components returns every component, in the order in which they are listed everywhere.
func Components() []Component { return slices.Clone(components) }

// Find returns a component; without one of that name it calls nobody and has nothing.
func Find(name string) Component {
	for _, component := range components {
		if component.Name == name {
			return component
		}
	}
	return Component{Name: name}
}

// Callers returns the components that call one, in the order of Components.
func Callers(name string) []string {
	var callers []string
	for _, component := range components {
		if slices.Contains(component.Calls, name) {
			callers = append(callers, component.Name)
		}
	}
	return callers
}
