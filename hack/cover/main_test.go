package main

import (
	"strings"
	"testing"
)

func TestSumMergesBinariesAndDropsGenerated(t *testing.T) {
	t.Parallel()
	blocks, err := parse(strings.NewReader(`mode: set
` + module + `/internal/a/a.go:1.1,2.2 3 0
` + module + `/internal/a/a.go:1.1,2.2 3 1
` + module + `/internal/a/a.go:4.1,5.2 1 0
` + module + `/internal/a/a_templ.go:1.1,2.2 100 0
` + module + `/internal/b/b.go:1.1,2.2 6 1
`))
	if err != nil {
		t.Fatal(err)
	}
	packages, total := sum(blocks, func(file string) bool { return !strings.HasSuffix(file, "_templ.go") })
	if got, want := packages["internal/a"], (count{covered: 3, total: 4}); got != want {
		t.Errorf("internal/a = %+v, want %+v", got, want)
	}
	if got, want := total, (count{covered: 9, total: 10}); got != want {
		t.Errorf("total = %+v, want %+v", got, want)
	}
	var out strings.Builder
	report(&out, packages, total, 90)
	if !strings.Contains(out.String(), "75.0 %") || strings.Contains(out.String(), "internal/b") ||
		!strings.Contains(out.String(), "90.0 % of 10 statements") {
		t.Errorf("report:\n%s", out.String())
	}
}

func TestParseRefusesDamage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"a.go:1.1,2.2 3", "a.go:1.1,2.2 x 1"} {
		if _, err := parse(strings.NewReader(line)); err == nil {
			t.Errorf("parse(%q) succeeded", line)
		}
	}
}

func TestHandWritten(t *testing.T) {
	t.Parallel()
	if !handWritten("main.go") {
		t.Error("main.go is written by a person")
	}
	if handWritten("../../api/gen/commerce/access/v1/access.pb.go") {
		t.Error("access.pb.go is generated")
	}
}
