package template

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

// params are every parameter of every template, with what must be escaped in them.
func params() map[string]string {
	return map[string]string{
		"shop": "Ada & Sons", "shop_url": "https://shop.example", "name": `Ada <b>"Love"</b>`, "link": "https://shop.example/verify-email?token=abc&x=1",
		"number": "2026-000123", "lines": "2 × Shirt <blue> (€39.98)\n1 × Mug & plate (€7.50)\n", "subtotal": "€47.48", "discount": "€0.00",
		"shipping": "€4.90", "tax": "€9.02", "total": "€61.40", "amount": "€61.40", "reason": "the card was <declined>", "refund": "yes",
		"next_attempt": "2 March 2026", "tracking_number": "T-1 & 2",
	}
}

func load1(t testing.TB) *Set {
	t.Helper()
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestGolden(t *testing.T) {
	t.Parallel()
	set := load1(t)
	if names := fmt.Sprint(set.Names()); names != "[account_exists email_verification order_cancelled order_confirmed order_shipped password_reset payment_failed payment_refunded welcome]" {
		t.Errorf("templates %s", names)
	}
	for _, name := range set.Names() {
		for form, given := range map[string]map[string]string{"full": params(), "bare": bare()} {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				version, ok := set.Latest(name)
				if !ok {
					t.Fatal("no version")
				}
				subject, text, html, err := set.Render(name, version, given)
				if err != nil {
					t.Fatal(err)
				}
				got := "Subject: " + subject + "\n\n" + text + "\n--- html ---\n" + html
				path := filepath.Join("testdata", fmt.Sprintf("%s.v%d.%s.golden", name, version, form))
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil || got != string(want) {
					t.Errorf("%s differs (%v); run with -update and look at the change:\n%s", path, err, got)
				}
			})
		}
	}
}

// bare leaves out what may be empty.
func bare() map[string]string {
	given := params()
	for _, name := range []string{"name", "reason", "refund", "next_attempt", "tracking_number"} {
		given[name] = ""
	}
	return given
}

func TestAMissingParameterIsNamed(t *testing.T) {
	t.Parallel()
	set := load1(t)
	for _, name := range set.Names() {
		needed := 0
		for missing := range params() {
			given := params()
			delete(given, missing)
			_, _, _, err := set.Render(name, 1, given)
			if err == nil {
				continue
			}
			needed++
			if err.Error() != fmt.Sprintf("the parameter %q is missing", missing) {
				t.Errorf("%s without %s: %v", name, missing, err)
			}
		}
		if needed < 2 {
			t.Errorf("%s needs %d parameters only: missing ones pass as \"<no value>\"", name, needed)
		}
	}
	if _, _, _, err := set.Render("welcome", 2, params()); err == nil || !strings.Contains(err.Error(), "no version 2") {
		t.Errorf("a version that is not: %v", err)
	}
	if _, ok := set.Latest("newsletter"); ok {
		t.Error("a template that is not")
	}
}

func TestParametersAddNoHeaderAndNoMarkup(t *testing.T) {
	t.Parallel()
	set := load1(t)
	evil := params()
	for name := range evil {
		evil[name] = "x\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>\u2028\x00" + strings.Repeat("y", 300)
	}
	evil["link"] = "javascript:alert(1)"
	for _, name := range set.Names() {
		subject, _, html, err := set.Render(name, 1, evil)
		if err != nil {
			t.Fatal(err)
		}
		assertSafe(t, subject, html)
		if strings.Contains(html, `href="javascript:`) {
			t.Errorf("%s links to a script", name)
		}
	}
}

func assertSafe(t testing.TB, subject, html string) {
	t.Helper()
	if strings.ContainsAny(subject, "\r\n\x00\u2028\u2029") || utf8.RuneCountInString(subject) > maxSubject || !utf8.ValidString(subject) {
		t.Errorf("subject %q", subject)
	}
	if strings.Contains(strings.ToLower(html), "<script") || !strings.HasSuffix(strings.TrimSpace(html), "</html>") {
		t.Errorf("html %s", html)
	}
}

// FuzzRender: no parameter breaks out of the subject or the page.
func FuzzRender(f *testing.F) {
	set := load1(f)
	for _, seed := range []string{"Ada", "a\r\nBcc: b@example.com", "<script>", "{{.shop}}", "\xff\xfe", "</td></table><script>alert(1)</script>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		given := params()
		for _, name := range []string{"shop", "name", "number", "reason", "lines", "amount", "tracking_number"} {
			given[name] = value
		}
		for _, name := range set.Names() {
			subject, text, html, err := set.Render(name, 1, given)
			if err != nil {
				t.Fatal(err)
			}
			assertSafe(t, subject, html)
			if !strings.HasSuffix(text, "\n") {
				t.Errorf("text %q", text)
			}
		}
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	whole := func() fstest.MapFS {
		return fstest.MapFS{
			"files/layout.html": file(`<html>{{template "content" .}}</html>`), "files/a/v1/subject.txt": file("a"), "files/a/v1/body.txt": file("a"),
			"files/a/v1/body.html": file(`{{define "content"}}a{{end}}`), "files/a/v12/subject.txt": file("b"), "files/a/v12/body.txt": file("b"),
			"files/a/v12/body.html": file(`{{define "content"}}b{{end}}`),
		}
	}
	set, err := load(whole())
	if err != nil {
		t.Fatal(err)
	}
	if version, ok := set.Latest("a"); !ok || version != 12 {
		t.Errorf("the newest is %d", version)
	}
	if subject, _, _, err := set.Render("a", 1, nil); err != nil || subject != "a" {
		t.Errorf("an old version says %q (%v)", subject, err)
	}
	for name, change := range map[string]func(fstest.MapFS){
		"is not a version": func(m fstest.MapFS) { m["files/a/vx/subject.txt"] = file("") },
		"subject.txt":      func(m fstest.MapFS) { delete(m, "files/a/v1/subject.txt") },
		"body.txt":         func(m fstest.MapFS) { delete(m, "files/a/v1/body.txt") },
		"body.html":        func(m fstest.MapFS) { delete(m, "files/a/v1/body.html") },
		"unclosed":         func(m fstest.MapFS) { m["files/a/v1/subject.txt"] = file("{{.a") },
		"unexpected":       func(m fstest.MapFS) { m["files/a/v1/body.txt"] = file("{{end}}") },
	} {
		files := whole()
		change(files)
		if _, err := load(files); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := load(fstest.MapFS{}); err == nil {
		t.Error("no templates at all")
	}
	files := whole()
	files["files/a/v1/subject.txt"] = file(`{{index "abc" 9}}`)
	set, err = load(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := set.Render("a", 1, map[string]string{"secret": "value"}); err == nil || strings.Contains(err.Error(), "value") {
		t.Errorf("%v", err)
	}
}
