package billing

import (
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
)

// Kind of document.
type Kind string

// The kinds of documents.
const (
	KindInvoice    Kind = "INVOICE"
	KindCreditNote Kind = "CREDIT_NOTE"
)

// Address is a postal address.
type Address struct {
	Recipient   string `json:"recipient,omitempty"`
	Line1       string `json:"line1,omitempty"`
	Line2       string `json:"line2,omitempty"`
	City        string `json:"city,omitempty"`
	Region      string `json:"region,omitempty"`
	PostalCode  string `json:"postalCode,omitempty"`
	CountryCode string `json:"countryCode,omitempty"`
	Phone       string `json:"phone,omitempty"`
}

// Recipient is to whom a document is written.
type Recipient struct {
	Name    string  `json:"name,omitempty"`
	TaxID   string  `json:"taxId,omitempty"`
	Address Address `json:"address"`
}

// Line of a document, in minor units of its currency.
type Line struct {
	Description           string
	Quantity              int32
	UnitPrice, Tax, Total int64
}

// Amounts of a document, in minor units. Total is Subtotal − Discount + Tax + Shipping.
type Amounts struct {
	Subtotal, Discount, Tax, Shipping, Total int64
}

// Invoice is the document of a settled order, or of a refund. It never changes.
type Invoice struct {
	ID          uuid.UUID
	Number      string
	Kind        Kind
	OrderID     uuid.UUID
	OrderNumber string
	// RefundID is uuid.Nil for an invoice.
	RefundID uuid.UUID
	// UserID is uuid.Nil for guests and erased accounts.
	UserID     uuid.UUID
	Email      string
	Recipient  Recipient
	Currency   string
	Amounts    Amounts
	Lines      []Line
	CreateTime time.Time
}

// Order is an order as its document shows it.
type Order struct {
	ID      uuid.UUID
	Number  string
	UserID  uuid.UUID
	Email   string
	Address Address
	// Currency of all amounts.
	Currency string
	Amounts  Amounts
	Lines    []Line
}

// creditFor splits a refund like the invoice it corrects. earlier are the credit
// notes written so far; the last one of a full refund takes exactly what is left,
// so that their sums equal the invoice's.
func creditFor(invoice Invoice, earlier []Invoice, amount int64) (Amounts, error) {
	left := Amounts{
		Subtotal: invoice.Amounts.Subtotal - invoice.Amounts.Discount, Tax: invoice.Amounts.Tax,
		Shipping: invoice.Amounts.Shipping, Total: invoice.Amounts.Total,
	}
	parts := []int64{left.Subtotal, left.Tax, left.Shipping}
	for _, note := range earlier {
		left.Subtotal -= note.Amounts.Subtotal
		left.Tax -= note.Amounts.Tax
		left.Shipping -= note.Amounts.Shipping
		left.Total -= note.Amounts.Total
	}
	if amount == left.Total && left.Subtotal >= 0 && left.Tax >= 0 && left.Shipping >= 0 {
		return left, nil
	}
	shares, err := money.Allocate(amount, parts)
	if err != nil {
		return Amounts{}, err
	}
	return Amounts{Subtotal: shares[0], Tax: shares[1], Shipping: shares[2], Total: amount}, nil
}
