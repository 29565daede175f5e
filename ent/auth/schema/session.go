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

// Session is one login of one person and the family of its refresh tokens.
type Session struct{ ent.Schema }

// Annotations of Session.
func (Session) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "session"}}
}

// Fields of Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("account_id", uuid.UUID{}).Immutable(),
		field.String("user_agent").MaxLen(512).Default(""),
		field.String("ip_address").MaxLen(64).Default(""),
		field.Time("create_time").Immutable(),
		field.Time("last_use_time"),
		field.Time("expire_time"),
		field.Time("revoke_time").Optional().Nillable(),
	}
}

// Edges of Session.
func (Session) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("account", Account.Type).Ref("sessions").Field("account_id").Unique().Required().Immutable(),
		edge.To("refresh_tokens", RefreshToken.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of Session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("account_id", "last_use_time").Annotations(entsql.IndexWhere("revoke_time IS NULL")),
		index.Fields("expire_time"),
	}
}

// RefreshToken is one link of a session's chain of refresh tokens. Only the
// hash of the token is stored.
type RefreshToken struct{ ent.Schema }

// Annotations of RefreshToken.
func (RefreshToken) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "refresh_token",
			Checks: map[string]string{
				"refresh_token_hash_length": "octet_length(hash) = 32",
				// Only a used token has a successor to hand out again.
				"refresh_token_successor_used": "successor_sealed IS NULL OR used_time IS NOT NULL",
			},
		},
	}
}

// Fields of RefreshToken.
func (RefreshToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Bytes("hash").Immutable().Sensitive(),
		field.UUID("session_id", uuid.UUID{}).Immutable(),
		field.Time("create_time").Immutable(),
		field.Time("expire_time").Immutable(),
		field.Time("used_time").Optional().Nillable(),
		field.Bytes("successor_sealed").Optional().Sensitive(),
	}
}

// Edges of RefreshToken.
func (RefreshToken) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("session", Session.Type).Ref("refresh_tokens").Field("session_id").Unique().Required().Immutable(),
	}
}

// Indexes of RefreshToken.
func (RefreshToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash").Unique(),
		// A family never has two live tokens, whatever races.
		index.Fields("session_id").Unique().StorageKey("refresh_token_one_live").
			Annotations(entsql.IndexWhere("used_time IS NULL")),
		index.Fields("session_id", "create_time"),
		index.Fields("used_time").StorageKey("refresh_token_sealed").
			Annotations(entsql.IndexWhere("successor_sealed IS NOT NULL")),
		index.Fields("expire_time"),
	}
}

// RevokedSession remembers that access tokens of a session must be refused
// until the last of them has expired. It outlives the session's row, which
// goes with an erased account.
type RevokedSession struct{ ent.Schema }

// Annotations of RevokedSession.
func (RevokedSession) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "revoked_session"}}
}

// Fields of RevokedSession.
func (RevokedSession) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Time("expire_time").Immutable(),
	}
}

// Indexes of RevokedSession.
func (RevokedSession) Indexes() []ent.Index {
	return []ent.Index{index.Fields("expire_time")}
}
