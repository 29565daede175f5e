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

// ProductImage is a picture of a product: an object of our store, or an address elsewhere.
type ProductImage struct{ ent.Schema }

// Annotations name the table and its invariants.
func (ProductImage) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "product_image",
			Checks: map[string]string{
				"product_image_source_check": "(object_key = '') <> (external_url = '')",
				"product_image_url_check":    "external_url = '' OR external_url LIKE 'https://%'",
				"product_image_size_check":   "width >= 0 AND height >= 0",
			},
		},
	}
}

// Fields of an image.
func (ProductImage) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Immutable(),
		field.UUID("product_id", uuid.UUID{}),
		field.Text("object_key").Default("").Annotations(entsql.Default("")),
		field.Text("thumbnail_key").Default("").Annotations(entsql.Default("")),
		field.Text("external_url").Default("").Annotations(entsql.Default("")),
		field.Text("alt").Default("").Annotations(entsql.Default("")),
		field.Int32("width").Default(0).Annotations(entsql.Default("0")),
		field.Int32("height").Default(0).Annotations(entsql.Default("0")),
		field.Int32("position").Default(0).Annotations(entsql.Default("0")),
		field.Time("create_time").Immutable().Default(time.Now),
	}
}

// Edges of an image.
func (ProductImage) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("product", Product.Type).Ref("images").Unique().Required().Field("product_id"),
	}
}

// Indexes of an image, for the images of a product in order.
func (ProductImage) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("product_id", "position", "id").StorageKey("product_image_product_idx"),
	}
}
