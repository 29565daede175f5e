package pgtest

import (
	"testing"

	"entgo.io/ent/dialect/sql/schema"

	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/postgres/drift"
)

// AssertSchemaMatches fails the test when the migrations behind db and the tables that Ent generated (its package
// migrate's Tables) describe different schemas, and prints the statements that are missing. Package drift says what
// migrations may have beyond Ent.
func AssertSchemaMatches(t testing.TB, db *postgres.DB, tables []*schema.Table) {
	t.Helper()
	of := Of(t, db)
	scratch := NewDatabase(t, of.schemas...)
	migrated, err := postgres.OpenOwner(of.AdminURL(), db.Schema())
	if err != nil {
		t.Fatal(err)
	}
	defer migrated.Close()
	empty, err := postgres.OpenOwner(scratch.AdminURL(), db.Schema())
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	plan, err := drift.Plan(t.Context(), migrated, empty, db.Schema(), tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range plan.Changes {
		t.Errorf("the migrations lack (go run ./hack/migratediff %s <name>): %s", db.Schema(), change.Cmd)
	}
}
