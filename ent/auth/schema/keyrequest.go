package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// KeyRequest remembers that a new signing key was asked for and is on its way,
// so that asking once makes one key.
type KeyRequest struct{ ent.Schema }

// Annotations of KeyRequest.
func (KeyRequest) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "key_request"}}
}

// Fields of KeyRequest. The id is chosen by who asks.
func (KeyRequest) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(128).NotEmpty().Immutable(),
		field.Time("create_time").Immutable(),
	}
}
