package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Profile is what a person says of themself; its id is the user's id.
type Profile struct{ ent.Schema }

// Annotations of Profile.
func (Profile) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table:  "profile",
			Checks: map[string]string{"profile_version_min": "version >= 1"},
		},
	}
}

// Fields of Profile.
func (Profile) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.String("display_name").MaxLen(200).Default(""),
		field.Bytes("phone_sealed").Optional().Sensitive(),
		field.String("locale").MaxLen(35).Default(""),
		field.Int64("version").Default(1),
		field.Time("create_time").Immutable(),
		field.Time("update_time"),
	}
}

// Edges of Profile.
func (Profile) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("addresses", Address.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Address is an entry of a person's address book.
type Address struct{ ent.Schema }

// Annotations of Address.
func (Address) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "address"}}
}

// Fields of Address.
func (Address) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("user_id", uuid.UUID{}).Immutable(),
		field.Bytes("sealed").Sensitive(),
		field.Bool("is_default").Default(false),
		field.Time("create_time").Immutable(),
		field.Time("update_time"),
	}
}

// Edges of Address.
func (Address) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("profile", Profile.Type).Ref("addresses").Field("user_id").Unique().Required().Immutable(),
	}
}

// Indexes of Address.
func (Address) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "create_time", "id"),
		// At most one default, whatever two tabs do at once.
		index.Fields("user_id").Unique().StorageKey("address_one_default").
			Annotations(entsql.IndexWhere("is_default")),
	}
}

// ErasedUser remembers that a user was erased, so that a late or repeated
// registration event cannot bring the profile back.
type ErasedUser struct{ ent.Schema }

// Annotations of ErasedUser.
func (ErasedUser) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "erased_user"}}
}

// Fields of ErasedUser.
func (ErasedUser) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Time("erase_time").Immutable(),
	}
}
