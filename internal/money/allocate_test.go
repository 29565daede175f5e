package money_test

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/money"
)

func TestAllocate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		total   int64
		weights []int64
		want    []int64
		err     error
	}{
		"thirds":               {100, []int64{1, 1, 1}, []int64{34, 33, 33}, nil},
		"largest remainder":    {10, []int64{15, 65, 20}, []int64{2, 6, 2}, nil}, // 1.5, 6.5, 2.0
		"negative mirrors":     {-100, []int64{1, 1, 1}, []int64{-34, -33, -33}, nil},
		"nought weight":        {5, []int64{0, 3}, []int64{0, 5}, nil},
		"all noughts":          {5, []int64{0, 0}, []int64{3, 2}, nil},
		"one":                  {7, []int64{9}, []int64{7}, nil},
		"fewer units":          {1, []int64{1, 1, 1}, []int64{1, 0, 0}, nil},
		"max":                  {math.MaxInt64, []int64{math.MaxInt64}, []int64{math.MaxInt64}, nil},
		"min":                  {math.MinInt64, []int64{1}, []int64{math.MinInt64}, nil},
		"no weights":           {5, nil, nil, money.ErrInvalidWeight},
		"negative weight":      {5, []int64{1, -1}, nil, money.ErrInvalidWeight},
		"weights out of range": {5, []int64{math.MaxInt64, 1}, nil, money.ErrOverflow},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := money.Allocate(tt.total, tt.weights)
			if !errors.Is(err, tt.err) || !slices.Equal(got, tt.want) {
				t.Errorf("Allocate(%d, %v) = %v, %v, want %v, %v", tt.total, tt.weights, got, err, tt.want, tt.err)
			}
		})
	}
}

func TestMoneyAllocate(t *testing.T) {
	t.Parallel()
	got, err := jpy(100).Allocate([]int64{2, 1})
	if want := []money.Money{jpy(67), jpy(33)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := jpy(100).Allocate(nil); !errors.Is(err, money.ErrInvalidWeight) {
		t.Errorf("error = %v, want ErrInvalidWeight", err)
	}
}

// sum(lines) = total, no line is a unit away from its exact share, and the
// same input gives the same lines.
func TestAllocateAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64().Draw(t, "total")
		weights := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64/64), 1, 40).Draw(t, "weights")
		parts, err := money.Allocate(total, weights)
		if err != nil {
			t.Fatal(err)
		}
		sum, weightSum := new(big.Int), new(big.Int)
		for i := range parts {
			sum.Add(sum, big.NewInt(parts[i]))
			weightSum.Add(weightSum, big.NewInt(weights[i]))
		}
		if !sum.IsInt64() || sum.Int64() != total {
			t.Fatalf("parts sum to %v, want %d", sum, total)
		}
		if again, err := money.Allocate(total, weights); err != nil || !slices.Equal(again, parts) {
			t.Fatalf("second run gave %v, %v, first %v", again, err, parts)
		}
		if weightSum.Sign() == 0 {
			return
		}
		for i, part := range parts {
			// |part·sum − total·weight| < sum
			off := new(big.Int).Mul(big.NewInt(part), weightSum)
			off.Sub(off, new(big.Int).Mul(big.NewInt(total), big.NewInt(weights[i])))
			if off.CmpAbs(weightSum) >= 0 {
				t.Fatalf("part %d = %d is a unit or more from its share", i, part)
			}
		}
	})
}

// A tax is rounded once for the line, so that quantity × rounded unit can never
// be what the buyer pays; the order's total is the sum of what its lines show.
func TestInvoiceAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(t, "currency")
		n := rapid.IntRange(1, 20).Draw(t, "lines")
		total := money.Zero(code)
		var nets []int64
		for range n {
			unit := money.Money{CurrencyCode: code, AmountMinor: rapid.Int64Range(0, 1e9).Draw(t, "unit")}
			line, err := unit.Mul(rapid.Int64Range(1, 1000).Draw(t, "quantity"))
			if err != nil {
				t.Fatal(err)
			}
			if total, err = total.Add(line); err != nil {
				t.Fatal(err)
			}
			nets = append(nets, line.AmountMinor)
		}
		discount, err := total.Percent(rapid.Int64Range(0, 10_000).Draw(t, "discount"))
		if err != nil {
			t.Fatal(err)
		}
		shares, err := discount.Allocate(nets)
		if err != nil {
			t.Fatal(err)
		}
		back, err := money.Sum(code, shares...)
		if err != nil || back != discount {
			t.Fatalf("line discounts sum to %v, %v, want %v", back, err, discount)
		}
		for i, s := range shares {
			if s.AmountMinor > nets[i] {
				t.Fatalf("line %d is discounted by %v, more than its net %d", i, s, nets[i])
			}
		}
	})
}
