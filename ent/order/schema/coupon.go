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

// Coupon gives a discount on an order.
type Coupon struct{ ent.Schema }

// Fields of a coupon. It gives either a percentage or an amount.
func (Coupon) Fields() []ent.Field {
	return []ent.Field{
		id(),
		field.String("code").MaxLen(60).Unique().Immutable(),
		field.Int32("percent_off_bps").Default(0).Immutable(),
		field.Int64("amount_off").Default(0).Immutable(),
		field.Int64("minimum_subtotal").Default(0).Immutable(),
		field.String("currency").Default("").Immutable(),
		field.Int32("max_redemptions").Default(0).Immutable(),
		field.Int32("max_redemptions_per_customer").Default(0).Immutable(),
		field.Int32("redemptions").Default(0),
		field.Time("start_time").Optional().Nillable().Immutable(),
		field.Time("end_time").Optional().Nillable().Immutable(),
		field.Bool("disabled").Default(false),
		createTime(),
	}
}

// Edges of a coupon.
func (Coupon) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("uses", CouponRedemption.Type).Annotations(entsql.OnDelete(entsql.Restrict)),
	}
}

// Indexes of a coupon.
func (Coupon) Indexes() []ent.Index {
	return []ent.Index{index.Fields("create_time", "id")}
}

// Annotations hold that a coupon is never used more often than it may be.
func (Coupon) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "coupons", Checks: map[string]string{
			"coupon_code_upper":        "code = upper(code)",
			"coupon_one_discount":      "(percent_off_bps > 0) <> (amount_off > 0)",
			"coupon_percent_bounds":    "percent_off_bps BETWEEN 0 AND 10000",
			"coupon_not_negative":      "amount_off >= 0 AND minimum_subtotal >= 0 AND max_redemptions >= 0 AND max_redemptions_per_customer >= 0",
			"coupon_currency_named":    "currency <> '' OR (amount_off = 0 AND minimum_subtotal = 0)",
			"coupon_redemptions_limit": "redemptions >= 0 AND (max_redemptions = 0 OR redemptions <= max_redemptions)",
		}},
	}
}

// CouponRedemption is one use of a coupon. It is given back when the order is not carried out.
type CouponRedemption struct{ ent.Schema }

// Fields of a use. The customer is known by user id and by the hash of the address.
func (CouponRedemption) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).StorageKey("order_id").Immutable().
			Comment("the order's id: an order uses one coupon once"),
		field.UUID("coupon_id", uuid.UUID{}).Immutable(),
		field.UUID("user_id", uuid.UUID{}).Optional().Nillable(),
		field.String("email_hash").Default(""),
		createTime(),
	}
}

// Edges of a use.
func (CouponRedemption) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("coupon", Coupon.Type).Ref("uses").Field("coupon_id").Unique().Required().Immutable(),
	}
}

// Indexes of a use: who used a coupon how often.
func (CouponRedemption) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("coupon_id", "user_id"),
		index.Fields("coupon_id", "email_hash"),
	}
}

// Annotations of a use.
func (CouponRedemption) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "coupon_redemptions"}}
}
