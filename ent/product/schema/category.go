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

// Category groups products in a tree.
type Category struct{ ent.Schema }

// Annotations name the table and its invariants. That the tree has no cycle is
// kept by a trigger of the migrations, since no check sees other rows.
func (Category) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "category",
			Checks: map[string]string{
				"category_parent_check":  "parent_id <> id",
				"category_version_check": "version > 0",
			},
		},
	}
}

// Fields of a category.
func (Category) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.Text("slug"),
		field.Text("name"),
		field.UUID("parent_id", uuid.UUID{}).Optional().Nillable(),
		field.Int32("position").Default(0).Annotations(entsql.Default("0")),
		field.Int64("version").Default(1).Annotations(entsql.Default("1")),
		field.Time("create_time").Immutable().Default(time.Now),
		field.Time("update_time").Default(time.Now),
	}
}

// Edges of a category: its place in the tree and its products.
func (Category) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("children", Category.Type).
			Annotations(entsql.OnDelete(entsql.Restrict)).
			From("parent").Unique().Field("parent_id"),
		edge.From("products", Product.Type).Ref("categories").
			Through("product_categories", ProductCategory.Type),
	}
}

// Indexes of a category.
func (Category) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("slug").Unique().StorageKey("category_slug_key"),
		index.Fields("parent_id").StorageKey("category_parent_idx"),
	}
}

// ProductCategory says that a product belongs to a category.
type ProductCategory struct{ ent.Schema }

// Annotations name the table and its composite key.
func (ProductCategory) Annotations() []schema.Annotation {
	return []schema.Annotation{
		field.ID("product_id", "category_id"),
		entsql.Annotation{Table: "product_category"},
	}
}

// Fields of a membership.
func (ProductCategory) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("product_id", uuid.UUID{}),
		field.UUID("category_id", uuid.UUID{}),
	}
}

// Edges of a membership; it ends with its product or its category.
func (ProductCategory) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("product", Product.Type).Unique().Required().Field("product_id").
			Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("category", Category.Type).Unique().Required().Field("category_id").
			Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a membership, for the products of a category.
func (ProductCategory) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("category_id", "product_id").StorageKey("product_category_category_idx"),
	}
}
