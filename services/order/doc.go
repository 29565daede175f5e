// Package order owns orders, carts and coupons.
//
// # States
//
//	PENDING ──▶ CONFIRMED ──▶ FULFILLED ──▶ COMPLETED
//	   │            │
//	   │            └──▶ CANCELLED   money goes back
//	   ├──▶ CANCELLED
//	   └──▶ EXPIRED                  nobody paid in time
//
// A state is changed by an UPDATE that names the state it expects, so of two
// runs one wins, and only the winner tells others. No state is ever left
// again for PENDING: money that arrives for an order that ended goes back.
//
// # Saga
//
// Placing an order reserves stock under the order's id, then writes the order,
// its lines, its history and its event in one transaction. The id belongs to
// the request's idempotency key, so a run that was cut off anywhere and is
// repeated ends in one order. A reservation whose order was never written ends
// by its own time to live; it is released at once only when it is certain that
// no order was written. Everything that must happen elsewhere afterwards
// (release, refund, confirm) is a job of the same transaction.
//
// # Invariants
//
//   - Amounts are int64 minor units of one currency per order. The total is the
//     subtotal less the discount plus tax and shipping, and the lines sum to the
//     order. The database checks both.
//   - Prices are net. The discount is shared out to the lines by the largest
//     remainder, then each line's tax is rounded once.
//   - A coupon is used at most as often as it may be, in total and by one
//     person; the count moves in the order's transaction.
//   - A user has one open cart.
//   - History only grows, and a fact told twice makes one step.
//
// Tables: orders, order_lines, order_events, order_payments, carts,
// cart_lines, coupons, coupon_redemptions.
package order
