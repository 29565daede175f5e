package order

import (
	"errors"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
)

// maxTotal is the largest amount the API can state, in minor units.
const maxTotal = 99_999_999_999_999

// Goods are the pieces of one product that were reserved, as they are sold now.
type Goods struct {
	// ProductID is the product's UUID.
	ProductID uuid.UUID
	// SKU is the stock keeping unit.
	SKU string
	// Name is the product's name.
	Name string
	// UnitPrice is the net price of one piece.
	UnitPrice money.Money
	// TaxClass such as "standard"; "" means that.
	TaxClass string
	// WeightGrams is 0 for what is not sent.
	WeightGrams int64
	// Quantity is the number of pieces, at least 1.
	Quantity int32
}

// Quote is what an order costs.
type Quote struct {
	// Currency of all amounts.
	Currency string
	// Lines sum to the amounts.
	Lines []Line
	// Amounts are the order's sums.
	Amounts
}

// Price computes what goods cost. The discount is shared out to the lines by
// the largest remainder, and each line's tax is rounded once on what remains.
// It fails with ErrCurrencyMix, with a fault on couponCode, or with one on
// items when the sum leaves the range of the API.
func Price(goods []Goods, coupon *Coupon, rates Rates, address *Address) (Quote, error) {
	quote, err := price(goods, coupon, rates, address)
	if errors.Is(err, money.ErrOverflow) || (err == nil && quote.Total > maxTotal) {
		return Quote{}, fault.Invalid("items", "the order is worth more than the shop can count")
	}
	if err != nil {
		return Quote{}, err
	}
	return quote, nil
}

func price(goods []Goods, coupon *Coupon, rates Rates, address *Address) (Quote, error) {
	quote, weight, err := gross(goods)
	if err != nil {
		return Quote{}, err
	}
	if coupon != nil {
		if quote.Discount, err = coupon.Discount(money.Money{CurrencyCode: quote.Currency, AmountMinor: quote.Subtotal}); err != nil {
			return Quote{}, err
		}
	}
	if err := quote.settleLines(goods, rates, address); err != nil {
		return Quote{}, err
	}
	quote.Shipping = rates.shipping(quote.Currency, quote.Subtotal-quote.Discount, weight, address)
	total, err := money.Sum(quote.Currency, quote.of(quote.Subtotal), quote.of(-quote.Discount), quote.of(quote.Tax), quote.of(quote.Shipping))
	if err != nil {
		return Quote{}, err
	}
	quote.Total = total.AmountMinor
	return quote, nil
}

// gross fills lines and subtotal, and returns the weight of all pieces in grams.
func gross(goods []Goods) (Quote, int64, error) {
	if len(goods) == 0 {
		return Quote{}, 0, fault.Invalid("items", "an order needs at least one item")
	}
	quote := Quote{Currency: goods[0].UnitPrice.CurrencyCode, Lines: make([]Line, len(goods))}
	sum := money.Zero(quote.Currency)
	var weight int64
	for i, g := range goods {
		if g.UnitPrice.CurrencyCode != quote.Currency {
			return Quote{}, 0, ErrCurrencyMix
		}
		// A negative price or quantity would be a discount nobody granted.
		if g.Quantity < 1 || g.UnitPrice.IsNegative() {
			return Quote{}, 0, fault.Invalid("items", "quantity and price must not be negative")
		}
		subtotal, err := g.UnitPrice.Mul(int64(g.Quantity))
		if err != nil {
			return Quote{}, 0, err
		}
		if sum, err = sum.Add(subtotal); err != nil {
			return Quote{}, 0, err
		}
		weight += g.WeightGrams * int64(g.Quantity)
		quote.Lines[i] = Line{
			ProductID: g.ProductID, SKU: g.SKU, Name: g.Name, Quantity: g.Quantity,
			UnitPrice: g.UnitPrice.AmountMinor, Subtotal: subtotal.AmountMinor,
		}
	}
	quote.Subtotal = sum.AmountMinor
	return quote, weight, nil
}

// settleLines gives each line its share of the discount, its tax and its total.
func (q *Quote) settleLines(goods []Goods, rates Rates, address *Address) error {
	weights := make([]int64, len(q.Lines))
	for i, line := range q.Lines {
		weights[i] = line.Subtotal
	}
	shares, err := money.Allocate(q.Discount, weights)
	if err != nil {
		return err
	}
	for i := range q.Lines {
		line := &q.Lines[i]
		line.Discount = shares[i]
		line.TaxBps = rates.taxBps(goods[i].TaxClass, address)
		net := q.of(line.Subtotal - line.Discount)
		tax, err := net.Percent(int64(line.TaxBps))
		if err != nil {
			return err
		}
		total, err := net.Add(tax)
		if err != nil {
			return err
		}
		line.Tax, line.Total = tax.AmountMinor, total.AmountMinor
		sum, err := q.of(q.Tax).Add(tax)
		if err != nil {
			return err
		}
		q.Tax = sum.AmountMinor
	}
	return nil
}

func (q *Quote) of(minor int64) money.Money {
	return money.Money{CurrencyCode: q.Currency, AmountMinor: minor}
}
