package money

import (
	"math"
	"math/bits"
)

// BasisPoints is the number of basis points in a whole: 1 % is 100.
const BasisPoints = 10_000

// Percent returns basisPoints ten-thousandths of m, rounded half away from
// zero (1900 is 19 %). Call it once per line on the line's whole amount:
// rounding each unit and then multiplying drifts by the quantity.
func (m Money) Percent(basisPoints int64) (Money, error) {
	return m.Ratio(basisPoints, BasisPoints)
}

// Included returns the part of a gross amount that is tax at basisPoints:
// gross × rate / (1 + rate), rounded half away from zero. It returns
// ErrInvalidRatio when the rate is negative.
func (m Money) Included(basisPoints int64) (Money, error) {
	if basisPoints < 0 {
		return Money{}, ErrInvalidRatio
	}
	whole, err := add(BasisPoints, basisPoints)
	if err != nil {
		return Money{}, err
	}
	return m.Ratio(basisPoints, whole)
}

// Ratio returns m × numerator / denominator, rounded once, half away from
// zero. The product is exact in 128 bits. It returns ErrInvalidRatio unless
// the denominator is positive, and ErrOverflow.
func (m Money) Ratio(numerator, denominator int64) (Money, error) {
	part, err := ratio(m.AmountMinor, numerator, denominator)
	return m.with(part, err)
}

func ratio(amount, numerator, denominator int64) (int64, error) {
	if denominator <= 0 {
		return 0, ErrInvalidRatio
	}
	hi, lo := bits.Mul64(magnitude(amount), magnitude(numerator))
	den := uint64(denominator)
	if hi >= den {
		return 0, ErrOverflow
	}
	quotient, remainder := bits.Div64(hi, lo, den)
	// Not 2×remainder ≥ den: that could leave 64 bits.
	if remainder >= den-remainder {
		if quotient == math.MaxUint64 {
			return 0, ErrOverflow
		}
		quotient++
	}
	return signed(quotient, (amount < 0) != (numerator < 0))
}

// magnitude is |n| without the trap that -math.MinInt64 is negative.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func signed(n uint64, negative bool) (int64, error) {
	switch {
	case negative && n <= 1<<63:
		return int64(-n), nil
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	default:
		return 0, ErrOverflow
	}
}
