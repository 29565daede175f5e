package store

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/ent/billing/invoice"
	"github.com/commercestack/commercestack/ent/billing/predicate"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

func ownedInvoice(owner billing.Owner) predicate.Invoice {
	switch {
	case owner.Everyone:
		return func(*sql.Selector) {}
	case owner.UserID != uuid.Nil:
		return invoice.UserID(owner.UserID)
	default:
		return func(s *sql.Selector) { s.Where(sql.False()) }
	}
}

// Invoice implements billing.Store.
func (s *Store) Invoice(ctx context.Context, id uuid.UUID, owner billing.Owner) (billing.Invoice, error) {
	row, err := s.client.Invoice.Query().Where(invoice.ID(id), ownedInvoice(owner)).Only(ctx)
	if ent.IsNotFound(err) {
		return billing.Invoice{}, fault.NotFound("invoice", id.String())
	}
	if err != nil {
		return billing.Invoice{}, postgres.Fault(err)
	}
	return s.codec.invoice(row)
}

// Invoices implements billing.Store.
func (s *Store) Invoices(ctx context.Context, f billing.Filter) ([]billing.Invoice, error) {
	query := s.client.Invoice.Query().Where(ownedInvoice(f.Owner))
	if f.OrderID != uuid.Nil {
		query.Where(invoice.OrderID(f.OrderID))
	}
	if !f.AfterTime.IsZero() {
		query.Where(invoice.Or(invoice.CreateTimeLT(f.AfterTime), invoice.And(invoice.CreateTimeEQ(f.AfterTime), invoice.IDLT(f.AfterID))))
	}
	rows, err := query.Order(invoice.ByCreateTime(sql.OrderDesc()), invoice.ByID(sql.OrderDesc())).Limit(f.Limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	return s.codec.invoices(rows)
}

// LockDocuments implements billing.Tx. An invoice and a refund that commit at
// the same moment would not see each other without it.
func (t *tx) LockDocuments(ctx context.Context, orderID uuid.UUID) error {
	_, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "billing.documents/"+orderID.String())
	return err
}

// Documents implements billing.Tx.
func (t *tx) Documents(ctx context.Context, orderID uuid.UUID) (issued billing.Invoice, found bool, notes []billing.Invoice, err error) {
	rows, err := t.client.Invoice.Query().Where(invoice.OrderID(orderID)).Order(invoice.ByCreateTime(), invoice.ByID()).All(ctx)
	if err != nil {
		return billing.Invoice{}, false, nil, err
	}
	documents, err := t.codec.invoices(rows)
	if err != nil {
		return billing.Invoice{}, false, nil, err
	}
	for _, document := range documents {
		if document.Kind == billing.KindInvoice {
			issued, found = document, true
		} else {
			notes = append(notes, document)
		}
	}
	return issued, found, notes, nil
}

// NextNumber implements billing.Tx. The row stays locked until the transaction
// ends, which is what makes numbers gapless.
func (t *tx) NextNumber(ctx context.Context, series string) (int64, error) {
	var number int64
	err := t.QueryRowContext(ctx, `INSERT INTO invoice_counter AS c (id, last) VALUES ($1, 1)
		ON CONFLICT (id) DO UPDATE SET last = c.last + 1 RETURNING last`, series).Scan(&number)
	return number, err
}

// InsertInvoice implements billing.Tx.
func (t *tx) InsertInvoice(ctx context.Context, d billing.Invoice) error {
	sealed, err := t.codec.seal(d.Recipient, place("invoice/recipient", d.ID))
	if err != nil {
		return err
	}
	return t.client.Invoice.Create().SetID(d.ID).SetNumber(d.Number).SetKind(string(d.Kind)).SetOrderID(d.OrderID).
		SetOrderNumber(d.OrderNumber).SetNillableRefundID(toID(d.RefundID)).SetNillableUserID(toID(d.UserID)).SetEmail(d.Email).
		SetRecipientSealed(sealed).SetCurrencyCode(d.Currency).SetSubtotal(d.Amounts.Subtotal).SetDiscount(d.Amounts.Discount).
		SetTax(d.Amounts.Tax).SetShipping(d.Amounts.Shipping).SetTotal(d.Amounts.Total).SetLines(fromLines(d.Lines)).
		SetCreateTime(d.CreateTime).Exec(ctx)
}
