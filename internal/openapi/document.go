package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// document is the part of an OpenAPI 3.1 document that the page shows.
type document struct {
	Info struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Version     string `json:"version"`
	} `json:"info"`
	Tags       []tag                           `json:"tags"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Permission  string                `json:"x-permission"`
	Parameters  []parameter           `json:"parameters"`
	Body        *content              `json:"requestBody"`
	Responses   map[string]content    `json:"responses"`
	Security    []map[string][]string `json:"security"`
}

type parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Schema      schema `json:"schema"`
}

type content struct {
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

type schema struct {
	Ref                  string            `json:"$ref"`
	Type                 string            `json:"type"`
	Format               string            `json:"format"`
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	Required             []string          `json:"required"`
	Items                *schema           `json:"items"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Enum                 []string          `json:"enum"`
	Pattern              string            `json:"pattern"`
	MinLength            *json.Number      `json:"minLength"`
	MaxLength            *json.Number      `json:"maxLength"`
	Minimum              *json.Number      `json:"minimum"`
	Maximum              *json.Number      `json:"maximum"`
	MinItems             *json.Number      `json:"minItems"`
	MaxItems             *json.Number      `json:"maxItems"`
}

func parse(data []byte) (*document, error) {
	var result document
	if err := json.Unmarshal(data, &result); err != nil {
		return nil, fmt.Errorf("openapi document: %w", err)
	}
	if len(result.Paths) == 0 {
		return nil, fmt.Errorf("openapi document: no paths")
	}
	return &result, nil
}

// name returns the last part of a reference, such as "commerce.type.v1.Money".
func (s schema) name() string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] }

// short returns the type's name without its package.
func (s schema) short() string { return shortName(s.name()) }

func shortName(name string) string {
	for part := range strings.SplitSeq(name, ".") {
		if part != "" && part[0] >= 'A' && part[0] <= 'Z' {
			return name[strings.Index(name, part):] //nolint:gocritic // part is of name
		}
	}
	return name
}

// kind names the type of a value for people.
func (s schema) kind() string {
	switch {
	case s.Ref != "":
		return s.short()
	case s.Type == "array" && s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Type == "object" && len(s.Properties) == 0 && s.AdditionalProperties != nil:
		var values schema
		if json.Unmarshal(s.AdditionalProperties, &values) == nil {
			return "map of " + values.kind()
		}
		return "map"
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	case s.Type == "":
		return "any"
	default:
		return s.Type
	}
}

// target returns the reference that a value or its elements have.
func (s schema) target() string {
	if s.Ref != "" {
		return s.name()
	}
	if s.Items != nil {
		return s.Items.target()
	}
	var values schema
	if s.AdditionalProperties != nil && json.Unmarshal(s.AdditionalProperties, &values) == nil {
		return values.target()
	}
	return ""
}

// limits lists what a value must hold to.
func (s schema) limits() string {
	var parts []string
	add := func(format string, number *json.Number) {
		if number != nil {
			parts = append(parts, fmt.Sprintf(format, *number))
		}
	}
	add("at least %s characters", s.MinLength)
	add("at most %s characters", s.MaxLength)
	add("≥ %s", s.Minimum)
	add("≤ %s", s.Maximum)
	add("at least %s elements", s.MinItems)
	add("at most %s elements", s.MaxItems)
	if s.Pattern != "" {
		parts = append(parts, "matches "+s.Pattern)
	}
	if len(s.Enum) > 0 {
		parts = append(parts, "one of "+strings.Join(s.Enum, ", "))
	}
	return strings.Join(parts, "; ")
}

// maxExample bounds how deep examples nest.
const maxExample = 3

// example makes up a value for the example of a request.
func (d *document) example(s schema, depth int) any {
	if s.Ref != "" {
		if depth >= maxExample {
			return map[string]any{}
		}
		return d.example(d.Components.Schemas[s.name()], depth+1)
	}
	switch s.Type {
	case "object":
		result := make(map[string]any, len(s.Properties))
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			property := s.Properties[name]
			if strings.HasPrefix(property.Description, "UUID. Output only") || strings.Contains(property.Description, "Output only.") || name == "etag" {
				continue
			}
			if depth > 1 && !slices.Contains(s.Required, name) && len(s.Properties) > 6 { // an example, not a catalog
				continue
			}
			result[name] = d.example(property, depth)
		}
		return result
	case "array":
		if s.Items == nil {
			return []any{}
		}
		return []any{d.example(*s.Items, depth)}
	default:
		return s.sample()
	}
}

// sample makes up a value of a simple type.
func (s schema) sample() any {
	if len(s.Enum) > 0 {
		return s.Enum[len(s.Enum)-1] // the first is often "unspecified"
	}
	switch s.Type {
	case "integer":
		return 1
	case "number":
		return 1.5
	case "boolean":
		return true
	}
	switch s.Format {
	case "uuid":
		return "0198c1de-7b1a-7000-8000-000000000001"
	case "email":
		return "ada@example.com"
	case "date-time":
		return "2025-01-15T10:00:00Z"
	case "int64", "uint64":
		return "1999"
	case "password":
		return "••••••••"
	default:
		return "text"
	}
}

// curl spells an example request as a command.
func (d *document) curl(method, path string, op operation, bearer bool) string {
	var out strings.Builder
	fmt.Fprintf(&out, "curl -X %s \"$SHOP%s\"", method, strings.NewReplacer("{", "$", "}", "").Replace(path))
	if bearer {
		out.WriteString(" \\\n  -H \"Authorization: Bearer $TOKEN\"")
	}
	if op.Body == nil {
		return out.String()
	}
	media, ok := op.Body.Content["application/json"]
	if !ok {
		return out.String() + " \\\n  --data-binary @file"
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("  ", "  ")
	if err := encoder.Encode(d.example(media.Schema, 1)); err != nil {
		return out.String()
	}
	fmt.Fprintf(&out, " \\\n  -H \"Content-Type: application/json\" \\\n  -d '%s'", strings.TrimSpace(strings.ReplaceAll(body.String(), "'", `'\''`)))
	return out.String()
}
