package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newRepository is this repository with one component of the test's own, and the working directory of the test.
func newRepository(t *testing.T) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "internal", "hack"} {
		if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	if err := os.MkdirAll("ent/pottery/migrate", 0o755); err != nil {
		t.Fatal(err)
	}
	writeTables(t, "")
}

// writeTables writes what Ent would generate for a mug.
func writeTables(t *testing.T, column string) {
	t.Helper()
	source := `package migrate

import (
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
)

var columns = []*schema.Column{{Name: "id", Type: field.TypeUUID}, {Name: "name", Type: field.TypeString}, ` + column + `}

var Tables = []*schema.Table{{Name: "mug", Columns: columns, PrimaryKey: columns[:1]}}
`
	if err := os.WriteFile("ent/pottery/migrate/schema.go", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAComponentFromItsFirstMigrationOn(t *testing.T) {
	newRepository(t)
	migrations := filepath.Join("ent", "pottery", "migrations")
	if err := run(t.Context(), []string{"--check", "pottery"}); err == nil {
		t.Error("a component without migrations passes the check")
	}
	if err := run(t.Context(), []string{"pottery", "mugs"}); err != nil {
		t.Fatal(err)
	}
	first := read(t, filepath.Join(migrations, "00001_mugs.sql"))
	for _, want := range []string{"-- +goose Up\n", `CREATE TABLE "mug"`, "-- +goose Down\n", `DROP TABLE "mug"`} {
		if !strings.Contains(first, want) {
			t.Errorf("the first migration lacks %q:\n%s", want, first)
		}
	}
	if source := read(t, filepath.Join(migrations, "migrations.go")); !strings.Contains(source, "//go:embed *.sql") {
		t.Errorf("migrations.go embeds nothing: %s", source)
	}
	if err := run(t.Context(), []string{"--check", "pottery"}); err != nil {
		t.Errorf("after the first migration: %v", err)
	}

	writeTables(t, `{Name: "size", Type: field.TypeInt, Default: 1},`)
	if err := run(t.Context(), []string{"--check", "pottery"}); err == nil {
		t.Error("a new column passes the check")
	}
	if err := run(t.Context(), []string{"pottery", "size"}); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(migrations, "00002_size.sql")
	if text := read(t, second); !strings.Contains(text, `ADD COLUMN "size"`) || !strings.Contains(text, `DROP COLUMN "size"`) {
		t.Errorf("the second migration is\n%s", text)
	}

	// A migration changed by hand is noticed, and accepted when one says so.
	if err := os.WriteFile(second, append([]byte("-- Sizes come in steps.\n"), read(t, second)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"pottery", "more"}); err == nil || !strings.Contains(err.Error(), "00002_size.sql was changed") {
		t.Errorf("after a change by hand: %v", err)
	}
	if err := run(t.Context(), []string{"--hash", "pottery"}); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"--check"}); err != nil && !strings.Contains(err.Error(), "pottery") {
		t.Errorf("after --hash: %v", err)
	}
	if err := run(t.Context(), []string{"pottery", "nothing"}); err != nil {
		t.Errorf("with nothing to do: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(migrations, "*.sql")); len(files) != 2 {
		t.Errorf("migrations %v, want two", files)
	}
}

func TestUsage(t *testing.T) {
	newRepository(t)
	for _, args := range [][]string{
		{}, {"pottery"}, {"pottery", "Add Note"}, {"--hash"}, {"--unknown"}, {"pottery", "a", "b"}, {"--check", "../x"}, {"nobody", "x"},
	} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	if left, _ := filepath.Glob("ent/*/migrations"); len(left) != 0 {
		t.Errorf("refused commands made %v", left)
	}
}

func TestVerifySum(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "order", "migrations")
	if err := verifySum(dir); err == nil {
		t.Error("a folder that does not exist passes")
	}
	if err := prepareFolder(dir, "order"); err != nil {
		t.Fatal(err)
	}
	if err := verifySum(dir); err != nil {
		t.Errorf("no migrations: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00001_a.sql"), []byte("-- +goose Up\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verifySum(dir); err == nil || !strings.Contains(err.Error(), "--hash order") {
		t.Errorf("without a sum: %v", err)
	}
	if err := errors.Join(writeSum(dir), verifySum(dir)); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "00001_a.sql")); err != nil {
		t.Fatal(err)
	}
	if err := verifySum(dir); err == nil {
		t.Error("a removed migration passes")
	}
}
