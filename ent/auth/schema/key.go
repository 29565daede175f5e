package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// SigningKey is an Ed25519 key pair that signs access tokens.
type SigningKey struct{ ent.Schema }

// Annotations of SigningKey.
func (SigningKey) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "signing_key",
			Checks: map[string]string{
				"signing_key_state":         "state IN ('pending', 'published', 'active', 'retiring', 'removed')",
				"signing_key_public_length": "octet_length(public_key) = 32",
				// A key that no longer signs keeps no private half to steal.
				"signing_key_private": "(private_sealed IS NULL) = (state IN ('retiring', 'removed'))",
			},
		},
	}
}

// Fields of SigningKey. The id is the kid of the tokens.
func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(64).NotEmpty().Immutable(),
		field.String("state"),
		field.Bytes("public_key").Immutable(),
		field.Bytes("private_sealed").Optional().Sensitive(),
		field.Time("create_time").Immutable(),
		// When the present state was entered.
		field.Time("state_time"),
	}
}

// Indexes of SigningKey.
func (SigningKey) Indexes() []ent.Index {
	return []ent.Index{
		// Two processes that rotate at once must not leave two signers or two successors.
		index.Fields("state").Unique().StorageKey("signing_key_one_each").
			Annotations(entsql.IndexWhere("state IN ('pending', 'published', 'active')")),
	}
}
