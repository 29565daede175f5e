package rest

import (
	"fmt"
	"regexp"
	"strings"
)

// maxSegments bounds how many segments a path may have.
const maxSegments = 16

var (
	literalSegment = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	fieldPath      = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
)

// template is a parsed path of google.api.http. Variables span one segment:
// the contract needs no more, and a matcher without wildcards over several
// segments has no ambiguities.
type template struct {
	segments  []string // a literal, or "" for a variable
	variables []string // field paths in order
	verb      string
}

func parseTemplate(text string) (template, error) {
	var result template
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return result, fmt.Errorf("path %q does not start with a slash", text)
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') && colon > strings.LastIndexByte(rest, '}') {
		rest, result.verb = rest[:colon], rest[colon+1:]
		if !literalSegment.MatchString(result.verb) {
			return result, fmt.Errorf("path %q: bad verb %q", text, result.verb)
		}
	}
	for segment := range strings.SplitSeq(rest, "/") {
		variable, isVariable := strings.CutPrefix(segment, "{")
		if !isVariable {
			if !literalSegment.MatchString(segment) {
				return result, fmt.Errorf("path %q: bad segment %q", text, segment)
			}
			result.segments = append(result.segments, segment)
			continue
		}
		variable, closed := strings.CutSuffix(variable, "}")
		variable = strings.TrimSuffix(variable, "=*")
		if !closed || !fieldPath.MatchString(variable) {
			return result, fmt.Errorf("path %q: unsupported variable %q", text, segment)
		}
		result.segments = append(result.segments, "")
		result.variables = append(result.variables, variable)
	}
	if len(result.segments) > maxSegments {
		return result, fmt.Errorf("path %q has more than %d segments", text, maxSegments)
	}
	return result, nil
}
