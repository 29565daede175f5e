// Package money is exact arithmetic on amounts of money.
//
// An amount is a whole number of minor units (cents for EUR, yen for JPY, fils
// for KWD) together with its ISO 4217 currency. The number of decimals comes
// from the currency alone, never from a constant: multiplying yen by 100 passes
// its own round trip and overcharges the buyer a hundredfold.
//
// Invariants:
//
//   - No floating point anywhere, so nothing is lost between parse and print.
//   - Every operation that can leave the range of int64 says ErrOverflow; no
//     operation wraps around.
//   - Amounts of different currencies never meet: ErrCurrencyMismatch.
//   - Rounding happens once per line, half away from zero, so that a refund is
//     the exact negative of its charge.
//   - What is shared out adds up: the parts of Allocate always sum to the total.
package money
