// Package schema describes the tables of the order component: orders with
// their lines, history and payments, carts, and coupons.
//
// What must hold about money is a CHECK of the database, so that no caller can
// break it; what Ent cannot express (the number sequence, the sum of lines, the
// history that only grows) is written by hand in the migrations.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
)

// id is a UUIDv7 the caller chooses, so that a retried request writes the same row.
func id() ent.Field {
	return field.UUID("id", uuid.UUID{}).Immutable()
}

func createTime() ent.Field {
	return field.Time("create_time").Immutable().Default(time.Now)
}

func updateTime() ent.Field {
	return field.Time("update_time").Default(time.Now)
}
