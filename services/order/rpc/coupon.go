package rpc

import (
	"context"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/order"
)

// Coupons serves CouponService.
type Coupons struct {
	service *order.Service
}

var _ orderv1connect.CouponServiceHandler = (*Coupons)(nil)

// NewCoupons returns the handlers of coupons.
func NewCoupons(service *order.Service) *Coupons { return &Coupons{service: service} }

// CreateCoupon implements CouponService.
func (h *Coupons) CreateCoupon(ctx context.Context, req *orderv1.CreateCouponRequest) (*orderv1.CreateCouponResponse, error) {
	in, err := fromCoupon(req.Coupon)
	if err != nil {
		return nil, err
	}
	in.ID = idempotency.ResourceID(ctx)
	coupon, err := h.service.CreateCoupon(ctx, in)
	if err != nil {
		return nil, err
	}
	return &orderv1.CreateCouponResponse{Coupon: toCoupon(coupon)}, nil
}

// ListCoupons implements CouponService.
func (h *Coupons) ListCoupons(ctx context.Context, req *orderv1.ListCouponsRequest) (*orderv1.ListCouponsResponse, error) {
	var before order.CouponCursor
	filter := page.FilterHash("coupons")
	if req.PageToken != "" {
		if err := page.Decode(req.PageToken, &before, filter); err != nil {
			return nil, err
		}
	}
	found, err := h.service.ListCoupons(ctx, before, int(req.PageSize))
	if err != nil {
		return nil, err
	}
	res := &orderv1.ListCouponsResponse{Coupons: make([]*orderv1.Coupon, len(found.Coupons))}
	for i, coupon := range found.Coupons {
		res.Coupons[i] = toCoupon(coupon)
	}
	if found.Next != nil {
		res.NextPageToken = page.Encode(*found.Next, filter)
	}
	return res, nil
}

// DisableCoupon implements CouponService.
func (h *Coupons) DisableCoupon(ctx context.Context, req *orderv1.DisableCouponRequest) (*orderv1.DisableCouponResponse, error) {
	if err := h.service.DisableCoupon(ctx, fromID(req.CouponId)); err != nil {
		return nil, err
	}
	return &orderv1.DisableCouponResponse{}, nil
}

func fromCoupon(c *orderv1.Coupon) (order.Coupon, error) {
	out := order.Coupon{
		Code: c.Code, PercentOffBps: c.PercentOffBps, AmountOff: c.AmountOff.GetAmountMinor(),
		MinimumSubtotal: c.MinimumSubtotal.GetAmountMinor(), MaxRedemptions: c.MaxRedemptions,
		MaxPerCustomer: c.MaxRedemptionsPerCustomer, StartTime: fromTime(c.StartTime), EndTime: fromTime(c.EndTime),
	}
	for _, amount := range []*typev1.Money{c.AmountOff, c.MinimumSubtotal} {
		switch {
		case amount.GetAmountMinor() == 0:
		case out.Currency == "":
			out.Currency = amount.CurrencyCode
		case out.Currency != amount.CurrencyCode:
			return order.Coupon{}, fault.Invalid("coupon.minimumSubtotal", "must have the currency of amountOff")
		}
	}
	return out, nil
}

func toCoupon(c order.Coupon) *orderv1.Coupon {
	out := &orderv1.Coupon{
		Id: c.ID.String(), Code: c.Code, PercentOffBps: c.PercentOffBps, MaxRedemptions: c.MaxRedemptions,
		MaxRedemptionsPerCustomer: c.MaxPerCustomer, Redemptions: c.Redemptions, StartTime: toTime(c.StartTime),
		EndTime: toTime(c.EndTime), Disabled: c.Disabled, CreateTime: toTime(c.CreateTime),
	}
	if c.AmountOff > 0 {
		out.AmountOff = &typev1.Money{CurrencyCode: c.Currency, AmountMinor: c.AmountOff}
	}
	if c.MinimumSubtotal > 0 {
		out.MinimumSubtotal = &typev1.Money{CurrencyCode: c.Currency, AmountMinor: c.MinimumSubtotal}
	}
	return out
}
