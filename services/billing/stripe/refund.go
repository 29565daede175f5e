package stripe

import (
	"context"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// Refund implements billing.Provider.
func (c *Client) Refund(ctx context.Context, in billing.RefundInput) (billing.ProviderRefund, error) {
	refund, err := call(ctx, c, "refunds.create", func(ctx context.Context) (*stripego.Refund, error) {
		params := &stripego.RefundParams{PaymentIntent: stripego.String(in.IntentID)}
		if !in.Whole {
			params.Amount = stripego.Int64(in.Amount.AmountMinor)
		}
		params.AddMetadata(metaRefund, in.RefundID.String())
		params.SetIdempotencyKey("refund-" + in.RefundID.String())
		params.Context = ctx
		return c.api.Refunds.New(params)
	})
	if err != nil {
		return billing.ProviderRefund{}, err
	}
	return fromRefund(refund), nil
}

// Refunds implements billing.Provider.
func (c *Client) Refunds(ctx context.Context, intentID string) ([]billing.ProviderRefund, error) {
	return call(ctx, c, "refunds.list", func(ctx context.Context) ([]billing.ProviderRefund, error) {
		params := &stripego.RefundListParams{PaymentIntent: stripego.String(intentID)}
		params.Limit = stripego.Int64(100)
		params.Context = ctx
		var refunds []billing.ProviderRefund
		list := c.api.Refunds.List(params)
		for list.Next() {
			refunds = append(refunds, fromRefund(list.Refund()))
		}
		return refunds, list.Err()
	})
}

func fromRefund(r *stripego.Refund) billing.ProviderRefund {
	refund := billing.ProviderRefund{
		ID: r.ID, RefundID: parse(r.Metadata[metaRefund]), Status: billing.RefundPending,
		Amount:         money.Money{CurrencyCode: strings.ToUpper(string(r.Currency)), AmountMinor: r.Amount},
		FailureMessage: string(r.FailureReason),
	}
	if r.PaymentIntent != nil {
		refund.IntentID = r.PaymentIntent.ID
	}
	switch r.Status {
	case stripego.RefundStatusSucceeded:
		refund.Status = billing.RefundSucceeded
	case stripego.RefundStatusFailed, stripego.RefundStatusCanceled:
		refund.Status = billing.RefundFailed
	default:
		// It is under way, as set above.
	}
	return refund
}
