// Package schema declares the tables of the billing component. Every rule about
// money that must hold whatever the program does is a constraint here.
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

// Payment is one attempt to collect what is owed for an order.
type Payment struct{ ent.Schema }

// Annotations of Payment.
func (Payment) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{
		Table: "payment",
		Checks: map[string]string{
			"payment_amount":   "amount > 0",
			"payment_currency": "currency_code ~ '^[A-Z]{3}$'",
			"payment_status":   "status IN ('PENDING', 'AUTHORIZED', 'SUCCEEDED', 'FAILED', 'UNKNOWN', 'REFUNDED', 'PARTIALLY_REFUNDED')",
			// Nothing is given back twice: what is promised never exceeds what came in,
			// and what went back never exceeds what was promised.
			"payment_refunds": "refunded >= 0 AND refunded <= refund_reserved AND refund_reserved <= amount",
		},
	}}
}

// Fields of Payment.
func (Payment) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.String("order_number").MaxLen(60).Immutable(),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable(),
		field.String("guest_token_hash").MaxLen(64).Default("").Immutable(),
		field.String("email").MaxLen(254).Default(""),
		field.Int64("amount").Immutable(),
		field.String("currency_code").MaxLen(3).Immutable(),
		field.String("status").MaxLen(20),
		field.String("payment_method").MaxLen(100).Default(""),
		// The provider's customer the method belongs to. It is kept because a repeated
		// request must be the same to the letter.
		field.String("customer_id").MaxLen(100).Default(""),
		field.String("return_url").MaxLen(2000).Default(""),
		// True when the customer's stored method is charged without the customer being there.
		field.Bool("off_session").Default(false).Immutable(),
		field.String("intent_id").MaxLen(100).Optional().Nillable(),
		field.Bytes("client_secret_sealed").Optional().Sensitive(),
		field.String("redirect_url").Default(""),
		field.Int64("refunded").Default(0),
		field.Int64("refund_reserved").Default(0),
		field.String("failure_code").MaxLen(100).Default(""),
		field.String("failure_message").MaxLen(500).Default(""),
		field.Int("attempts").Default(0),
		field.Int("polls").Default(0),
		// Until when the order waits; an action the customer did not take is given up then.
		field.Time("expire_time").Optional().Nillable(),
		// When the provider is asked next; empty when nothing is open.
		field.Time("next_poll_time").Optional().Nillable(),
		// When a failed collection is tried again; empty when it is not.
		field.Time("next_attempt_time").Optional().Nillable(),
		field.Time("create_time").Default(time.Now).Immutable(),
		field.Time("update_time").Default(time.Now),
	}
}

// Indexes of Payment.
func (Payment) Indexes() []ent.Index {
	return []ent.Index{
		// A webhook and the browser's return settle the same payment, not two.
		index.Fields("intent_id").Unique().Annotations(entsql.IndexWhere("intent_id IS NOT NULL")),
		// At most one payment of an order can take money.
		index.Fields("order_id").Unique().StorageKey("payment_one_live_per_order").
			Annotations(entsql.IndexWhere("status IN ('PENDING', 'AUTHORIZED', 'UNKNOWN', 'SUCCEEDED', 'PARTIALLY_REFUNDED')")),
		index.Fields("order_id", "create_time"),
		index.Fields("user_id", "create_time", "id"),
		index.Fields("create_time", "id"),
		index.Fields("next_poll_time").Annotations(entsql.IndexWhere("next_poll_time IS NOT NULL")),
	}
}

// Refund is money given back.
type Refund struct{ ent.Schema }

// Annotations of Refund.
func (Refund) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{
		Table: "refund",
		Checks: map[string]string{
			"refund_amount": "amount > 0",
			"refund_status": "status IN ('PENDING', 'SUCCEEDED', 'FAILED')",
		},
	}}
}

// Fields of Refund.
func (Refund) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("payment_id", uuid.UUID{}).Immutable(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.Int64("amount").Immutable(),
		field.String("currency_code").MaxLen(3).Immutable(),
		field.String("reason").MaxLen(300).Immutable(),
		// True when the provider gives back all it holds, as for money of a wrong amount.
		field.Bool("whole").Default(false).Immutable(),
		field.String("status").MaxLen(10),
		field.String("provider_refund_id").MaxLen(100).Optional().Nillable().Unique(),
		field.String("failure_message").MaxLen(500).Default(""),
		field.Int("polls").Default(0),
		field.Time("next_poll_time").Optional().Nillable(),
		field.Time("create_time").Default(time.Now).Immutable(),
		field.Time("update_time").Default(time.Now),
	}
}

// Indexes of Refund.
func (Refund) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("payment_id", "create_time"),
		index.Fields("order_id"),
		index.Fields("next_poll_time").Annotations(entsql.IndexWhere("next_poll_time IS NOT NULL")),
	}
}

// RefundOrder is the decision to give back whatever was or will be paid for an order.
type RefundOrder struct{ ent.Schema }

// Annotations of RefundOrder.
func (RefundOrder) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "refund_order"}}
}

// Fields of RefundOrder.
func (RefundOrder) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable().Comment("the order's id"),
		field.String("reason").MaxLen(300).Immutable(),
		field.Time("next_poll_time").Optional().Nillable(),
		field.Time("create_time").Default(time.Now).Immutable(),
	}
}

// Indexes of RefundOrder.
func (RefundOrder) Indexes() []ent.Index {
	return []ent.Index{index.Fields("next_poll_time").Annotations(entsql.IndexWhere("next_poll_time IS NOT NULL"))}
}

// WebhookEvent is the inbox of the provider's events.
type WebhookEvent struct{ ent.Schema }

// Annotations of WebhookEvent.
func (WebhookEvent) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "webhook_event"}}
}

// Fields of WebhookEvent.
func (WebhookEvent) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(100).Immutable().Comment("the provider's event id"),
		field.String("type").MaxLen(100).Immutable(),
		field.String("intent_id").MaxLen(100).Immutable(),
		field.Int("attempts").Default(0),
		field.String("last_error").MaxLen(500).Default(""),
		// When it is handled next; empty once it was.
		field.Time("next_poll_time").Optional().Nillable(),
		field.Time("create_time").Default(time.Now).Immutable(),
	}
}

// Indexes of WebhookEvent.
func (WebhookEvent) Indexes() []ent.Index {
	return []ent.Index{index.Fields("next_poll_time").Annotations(entsql.IndexWhere("next_poll_time IS NOT NULL"))}
}
