package store

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/order"
	entorder "github.com/commercestack/commercestack/ent/order/order"
	"github.com/commercestack/commercestack/ent/order/orderevent"
	"github.com/commercestack/commercestack/ent/order/orderline"
	"github.com/commercestack/commercestack/ent/order/predicate"
	"github.com/commercestack/commercestack/ent/order/schema"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

// Order implements order.OrderStore.
func (s *Store) Order(ctx context.Context, id uuid.UUID, owner order.Owner) (order.Order, error) {
	row, err := withLines(s.client.Order.Query()).Where(entorder.ID(id), owned(owner)).Only(ctx)
	return single(row, err, id)
}

func single(row *ent.Order, err error, id uuid.UUID) (order.Order, error) {
	switch {
	case ent.IsNotFound(err):
		return order.Order{}, fault.NotFound("order", id.String())
	case err != nil:
		return order.Order{}, postgres.Fault(err)
	default:
		return fromRow(row), nil
	}
}

func withLines(q *ent.OrderQuery) *ent.OrderQuery {
	return q.WithLines(func(lines *ent.OrderLineQuery) { lines.Order(orderline.ByPosition()) })
}

// owned is the predicate that makes another's order as good as none.
func owned(owner order.Owner) predicate.Order {
	if owner.Everyone {
		return func(*sql.Selector) {}
	}
	var proofs []predicate.Order
	if owner.UserID != uuid.Nil {
		proofs = append(proofs, entorder.UserID(owner.UserID))
	}
	if owner.GuestTokenHash != "" {
		proofs = append(proofs, entorder.And(entorder.UserIDIsNil(), entorder.GuestTokenHash(owner.GuestTokenHash)))
	}
	if len(proofs) == 0 {
		return entorder.IDIn()
	}
	return entorder.Or(proofs...)
}

// Orders implements order.OrderStore: one query for the orders, one for all their lines.
func (s *Store) Orders(ctx context.Context, q order.OrderQuery) ([]order.Order, error) {
	where := []predicate.Order{owned(q.Owner)}
	if q.Status != "" {
		where = append(where, entorder.StatusEQ(entorder.Status(q.Status)))
	}
	if q.UserID != uuid.Nil {
		where = append(where, entorder.UserID(q.UserID))
	}
	if q.Text != "" {
		where = append(where, contains(q.Text))
	}
	if q.Before > 0 {
		where = append(where, entorder.NumberLT(q.Before))
	}
	rows, err := withLines(s.client.Order.Query()).Where(where...).
		Order(entorder.ByNumber(sql.OrderDesc())).Limit(q.Limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return fromRows(rows), nil
}

// contains looks for a part of a number or an address. strpos has no wildcards to escape.
func contains(text string) predicate.Order {
	return func(s *sql.Selector) {
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("(strpos(").Ident(s.C(entorder.FieldNumber)).WriteString("::text, ").Arg(text).
				WriteString(") > 0 OR strpos(lower(").Ident(s.C(entorder.FieldEmail)).WriteString("), lower(").Arg(text).WriteString(")) > 0)")
		}))
	}
}

// Unpaid implements order.OrderStore.
func (s *Store) Unpaid(ctx context.Context, limit int) ([]uuid.UUID, error) {
	ids, err := s.client.Order.Query().
		Where(entorder.StatusEQ(entorder.StatusPENDING), entorder.Total(0)).
		Order(entorder.ByNumber()).Limit(limit).IDs(ctx)
	return ids, postgres.Fault(err)
}

// History implements order.OrderStore.
func (s *Store) History(ctx context.Context, orderID uuid.UUID) ([]order.Step, error) {
	rows, err := s.client.OrderEvent.Query().Where(orderevent.OrderID(orderID)).
		Order(orderevent.ByCreateTime(), orderevent.ByID()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	steps := make([]order.Step, len(rows))
	for i, row := range rows {
		steps[i] = order.Step{
			ID: row.ID, OrderID: row.OrderID, Type: order.StepType(row.Type), Status: order.Status(row.Status),
			Message: row.Message, Actor: row.Actor, Key: row.DedupeKey, Time: row.CreateTime.UTC(),
		}
	}
	return steps, nil
}

func fromRows(rows []*ent.Order) []order.Order {
	orders := make([]order.Order, len(rows))
	for i, row := range rows {
		orders[i] = fromRow(row)
	}
	return orders
}

func fromRow(row *ent.Order) order.Order {
	o := order.Order{
		ID: row.ID, Number: row.Number, Email: row.Email, Status: order.Status(row.Status), Currency: row.Currency,
		Amounts: order.Amounts{
			Subtotal: row.Subtotal, Discount: row.Discount, Tax: row.Tax, Shipping: row.Shipping, Total: row.Total,
		},
		Refunded: row.Refunded, ShippingAddress: fromRowAddress(row.ShippingAddress), CouponCode: row.CouponCode,
		TrackingNumber: row.TrackingNumber, CancelReason: row.CancelReason,
		CreateTime: row.CreateTime.UTC(), UpdateTime: row.UpdateTime.UTC(), ExpireTime: row.ExpireTime.UTC(),
		Erased: row.EraseTime != nil, Version: row.Version, Lines: make([]order.Line, len(row.Edges.Lines)),
	}
	if row.UserID != nil {
		o.UserID = *row.UserID
	}
	if row.GuestTokenHash != nil {
		o.GuestTokenHash = *row.GuestTokenHash
	}
	if row.CouponID != nil {
		o.CouponID = *row.CouponID
	}
	if row.PaymentHoldUntil != nil {
		o.HoldUntil = row.PaymentHoldUntil.UTC()
	}
	for i, line := range row.Edges.Lines {
		o.Lines[i] = order.Line{
			ProductID: line.ProductID, SKU: line.Sku, Name: line.Name, Quantity: line.Quantity, UnitPrice: line.UnitPrice,
			Subtotal: line.Subtotal, Discount: line.Discount, TaxBps: line.TaxBps, Tax: line.Tax, Total: line.Total,
		}
	}
	return o
}

func toRowAddress(a *order.Address) *schema.Address {
	if a == nil {
		return nil
	}
	row := schema.Address(*a)
	return &row
}

func fromRowAddress(row *schema.Address) *order.Address {
	if row == nil {
		return nil
	}
	a := order.Address(*row)
	return &a
}
