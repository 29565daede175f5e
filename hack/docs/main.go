// Docs checks the Markdown files: every relative link leads to a file, every
// anchor to a heading, and every `make target` they name exists.
//
//	go run ./hack/docs
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*#*$`)
	fence    = regexp.MustCompile("(?ms)^```.*?^```[ \t]*$")
	makeCall = regexp.MustCompile("(?m)(?:`|^\\s*(?:\\$ )?)make ([a-z][a-z0-9-]*)")
	target   = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

func main() {
	problems, count, err := check()
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("Links and make targets of %d documents are right.\n", count)
}

func check() ([]string, int, error) {
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md").Output()
	if err != nil {
		return nil, 0, fmt.Errorf("git ls-files: %w", err)
	}
	targets, err := makeTargets()
	if err != nil {
		return nil, 0, err
	}
	var problems []string
	files := strings.Fields(string(out))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, fmt.Errorf("read: %w", err)
		}
		problems = append(problems, checkLinks(file, string(text))...)
		problems = append(problems, checkTargets(file, string(text), targets)...)
	}
	return problems, len(files), nil
}

func makeTargets() ([]string, error) {
	var targets []string
	files, err := filepath.Glob("hack/*/*.mk")
	if err != nil {
		return nil, fmt.Errorf("find make files: %w", err)
	}
	for _, file := range append(files, "Makefile") {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		for _, match := range target.FindAllStringSubmatch(string(text), -1) {
			targets = append(targets, match[1])
		}
	}
	return targets, nil
}

func checkTargets(file, text string, targets []string) []string {
	var problems []string
	for _, match := range makeCall.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(targets, match[1]) {
			problems = append(problems, fmt.Sprintf("%s: there is no `make %s`", file, match[1]))
		}
	}
	return problems
}

// checkLinks follows links inside the repository; what lies outside is not ours to test.
func checkLinks(file, text string) []string {
	var problems []string
	for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		destination := match[1]
		if strings.Contains(destination, "://") || strings.HasPrefix(destination, "mailto:") {
			continue
		}
		name, anchor, _ := strings.Cut(destination, "#")
		aim := file
		if name != "" {
			aim = filepath.Join(filepath.Dir(file), name)
		}
		content, err := os.ReadFile(aim)
		if err != nil {
			if info, statErr := os.Stat(aim); statErr != nil || !info.IsDir() {
				problems = append(problems, fmt.Sprintf("%s: link %s leads nowhere", file, destination))
			}
			continue
		}
		if anchor != "" && filepath.Ext(aim) == ".md" && !slices.Contains(anchors(string(content)), anchor) {
			problems = append(problems, fmt.Sprintf("%s: %s has no heading #%s", file, aim, anchor))
		}
	}
	return problems
}

// anchors lists the ids that Markdown viewers give to headings: lower case,
// punctuation dropped, spaces to hyphens, repeated ones numbered.
func anchors(text string) []string {
	var ids []string
	seen := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		id := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, match[1])
		n := seen[id]
		seen[id]++
		if n > 0 {
			id = fmt.Sprintf("%s-%d", id, n)
		}
		ids = append(ids, id)
	}
	return ids
}
