package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// CatalogState is one row: the version of the whole catalog. Every change of
// the catalog raises it in its own transaction, so that caches know at once
// that what they hold is old; its row lock also makes changes of the category
// tree take turns.
type CatalogState struct{ ent.Schema }

// Annotations name the table and allow one row only.
func (CatalogState) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "catalog_state", Checks: map[string]string{"catalog_state_single_check": "id = 1"},
		},
	}
}

// Fields of the state.
func (CatalogState) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable().Annotations(entsql.Annotation{Incremental: new(false)}),
		field.Int64("version").Default(1).Annotations(entsql.Default("1")),
	}
}
