package store

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/order"
	entorder "github.com/commercestack/commercestack/ent/order/order"
	"github.com/commercestack/commercestack/ent/order/orderpayment"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/order"
)

// Lock implements order.Tx.
func (t *tx) Lock(ctx context.Context, id uuid.UUID, owner order.Owner) (order.Order, error) {
	row, err := withLines(t.client.Order.Query()).Where(entorder.ID(id), owned(owner)).ForUpdate().Only(ctx)
	return single(row, err, id)
}

// Due implements order.Tx.
func (t *tx) Due(ctx context.Context, now time.Time, limit int) ([]order.Order, error) {
	rows, err := withLines(t.client.Order.Query()).
		Where(
			entorder.StatusEQ(entorder.StatusPENDING), entorder.ExpireTimeLTE(now),
			entorder.Or(entorder.PaymentHoldUntilIsNil(), entorder.PaymentHoldUntilLTE(now)),
		).
		Order(entorder.ByExpireTime()).Limit(limit).
		ForUpdate(sql.WithLockAction(sql.SkipLocked)).All(ctx)
	if err != nil {
		return nil, err
	}
	return fromRows(rows), nil
}

// Save implements order.Tx.
func (t *tx) Save(ctx context.Context, o order.Order, from order.Status) error {
	update := t.client.Order.Update().
		Where(entorder.ID(o.ID), entorder.StatusEQ(entorder.Status(from)), entorder.Version(o.Version-1)).
		SetStatus(entorder.Status(o.Status)).SetRefunded(o.Refunded).SetTrackingNumber(o.TrackingNumber).
		SetCancelReason(o.CancelReason).SetUpdateTime(o.UpdateTime).SetVersion(o.Version)
	if o.HoldUntil.IsZero() {
		update.ClearPaymentHoldUntil()
	} else {
		update.SetPaymentHoldUntil(o.HoldUntil)
	}
	if o.Erased && o.Status != order.StatusPending && o.Status != order.StatusConfirmed {
		// The owner's data was only kept to send the goods.
		update.ClearShippingAddress().SetCancelReason("")
	}
	n, err := update.Save(ctx)
	if err == nil && n == 0 {
		return fault.Stale("the order was changed meanwhile")
	}
	return err
}

// Append implements order.Tx.
func (t *tx) Append(ctx context.Context, steps ...order.Step) error {
	for _, step := range steps {
		_, err := t.ExecContext(ctx, `INSERT INTO order_events (id, order_id, type, status, message, actor, dedupe_key, create_time)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (order_id, dedupe_key) DO NOTHING`,
			step.ID, step.OrderID, string(step.Type), string(step.Status), step.Message, step.Actor, step.Key, step.Time)
		if err != nil {
			return err
		}
	}
	return nil
}

// Payment implements order.Tx.
func (t *tx) Payment(ctx context.Context, orderID, paymentID uuid.UUID) (order.Payment, error) {
	payment := order.Payment{ID: paymentID, OrderID: orderID}
	row, err := t.client.OrderPayment.Query().Where(orderpayment.ID(paymentID), orderpayment.OrderID(orderID)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return payment, nil
	case err != nil:
		return payment, err
	}
	payment.Status, payment.Refunded, payment.Time = order.PaymentStatus(row.Status), row.Refunded, row.UpdateTime.UTC()
	return payment, nil
}

// SavePayment implements order.Tx. A payment of another order is not taken over.
func (t *tx) SavePayment(ctx context.Context, p order.Payment) error {
	result, err := t.ExecContext(ctx, `INSERT INTO order_payments (id, order_id, status, refunded, create_time, update_time)
		VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, update_time = EXCLUDED.update_time,
			refunded = greatest(order_payments.refunded, EXCLUDED.refunded)
		WHERE order_payments.order_id = EXCLUDED.order_id`, p.ID, p.OrderID, string(p.Status), p.Refunded, p.Time)
	return changed(result, err, fault.Conflict("PAYMENT_MISMATCH", "the payment belongs to another order"))
}

// Payments implements order.Tx.
func (t *tx) Payments(ctx context.Context, orderID uuid.UUID) (underWay int, refunded int64, err error) {
	err = t.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE status = 'STARTED'), coalesce(sum(refunded), 0)
		FROM order_payments WHERE order_id = $1`, orderID).Scan(&underWay, &refunded)
	return underWay, refunded, err
}

// ReturnCoupon implements order.Tx.
func (t *tx) ReturnCoupon(ctx context.Context, orderID uuid.UUID) error {
	_, err := t.ExecContext(ctx, `WITH returned AS (DELETE FROM coupon_redemptions WHERE order_id = $1 RETURNING coupon_id)
		UPDATE coupons SET redemptions = redemptions - 1 FROM returned WHERE coupons.id = returned.coupon_id`, orderID)
	return err
}

// Erase implements order.Tx.
func (t *tx) Erase(ctx context.Context, userID uuid.UUID, now time.Time) error {
	for _, statement := range []string{
		// What is still to be sent keeps its address until Save takes it.
		`UPDATE orders SET user_id = NULL, email = '', cancel_reason = '', erase_time = $2, update_time = $2, version = version + 1,
			shipping_address = CASE WHEN status IN ('PENDING', 'CONFIRMED') THEN shipping_address END
		WHERE user_id = $1`,
		`UPDATE coupon_redemptions SET user_id = NULL, email_hash = '' WHERE user_id = $1 AND $2::timestamptz IS NOT NULL`,
		`DELETE FROM carts WHERE user_id = $1 AND $2::timestamptz IS NOT NULL`,
	} {
		if _, err := t.ExecContext(ctx, statement, userID, now); err != nil {
			return err
		}
	}
	return nil
}
