package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other.md")
	if err := os.WriteFile(other, []byte("# One & two\n```\n# not a heading\n```\n## Three\n## Three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "a.md")
	text := "# Here\n" +
		"[ok](other.md) [ok](other.md#one--two) [ok](#here) [ok](https://example.com/x) [ok](other.md#three-1) [ok](.)\n" +
		"```\n[in code](nowhere.md)\n```\n" +
		"[bad](nowhere.md) [bad](other.md#not-a-heading) [bad](#there)\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := checkLinks(file, text)
	want := []string{
		file + ": link nowhere.md leads nowhere",
		file + ": " + other + " has no heading #not-a-heading",
		file + ": " + file + " has no heading #there",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckTargets(t *testing.T) {
	t.Parallel()
	text := "Run `make up` and `make nothing`; people make errors.\n\n    $ make test\n    make gone\n"
	got := checkTargets("a.md", text, []string{"up", "test"})
	want := []string{"a.md: there is no `make nothing`", "a.md: there is no `make gone`"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
