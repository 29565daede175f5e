package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
)

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := run(t.Context(), "order", ""); err == nil || !strings.Contains(err.Error(), "no tables") {
		t.Errorf("without tables: %v", err)
	}
	id := &schema.Column{Name: "id", Type: field.TypeUUID}
	tables = []*schema.Table{{Name: "mug", Columns: []*schema.Column{id}, PrimaryKey: []*schema.Column{id}}}
	t.Cleanup(func() { tables = nil })
	dir := filepath.Join("ent", "order", "migrations")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), "order", ""); err == nil || !strings.Contains(err.Error(), `CREATE TABLE "mug"`) {
		t.Errorf("a missing table gives %v", err)
	}
	if err := run(t.Context(), "order", "mugs"); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), "order", ""); err != nil {
		t.Errorf("after the migration: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00002_broken.sql"), []byte("-- +goose Up\nSELEC;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), "order", ""); err == nil || !strings.Contains(err.Error(), "00002_broken.sql") {
		t.Errorf("a broken migration gives %v", err)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, step := range []struct {
		file string
		want int
	}{{"", 1}, {"00001_a.sql", 2}, {"00009_b.sql", 10}, {"20260101120000_c.sql", 20260101120001}} {
		if step.file != "" {
			if err := os.WriteFile(filepath.Join(dir, step.file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := next(dir); err != nil || got != step.want {
			t.Errorf("after %q: %d (%v), want %d", step.file, got, err, step.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "note.sql"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := next(dir); err == nil {
		t.Error("a migration without a number is accepted")
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	plan := &migrate.Plan{Changes: []*migrate.Change{
		{Cmd: "A", Comment: "make a", Reverse: "drop A"},
		{Cmd: "B", Reverse: []string{"drop B1", "drop B2"}},
	}}
	got, err := render(plan)
	const want = "-- +goose Up\n-- make a\nA;\nB;\n\n-- +goose Down\ndrop B1;\ndrop B2;\ndrop A;\n"
	if err != nil || string(got) != want {
		t.Errorf("rendered %q (%v), want %q", got, err, want)
	}
	plan.Changes[0].Reverse = 7
	if _, err := render(plan); err == nil {
		t.Error("a reverse of an unknown kind is accepted")
	}
}
