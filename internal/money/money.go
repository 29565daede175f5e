package money

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/bojanz/currency"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrOverflow tells that a result does not fit into int64 minor units.
	ErrOverflow = errors.New("money: amount out of range")
	// ErrCurrencyMismatch tells that two amounts have different currencies.
	ErrCurrencyMismatch = errors.New("money: currencies differ")
	// ErrUnknownCurrency tells that a code is not an upper-case ISO 4217 code.
	ErrUnknownCurrency = errors.New("money: unknown currency code")
	// ErrInvalidAmount tells that a text is not a decimal amount.
	ErrInvalidAmount = errors.New("money: invalid amount")
	// ErrInvalidWeight tells that an allocation has no or negative weights.
	ErrInvalidWeight = errors.New("money: invalid weight")
	// ErrInvalidRatio tells that a ratio has a divisor that is not positive.
	ErrInvalidRatio = errors.New("money: invalid ratio")
)

// Money is an amount in one currency. The zero value has no currency and is
// not valid; use Zero for a currency's nought.
type Money struct {
	// CurrencyCode is the ISO 4217 code in upper case, such as "EUR".
	CurrencyCode string
	// AmountMinor counts minor units: 1999 is 19.99 EUR and 1999 JPY.
	AmountMinor int64
}

// New returns the amount of minor units in a currency, or ErrUnknownCurrency.
func New(currencyCode string, amountMinor int64) (Money, error) {
	m := Money{CurrencyCode: currencyCode, AmountMinor: amountMinor}
	if err := m.Validate(); err != nil {
		return Money{}, err
	}
	return m, nil
}

// Zero returns nought in a currency. It does not check the code.
func Zero(currencyCode string) Money {
	return Money{CurrencyCode: currencyCode}
}

// Exponent returns the number of decimals of a currency (2 for EUR, 0 for JPY,
// 3 for KWD), or ErrUnknownCurrency.
func Exponent(currencyCode string) (int, error) {
	digits, ok := currency.GetDigits(currencyCode)
	if !ok {
		return 0, fmt.Errorf("%w: %q", ErrUnknownCurrency, clip(currencyCode))
	}
	return int(digits), nil
}

// Validate returns ErrUnknownCurrency unless the currency code is an ISO 4217
// code in upper case. Every int64 is a valid amount.
func (m Money) Validate() error {
	_, err := Exponent(m.CurrencyCode)
	return err
}

// IsZero tells whether the amount is nought, whatever the currency.
func (m Money) IsZero() bool { return m.AmountMinor == 0 }

// IsNegative tells whether the amount is below nought.
func (m Money) IsNegative() bool { return m.AmountMinor < 0 }

// IsPositive tells whether the amount is above nought.
func (m Money) IsPositive() bool { return m.AmountMinor > 0 }

// Add returns m+n, ErrCurrencyMismatch or ErrOverflow.
func (m Money) Add(n Money) (Money, error) {
	if err := m.sameCurrency(n); err != nil {
		return Money{}, err
	}
	sum, err := add(m.AmountMinor, n.AmountMinor)
	return m.with(sum, err)
}

// Sub returns m-n, ErrCurrencyMismatch or ErrOverflow.
func (m Money) Sub(n Money) (Money, error) {
	if err := m.sameCurrency(n); err != nil {
		return Money{}, err
	}
	a, b := m.AmountMinor, n.AmountMinor
	if (b > 0 && a < math.MinInt64+b) || (b < 0 && a > math.MaxInt64+b) {
		return Money{}, ErrOverflow
	}
	return m.with(a-b, nil)
}

// Mul returns m taken quantity times, or ErrOverflow. Whether a negative
// quantity makes sense is the caller's rule.
func (m Money) Mul(quantity int64) (Money, error) {
	product, err := ratio(m.AmountMinor, quantity, 1)
	return m.with(product, err)
}

// Neg returns -m, or ErrOverflow for the smallest int64.
func (m Money) Neg() (Money, error) {
	if m.AmountMinor == math.MinInt64 {
		return Money{}, ErrOverflow
	}
	return m.with(-m.AmountMinor, nil)
}

// Cmp returns -1, 0 or +1 as m is less than, equal to or greater than n, or
// ErrCurrencyMismatch.
func (m Money) Cmp(n Money) (int, error) {
	if err := m.sameCurrency(n); err != nil {
		return 0, err
	}
	return cmp.Compare(m.AmountMinor, n.AmountMinor), nil
}

// Sum adds amounts of one currency; without amounts it is Zero(currencyCode).
// It returns ErrCurrencyMismatch or ErrOverflow.
func Sum(currencyCode string, amounts ...Money) (Money, error) {
	total := Zero(currencyCode)
	for _, m := range amounts {
		var err error
		if total, err = total.Add(m); err != nil {
			return Money{}, err
		}
	}
	return total, nil
}

func (m Money) with(amountMinor int64, err error) (Money, error) {
	if err != nil {
		return Money{}, err
	}
	return Money{CurrencyCode: m.CurrencyCode, AmountMinor: amountMinor}, nil
}

func (m Money) sameCurrency(n Money) error {
	if m.CurrencyCode != n.CurrencyCode {
		return fmt.Errorf("%w: %q and %q", ErrCurrencyMismatch, clip(m.CurrencyCode), clip(n.CurrencyCode))
	}
	return nil
}

func add(a, b int64) (int64, error) {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		return 0, ErrOverflow
	}
	return a + b, nil
}

// clip keeps error texts short when the input is hostile.
func clip(s string) string {
	const limit = 32
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
