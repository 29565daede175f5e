package money

import (
	"fmt"
	"math"
	"strings"

	"github.com/bojanz/currency"
)

// maxTextLen is longer than any int64 with sign and point; longer texts are
// refused before they are looked at.
const maxTextLen = 32

// Parse reads a decimal such as "19.99" as an amount of the currency: "19.99"
// EUR is 1999 minor units, "1999" JPY is 1999. A leading minus is allowed;
// a plus, spaces, grouping, exponents and a bare point are not. More decimals
// than the currency has are an error even when they are noughts, because a
// sender who writes "5.000" for EUR may mean five thousand.
//
// It returns ErrUnknownCurrency, ErrInvalidAmount or ErrOverflow.
func Parse(text, currencyCode string) (Money, error) {
	exponent, err := Exponent(currencyCode)
	if err != nil {
		return Money{}, err
	}
	if len(text) > maxTextLen {
		return Money{}, fmt.Errorf("%w: longer than %d characters", ErrInvalidAmount, maxTextLen)
	}
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || (point && fraction == "") {
		return Money{}, fmt.Errorf("%w: %q", ErrInvalidAmount, text)
	}
	if len(fraction) > exponent {
		return Money{}, fmt.Errorf("%w: %q has more than %d decimals of %s",
			ErrInvalidAmount, text, exponent, currencyCode)
	}
	fraction += strings.Repeat("0", exponent-len(fraction))
	units, err := parseDigits(whole + fraction)
	if err != nil {
		return Money{}, fmt.Errorf("%w: %q", err, text)
	}
	amount, err := signed(units, negative)
	if err != nil {
		return Money{}, fmt.Errorf("%w: %q", err, text)
	}
	return Money{CurrencyCode: currencyCode, AmountMinor: amount}, nil
}

// parseDigits accepts only ASCII digits: strconv also takes signs and
// underscores.
func parseDigits(digits string) (uint64, error) {
	var n uint64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, ErrInvalidAmount
		}
		d := uint64(c - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, ErrOverflow
		}
		n = n*10 + d
	}
	return n, nil
}

// Decimal returns the amount as a plain decimal with all decimals of the
// currency, such as "19.99"; Parse reads it back. An unknown currency is
// written without decimals.
func (m Money) Decimal() string {
	exponent, err := Exponent(m.CurrencyCode)
	if err != nil {
		exponent = 0
	}
	digits := fmt.Sprintf("%0*d", exponent+1, magnitude(m.AmountMinor))
	point := len(digits) - exponent
	text := digits[:point]
	if exponent > 0 {
		text += "." + digits[point:]
	}
	if m.AmountMinor < 0 {
		return "-" + text
	}
	return text
}

// String returns the decimal and the code, such as "19.99 EUR", for logs.
func (m Money) String() string {
	return m.Decimal() + " " + m.CurrencyCode
}

// Format returns the amount as people of the locale write it: "€19.99" in
// "en", "19,99 €" in "de". An unknown locale falls back to the library's
// English; an unknown currency falls back to String.
func (m Money) Format(locale string) string {
	amount, err := currency.NewAmount(m.Decimal(), m.CurrencyCode)
	if err != nil {
		return m.String()
	}
	return currency.NewFormatter(currency.NewLocale(locale)).Format(amount)
}
