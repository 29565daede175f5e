package openapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

var page = template.Must(template.New("page").Parse(pageText))

// pageData is what the template shows.
type pageData struct {
	Title, Description, Version string
	Style                       template.CSS
	Groups                      []group
	Schemas                     []shownSchema
}

type group struct {
	Name, Description string
	Methods           []method
}

type method struct {
	ID, Verb, Path, Summary, Description string
	Access                               string
	Parameters                           []row
	Body                                 []row
	BodyKind, BodyTarget                 string
	Answer, AnswerTarget                 string
	Curl                                 string
}

type row struct {
	Name, In, Kind, Target, Description, Limits string
	Required                                    bool
}

type shownSchema struct {
	Name, Short, Description, Limits string
	Rows                             []row
}

// render writes the page of a document.
func render(d *document) ([]byte, error) {
	data := pageData{Title: d.Info.Title, Description: d.Info.Description, Version: d.Info.Version, Style: template.CSS(styleText)} //nolint:gosec // our own file
	for _, t := range d.Tags {
		if methods := d.methods(t.Name); len(methods) > 0 {
			data.Groups = append(data.Groups, group{Name: t.Name, Description: t.Description, Methods: methods})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		data.Schemas = append(data.Schemas, shownSchema{Name: name, Short: shortName(name), Description: s.Description, Limits: s.limits(), Rows: rows(s)})
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("openapi page: %w", err)
	}
	return out.Bytes(), nil
}

// verbs orders the methods of one path.
var verbs = []string{"get", "post", "put", "patch", "delete"}

func (d *document) methods(tagName string) []method {
	var result []method
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, verb := range verbs {
			op, ok := d.Paths[path][verb]
			if !ok || !slices.Contains(op.Tags, tagName) {
				continue
			}
			result = append(result, d.method(strings.ToUpper(verb), path, op))
		}
	}
	return result
}

func (d *document) method(verb, path string, op operation) method {
	access, bearer := op.access()
	m := method{ID: op.ID, Verb: verb, Path: path, Summary: op.Summary, Description: op.Description, Access: access, Curl: d.curl(verb, path, op, bearer)}
	for _, p := range op.Parameters {
		m.Parameters = append(m.Parameters, row{
			Name: p.Name, In: p.In, Kind: p.Schema.kind(), Target: p.Schema.target(), Description: p.Description, Limits: p.Schema.limits(), Required: p.Required,
		})
	}
	if op.Body != nil {
		if media, ok := op.Body.Content["application/json"]; ok {
			m.BodyKind, m.BodyTarget, m.Body = media.Schema.kind(), media.Schema.target(), rows(media.Schema)
		} else {
			m.BodyKind = "bytes"
		}
	}
	for _, media := range op.Responses["200"].Content {
		m.Answer, m.AnswerTarget = media.Schema.kind(), media.Schema.target()
	}
	return m
}

// access says in words who may call, and whether a token is part of the example.
func (op operation) access() (text string, bearer bool) {
	optional := len(op.Security) == 0
	for _, way := range op.Security {
		optional = optional || len(way) == 0
	}
	switch {
	case optional:
		return "anybody", false
	case op.Permission != "":
		return "needs " + op.Permission, true
	default:
		return "needs a token", true
	}
}

func rows(s schema) []row {
	var result []row
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		result = append(result, row{Name: name, Kind: p.kind(), Target: p.target(), Description: p.Description, Limits: p.limits(), Required: slices.Contains(s.Required, name)})
	}
	return result
}
