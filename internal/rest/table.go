package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Table finds the route of a request. It is safe for concurrent use.
type Table struct {
	root   node
	routes []*Route
}

// node is one segment of the tree of paths.
type node struct {
	literals map[string]*node
	variable *node
	verbs    map[string]map[string]*Route // verb, "" for none → HTTP method → route
}

// Match is what Table.Match found.
type Match struct {
	// Route is the route, nil when none matched.
	Route *Route
	// Values are the decoded values of the path's variables, in order.
	Values []string
	// Allow are the HTTP methods the path has, sorted; empty means that there is no such path.
	Allow []string
}

// Routes returns the table of all bindings of the services. It fails on a
// binding it cannot serve and on two bindings that match the same requests.
func Routes(services ...protoreflect.ServiceDescriptor) (*Table, error) {
	var methods []protoreflect.MethodDescriptor
	for _, service := range services {
		for i := range service.Methods().Len() {
			methods = append(methods, service.Methods().Get(i))
		}
	}
	return newTable(methods)
}

func newTable(methods []protoreflect.MethodDescriptor) (*Table, error) {
	table := &Table{}
	for _, method := range methods {
		routes, err := routesOf(method)
		if err != nil {
			return nil, err
		}
		for _, route := range routes {
			if err := table.add(route); err != nil {
				return nil, fmt.Errorf("rest: %s: %w", method.FullName(), err)
			}
		}
	}
	return table, nil
}

func (t *Table) add(route *Route) error {
	path, err := parseTemplate(route.Pattern)
	if err != nil {
		return err
	}
	if err := route.bindVariables(path.variables); err != nil {
		return err
	}
	at := &t.root
	for _, segment := range path.segments {
		at = at.child(segment)
	}
	if at.verbs == nil {
		at.verbs = make(map[string]map[string]*Route)
	}
	if at.verbs[path.verb] == nil {
		at.verbs[path.verb] = make(map[string]*Route)
	}
	if other := at.verbs[path.verb][route.Method]; other != nil {
		return fmt.Errorf("%s %s is already bound to %s", route.Method, route.Pattern, other.Procedure)
	}
	at.verbs[path.verb][route.Method] = route
	t.routes = append(t.routes, route)
	return nil
}

func (n *node) child(segment string) *node {
	if segment == "" {
		if n.variable == nil {
			n.variable = &node{}
		}
		return n.variable
	}
	if n.literals == nil {
		n.literals = make(map[string]*node)
	}
	if n.literals[segment] == nil {
		n.literals[segment] = &node{}
	}
	return n.literals[segment]
}

// All returns every route in the order of declaration.
func (t *Table) All() []*Route { return slices.Clone(t.routes) }

// Match finds the route of a request by its method and escaped path
// ((*url.URL).EscapedPath). HEAD finds the route of GET. When nothing was
// found, Allow tells a missing path (empty) from a method the path lacks.
func (t *Table) Match(method, path string) (Match, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	search := search{method: method}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || strings.Count(rest, "/") >= maxSegments || !search.walk(&t.root, rest) {
		slices.Sort(search.allow)
		return Match{Allow: slices.Compact(search.allow)}, false
	}
	match := Match{Route: search.found}
	if search.count > 0 {
		match.Values = slices.Clone(search.values[:search.count])
	}
	return match, true
}

// search is one walk down the tree.
type search struct {
	method string
	values [maxSegments]string
	count  int
	found  *Route
	allow  []string
}

// walk matches the rest of the path below n. Literals win over variables; a
// literal that leads nowhere is taken back.
func (s *search) walk(n *node, rest string) bool {
	segment, tail, more := strings.Cut(rest, "/")
	if more {
		return s.step(n, segment, func(next *node) bool { return s.walk(next, tail) })
	}
	if name, verb, found := cutLast(segment, ':'); found && verb != "" {
		if s.step(n, name, func(next *node) bool { return s.end(next, verb) }) {
			return true
		}
	}
	return s.step(n, segment, func(next *node) bool { return s.end(next, "") })
}

// step goes from n over one segment.
func (s *search) step(n *node, raw string, onward func(*node) bool) bool {
	segment := raw
	if strings.IndexByte(raw, '%') >= 0 {
		var err error
		if segment, err = url.PathUnescape(raw); err != nil {
			return false
		}
	}
	if next := n.literals[segment]; next != nil && onward(next) {
		return true
	}
	if n.variable == nil || segment == "" {
		return false
	}
	s.values[s.count] = segment
	s.count++
	if onward(n.variable) {
		return true
	}
	s.count--
	return false
}

// end looks for the method once the whole path is matched.
func (s *search) end(n *node, verb string) bool {
	methods := n.verbs[verb]
	if route := methods[s.method]; route != nil {
		s.found = route
		return true
	}
	for method := range methods {
		s.allow = append(s.allow, method)
		if method == http.MethodGet {
			s.allow = append(s.allow, http.MethodHead)
		}
	}
	if len(methods) > 0 {
		s.allow = append(s.allow, http.MethodOptions)
	}
	return false
}

func cutLast(text string, separator byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(text, separator); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}
