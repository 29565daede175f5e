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

// Order is a contract to deliver goods for money.
type Order struct{ ent.Schema }

// Fields of an order. Amounts count minor units of the currency.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.Int64("number").Unique().Immutable().
			Comment("from the sequence order_number_seq"),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable(),
		field.String("email").MaxLen(254),
		field.String("guest_token_hash").Optional().Nillable(),
		field.Enum("status").Values("PENDING", "CONFIRMED", "FULFILLED", "COMPLETED", "CANCELLED", "EXPIRED"),
		field.String("currency").MaxLen(3).Immutable(),
		field.Int16("line_count").Immutable(),
		field.Int64("subtotal").Immutable(),
		field.Int64("discount").Immutable(),
		field.Int64("tax").Immutable(),
		field.Int64("shipping").Immutable(),
		field.Int64("total").Immutable(),
		field.Int64("refunded").Default(0),
		field.JSON("shipping_address", &Address{}).Optional(),
		field.UUID("coupon_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.String("coupon_code").Default("").Immutable(),
		field.String("tracking_number").Default(""),
		field.String("cancel_reason").Default(""),
		createTime(),
		updateTime(),
		field.Time("expire_time").Immutable(),
		field.Time("payment_hold_until").Optional().Nillable(),
		field.Time("erase_time").Optional().Nillable(),
		field.Int64("version").Default(1),
	}
}

// Edges of an order.
func (Order) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("lines", OrderLine.Type).Annotations(entsql.OnDelete(entsql.Restrict)),
		edge.To("events", OrderEvent.Type).Annotations(entsql.OnDelete(entsql.Restrict)),
		edge.To("payments", OrderPayment.Type).Annotations(entsql.OnDelete(entsql.Restrict)),
	}
}

// Indexes of an order: the owner's list, a status's list, and what may expire.
// Numbers ascend, so they are the sort key of every list.
func (Order) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "number"),
		index.Fields("status", "number"),
		index.Fields("expire_time").StorageKey("order_pending_expire_time").
			Annotations(entsql.IndexWhere("status = 'PENDING'")),
	}
}

// Annotations hold the invariants of an order's money and ownership.
func (Order) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "orders", Checks: map[string]string{
			"order_status_known":    "status IN ('PENDING', 'CONFIRMED', 'FULFILLED', 'COMPLETED', 'CANCELLED', 'EXPIRED')",
			"order_currency_iso":    "currency ~ '^[A-Z]{3}$'",
			"order_has_lines":       "line_count > 0",
			"order_not_negative":    "subtotal >= 0 AND discount >= 0 AND tax >= 0 AND shipping >= 0 AND refunded >= 0",
			"order_discount_bounds": "discount <= subtotal",
			"order_total_adds_up":   "total = subtotal - discount + tax + shipping",
			"order_has_owner":       "user_id IS NOT NULL OR guest_token_hash IS NOT NULL OR erase_time IS NOT NULL",
			"order_one_owner":       "user_id IS NULL OR guest_token_hash IS NULL",
		}},
	}
}

// Address is a postal address as it was when the order was placed.
type Address struct {
	Recipient   string `json:"recipient"`
	Line1       string `json:"line1"`
	Line2       string `json:"line2,omitempty"`
	City        string `json:"city"`
	Region      string `json:"region,omitempty"`
	PostalCode  string `json:"postalCode,omitempty"`
	CountryCode string `json:"countryCode"`
	Phone       string `json:"phone,omitempty"`
}

// OrderLine is a copy of a product as it was sold.
type OrderLine struct{ ent.Schema }

// Fields of a line. Every field is immutable: what was sold does not change.
func (OrderLine) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.UUID("order_id", uuid.UUID{}).Immutable(),
		field.Int16("position").Immutable(),
		field.UUID("product_id", uuid.UUID{}).Immutable(),
		field.String("sku").Immutable(),
		field.String("name").Immutable(),
		field.Int32("quantity").Immutable(),
		field.Int64("unit_price").Immutable(),
		field.Int64("subtotal").Immutable(),
		field.Int64("discount").Immutable(),
		field.Int32("tax_bps").Immutable(),
		field.Int64("tax").Immutable(),
		field.Int64("total").Immutable(),
	}
}

// Edges of a line.
func (OrderLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("lines").Field("order_id").Unique().Required().Immutable(),
	}
}

// Indexes of a line: each line has its place.
func (OrderLine) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("order_id", "position").Unique(),
	}
}

// Annotations hold the invariants of a line's money.
func (OrderLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "order_lines", Checks: map[string]string{
			"order_line_quantity_positive": "quantity > 0",
			"order_line_not_negative":      "unit_price >= 0 AND discount >= 0 AND tax >= 0 AND tax_bps >= 0",
			"order_line_subtotal":          "subtotal = unit_price * quantity",
			"order_line_discount_bounds":   "discount <= subtotal",
			"order_line_total":             "total = subtotal - discount + tax",
		}},
	}
}
