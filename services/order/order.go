package order

import (
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Amounts are the sums of an order in minor units of its currency.
type Amounts struct {
	// Subtotal is the sum of the lines before discount and tax.
	Subtotal int64
	// Discount is subtracted; never negative, never above Subtotal.
	Discount int64
	// Tax is the sum of the lines' taxes.
	Tax int64
	// Shipping is what the delivery costs.
	Shipping int64
	// Total is Subtotal − Discount + Tax + Shipping.
	Total int64
}

// Order is a contract to deliver goods for money.
type Order struct {
	// ID is a UUIDv7, the id of the request that placed the order.
	ID uuid.UUID
	// Number is what people quote: unique, ascending, with gaps.
	Number int64
	// UserID is the owner, uuid.Nil for a guest's order.
	UserID uuid.UUID
	// GuestTokenHash is the hex SHA-256 of a guest's token, "" for a user's order.
	GuestTokenHash string
	// Email is where the shop writes to, "" once erased.
	Email string
	// Status is where the order stands.
	Status Status
	// Currency is the ISO 4217 code of all amounts.
	Currency string
	// Amounts are the sums.
	Amounts
	// Refunded is what went back so far, in minor units.
	Refunded int64
	// Lines are what was sold, in the order given.
	Lines []Line
	// ShippingAddress is nil when nothing is sent or once erased.
	ShippingAddress *Address
	// CouponID is uuid.Nil without a coupon.
	CouponID uuid.UUID
	// CouponCode is what the customer typed, in upper case.
	CouponCode string
	// TrackingNumber is the carrier's, once FULFILLED.
	TrackingNumber string
	// CancelReason says why it was called off.
	CancelReason string
	// CreateTime is when it was placed.
	CreateTime time.Time
	// UpdateTime is when it last changed.
	UpdateTime time.Time
	// ExpireTime is when a PENDING order expires.
	ExpireTime time.Time
	// HoldUntil keeps a PENDING order open while money is on its way; zero without a payment.
	HoldUntil time.Time
	// Erased tells that the owner's personal data was deleted.
	Erased bool
	// Version counts changes.
	Version int64
}

// Line is a copy of a product as it was sold. Amounts are minor units.
type Line struct {
	// ProductID is the product's UUID.
	ProductID uuid.UUID
	// SKU is the stock keeping unit.
	SKU string
	// Name is the product's name at that time.
	Name string
	// Quantity is the number of pieces, at least 1.
	Quantity int32
	// UnitPrice is the net price of one piece.
	UnitPrice int64
	// Subtotal is UnitPrice × Quantity.
	Subtotal int64
	// Discount is this line's share of the order's discount.
	Discount int64
	// TaxBps is the tax rate in basis points (1900 = 19 %).
	TaxBps int32
	// Tax is rounded once, on the line's discounted amount.
	Tax int64
	// Total is Subtotal − Discount + Tax.
	Total int64
}

// Address is a postal address.
type Address struct {
	// Recipient is the name on the parcel.
	Recipient string
	// Line1 is street and number.
	Line1 string
	// Line2 is a second line, may be "".
	Line2 string
	// City is the town.
	City string
	// Region is a state or province, may be "".
	Region string
	// PostalCode may be "".
	PostalCode string
	// CountryCode is ISO 3166-1 alpha-2.
	CountryCode string
	// Phone may be "".
	Phone string
}

// Money returns an amount of the order's currency.
func (o Order) Money(minor int64) money.Money {
	return money.Money{CurrencyCode: o.Currency, AmountMinor: minor}
}

// PayableUntil is when a PENDING order can expire: its own time, or the end of
// the payment that is under way when that is later.
func (o Order) PayableUntil() time.Time {
	if o.HoldUntil.After(o.ExpireTime) {
		return o.HoldUntil
	}
	return o.ExpireTime
}
