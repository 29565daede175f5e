package billing

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// SubscriberInvoices is the name under which confirmed orders are remembered.
const SubscriberInvoices = "billing.invoices"

// SubscriberAccounts is the name under which deleted accounts are remembered.
const SubscriberAccounts = "billing.accounts"

// Issue writes the invoice of a confirmed order, once, and the credit notes of
// refunds that were faster.
func (s *Service) Issue(ctx context.Context, eventID string, order Order) error {
	recipient := Recipient{Name: order.Address.Recipient, Address: order.Address}
	if order.UserID != uuid.Nil {
		profile, err := s.Store.Profile(ctx, order.UserID)
		if err != nil {
			return err
		}
		if profile.Recipient.Name != "" {
			recipient.Name = profile.Recipient.Name
		}
		if profile.Recipient.Address.Line1 != "" {
			recipient.Address = profile.Recipient.Address
		}
		recipient.TaxID = profile.Recipient.TaxID
	}
	return s.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		first, err := tx.Once(ctx, SubscriberInvoices, eventID)
		if err != nil || !first {
			return err
		}
		if err := tx.LockDocuments(ctx, order.ID); err != nil {
			return err
		}
		if _, issued, _, err := tx.Documents(ctx, order.ID); err != nil || issued {
			return err
		}
		err = s.write(ctx, tx, Invoice{
			Kind: KindInvoice, OrderID: order.ID, OrderNumber: order.Number, UserID: order.UserID, Email: order.Email,
			Recipient: recipient, Currency: order.Currency, Amounts: order.Amounts, Lines: order.Lines,
		})
		if err != nil {
			return err
		}
		refunds, err := tx.SucceededRefunds(ctx, order.ID)
		if err != nil {
			return err
		}
		for _, refund := range refunds {
			if err := s.credit(ctx, tx, refund); err != nil {
				return err
			}
		}
		return nil
	})
}

// credit writes the credit note of a refund, if its order has an invoice. An
// order that was never confirmed has none to correct.
func (s *Service) credit(ctx context.Context, tx Tx, r Refund) error {
	if err := tx.LockDocuments(ctx, r.OrderID); err != nil {
		return err
	}
	invoice, issued, notes, err := tx.Documents(ctx, r.OrderID)
	if err != nil || !issued || invoice.Currency != r.Amount.CurrencyCode {
		return err
	}
	credited := int64(0)
	for _, note := range notes {
		if note.RefundID == r.ID {
			return nil
		}
		credited += note.Amounts.Total
	}
	if credited+r.Amount.AmountMinor > invoice.Amounts.Total {
		// Money that was paid twice went back: it is not part of this invoice.
		return nil
	}
	amounts, err := creditFor(invoice, notes, r.Amount.AmountMinor)
	if err != nil {
		return err
	}
	lines := []Line{{
		Description: "Refund for invoice " + invoice.Number, Quantity: 1,
		UnitPrice: amounts.Subtotal + amounts.Shipping, Tax: amounts.Tax, Total: amounts.Total,
	}}
	return s.write(ctx, tx, Invoice{
		Kind: KindCreditNote, OrderID: r.OrderID, OrderNumber: invoice.OrderNumber, RefundID: r.ID, UserID: invoice.UserID,
		Email: invoice.Email, Recipient: invoice.Recipient, Currency: invoice.Currency, Amounts: amounts, Lines: lines,
	})
}

// write gives a document its number and its place.
func (s *Service) write(ctx context.Context, tx Tx, document Invoice) error {
	document.ID, document.CreateTime = uuid.Must(uuid.NewV7()), s.now()
	prefix := "INV"
	if document.Kind == KindCreditNote {
		prefix = "CN"
	}
	series := fmt.Sprintf("%s-%d", prefix, document.CreateTime.Year())
	number, err := tx.NextNumber(ctx, series)
	if err != nil {
		return err
	}
	document.Number = fmt.Sprintf("%s-%06d", series, number)
	if err := tx.InsertInvoice(ctx, document); err != nil {
		return err
	}
	return tx.Tell(ctx, Issued{Invoice: document})
}
