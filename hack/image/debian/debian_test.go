package debian

import (
	"slices"
	"testing"
)

func TestParseURIs(t *testing.T) {
	t.Parallel()
	plan := `Reading package lists...
'http://archive.test/pool/s/sed/sed_4.9-1_amd64.deb' sed_4.9-1_amd64.deb 329092 MD5Sum:00
'http://archive.test/pool/a/acl/libacl1_2.3_amd64.deb' libacl1_2.3_amd64.deb 31488 MD5Sum:00
'http://archive.test/pool/a/attr/libattr1_1%3a2.5.1-4_amd64.deb' libattr1_1%3a2.5.1-4_amd64.deb 22164 MD5Sum:00
`
	got := parseURIs(plan)
	want := []uri{
		{name: "libacl1", file: "libacl1_2.3_amd64.deb"},
		{name: "libattr1", file: "libattr1_1%3a2.5.1-4_amd64.deb"},
		{name: "sed", file: "sed_4.9-1_amd64.deb"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("uris = %v, want %v", got, want)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"./bin/sh":                  "usr/bin/sh",
		"./lib":                     "usr/lib",
		"./lib/x86_64-linux-gnu/":   "usr/lib/x86_64-linux-gnu",
		"./lib64/ld-linux.so.2":     "usr/lib64/ld-linux.so.2",
		"./libexec/thing":           "libexec/thing",
		"./usr/bin/psql":            "usr/bin/psql",
		"./usr/lib/postgresql/15/x": "usr/lib/postgresql/15/x",
	} {
		if got := merge(name); got != want {
			t.Errorf("merge(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestOmitted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"usr/share/doc/bash/README":   true,
		"usr/share/doc":               true,
		"usr/share/docs":              false,
		"usr/lib/postgresql/15/lib/a": false,
		"usr/lib/llvm-14/lib/x":       true,
	} {
		if got := omitted(name, []string{"usr/lib/llvm-14/"}); got != want {
			t.Errorf("omitted(%q) = %t", name, got)
		}
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"sed_4.9-1_amd64.deb":                 "sed=4.9-1",
		"libattr1_1%3a2.5.1-4_amd64.deb":      "libattr1=1:2.5.1-4",
		"postgresql-15_15.20-0+deb12u1_a.deb": "postgresql-15=15.20-0+deb12u1",
		"unexpected":                          "unexpected",
	} {
		if got := selector(file); got != want {
			t.Errorf("selector(%q) = %q, want %q", file, got, want)
		}
	}
}
