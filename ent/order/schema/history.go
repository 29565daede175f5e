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

// OrderEvent is one step of an order's history. Rows are never changed.
type OrderEvent struct{ ent.Schema }

// Fields of a step. The key names the fact that caused it, so that a fact told twice makes one step.
func (OrderEvent) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.String("type").Immutable(),
		field.String("status").Immutable(),
		field.String("message").Immutable(),
		field.String("actor").Immutable(),
		field.String("dedupe_key").Immutable(),
		createTime(),
	}
}

// Edges of a step.
func (OrderEvent) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("events").Field("order_id").Unique().Required().Immutable(),
	}
}

// Indexes of a step.
func (OrderEvent) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("order_id", "dedupe_key").Unique(),
	}
}

// Annotations of a step.
func (OrderEvent) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "order_events", Checks: map[string]string{
			"order_event_actor_known": "actor IN ('user', 'guest', 'admin', 'system')",
		}},
	}
}

// OrderPayment is what the order knows of one payment that was made for it.
// The payment itself belongs to billing.
type OrderPayment struct{ ent.Schema }

// Fields of a payment. The id is billing's; amounts count minor units of the order's currency.
func (OrderPayment) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.Enum("status").Values("STARTED", "SUCCEEDED", "FAILED", "REJECTED"),
		field.Int64("refunded").Default(0),
		createTime(),
		updateTime(),
	}
}

// Edges of a payment.
func (OrderPayment) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("payments").Field("order_id").Unique().Required().Immutable(),
	}
}

// Indexes of a payment: one payment pays an order.
func (OrderPayment) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("order_id"),
		index.Fields("order_id").Unique().StorageKey("order_payment_one_winner").
			Annotations(entsql.IndexWhere("status = 'SUCCEEDED'")),
	}
}

// Annotations of a payment.
func (OrderPayment) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "order_payments", Checks: map[string]string{
			"order_payment_status_known":        "status IN ('STARTED', 'SUCCEEDED', 'FAILED', 'REJECTED')",
			"order_payment_refund_not_negative": "refunded >= 0",
		}},
	}
}
