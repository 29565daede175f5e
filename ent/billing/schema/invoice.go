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

// Invoice is the document of a settled order, or of a refund.
type Invoice struct{ ent.Schema }

// Annotations of Invoice.
func (Invoice) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{
		Table: "invoice",
		Checks: map[string]string{
			"invoice_kind":   "kind IN ('INVOICE', 'CREDIT_NOTE')",
			"invoice_total":  "total = subtotal - discount + tax + shipping",
			"invoice_refund": "(kind = 'CREDIT_NOTE') = (refund_id IS NOT NULL)",
		},
	}}
}

// InvoiceLine is one line of the document, as it is stored.
type InvoiceLine struct {
	Description string `json:"description"`
	Quantity    int32  `json:"quantity"`
	UnitPrice   int64  `json:"unitPrice"`
	Tax         int64  `json:"tax"`
	Total       int64  `json:"total"`
}

// Fields of Invoice. All are immutable: a document that was issued is corrected by another one.
func (Invoice) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.String("number").MaxLen(60).Immutable().Unique(),
		field.String("kind").MaxLen(20).Immutable(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.String("order_number").MaxLen(60).Immutable(),
		field.UUID("refund_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable(),
		field.String("email").MaxLen(254).Default(""),
		// Name and address on the document, as JSON, encrypted.
		field.Bytes("recipient_sealed").Optional().Sensitive(),
		field.String("currency_code").MaxLen(3).Immutable(),
		field.Int64("subtotal").Immutable(),
		field.Int64("discount").Immutable(),
		field.Int64("tax").Immutable(),
		field.Int64("shipping").Immutable(),
		field.Int64("total").Immutable(),
		field.JSON("lines", []InvoiceLine{}).Immutable(),
		field.Time("create_time").Default(time.Now).Immutable(),
	}
}

// Indexes of Invoice.
func (Invoice) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("order_id").Unique().StorageKey("invoice_one_per_order").Annotations(entsql.IndexWhere("kind = 'INVOICE'")),
		index.Fields("refund_id").Unique().StorageKey("invoice_one_per_refund").Annotations(entsql.IndexWhere("refund_id IS NOT NULL")),
		index.Fields("user_id", "create_time", "id"),
		index.Fields("create_time", "id"),
	}
}

// InvoiceCounter is the last number of a series. Its row lock makes numbers
// gapless: a transaction that fails gives its number back.
type InvoiceCounter struct{ ent.Schema }

// Annotations of InvoiceCounter.
func (InvoiceCounter) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "invoice_counter", Checks: map[string]string{"invoice_counter_positive": "last > 0"}}}
}

// Fields of InvoiceCounter.
func (InvoiceCounter) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").MaxLen(20).Immutable().Comment("the series, such as INV-2026"),
		field.Int64("last"),
	}
}

// BillingProfile is how a user is billed.
type BillingProfile struct{ ent.Schema }

// Annotations of BillingProfile.
func (BillingProfile) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "billing_profile"}}
}

// Fields of BillingProfile. A user has one: the id is the user's.
func (BillingProfile) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable().Comment("the user's id"),
		field.String("customer_id").MaxLen(100).Optional().Nillable().Unique(),
		// Name, address and tax id as JSON, encrypted.
		field.Bytes("details_sealed").Sensitive(),
		field.String("default_payment_method").MaxLen(100).Default(""),
		// The id under which the provider keeps the default method for the customer.
		field.String("method_id").MaxLen(100).Default(""),
		field.Int64("version").Default(1),
		field.Time("create_time").Default(time.Now).Immutable(),
		field.Time("update_time").Default(time.Now),
	}
}
