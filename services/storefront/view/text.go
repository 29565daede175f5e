package view

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// initial stands in for a missing picture.
func initial(name string) string {
	first, _ := utf8.DecodeRuneInString(strings.TrimSpace(name))
	if first == utf8.RuneError {
		return "·"
	}
	return string(unicode.ToUpper(first))
}

// paragraphs splits plain text at empty lines.
func paragraphs(text string) []string {
	var found []string
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			found = append(found, part)
		}
	}
	return found
}

type attribute struct{ name, value string }

// attributes are in the order of their names, with a capital letter.
func attributes(values map[string]string) []attribute {
	list := make([]attribute, 0, len(values))
	for name, value := range values {
		list = append(list, attribute{name: initial(name) + name[min(1, len(name)):], value: value})
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return list
}

func shortage(available int32) string {
	if available <= 0 {
		return "Sold out at the moment."
	}
	return "Only " + number(available) + " left: lower the quantity."
}
