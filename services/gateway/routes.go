package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

const (
	// maxCanaries bounds the table; a component has one at most.
	maxCanaries = 64
	// fullWeight sends every caller to the canary.
	fullWeight = 100
)

// canaryRoute is a line of the routing table: a share of a component's callers
// goes to another address.
type canaryRoute struct {
	component string
	url       *url.URL
	weight    int
}

// routesFile is the file as it is written.
type routesFile struct {
	Canaries []struct {
		Component string `json:"component"`
		URL       string `json:"url"`
		Weight    *int   `json:"weight"`
	} `json:"canaries"`
}

// parseRoutes reads a routing table. known are the components that can have a
// canary. Errors name the field and repeat no address, which may hold a password.
func parseRoutes(content []byte, known []string) ([]canaryRoute, error) {
	var file routesFile
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields() // a misspelt weight would send nothing and say nothing
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("the file is not a routing table: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one routing table")
	}
	if len(file.Canaries) > maxCanaries {
		return nil, fmt.Errorf("canaries: there are %d, at most %d are possible", len(file.Canaries), maxCanaries)
	}
	routes := make([]canaryRoute, 0, len(file.Canaries))
	for i, entry := range file.Canaries {
		wrong := func(field, format string, args ...any) error {
			return fmt.Errorf("canaries[%d].%s: %s", i, field, fmt.Sprintf(format, args...))
		}
		if !slices.Contains(known, entry.Component) {
			return nil, wrong("component", "%q is not one of %s", entry.Component, strings.Join(known, ", "))
		}
		if slices.ContainsFunc(routes, func(r canaryRoute) bool { return r.component == entry.Component }) {
			return nil, wrong("component", "%s has a canary already", entry.Component)
		}
		if entry.Weight == nil {
			return nil, wrong("weight", "it is missing")
		}
		if *entry.Weight < 0 || *entry.Weight > fullWeight {
			return nil, wrong("weight", "%d is not from 0 to %d", *entry.Weight, fullWeight)
		}
		target, err := parseTarget(entry.URL)
		if err != nil {
			return nil, wrong("url", "%v", err)
		}
		routes = append(routes, canaryRoute{component: entry.Component, url: target, weight: *entry.Weight})
	}
	return routes, nil
}

// parseTarget reads the address of a component: a scheme and a host.
func parseTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not an address")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("it is not an http:// or https:// address")
	case u.Hostname() == "":
		return nil, errors.New("it has no host")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has more than a scheme, a host and a port")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
