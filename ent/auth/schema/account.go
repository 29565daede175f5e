package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Account is a person's login.
type Account struct{ ent.Schema }

// Annotations of Account.
func (Account) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "account",
			Checks: map[string]string{
				// Two spellings of one address would be two accounts.
				"account_email_lower":  "email = lower(email)",
				"account_version_min":  "version >= 1",
				"account_roles_filled": "jsonb_array_length(roles) >= 1",
			},
		},
	}
}

// Fields of Account.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.String("email").MaxLen(254).NotEmpty(),
		field.String("display_name").MaxLen(200).Default(""),
		field.String("password_hash").Sensitive().NotEmpty(),
		field.Time("email_verified_time").Optional().Nillable(),
		field.JSON("roles", []string{}),
		field.Bool("disabled").Default(false),
		field.Int64("version").Default(1),
		field.Time("create_time").Default(time.Now).Immutable(),
		field.Time("update_time").Default(time.Now),
	}
}

// Edges of Account. Erasing an account erases all that hangs on it.
func (Account) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("sessions", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("one_time_tokens", OneTimeToken.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of Account.
func (Account) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("email").Unique(),
		index.Fields("create_time", "id"),
		// Finding part of an address, and the few administrators, must not read every account.
		index.Fields("email").StorageKey("account_email_search").
			Annotations(entsql.IndexTypes(map[string]string{dialect.Postgres: "GIN"}), entsql.OpClass("gin_trgm_ops")),
		index.Fields("disabled").StorageKey("account_admins").
			Annotations(entsql.IndexWhere(`roles @> '["admin"]'`)),
	}
}
