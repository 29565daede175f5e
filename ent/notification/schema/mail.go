// Package schema declares the tables of the notification component.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// Mail is one message to one person: the queue, and what became of it.
type Mail struct{ ent.Schema }

// Annotations of Mail.
func (Mail) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "mail",
			Checks: map[string]string{
				"mail_status":   "status IN ('QUEUED', 'SENT', 'DEAD')",
				"mail_attempts": "attempts >= 0 AND attempts <= 3",
				// A sent mail without a time, or a queued one with it, would lie to whoever asks.
				"mail_sent_time": "(status = 'SENT') = (send_time IS NOT NULL)",
			},
		},
	}
}

// Fields of Mail.
func (Mail) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		// One wish to send is one mail, however often it is repeated.
		field.String("idempotency_key").MaxLen(200).NotEmpty().Immutable().Unique(),
		field.String("recipient_hash").MaxLen(64),
		field.Bytes("recipient_sealed").Sensitive(),
		field.String("template").MaxLen(60).NotEmpty().Immutable(),
		field.Int("template_version").Immutable(),
		field.Bytes("params_sealed").Sensitive(),
		field.String("locale").MaxLen(35).Default("").Immutable(),
		field.String("status").MaxLen(10).Default("QUEUED"),
		field.Int("attempts").Default(0),
		field.Time("next_attempt_time").Default(time.Now),
		field.Time("lease_until").Optional().Nillable(),
		field.String("last_error").Default(""),
		field.String("provider_reference").Default(""),
		field.String("order_id").Default("").Immutable(),
		field.String("user_id").Default("").Immutable(),
		field.Time("create_time").Default(time.Now).Immutable(),
		field.Time("send_time").Optional().Nillable(),
	}
}

// Indexes of Mail.
func (Mail) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("next_attempt_time").Annotations(entsql.IndexWhere("status = 'QUEUED'")),
		index.Fields("create_time", "id"),
		index.Fields("recipient_hash", "create_time"),
		index.Fields("user_id").Annotations(entsql.IndexWhere("user_id <> ''")),
	}
}

// CapturedMail is what the development sender keeps instead of sending.
type CapturedMail struct{ ent.Schema }

// Annotations of CapturedMail.
func (CapturedMail) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "captured_mail"}}
}

// Fields of CapturedMail.
func (CapturedMail) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.String("recipient").MaxLen(254).Immutable(),
		field.String("subject").Immutable(),
		field.String("text").Immutable(),
		field.String("html").Immutable(),
		field.Time("create_time").Default(time.Now).Immutable(),
	}
}

// Indexes of CapturedMail.
func (CapturedMail) Indexes() []ent.Index {
	return []ent.Index{index.Fields("recipient", "create_time"), index.Fields("create_time")}
}
