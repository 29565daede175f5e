package store

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/ent/billing/schema"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// codec turns rows into domain values and back, and encrypts what is personal or secret.
type codec struct{ ring *crypto.Keyring }

// place binds a sealed value to its row and column, so that it opens nowhere else.
func place(column string, id uuid.UUID) []byte {
	return []byte("billing/" + column + "/" + id.String())
}

func (c codec) payment(row *ent.Payment) (billing.Payment, error) {
	p := billing.Payment{
		ID: row.ID, OrderID: row.OrderID, OrderNumber: row.OrderNumber, UserID: fromID(row.UserID), GuestTokenHash: row.GuestTokenHash,
		Email: row.Email, Amount: money.Money{CurrencyCode: row.CurrencyCode, AmountMinor: row.Amount}, Status: billing.Status(row.Status),
		PaymentMethod: row.PaymentMethod, CustomerID: row.CustomerID, ReturnURL: row.ReturnURL, OffSession: row.OffSession,
		IntentID: fromText(row.IntentID), RedirectURL: row.RedirectURL, Refunded: row.Refunded, RefundReserved: row.RefundReserved,
		FailureCode: row.FailureCode, FailureMessage: row.FailureMessage, Attempts: row.Attempts, Polls: row.Polls,
		ExpireTime: fromTime(row.ExpireTime), NextPollTime: fromTime(row.NextPollTime), NextAttemptTime: fromTime(row.NextAttemptTime),
		CreateTime: row.CreateTime.UTC(), UpdateTime: row.UpdateTime.UTC(),
	}
	if len(row.ClientSecretSealed) == 0 {
		return p, nil
	}
	secret, err := c.ring.Open(row.ClientSecretSealed, place("payment/client_secret", row.ID))
	if err != nil {
		return p, fmt.Errorf("payment %s: client secret: %w", row.ID, err)
	}
	p.ClientSecret = string(secret)
	return p, nil
}

func (c codec) payments(rows []*ent.Payment) ([]billing.Payment, error) {
	payments := make([]billing.Payment, len(rows))
	for i, row := range rows {
		var err error
		if payments[i], err = c.payment(row); err != nil {
			return nil, err
		}
	}
	return payments, nil
}

func toRefund(row *ent.Refund) billing.Refund {
	return billing.Refund{
		ID: row.ID, PaymentID: row.PaymentID, OrderID: row.OrderID, Amount: money.Money{CurrencyCode: row.CurrencyCode, AmountMinor: row.Amount},
		Reason: row.Reason, Whole: row.Whole, Status: billing.RefundStatus(row.Status), ProviderID: fromText(row.ProviderRefundID),
		FailureMessage: row.FailureMessage, Polls: row.Polls, NextPollTime: fromTime(row.NextPollTime),
		CreateTime: row.CreateTime.UTC(), UpdateTime: row.UpdateTime.UTC(),
	}
}

func toRefunds(rows []*ent.Refund) []billing.Refund {
	refunds := make([]billing.Refund, len(rows))
	for i, row := range rows {
		refunds[i] = toRefund(row)
	}
	return refunds
}

// sealed encrypts a value as JSON.
func (c codec) seal(value any, where []byte) ([]byte, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return c.ring.Seal(encoded, where)
}

func (c codec) open(sealed []byte, where []byte, value any) error {
	encoded, err := c.ring.Open(sealed, where)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, value)
}

func (c codec) invoice(row *ent.Invoice) (billing.Invoice, error) {
	document := billing.Invoice{
		ID: row.ID, Number: row.Number, Kind: billing.Kind(row.Kind), OrderID: row.OrderID, OrderNumber: row.OrderNumber,
		RefundID: fromID(row.RefundID), UserID: fromID(row.UserID), Email: row.Email, Currency: row.CurrencyCode,
		Amounts: billing.Amounts{Subtotal: row.Subtotal, Discount: row.Discount, Tax: row.Tax, Shipping: row.Shipping, Total: row.Total},
		Lines:   make([]billing.Line, len(row.Lines)), CreateTime: row.CreateTime.UTC(),
	}
	for i, line := range row.Lines {
		document.Lines[i] = billing.Line(line)
	}
	if len(row.RecipientSealed) > 0 {
		if err := c.open(row.RecipientSealed, place("invoice/recipient", row.ID), &document.Recipient); err != nil {
			return document, fmt.Errorf("invoice %s: recipient: %w", row.ID, err)
		}
	}
	return document, nil
}

func (c codec) invoices(rows []*ent.Invoice) ([]billing.Invoice, error) {
	documents := make([]billing.Invoice, len(rows))
	for i, row := range rows {
		var err error
		if documents[i], err = c.invoice(row); err != nil {
			return nil, err
		}
	}
	return documents, nil
}

func fromLines(lines []billing.Line) []schema.InvoiceLine {
	rows := make([]schema.InvoiceLine, len(lines))
	for i, line := range lines {
		rows[i] = schema.InvoiceLine(line)
	}
	return rows
}
