package pgtest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	"github.com/commercestack/commercestack/internal/pgtest"
)

// recorder is a test that fails without failing the test around it.
type recorder struct {
	testing.TB

	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// Fatalf ends the goroutine, as a test's does.
func (r *recorder) Fatalf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// failures answers what body's test complained of.
func failures(t *testing.T, body func(t testing.TB)) string {
	t.Helper()
	inner := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(inner)
	}()
	<-done
	return strings.Join(inner.errors, "\n")
}

// Nothing is skipped: what cannot be prepared fails the test.
func TestFailuresFailTheTest(t *testing.T) {
	t.Parallel()
	broken := fstest.MapFS{"00001_mug.sql": {Data: []byte("-- +goose Up\nSELEC;\n")}}
	for name, test := range map[string]struct {
		body func(t testing.TB)
		want string
	}{
		"broken migration": {func(t testing.TB) { pgtest.New(t, "order", broken) }, "00001_mug.sql"},
		"again":            {func(t testing.TB) { pgtest.New(t, "order", broken) }, "00001_mug.sql"},
		"unreadable":       {func(t testing.TB) { pgtest.New(t, "order", os.DirFS("no/such/folder")) }, "migrations of order"},
		"component name":   {func(t testing.TB) { pgtest.New(t, "Order", nil) }, "is not of the form"},
		"other component":  {func(t testing.TB) { pgtest.NewDatabase(t).DB(t, "absent") }, "open test database"},
		"foreign DB":       {func(t testing.TB) { pgtest.Of(t, nil) }, "not opened by this package"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := failures(t, test.body); !strings.Contains(got, test.want) {
				t.Errorf("complaint %q, want %q", got, test.want)
			}
		})
	}
}

func TestAssertSchemaMatches(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", fstest.MapFS{"00001_mug.sql": {Data: []byte("-- +goose Up\nCREATE TABLE mug (id uuid PRIMARY KEY);\n")}})
	id := &schema.Column{Name: "id", Type: field.TypeUUID}
	mug := &schema.Table{Name: "mug", Columns: []*schema.Column{id}, PrimaryKey: []*schema.Column{id}}
	pgtest.AssertSchemaMatches(t, db, []*schema.Table{mug})

	mug.Columns = append(mug.Columns, &schema.Column{Name: "size", Type: field.TypeInt})
	inner := &recorder{TB: t}
	pgtest.AssertSchemaMatches(inner, db, []*schema.Table{mug})
	if len(inner.errors) != 1 || !strings.Contains(inner.errors[0], `ADD COLUMN "size"`) {
		t.Errorf("a missing column gives %q", inner.errors)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order"}, pgtest.Schema{Component: "bus", Plain: true})
	db := database.DB(t, "order")
	if pgtest.Of(t, db) != database || pgtest.URLFor(t, db, "bus") != database.URL("bus") {
		t.Error("the DB's database is another one")
	}
	bus := database.DB(t, "bus")
	var tables int
	err := bus.Pool().QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'bus' AND tablename NOT LIKE 'goose%'").Scan(&tables)
	if err != nil || tables != 0 {
		t.Errorf("a plain schema has %d tables (%v)", tables, err)
	}
	if pgtest.AdminURL(t) == database.AdminURL() {
		t.Error("the maintenance database is a test's")
	}
}
