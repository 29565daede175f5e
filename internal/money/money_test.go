package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/money"
)

func eur(n int64) money.Money { return money.Money{CurrencyCode: "EUR", AmountMinor: n} }
func jpy(n int64) money.Money { return money.Money{CurrencyCode: "JPY", AmountMinor: n} }

func TestNew(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"EUR", "JPY", "KWD", "CLF"} {
		m, err := money.New(code, -5)
		if err != nil || m.CurrencyCode != code || m.AmountMinor != -5 {
			t.Errorf("New(%q, -5) = %v, %v", code, m, err)
		}
	}
	for _, code := range []string{"", "eur", "EURO", "XYZ", "€", "EUR ", string(make([]byte, 1000))} {
		if _, err := money.New(code, 1); !errors.Is(err, money.ErrUnknownCurrency) {
			t.Errorf("New(%q) error = %v, want ErrUnknownCurrency", code, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("error text of %d bytes echoes hostile input", len(err.Error()))
		}
	}
}

func TestExponent(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"EUR": 2, "JPY": 0, "KWD": 3, "ISK": 0, "HUF": 2, "CLF": 4} {
		if got, err := money.Exponent(code); err != nil || got != want {
			t.Errorf("Exponent(%s) = %d, %v, want %d", code, got, err, want)
		}
	}
}

func TestSigns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		amount                   int64
		zero, negative, positive bool
	}{{0, true, false, false}, {-1, false, true, false}, {1, false, false, true}}
	for _, tt := range tests {
		m := eur(tt.amount)
		if m.IsZero() != tt.zero || m.IsNegative() != tt.negative || m.IsPositive() != tt.positive {
			t.Errorf("signs of %d are wrong", tt.amount)
		}
	}
}

func TestArithmeticBounds(t *testing.T) {
	t.Parallel()
	type op func() (money.Money, error)
	big, small := eur(math.MaxInt64), eur(math.MinInt64)
	tests := map[string]struct {
		do   op
		want int64
		err  error
	}{
		"add":                {func() (money.Money, error) { return eur(3).Add(eur(4)) }, 7, nil},
		"add up to max":      {func() (money.Money, error) { return eur(math.MaxInt64 - 1).Add(eur(1)) }, math.MaxInt64, nil},
		"add over":           {func() (money.Money, error) { return big.Add(eur(1)) }, 0, money.ErrOverflow},
		"add under":          {func() (money.Money, error) { return small.Add(eur(-1)) }, 0, money.ErrOverflow},
		"add yen":            {func() (money.Money, error) { return eur(1).Add(jpy(1)) }, 0, money.ErrCurrencyMismatch},
		"sub":                {func() (money.Money, error) { return eur(3).Sub(eur(4)) }, -1, nil},
		"sub over":           {func() (money.Money, error) { return eur(0).Sub(small) }, 0, money.ErrOverflow},
		"sub under":          {func() (money.Money, error) { return small.Sub(eur(1)) }, 0, money.ErrOverflow},
		"sub min from minus": {func() (money.Money, error) { return eur(-1).Sub(small) }, math.MaxInt64, nil},
		"sub yen":            {func() (money.Money, error) { return eur(1).Sub(jpy(1)) }, 0, money.ErrCurrencyMismatch},
		"mul":                {func() (money.Money, error) { return eur(1999).Mul(3) }, 5997, nil},
		"mul negative":       {func() (money.Money, error) { return eur(1999).Mul(-3) }, -5997, nil},
		"mul over":           {func() (money.Money, error) { return eur(math.MaxInt64/2 + 1).Mul(2) }, 0, money.ErrOverflow},
		"mul far over":       {func() (money.Money, error) { return big.Mul(math.MaxInt64) }, 0, money.ErrOverflow},
		"mul min by one":     {func() (money.Money, error) { return small.Mul(1) }, math.MinInt64, nil},
		"mul min by minus":   {func() (money.Money, error) { return small.Mul(-1) }, 0, money.ErrOverflow},
		"neg":                {func() (money.Money, error) { return eur(7).Neg() }, -7, nil},
		"neg min":            {small.Neg, 0, money.ErrOverflow},
		"sum":                {func() (money.Money, error) { return money.Sum("EUR", eur(1), eur(2), eur(-4)) }, -1, nil},
		"sum of none":        {func() (money.Money, error) { return money.Sum("EUR") }, 0, nil},
		"sum of mixed":       {func() (money.Money, error) { return money.Sum("EUR", jpy(1)) }, 0, money.ErrCurrencyMismatch},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.do()
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if err == nil && got != eur(tt.want) {
				t.Errorf("got %v, want %v", got, eur(tt.want))
			}
			if err != nil && got != (money.Money{}) {
				t.Errorf("a failed operation returned %v", got)
			}
		})
	}
}

func TestCmp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b int64
		want int
	}{{1, 2, -1}, {2, 2, 0}, {3, 2, 1}, {math.MinInt64, math.MaxInt64, -1}} {
		if got, err := eur(tt.a).Cmp(eur(tt.b)); err != nil || got != tt.want {
			t.Errorf("Cmp(%d, %d) = %d, %v", tt.a, tt.b, got, err)
		}
	}
	if _, err := eur(1).Cmp(jpy(1)); !errors.Is(err, money.ErrCurrencyMismatch) {
		t.Errorf("error = %v, want ErrCurrencyMismatch", err)
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		amount, basisPoints, want int64
		err                       error
	}{
		{1000, 1900, 190, nil},
		{1999, 1900, 380, nil}, // 379.81
		{50, 100, 1, nil},      // 0.5 goes up
		{49, 100, 0, nil},      // 0.49
		{-50, 100, -1, nil},    // a refund mirrors its charge
		{-49, 100, 0, nil},
		{100, 0, 0, nil},
		{100, -2500, -25, nil},
		{math.MaxInt64, 10_000, math.MaxInt64, nil},
		{math.MaxInt64, 10_001, 0, money.ErrOverflow},
		{math.MinInt64, 10_000, math.MinInt64, nil},
		{math.MinInt64, math.MinInt64, 0, money.ErrOverflow},
	}
	for _, tt := range tests {
		got, err := eur(tt.amount).Percent(tt.basisPoints)
		if !errors.Is(err, tt.err) || (err == nil && got != eur(tt.want)) {
			t.Errorf("Percent(%d of %d) = %v, %v, want %d, %v", tt.basisPoints, tt.amount, got, err, tt.want, tt.err)
		}
	}
}

func TestIncluded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		gross, basisPoints, want int64
		err                      error
	}{
		{11900, 1900, 1900, nil},
		{1999, 1900, 319, nil}, // 319.17
		{1999, 0, 0, nil},
		{1999, -1, 0, money.ErrInvalidRatio},
		{1999, math.MaxInt64, 0, money.ErrOverflow},
	}
	for _, tt := range tests {
		got, err := eur(tt.gross).Included(tt.basisPoints)
		if !errors.Is(err, tt.err) || (err == nil && got != eur(tt.want)) {
			t.Errorf("Included(%d of %d) = %v, %v, want %d, %v", tt.basisPoints, tt.gross, got, err, tt.want, tt.err)
		}
	}
}

func TestRatioRefusesDivisors(t *testing.T) {
	t.Parallel()
	for _, den := range []int64{0, -1, math.MinInt64} {
		if _, err := eur(1).Ratio(1, den); !errors.Is(err, money.ErrInvalidRatio) {
			t.Errorf("Ratio(1, %d) error = %v, want ErrInvalidRatio", den, err)
		}
	}
	// (2^63-1)·2 = 2^64-2; rounding up the largest quotient must not wrap to 0.
	if _, err := eur(math.MinInt64).Ratio(math.MinInt64, math.MaxInt64); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("error = %v, want ErrOverflow", err)
	}
}

// The model is arbitrary-precision rational arithmetic.
func TestRatioMatchesExactArithmetic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64().Draw(t, "amount")
		num := rapid.Int64().Draw(t, "numerator")
		den := rapid.Int64Range(1, math.MaxInt64).Draw(t, "denominator")
		want := roundedRatio(amount, num, den)
		got, err := eur(amount).Ratio(num, den)
		if !want.IsInt64() {
			if !errors.Is(err, money.ErrOverflow) {
				t.Fatalf("want overflow, got %v, %v", got, err)
			}
			return
		}
		if err != nil || got.AmountMinor != want.Int64() {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	})
}

func roundedRatio(amount, num, den int64) *big.Int {
	product := new(big.Int).Mul(big.NewInt(amount), big.NewInt(num))
	twice := new(big.Int).Mul(new(big.Int).Abs(product), big.NewInt(2))
	twice.Add(twice, big.NewInt(den))
	twice.Quo(twice, new(big.Int).Mul(big.NewInt(den), big.NewInt(2)))
	if product.Sign() < 0 {
		twice.Neg(twice)
	}
	return twice
}

func TestAddAndSubAreInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := eur(rapid.Int64().Draw(t, "a")), eur(rapid.Int64().Draw(t, "b"))
		sum, err := a.Add(b)
		exact := new(big.Int).Add(big.NewInt(a.AmountMinor), big.NewInt(b.AmountMinor))
		if errors.Is(err, money.ErrOverflow) != !exact.IsInt64() {
			t.Fatalf("a+b = %v, error %v", exact, err)
		}
		if err != nil {
			return
		}
		if back, err := sum.Sub(b); err != nil || back != a {
			t.Fatalf("(a+b)-b = %v, %v, want %v", back, err, a)
		}
	})
}
