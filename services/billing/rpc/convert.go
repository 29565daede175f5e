package rpc

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/billing"
)

const defaultPageSize = 20

// fromID reads a UUID that validation has checked; "" is none.
func fromID(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

func text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// cursor is the place after the last row of a page.
type cursor struct {
	Time time.Time `json:"t"`
	ID   uuid.UUID `json:"i"`
}

// listing is what the requests of both lists have in common.
type listing interface {
	GetPageSize() int32
	GetPageToken() string
	GetOrderId() string
	GetAll() bool
}

// filterOf reads a list's request. It asks for one row more than the page has.
func filterOf(ctx context.Context, req listing) (billing.Filter, string, error) {
	owner, err := lister(ctx, req.GetAll())
	if err != nil {
		return billing.Filter{}, "", err
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	filter := billing.Filter{Owner: owner, OrderID: fromID(req.GetOrderId()), Limit: size + 1}
	binding := page.FilterHash(owner.UserID.String(), strconv.FormatBool(req.GetAll()), req.GetOrderId())
	if token := req.GetPageToken(); token != "" {
		var after cursor
		if err := page.Decode(token, &after, binding); err != nil {
			return billing.Filter{}, "", err
		}
		filter.AfterTime, filter.AfterID = after.Time, after.ID
	}
	return filter, binding, nil
}

func next(at time.Time, id uuid.UUID, binding string) string {
	return page.Encode(cursor{Time: at, ID: id}, binding)
}

func toMoney(m money.Money) *typev1.Money {
	return &typev1.Money{CurrencyCode: m.CurrencyCode, AmountMinor: m.AmountMinor}
}

// toPayment shows a payment; the secret for the browser goes to its owner only.
func toPayment(p billing.Payment, caller billing.Owner) *billingv1.Payment {
	out := &billingv1.Payment{
		Id: p.ID.String(), OrderId: p.OrderID.String(), Status: billingv1.Payment_Status(billingv1.Payment_Status_value[string(p.Status)]),
		Amount: toMoney(p.Amount), Refunded: toMoney(money.Money{CurrencyCode: p.Amount.CurrencyCode, AmountMinor: p.Refunded}),
		FailureCode: p.FailureCode, FailureMessage: p.FailureMessage, ProviderReference: p.IntentID,
		CreateTime: timestamppb.New(p.CreateTime), UpdateTime: timestamppb.New(p.UpdateTime),
		Attempts: int32(p.Attempts),
	}
	if caller.Owns(p) {
		out.ClientSecret, out.RedirectUrl = p.ClientSecret, p.RedirectURL
	}
	return out
}

func toRefund(r billing.Refund) *billingv1.Refund {
	return &billingv1.Refund{
		Id: r.ID.String(), PaymentId: r.PaymentID.String(), Amount: toMoney(r.Amount), Reason: r.Reason,
		Status: billingv1.Refund_Status(billingv1.Refund_Status_value[string(r.Status)]), CreateTime: timestamppb.New(r.CreateTime),
	}
}

func toRefunds(refunds []billing.Refund) []*billingv1.Refund {
	out := make([]*billingv1.Refund, len(refunds))
	for i, r := range refunds {
		out[i] = toRefund(r)
	}
	return out
}

func toInvoice(d billing.Invoice) *billingv1.Invoice {
	amount := func(minor int64) *typev1.Money { return &typev1.Money{CurrencyCode: d.Currency, AmountMinor: minor} }
	out := &billingv1.Invoice{
		Id: d.ID.String(), Number: d.Number, OrderId: d.OrderID.String(), OrderNumber: d.OrderNumber, UserId: text(d.UserID),
		Lines: make([]*billingv1.Invoice_Line, len(d.Lines)), Subtotal: amount(d.Amounts.Subtotal), Discount: amount(d.Amounts.Discount),
		Tax: amount(d.Amounts.Tax), Shipping: amount(d.Amounts.Shipping), Total: amount(d.Amounts.Total),
		CreateTime: timestamppb.New(d.CreateTime), Kind: billingv1.Invoice_Kind(billingv1.Invoice_Kind_value[string(d.Kind)]), Email: d.Email,
	}
	for i, line := range d.Lines {
		out.Lines[i] = &billingv1.Invoice_Line{
			Description: line.Description, Quantity: line.Quantity, UnitPrice: amount(line.UnitPrice), Tax: amount(line.Tax), Total: amount(line.Total),
		}
	}
	return out
}

func fromAddress(a *typev1.Address) billing.Address {
	return billing.Address{
		Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), Region: a.GetRegion(),
		PostalCode: a.GetPostalCode(), CountryCode: a.GetCountryCode(), Phone: a.GetPhone(),
	}
}

func toAddress(a billing.Address) *typev1.Address {
	if a == (billing.Address{}) {
		return nil
	}
	return &typev1.Address{
		Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, CountryCode: a.CountryCode, Phone: a.Phone,
	}
}

func toProfile(p billing.Profile) *billingv1.BillingProfile {
	out := &billingv1.BillingProfile{
		UserId: p.UserID.String(), Name: p.Recipient.Name, Address: toAddress(p.Recipient.Address), TaxId: p.Recipient.TaxID,
		DefaultPaymentMethod: p.DefaultMethod, Etag: strconv.FormatInt(p.Version, 10),
	}
	if !p.UpdateTime.IsZero() {
		out.UpdateTime = timestamppb.New(p.UpdateTime)
	}
	return out
}
