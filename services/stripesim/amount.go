package stripesim

import (
	"slices"
	"strings"

	"github.com/commercestack/commercestack/internal/money"
)

// maxAmount is the largest amount that Stripe takes: eight digits.
const maxAmount = 99_999_999

// minimums are the smallest charges in minor units, where they are not 50.
var minimums = map[string]int64{
	"gbp": 30, "aud": 50, "dkk": 250, "nok": 300, "sek": 300, "mxn": 1000,
	"hkd": 400, "czk": 1500, "huf": 17500, "pln": 200, "bgn": 100, "ron": 200,
}

// twoDecimals are currencies without decimals in ISO 4217 that Stripe still
// takes in hundredths, of which only whole units are allowed.
var twoDecimals = []string{"isk", "ugx"}

// checkAmount applies the rules that Stripe has for an amount in a currency.
func checkAmount(amount int64, currency string) *apiError {
	exponent, err := money.Exponent(strings.ToUpper(currency))
	if err != nil {
		return invalid("", "currency", "Invalid currency: %s. Stripe currently supports these currencies: usd, eur, gbp, jpy, and others.", clip(currency))
	}
	switch {
	case amount < 1:
		return invalid("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > maxAmount:
		return invalid("amount_too_large", "amount", "Amount must be no more than %s", show(maxAmount, currency))
	case amount < minimum(currency, exponent):
		return invalid("amount_too_small", "amount", "Amount must be at least %s", show(minimum(currency, exponent), currency))
	case exponent == 3 && amount%10 != 0:
		return invalid("parameter_invalid_integer", "amount", "Amounts in %s must be evenly divisible by 10.", currency)
	case slices.Contains(twoDecimals, currency) && amount%100 != 0:
		return invalid("parameter_invalid_integer", "amount", "Amounts in %s must be evenly divisible by 100.", currency)
	}
	return nil
}

func minimum(currency string, exponent int) int64 {
	if n, ok := minimums[currency]; ok {
		return n
	}
	if exponent > 2 {
		return 10
	}
	return 50
}

// show writes an amount the way Stripe's error texts do: "€5.01".
func show(amount int64, currency string) string {
	m := money.Money{CurrencyCode: strings.ToUpper(currency), AmountMinor: amount}
	if slices.Contains(twoDecimals, currency) {
		m.AmountMinor /= 100
	}
	return m.Format("en")
}

// processingFee is what Stripe keeps: 1.5 % and a quarter of a unit.
func processingFee(amount int64, currency string) int64 {
	part, err := money.Money{CurrencyCode: strings.ToUpper(currency), AmountMinor: amount}.Percent(150)
	if err != nil {
		return 0
	}
	return min(amount, part.AmountMinor+minimum(currency, 2)/2)
}
