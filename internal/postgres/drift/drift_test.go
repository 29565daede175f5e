package drift_test

import (
	"database/sql"
	"strings"
	"testing"
	"testing/fstest"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/postgres/drift"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// tables is what Ent would generate for a mug with a unique name, a state and a time.
func tables() []*schema.Table {
	id := &schema.Column{Name: "id", Type: field.TypeUUID}
	name := &schema.Column{Name: "name", Type: field.TypeString, SchemaType: map[string]string{"postgres": "text"}}
	state := &schema.Column{Name: "state", Type: field.TypeString, Default: "NEW", SchemaType: map[string]string{"postgres": "text"}}
	made := &schema.Column{Name: "made", Type: field.TypeTime, Nullable: true}
	mug := &schema.Table{
		Name: "mug", Columns: []*schema.Column{id, name, state, made}, PrimaryKey: []*schema.Column{id},
		Indexes: []*schema.Index{{
			Name: "mug_name", Unique: true, Columns: []*schema.Column{name},
			Annotation: &entsql.IndexAnnotation{Where: "state <> 'GONE'"},
		}},
		Annotation: &entsql.Annotation{Checks: map[string]string{"mug_state": "state IN ('NEW', 'GONE')"}},
	}
	return []*schema.Table{mug}
}

const matching = `-- +goose Up
CREATE TABLE mug (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'NEW',
    made timestamptz,
    CONSTRAINT mug_state CHECK (state = ANY (ARRAY['NEW', 'GONE']))
);
CREATE UNIQUE INDEX mug_name ON mug (name) WHERE state != 'GONE';
`

func plan(t *testing.T, migration string, tables []*schema.Table) (*migrate.Plan, error) {
	t.Helper()
	own := pgtest.Schema{
		Component:  "order",
		Migrations: fstest.MapFS{"00001_mug.sql": {Data: []byte(migration)}},
	}
	var handles []*sql.DB
	for range 2 {
		handle, err := postgres.OpenOwner(pgtest.NewDatabase(t, own).AdminURL(), "order")
		if err != nil {
			t.Fatal(err)
		}
		defer handle.Close()
		handles = append(handles, handle)
	}
	return drift.Plan(t.Context(), handles[0], handles[1], "order", tables)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to string // what the matching migration says otherwise
		want     string // part of a planned statement; empty for none
	}{
		"equal":              {"", "", ""},
		"no table":           {matching, "-- +goose Up\nSELECT 1;\n", `CREATE TABLE "mug"`},
		"respelled":          {"state = ANY (ARRAY['NEW', 'GONE'])", "((state IN ('NEW'::text, ('GONE'))))", ""},
		"respelled index":    {"state != 'GONE'", "((state)::text <> 'GONE'::text)", ""},
		"other index's text": {"state != 'GONE'", "(NOT (state = 'GONE'::varchar))", `CREATE UNIQUE INDEX "mug_name" ON "mug" ("name") WHERE state <> 'GONE'`},
		"no column":          {"    made timestamptz,\n", "", `ADD COLUMN "made"`},
		"other type":         {"name text", "name varchar(9)", `ALTER COLUMN "name" TYPE text`},
		"nullable":           {"name text NOT NULL", "name text", `ALTER COLUMN "name" SET NOT NULL`},
		"other default":      {"DEFAULT 'NEW'", "DEFAULT 'OLD'", `SET DEFAULT 'NEW'`},
		"other check":        {"ARRAY['NEW', 'GONE']", "ARRAY['NEW']", `"mug_state"`},
		"no index":           {"CREATE UNIQUE INDEX mug_name ON mug (name) WHERE state != 'GONE';", "", `CREATE UNIQUE INDEX "mug_name"`},
		"other predicate":    {"!= 'GONE'", "!= 'NEW'", `"mug_name"`},
		"forgotten column":   {"made timestamptz,", "made timestamptz, old int,", `DROP COLUMN "old"`},
		"unmanaged column":   {"!= 'GONE';", "!= 'GONE';\nALTER TABLE mug ADD old int;\nCOMMENT ON COLUMN mug.old IS 'unmanaged: search';", ""},
		"commented column":   {"!= 'GONE';", "!= 'GONE';\nCOMMENT ON COLUMN mug.name IS 'as customers see it';\nCOMMENT ON TABLE mug IS 'x';", ""},
		"forgotten table":    {"!= 'GONE';", "!= 'GONE';\nCREATE TABLE old (id int);", `DROP TABLE "old"`},
		"unmanaged table":    {"!= 'GONE';", "!= 'GONE';\nCREATE TABLE old (id int);\nCOMMENT ON TABLE old IS 'unmanaged';", ""},
		"index of its own":   {"!= 'GONE';", "!= 'GONE';\nCREATE INDEX mug_search ON mug USING gin (name gin_trgm_ops);", ""},
		"check of its own":   {"made timestamptz,", "made timestamptz, CONSTRAINT named CHECK (name <> ''),", ""},
		"sequence and such":  {"!= 'GONE';", "!= 'GONE';\nCREATE SEQUENCE mug_number;\nCREATE VIEW mugs AS SELECT * FROM mug;", ""},
		"table of its model": {"CREATE TABLE mug", "CREATE TABLE parent (id int); COMMENT ON TABLE parent IS 'unmanaged';\nCREATE TABLE mug", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := plan(t, strings.Replace(matching, test.from, test.to, 1), tables())
			if err != nil {
				t.Fatal(err)
			}
			var statements []string
			for _, change := range got.Changes {
				statements = append(statements, change.Cmd)
			}
			text := strings.Join(statements, "\n")
			if (test.want == "") != (text == "") || !strings.Contains(text, test.want) {
				t.Errorf("planned %q, want %q", text, test.want)
			}
			if strings.Contains(text, "::character varying") {
				t.Errorf("planned %q does not spell expressions as the schema does", text)
			}
			if strings.Contains(text, `"order"`) {
				t.Errorf("planned %q names the schema", text)
			}
		})
	}
}

// A written migration closes the gap: nothing is left to plan after it.
func TestPlanIsAFixedPoint(t *testing.T) {
	t.Parallel()
	varchar := tables()
	varchar[0].Columns[2].SchemaType = nil // Ent's default, whose checks the server prints with casts
	first, err := plan(t, "-- +goose Up\nSELECT 1;\n", varchar)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("-- +goose Up\n")
	for _, change := range first.Changes {
		text.WriteString(change.Cmd + ";\n")
	}
	second, err := plan(t, text.String(), varchar)
	if err != nil || len(first.Changes) == 0 || len(second.Changes) != 0 {
		t.Errorf("after the migration %s is left %+v (%v)", text.String(), second, err)
	}
}

func TestPlanUsesWhatMigrationsMade(t *testing.T) {
	t.Parallel()
	numbered := tables()
	numbered[0].Columns = append(numbered[0].Columns, &schema.Column{
		Name: "number", Type: field.TypeInt64, Default: schema.Expr("nextval('mug_number')"),
	})
	got, err := plan(t, strings.Replace(matching, "CREATE TABLE", "CREATE SEQUENCE mug_number;\nCREATE TABLE", 1), numbered)
	if err != nil || len(got.Changes) != 1 || !strings.Contains(got.Changes[0].Cmd, "nextval") {
		t.Errorf("planned %v (%v), want one column with the sequence", got, err)
	}
}

func TestPlanRefusesAnIdentityOnOneSide(t *testing.T) {
	t.Parallel()
	counted := tables()
	counted[0].Columns[0].Type, counted[0].Columns[0].Increment = field.TypeInt64, true
	_, err := plan(t, strings.Replace(matching, "id uuid", "id bigint", 1), counted)
	if err == nil || !strings.Contains(err.Error(), "mug.id is an identity column on one side only") {
		t.Errorf("error %v", err)
	}
}

func TestPlanFailsWithoutAServer(t *testing.T) {
	t.Parallel()
	handle, err := postgres.OpenOwner("postgres://127.0.0.1:1/x", "order")
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	if _, err := drift.Plan(t.Context(), handle, handle, "order", tables()); err == nil {
		t.Error("no error")
	}
}
