package exchange

import (
	"html"
	"maps"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
)

// Elements that start a new line in plain text.
var blocks = map[string]bool{
	"p": true, "div": true, "br": true, "li": true, "ul": true, "ol": true, "table": true, "tr": true, "section": true,
	"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true,
}

// plainText takes the text out of a description in HTML; text without tags stays
// as it is. Scripts and styles are dropped: what we keep is text, whoever shows it.
func plainText(text string) string {
	if !strings.ContainsAny(text, "<&") {
		return strings.TrimSpace(text)
	}
	var b strings.Builder
	tokens := nethtml.NewTokenizer(strings.NewReader(text))
	hidden := 0
	for {
		switch kind := tokens.Next(); kind {
		case nethtml.ErrorToken:
			return tidy(b.String())
		case nethtml.TextToken:
			if hidden == 0 {
				b.WriteString(html.UnescapeString(string(tokens.Raw())))
			}
		case nethtml.StartTagToken, nethtml.EndTagToken, nethtml.SelfClosingTagToken:
			raw, _ := tokens.TagName()
			name := string(raw)
			if name == "script" || name == "style" {
				if kind == nethtml.StartTagToken {
					hidden++
				} else if hidden > 0 {
					hidden--
				}
			}
			if blocks[name] && (kind != nethtml.EndTagToken || name != "br") {
				b.WriteByte('\n')
			}
		case nethtml.CommentToken, nethtml.DoctypeToken:
			// Nobody reads them.
		}
	}
}

// tidy trims lines and keeps at most one empty line between paragraphs.
func tidy(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// htmlText writes plain text so that plainText gives it back.
func htmlText(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>")
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
