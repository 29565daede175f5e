package order

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// CouponStore keeps coupons.
type CouponStore interface {
	// AddCoupon writes a coupon; one that exists under the id is returned as it
	// is, and a code that is taken is ErrCouponExists.
	AddCoupon(ctx context.Context, c Coupon) (Coupon, error)
	// CouponByCode returns a coupon, or a fault on couponCode.
	CouponByCode(ctx context.Context, code string) (Coupon, error)
	// ListCoupons returns up to limit coupons older than the cursor, newest first.
	ListCoupons(ctx context.Context, before CouponCursor, limit int) ([]Coupon, error)
	// DisableCoupon ends a coupon, or fails with NotFound.
	DisableCoupon(ctx context.Context, id uuid.UUID) error
}

// CouponCursor is a place in the list of coupons; its zero value is the start.
type CouponCursor struct {
	Time time.Time `json:"t"`
	ID   uuid.UUID `json:"i"`
}

// CouponPage is one page of coupons, newest first.
type CouponPage struct {
	Coupons []Coupon
	// Next is nil on the last page.
	Next *CouponCursor
}

// CreateCoupon adds a coupon. A repetition under the same id returns the first one.
func (s *Service) CreateCoupon(ctx context.Context, c Coupon) (Coupon, error) {
	c.Code = normalizeCode(c.Code)
	c.Redemptions, c.Disabled, c.CreateTime = 0, false, s.now()
	if err := c.Validate(); err != nil {
		return Coupon{}, err
	}
	return s.Coupons.AddCoupon(ctx, c)
}

// ListCoupons returns a page of coupons; size 0 means 20, at most 100.
func (s *Service) ListCoupons(ctx context.Context, before CouponCursor, size int) (CouponPage, error) {
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, maxPage)
	coupons, err := s.Coupons.ListCoupons(ctx, before, size+1)
	if err != nil {
		return CouponPage{}, err
	}
	page := CouponPage{Coupons: coupons}
	if len(coupons) > size {
		page.Coupons = coupons[:size]
		last := page.Coupons[size-1]
		page.Next = &CouponCursor{Time: last.CreateTime, ID: last.ID}
	}
	return page, nil
}

// DisableCoupon ends a coupon; orders that used it keep their discount.
func (s *Service) DisableCoupon(ctx context.Context, id uuid.UUID) error {
	return s.Coupons.DisableCoupon(ctx, id)
}
