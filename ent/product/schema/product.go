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

// Product is one thing that can be bought: one stock keeping unit.
type Product struct{ ent.Schema }

// Annotations name the table and its invariants.
func (Product) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "product",
			Checks: map[string]string{
				"product_price_minor_check":  "price_minor >= 0",
				"product_weight_grams_check": "weight_grams >= 0",
				"product_version_check":      "version > 0",
				"product_status_check":       "status IN ('ACTIVE', 'DRAFT', 'ARCHIVED')",
				"product_currency_check":     "currency_code ~ '^[A-Z]{3}$'",
			},
		},
	}
}

// Fields of a product. A deleted product keeps its row, because orders and the
// ledger point at it; delete_time takes it out of the catalog.
func (Product) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Text("slug"),
		field.Text("sku").Default("").Annotations(entsql.Default("")),
		field.Text("name"),
		field.Text("description").Default("").Annotations(entsql.Default("")),
		field.Text("currency_code"),
		field.Int64("price_minor"),
		field.Text("tax_class").Default("standard").Annotations(entsql.Default("standard")),
		field.Text("status"),
		field.Int32("weight_grams").Default(0).Annotations(entsql.Default("0")),
		field.Text("group_key").Default("").Annotations(entsql.Default("")),
		field.JSON("attributes", map[string]string{}).Annotations(entsql.DefaultExpr("'{}'::jsonb")),
		field.Int64("version").Default(1).Annotations(entsql.Default("1")),
		field.Time("create_time").Immutable().Default(time.Now),
		field.Time("update_time").Default(time.Now),
		field.Time("delete_time").Optional().Nillable(),
	}
}

// Edges of a product.
func (Product) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("categories", Category.Type).Through("product_categories", ProductCategory.Type),
		edge.To("images", ProductImage.Type),
	}
}

// Indexes serve the catalog's orders. Slug and SKU are unique among living products only, so that a deleted product's name can be used again.
func (Product) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("slug").Unique().StorageKey("product_slug_key").
			Annotations(entsql.IndexWhere("delete_time IS NULL")),
		index.Fields("sku").Unique().StorageKey("product_sku_key").
			Annotations(entsql.IndexWhere("delete_time IS NULL AND sku <> ''")),
		index.Fields("price_minor", "id").StorageKey("product_price_idx").
			Annotations(entsql.IndexWhere("delete_time IS NULL")),
		index.Fields("create_time", "id").StorageKey("product_create_time_idx").
			Annotations(entsql.IndexWhere("delete_time IS NULL")),
	}
}
