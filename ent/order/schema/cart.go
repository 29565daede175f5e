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

// Cart is what a person wants to buy.
type Cart struct{ ent.Schema }

// Fields of a cart. It is OPEN until it becomes an order or part of another cart.
func (Cart) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable().Immutable(),
		field.String("guest_token_hash").Optional().Nillable().Immutable(),
		field.Enum("status").Values("OPEN", "ORDERED", "MERGED").Default("OPEN"),
		field.UUID("successor_id", uuid.UUID{}).Optional().Nillable(),
		createTime(),
		updateTime(),
		field.Int64("version").Default(1),
	}
}

// Edges of a cart.
func (Cart) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("lines", CartLine.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a cart: a user has one open cart, and what may be thrown away is found by its age.
func (Cart) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id").Unique().StorageKey("cart_one_open_per_user").
			Annotations(entsql.IndexWhere("status = 'OPEN' AND user_id IS NOT NULL")),
		index.Fields("update_time").StorageKey("cart_forgettable_update_time").
			Annotations(entsql.IndexWhere("user_id IS NULL OR status <> 'OPEN'")),
	}
}

// Annotations hold who owns a cart and what a closed one leads to.
func (Cart) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "carts", Checks: map[string]string{
			"cart_one_owner":      "(user_id IS NULL) <> (guest_token_hash IS NULL)",
			"cart_status_known":   "status IN ('OPEN', 'ORDERED', 'MERGED')",
			"cart_closed_becomes": "(status = 'OPEN') = (successor_id IS NULL)",
		}},
	}
}

// CartLine is the quantity of one product in a cart.
type CartLine struct{ ent.Schema }

// Fields of a line.
func (CartLine) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.UUID("cart_id", uuid.UUID{}).Immutable(),
		field.UUID("product_id", uuid.UUID{}).Immutable(),
		field.Int32("quantity"),
		field.UUID("request_id", uuid.UUID{}).
			Comment("the request that last added pieces, so that its repetition adds none"),
		createTime(),
	}
}

// Edges of a line.
func (CartLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("cart", Cart.Type).Ref("lines").Field("cart_id").Unique().Required().Immutable(),
	}
}

// Indexes of a line: a product is once in a cart, so that adding it again sums.
func (CartLine) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("cart_id", "product_id").Unique(),
	}
}

// Annotations of a line.
func (CartLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "cart_lines", Checks: map[string]string{
			"cart_line_quantity_bounds": "quantity BETWEEN 1 AND 10000",
		}},
	}
}
