package order

import (
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

var couponCode = regexp.MustCompile(`^[A-Z0-9-]{3,60}$`)

// Coupon gives a discount on an order: a percentage or an amount.
type Coupon struct {
	// ID is a UUIDv7.
	ID uuid.UUID
	// Code is what people type, in upper case.
	Code string
	// PercentOffBps is the discount in basis points (1000 = 10 %), 0 for an amount.
	PercentOffBps int32
	// AmountOff is the discount in minor units of Currency, 0 for a percentage.
	AmountOff int64
	// MinimumSubtotal is the lowest subtotal, in minor units of Currency.
	MinimumSubtotal int64
	// Currency is of the amounts; "" when there are none, so that any currency does.
	Currency string
	// MaxRedemptions is how often it can be used; 0 means without limit.
	MaxRedemptions int32
	// MaxPerCustomer is how often one person may use it; 0 means without limit.
	MaxPerCustomer int32
	// Redemptions is how often it is used.
	Redemptions int32
	// StartTime is when it begins; zero means at once.
	StartTime time.Time
	// EndTime is when it ends; zero means never.
	EndTime time.Time
	// Disabled ended it by hand.
	Disabled bool
	// CreateTime is when it was made.
	CreateTime time.Time
}

func normalizeCode(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }

// Validate tells what is wrong with a new coupon, naming the field.
func (c Coupon) Validate() error {
	switch {
	case !couponCode.MatchString(c.Code):
		return fault.Invalid("coupon.code", "the code must be 3 to 60 letters, digits or dashes")
	case (c.PercentOffBps > 0) == (c.AmountOff > 0):
		return fault.Invalid("coupon.percentOffBps", "give either percentOffBps or amountOff")
	case c.PercentOffBps < 0 || c.PercentOffBps > money.BasisPoints:
		return fault.Invalid("coupon.percentOffBps", "must be between 0 and %d", money.BasisPoints)
	case c.AmountOff < 0:
		return fault.Invalid("coupon.amountOff", "must not be negative")
	case c.MinimumSubtotal < 0:
		return fault.Invalid("coupon.minimumSubtotal", "must not be negative")
	case c.MaxRedemptions < 0:
		return fault.Invalid("coupon.maxRedemptions", "must not be negative")
	case c.MaxPerCustomer < 0:
		return fault.Invalid("coupon.maxRedemptionsPerCustomer", "must not be negative")
	case !c.EndTime.IsZero() && !c.EndTime.After(c.StartTime):
		return fault.Invalid("coupon.endTime", "must be after startTime")
	case c.Currency == "" && (c.AmountOff > 0 || c.MinimumSubtotal > 0):
		return fault.Invalid("coupon.amountOff", "an amount needs a currency")
	}
	if c.Currency != "" {
		if _, err := money.New(c.Currency, 0); err != nil {
			return fault.Invalid("coupon.amountOff", "unknown currency").WithCause(err)
		}
	}
	return nil
}

// Usable tells why the coupon cannot be used now: a fault on couponCode, or
// ErrCouponUsedUp. The limits are checked again when the order is written.
func (c Coupon) Usable(now time.Time) error {
	switch {
	case c.Disabled, !c.EndTime.IsZero() && !now.Before(c.EndTime):
		return fault.Invalid("couponCode", "the coupon has ended").WithField("couponCode", c.Code)
	case now.Before(c.StartTime):
		return fault.Invalid("couponCode", "the coupon is not valid yet").WithField("couponCode", c.Code)
	case c.MaxRedemptions > 0 && c.Redemptions >= c.MaxRedemptions:
		return ErrCouponUsedUp.WithField("couponCode", c.Code)
	}
	return nil
}

// Discount is what the coupon takes off a subtotal, in minor units: never more
// than the subtotal. It fails with a fault on couponCode.
func (c Coupon) Discount(subtotal money.Money) (int64, error) {
	if c.Currency != "" && c.Currency != subtotal.CurrencyCode {
		return 0, fault.Invalid("couponCode", "the coupon is for orders in %s", c.Currency).WithField("couponCode", c.Code)
	}
	if subtotal.AmountMinor < c.MinimumSubtotal {
		return 0, fault.Invalid("couponCode", "the coupon needs a subtotal of at least %s",
			money.Money{CurrencyCode: c.Currency, AmountMinor: c.MinimumSubtotal}).WithField("couponCode", c.Code)
	}
	off := c.AmountOff
	if c.PercentOffBps > 0 {
		part, err := subtotal.Percent(int64(c.PercentOffBps))
		if err != nil {
			return 0, err
		}
		off = part.AmountMinor
	}
	return min(off, subtotal.AmountMinor), nil
}
