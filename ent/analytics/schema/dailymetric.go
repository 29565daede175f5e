// Package schema declares the table of the analytics component.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// DailyMetric counts one day (UTC) in one currency. Rows without money have an
// empty currency.
type DailyMetric struct{ ent.Schema }

// Annotations of DailyMetric.
func (DailyMetric) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{
			Table: "daily_metric",
			Checks: map[string]string{
				"daily_metric_currency":     "currency_code ~ '^([A-Z]{3})?$'",
				"daily_metric_not_negative": "registrations >= 0 AND orders_placed >= 0 AND orders_confirmed >= 0 AND orders_cancelled >= 0 AND revenue_minor >= 0 AND refunded_minor >= 0",
			},
		},
	}
}

// Fields of DailyMetric.
func (DailyMetric) Fields() []ent.Field {
	return []ent.Field{
		field.Time("day").SchemaType(map[string]string{"postgres": "date"}).Immutable(),
		field.String("currency_code").MaxLen(3).Default("").Immutable(),
		field.Int64("registrations").Default(0),
		field.Int64("orders_placed").Default(0),
		field.Int64("orders_confirmed").Default(0),
		field.Int64("orders_cancelled").Default(0),
		field.Int64("revenue_minor").Default(0),
		field.Int64("refunded_minor").Default(0),
		field.Time("update_time").Default(time.Now),
	}
}

// Indexes of DailyMetric.
func (DailyMetric) Indexes() []ent.Index {
	return []ent.Index{index.Fields("day", "currency_code").Unique()}
}
