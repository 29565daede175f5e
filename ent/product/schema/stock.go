package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"
)

// StockLevel is how many pieces of a product there are. The check on reserved
// is what makes overselling impossible, whoever writes.
type StockLevel struct{ ent.Schema }

// Annotations name the table and its invariants.
func (StockLevel) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table:  "stock_level",
			Checks: map[string]string{"stock_level_reserved_check": "0 <= reserved AND reserved <= on_hand"},
		},
	}
}

// Fields of a stock level; its key is the product's.
func (StockLevel) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).StorageKey("product_id").Immutable(),
		field.Int32("on_hand").Default(0).Annotations(entsql.Default("0")),
		field.Int32("reserved").Default(0).Annotations(entsql.Default("0")),
	}
}

// Edges of a stock level.
func (StockLevel) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("entries", StockEntry.Type),
		edge.From("reservations", Reservation.Type).Ref("stock_levels").Through("lines", ReservationLine.Type),
	}
}

// StockEntry is an immutable row of the stock ledger.
type StockEntry struct{ ent.Schema }

// Annotations name the table and its invariants.
func (StockEntry) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "stock_entry",
			Checks: map[string]string{
				"stock_entry_kind_check":  "kind IN ('ADJUSTED', 'RESERVED', 'RELEASED', 'EXPIRED', 'ALLOCATED', 'RETURNED')",
				"stock_entry_delta_check": "on_hand_delta <> 0 OR reserved_delta <> 0",
			},
		},
	}
}

// Fields of a ledger row.
func (StockEntry) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("product_id", uuid.UUID{}).Immutable(),
		field.Text("kind").Immutable(),
		field.Int32("on_hand_delta").Immutable(),
		field.Int32("reserved_delta").Immutable(),
		field.Text("reason").Default("").Immutable().Annotations(entsql.Default("")),
		field.UUID("order_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.Time("create_time").Immutable().Default(time.Now),
	}
}

// Edges of a ledger row.
func (StockEntry) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("stock_level", StockLevel.Type).Ref("entries").Unique().Required().Immutable().Field("product_id"),
	}
}

// Indexes of the ledger, newest first for a product.
func (StockEntry) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("product_id", "id").StorageKey("stock_entry_product_idx"),
	}
}

// Reservation holds pieces for an order.
type Reservation struct{ ent.Schema }

// Annotations name the table and its invariants.
func (Reservation) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table:  "reservation",
			Checks: map[string]string{"reservation_state_check": "state IN ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED')"},
		},
	}
}

// Fields of a reservation; its key is the order's.
func (Reservation) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).StorageKey("order_id").Immutable(),
		field.Text("state"),
		field.Time("expire_time"),
		field.Time("create_time").Immutable().Default(time.Now),
		field.Time("commit_time").Optional().Nillable(),
		field.Time("end_time").Optional().Nillable(),
	}
}

// Edges of a reservation.
func (Reservation) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("stock_levels", StockLevel.Type).Through("lines", ReservationLine.Type),
	}
}

// Indexes of a reservation, for the sweep of those that ended.
func (Reservation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("expire_time").StorageKey("reservation_expire_time_idx").
			Annotations(entsql.IndexWhere("state = 'ACTIVE'")),
	}
}

// ReservationLine is the pieces of one product within a reservation, with what
// the order was told about the product, so that a repeated call answers the same.
type ReservationLine struct{ ent.Schema }

// Annotations name the table, its composite key and its invariants.
func (ReservationLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		field.ID("order_id", "product_id"),
		entsql.Annotation{
			Table: "reservation_line",
			Checks: map[string]string{
				"reservation_line_quantity_check": "quantity > 0",
				"reservation_line_price_check":    "price_minor >= 0",
			},
		},
	}
}

// Fields of a line.
func (ReservationLine) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("order_id", uuid.UUID{}),
		field.UUID("product_id", uuid.UUID{}),
		field.Int32("quantity"),
		field.Text("sku"),
		field.Text("name"),
		field.Text("currency_code"),
		field.Int64("price_minor"),
		field.Text("tax_class"),
		field.Int32("weight_grams"),
	}
}

// Edges of a line.
func (ReservationLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("reservation", Reservation.Type).Unique().Required().Field("order_id"),
		edge.To("stock_level", StockLevel.Type).Unique().Required().Field("product_id"),
	}
}
