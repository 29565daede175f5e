// Package template renders mails. Each template is a folder of versions: a
// mail keeps the version it was queued with, so a new text never changes what
// a half-sent queue says.
package template

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
)

//go:embed files
var files embed.FS

const (
	subjectFile = "subject.txt"
	textFile    = "body.txt"
	htmlFile    = "body.html"
	layoutFile  = "files/layout.html"
	// maxSubject bounds a subject in characters; mail programs cut longer ones.
	maxSubject = 200
)

// Set is every template in every version. It is safe for concurrent use.
type Set struct {
	versions map[string]map[int]*texts
	latest   map[string]int
}

// texts is one version of one template.
type texts struct {
	subject, text *texttemplate.Template
	html          *htmltemplate.Template
}

// Load parses the embedded templates.
func Load() (*Set, error) { return load(files) }

func load(source fs.FS) (*Set, error) {
	set := &Set{versions: make(map[string]map[int]*texts), latest: make(map[string]int)}
	folders, err := fs.Glob(source, "files/*/v*")
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		name := path.Base(path.Dir(folder))
		version, err := strconv.Atoi(strings.TrimPrefix(path.Base(folder), "v"))
		if err != nil || version < 1 {
			return nil, fmt.Errorf("template %s: %s is not a version", name, path.Base(folder))
		}
		parsed, err := parse(source, folder)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		if set.versions[name] == nil {
			set.versions[name] = make(map[int]*texts)
		}
		set.versions[name][version] = parsed
		set.latest[name] = max(set.latest[name], version)
	}
	if len(set.latest) == 0 {
		return nil, errors.New("there are no templates")
	}
	return set, nil
}

// lines splits a parameter that lists things, one a line.
var functions = map[string]any{"lines": func(text string) []string {
	return strings.Split(strings.TrimRight(text, "\n"), "\n")
}}

func parse(source fs.FS, folder string) (*texts, error) {
	read := func(name string) (string, error) {
		content, err := fs.ReadFile(source, path.Join(folder, name))
		return string(content), err
	}
	subject, err := read(subjectFile)
	if err != nil {
		return nil, err
	}
	text, err := read(textFile)
	if err != nil {
		return nil, err
	}
	t := &texts{}
	if t.subject, err = texttemplate.New(subjectFile).Option("missingkey=error").Parse(strings.TrimSpace(subject)); err != nil {
		return nil, err
	}
	if t.text, err = texttemplate.New(textFile).Option("missingkey=error").Funcs(functions).Parse(text); err != nil {
		return nil, err
	}
	t.html, err = htmltemplate.New(path.Base(layoutFile)).Option("missingkey=error").Funcs(functions).
		ParseFS(source, layoutFile, path.Join(folder, htmlFile))
	return t, err
}

// Names lists the templates.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.latest)) }

// Latest returns the newest version of a template; false means there is none with the name.
func (s *Set) Latest(name string) (int, bool) {
	version, ok := s.latest[name]
	return version, ok
}

// Render fills in a template. A missing parameter is an error that names it. The
// subject comes out as one line whatever the parameters hold, so that no
// parameter can add a header to a mail.
func (s *Set) Render(name string, version int, params map[string]string) (subject, text, html string, err error) {
	t, ok := s.versions[name][version]
	if !ok {
		return "", "", "", fmt.Errorf("template %s has no version %d", name, version)
	}
	var subjectOut, textOut, htmlOut bytes.Buffer
	if err := t.subject.Execute(&subjectOut, params); err != nil {
		return "", "", "", missing(err)
	}
	if err := t.text.Execute(&textOut, params); err != nil {
		return "", "", "", missing(err)
	}
	if err := t.html.Execute(&htmlOut, params); err != nil {
		return "", "", "", missing(err)
	}
	return oneLine(subjectOut.String()), strings.TrimSpace(textOut.String()) + "\n", htmlOut.String(), nil
}

// missing keeps of a template error what helps: the parameter's name, never a value.
func missing(err error) error {
	if _, name, ok := strings.Cut(err.Error(), "map has no entry for key "); ok {
		return fmt.Errorf("the parameter %s is missing", name)
	}
	return errors.New("the template cannot be filled in")
}

func oneLine(text string) string {
	line := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), " ")
	if runes := []rune(line); len(runes) > maxSubject {
		line = string(runes[:maxSubject])
	}
	return strings.ToValidUTF8(line, "")
}
