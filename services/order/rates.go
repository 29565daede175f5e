package order

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/commercestack/commercestack/internal/money"
)

const (
	// classStandard applies to products without a tax class, and to classes a country does not know.
	classStandard = "standard"
	// classExempt is never taxed.
	classExempt = "exempt"
)

// Rates say what is added to net prices. The zero value adds nothing.
type Rates struct {
	// Tax holds basis points by "COUNTRY:class", such as "DE:standard".
	Tax map[string]int32
	// HomeCountry taxes orders without an address; "" leaves them untaxed.
	HomeCountry string
	// Shipping holds the flat rate of each currency; others are free.
	Shipping map[string]FlatRate
}

// FlatRate is the price of one delivery in minor units of its currency.
type FlatRate struct {
	// Price of the delivery.
	Price int64
	// FreeFrom is the goods' value from which the delivery is free; 0 means never.
	FreeFrom int64
}

// NewRates reads rates as a configuration states them: tax in basis points by
// "COUNTRY:class", shipping by currency as "PRICE" or "PRICE/FREE_FROM" in minor
// units. The error names the entry.
func NewRates(tax map[string]int32, homeCountry string, shipping map[string]string) (Rates, error) {
	rates := Rates{Tax: make(map[string]int32, len(tax)), HomeCountry: homeCountry, Shipping: make(map[string]FlatRate, len(shipping))}
	for key, bps := range tax {
		country, class, found := strings.Cut(key, ":")
		if !found || len(country) != 2 || country != strings.ToUpper(country) || class == "" {
			return Rates{}, fmt.Errorf("tax %q: want COUNTRY:class, such as DE:standard", key)
		}
		if bps < 0 || bps > money.BasisPoints {
			return Rates{}, fmt.Errorf("tax %q: %d is not between 0 and %d basis points", key, bps, money.BasisPoints)
		}
		rates.Tax[key] = bps
	}
	for code, text := range shipping {
		if _, err := money.New(code, 0); err != nil {
			return Rates{}, fmt.Errorf("shipping %q: %w", code, err)
		}
		rate, err := parseFlatRate(text)
		if err != nil {
			return Rates{}, fmt.Errorf("shipping %q: %w", code, err)
		}
		rates.Shipping[code] = rate
	}
	return rates, nil
}

func parseFlatRate(text string) (FlatRate, error) {
	priceText, freeText, hasFree := strings.Cut(text, "/")
	price, err := parseMinor(priceText)
	if err != nil {
		return FlatRate{}, err
	}
	rate := FlatRate{Price: price}
	if hasFree {
		if rate.FreeFrom, err = parseMinor(freeText); err != nil {
			return FlatRate{}, err
		}
	}
	return rate, nil
}

func parseMinor(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxTotal {
		return 0, fmt.Errorf("%q is not an amount in minor units", text)
	}
	return n, nil
}

// taxBps is the rate of a class where the goods go. An unknown class is taxed
// as standard, since too little tax is the shop's loss; an unknown country is
// not taxed, since the shop is not registered there.
func (r Rates) taxBps(class string, address *Address) int32 {
	country := r.HomeCountry
	if address != nil {
		country = address.CountryCode
	}
	if class == classExempt {
		return 0
	}
	if bps, ok := r.Tax[country+":"+class]; ok {
		return bps
	}
	return r.Tax[country+":"+classStandard]
}

// shipping is what a delivery of goods worth value costs. What weighs nothing
// or goes nowhere is not sent.
func (r Rates) shipping(currency string, value, weightGrams int64, address *Address) int64 {
	rate, ok := r.Shipping[currency]
	if !ok || address == nil || weightGrams <= 0 || (rate.FreeFrom > 0 && value >= rate.FreeFrom) {
		return 0
	}
	return rate.Price
}
