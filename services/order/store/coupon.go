package store

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/order"
	entcoupon "github.com/commercestack/commercestack/ent/order/coupon"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/order"
)

// AddCoupon implements order.CouponStore.
func (s *Store) AddCoupon(ctx context.Context, c order.Coupon) (order.Coupon, error) {
	row, err := s.client.Coupon.Create().SetID(c.ID).SetCode(c.Code).SetPercentOffBps(c.PercentOffBps).
		SetAmountOff(c.AmountOff).SetMinimumSubtotal(c.MinimumSubtotal).SetCurrency(c.Currency).
		SetMaxRedemptions(c.MaxRedemptions).SetMaxRedemptionsPerCustomer(c.MaxPerCustomer).
		SetNillableStartTime(nullTime(c.StartTime)).SetNillableEndTime(nullTime(c.EndTime)).
		SetCreateTime(c.CreateTime).Save(ctx)
	switch {
	case postgres.IsUnique(err, "coupons_pkey"):
		row, err := s.client.Coupon.Get(ctx, c.ID)
		if err != nil {
			return order.Coupon{}, postgres.Fault(err)
		}
		return fromCoupon(row), nil
	case postgres.IsUnique(err, "coupons_code_key"):
		return order.Coupon{}, order.ErrCouponExists.WithField("coupon.code", c.Code).WithCause(err)
	case err != nil:
		return order.Coupon{}, postgres.Fault(err)
	}
	return fromCoupon(row), nil
}

// CouponByCode implements order.CouponStore.
func (s *Store) CouponByCode(ctx context.Context, code string) (order.Coupon, error) {
	row, err := s.client.Coupon.Query().Where(entcoupon.Code(code)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return order.Coupon{}, fault.Invalid("couponCode", "there is no such coupon").WithField("couponCode", code)
	case err != nil:
		return order.Coupon{}, postgres.Fault(err)
	}
	return fromCoupon(row), nil
}

// ListCoupons implements order.CouponStore.
func (s *Store) ListCoupons(ctx context.Context, before order.CouponCursor, limit int) ([]order.Coupon, error) {
	query := s.client.Coupon.Query()
	if before.ID != uuid.Nil {
		query.Where(func(s *sql.Selector) {
			s.Where(sql.CompositeLT([]string{s.C(entcoupon.FieldCreateTime), s.C(entcoupon.FieldID)}, before.Time, before.ID))
		})
	}
	rows, err := query.Order(entcoupon.ByCreateTime(sql.OrderDesc()), entcoupon.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	coupons := make([]order.Coupon, len(rows))
	for i, row := range rows {
		coupons[i] = fromCoupon(row)
	}
	return coupons, nil
}

// DisableCoupon implements order.CouponStore.
func (s *Store) DisableCoupon(ctx context.Context, id uuid.UUID) error {
	n, err := s.client.Coupon.Update().Where(entcoupon.ID(id)).SetDisabled(true).Save(ctx)
	if err == nil && n == 0 {
		return fault.NotFound("coupon", id.String())
	}
	return postgres.Fault(err)
}

func fromCoupon(row *ent.Coupon) order.Coupon {
	return order.Coupon{
		ID: row.ID, Code: row.Code, PercentOffBps: row.PercentOffBps, AmountOff: row.AmountOff,
		MinimumSubtotal: row.MinimumSubtotal, Currency: row.Currency, MaxRedemptions: row.MaxRedemptions,
		MaxPerCustomer: row.MaxRedemptionsPerCustomer, Redemptions: row.Redemptions,
		StartTime: fromNull(row.StartTime), EndTime: fromNull(row.EndTime), Disabled: row.Disabled, CreateTime: row.CreateTime.UTC(),
	}
}

func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
