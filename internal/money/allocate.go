package money

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Allocate shares total out in proportion to weights by the largest remainder:
// each part is rounded towards zero, then the units left over go one each to
// the parts that lost most, the earlier part first where they lost the same.
// The parts always sum to total, and the same input gives the same parts. When
// all weights are nought the total is shared evenly.
//
// It returns ErrInvalidWeight when there is no weight or a negative one, and
// ErrOverflow when the weights sum to more than int64 holds.
func Allocate(total int64, weights []int64) ([]int64, error) {
	sum, err := weightSum(weights)
	if err != nil {
		return nil, err
	}
	if sum == 0 {
		return Allocate(total, evenly(len(weights)))
	}
	amount := magnitude(total)
	left := amount
	parts := make([]uint64, len(weights))
	remainders := make([]uint64, len(weights))
	for i, w := range weights {
		// amount < 2^64 and w ≤ sum, so hi < sum and Div64 cannot panic.
		hi, lo := bits.Mul64(amount, uint64(w))
		parts[i], remainders[i] = bits.Div64(hi, lo, uint64(sum))
		left -= parts[i]
	}
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(remainders[b], remainders[a])
	})
	for _, i := range order[:left] {
		parts[i]++
	}
	return withSign(parts, total < 0), nil
}

// Allocate shares m out in proportion to weights; see the function Allocate.
func (m Money) Allocate(weights []int64) ([]Money, error) {
	amounts, err := Allocate(m.AmountMinor, weights)
	if err != nil {
		return nil, err
	}
	parts := make([]Money, len(amounts))
	for i, a := range amounts {
		parts[i] = Money{CurrencyCode: m.CurrencyCode, AmountMinor: a}
	}
	return parts, nil
}

func weightSum(weights []int64) (int64, error) {
	if len(weights) == 0 {
		return 0, fmt.Errorf("%w: none given", ErrInvalidWeight)
	}
	var sum int64
	for i, w := range weights {
		if w < 0 {
			return 0, fmt.Errorf("%w: weights[%d] is negative", ErrInvalidWeight, i)
		}
		if sum > math.MaxInt64-w {
			return 0, ErrOverflow
		}
		sum += w
	}
	return sum, nil
}

func evenly(n int) []int64 {
	weights := make([]int64, n)
	for i := range weights {
		weights[i] = 1
	}
	return weights
}

// withSign cannot overflow: no part is greater than the total's magnitude.
func withSign(parts []uint64, negative bool) []int64 {
	amounts := make([]int64, len(parts))
	for i, p := range parts {
		if negative {
			p = -p
		}
		amounts[i] = int64(p)
	}
	return amounts
}
