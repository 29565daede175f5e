package order

import "github.com/commercestack/commercestack/internal/fault"

// What an order, a cart or a coupon refuses.
var (
	// ErrNotCancellable tells that the goods left or the order ended otherwise.
	ErrNotCancellable = fault.New(fault.KindConflict, "ORDER_NOT_CANCELLABLE", "the order can no longer be cancelled")
	// ErrNotFulfillable tells that only a CONFIRMED order goes to the carrier.
	ErrNotFulfillable = fault.New(fault.KindConflict, "ORDER_NOT_FULFILLABLE", "only a confirmed order can be fulfilled")
	// ErrNotCompletable tells that only a FULFILLED order can be delivered.
	ErrNotCompletable = fault.New(fault.KindConflict, "ORDER_NOT_COMPLETABLE", "only a fulfilled order can be completed")
	// ErrNotPayable tells that the order ended, so no money may be collected.
	ErrNotPayable = fault.New(fault.KindConflict, "ORDER_NOT_PAYABLE", "the order can no longer be paid")
	// ErrAlreadyPaid tells that nothing is owed.
	ErrAlreadyPaid = fault.New(fault.KindConflict, "ORDER_ALREADY_PAID", "the order is already paid")
	// ErrCurrencyMix tells that the products of one order have different currencies.
	ErrCurrencyMix = fault.New(fault.KindConflict, "CURRENCY_MIX", "products of different currencies cannot be ordered together")
	// ErrCouponUsedUp tells that the coupon, or this customer's share of it, is used up.
	ErrCouponUsedUp = fault.New(fault.KindConflict, "COUPON_USED_UP", "the coupon cannot be used any more")
	// ErrCouponExists tells that the code is taken.
	ErrCouponExists = fault.New(fault.KindConflict, "COUPON_EXISTS", "a coupon with this code exists")
	// ErrCartChanged tells that the cart was changed while it was being ordered.
	ErrCartChanged = fault.New(fault.KindConflict, "CART_CHANGED", "the cart was changed meanwhile, look at it again")
	// ErrCartFull tells that a cart holds too many products.
	ErrCartFull = fault.New(fault.KindConflict, "CART_FULL", "a cart holds at most 200 products")
	// ErrStockGone tells that the reservation ended and cannot be kept.
	ErrStockGone = fault.New(fault.KindConflict, "RESERVATION_GONE", "the reserved goods are no longer held")
)

func notFound(resource, id string) error { return fault.NotFound(resource, id) }
