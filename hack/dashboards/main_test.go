package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCommittedDashboardsAreCurrent is what make check-generate checks, in the tests too.
func TestCommittedDashboardsAreCurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := generate(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"platform.json", "operator.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../..", outDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date, run make generate-dashboards (-want +got):\n%s", name, diff)
		}
	}
}

func TestGenerateNeedsAFolder(t *testing.T) {
	t.Parallel()
	if err := generate(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("it wrote into a folder that is not there")
	}
}

// TestPanels holds what is data to what Grafana needs of it.
func TestPanels(t *testing.T) {
	t.Parallel()
	for _, b := range []board{platform(), operator()} {
		titles := make(map[string]bool)
		for _, r := range b.rows {
			columns := uint32(0)
			for _, p := range r.panels {
				where := b.title + ", " + r.title + ", " + p.title
				width := p.width
				if width == 0 {
					width = thirdWidth
				}
				if columns += width; width > 24 {
					t.Errorf("%s is %d columns wide", where, width)
				}
				if titles[r.title+p.title] {
					t.Errorf("%s is there twice", where)
				}
				titles[r.title+p.title] = true
				if p.title == "" || len(p.queries) == 0 || len(p.queries) > 26 {
					t.Errorf("%s has %d queries", where, len(p.queries))
				}
				checkQueries(t, where, p)
			}
		}
	}
}

func checkQueries(t *testing.T, where string, p panel) {
	t.Helper()
	for _, q := range p.queries {
		if strings.Contains(q.expr, "SELECTOR") || q.expr == "" {
			t.Errorf("%s: the query is unfinished: %s", where, q.expr)
		}
		if p.kind == table && (q.unit == "" || q.legend == "") || p.kind != table && p.unit == "" {
			t.Errorf("%s: a figure has no unit or no name", where)
		}
	}
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		panel panel
		want  string
	}{
		"none":          {panel{}, `green`},
		"high is bad":   {panel{bad: 2}, `green red>2`},
		"and a warning": {panel{warn: 1, bad: 2}, `green orange>1 red>2`},
		"low is bad":    {panel{bad: .8, low: true}, `red green>0.8`},
		"both":          {panel{warn: .9, bad: .8, low: true}, `red orange>0.8 green>0.9`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built, err := thresholds(c.panel).Build()
			if err != nil {
				t.Fatal(err)
			}
			var parts []string
			for _, step := range built.Steps {
				part := step.Color
				if step.Value != nil {
					text, err := json.Marshal(*step.Value)
					if err != nil {
						t.Fatal(err)
					}
					part += ">" + string(text)
				}
				parts = append(parts, part)
			}
			if got := strings.Join(parts, " "); got != c.want {
				t.Errorf("thresholds are %s, want %s", got, c.want)
			}
		})
	}
}
