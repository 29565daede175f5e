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

// OneTimeToken is a secret that was mailed to the owner of an address. Only
// its hash is stored.
type OneTimeToken struct{ ent.Schema }

// Annotations of OneTimeToken.
func (OneTimeToken) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "one_time_token",
			Checks: map[string]string{
				"one_time_token_hash_length": "octet_length(hash) = 32",
				"one_time_token_purpose":     "purpose IN ('verify', 'reset')",
			},
		},
	}
}

// Fields of OneTimeToken.
func (OneTimeToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Bytes("hash").Sensitive(),
		field.String("purpose").Immutable(),
		field.UUID("account_id", uuid.UUID{}).Immutable(),
		// The password of the registration that the mail answers: following
		// the link makes this one valid, so a stranger who registered the
		// address first keeps nothing.
		field.String("password_hash").Sensitive().Default(""),
		field.Time("create_time"),
		field.Time("expire_time"),
		field.Time("used_time").Optional().Nillable(),
	}
}

// Edges of OneTimeToken.
func (OneTimeToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("account", Account.Type).Ref("one_time_tokens").Field("account_id").Unique().Required().Immutable(),
	}
}

// Indexes of OneTimeToken.
func (OneTimeToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash").Unique(),
		// Only the newest reset link of an account works.
		index.Fields("account_id").Unique().StorageKey("one_time_token_one_reset").
			Annotations(entsql.IndexWhere("purpose = 'reset' AND used_time IS NULL")),
		index.Fields("account_id", "purpose"),
		index.Fields("expire_time"),
	}
}
