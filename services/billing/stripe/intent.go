package stripe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// Keys of the metadata that bind an intent to its payment.
const (
	metaPayment  = "payment_id"
	metaOrder    = "order_id"
	metaAmount   = "amount"
	metaCurrency = "currency"
	metaRefund   = "refund_id"
	metaUser     = "user_id"
)

// Pay implements billing.Provider.
func (c *Client) Pay(ctx context.Context, in billing.PayInput) (billing.Intent, error) {
	intent, err := call(ctx, c, "payment_intents.create", func(ctx context.Context) (*stripego.PaymentIntent, error) {
		return c.api.PaymentIntents.New(payParams(ctx, in))
	})
	return toIntent(intent, err)
}

func payParams(ctx context.Context, in billing.PayInput) *stripego.PaymentIntentParams {
	redirects := "never"
	params := &stripego.PaymentIntentParams{
		Amount: stripego.Int64(in.Amount.AmountMinor), Currency: stripego.String(strings.ToLower(in.Amount.CurrencyCode)),
		PaymentMethod: stripego.String(in.PaymentMethod), Confirm: stripego.Bool(true),
		Description: stripego.String("Order " + in.OrderNumber),
	}
	if in.ReturnURL != "" {
		redirects = "always"
		params.ReturnURL = stripego.String(in.ReturnURL)
	}
	params.AutomaticPaymentMethods = &stripego.PaymentIntentAutomaticPaymentMethodsParams{
		Enabled: stripego.Bool(true), AllowRedirects: stripego.String(redirects),
	}
	if in.CustomerID != "" {
		params.Customer = stripego.String(in.CustomerID)
	}
	params.AddMetadata(metaPayment, in.PaymentID.String())
	params.AddMetadata(metaOrder, in.OrderID.String())
	params.AddMetadata(metaAmount, strconv.FormatInt(in.Amount.AmountMinor, 10))
	params.AddMetadata(metaCurrency, in.Amount.CurrencyCode)
	params.SetIdempotencyKey("payment-" + in.PaymentID.String())
	params.Context = ctx
	return params
}

// Confirm implements billing.Provider.
func (c *Client) Confirm(ctx context.Context, in billing.ConfirmInput) (billing.Intent, error) {
	intent, err := call(ctx, c, "payment_intents.confirm", func(ctx context.Context) (*stripego.PaymentIntent, error) {
		params := &stripego.PaymentIntentConfirmParams{PaymentMethod: stripego.String(in.PaymentMethod), OffSession: stripego.Bool(true)}
		if in.ReturnURL != "" {
			params.ReturnURL = stripego.String(in.ReturnURL)
		}
		params.SetIdempotencyKey(fmt.Sprintf("confirm-%s-%d", in.IntentID, in.Attempt))
		params.Context = ctx
		return c.api.PaymentIntents.Confirm(in.IntentID, params)
	})
	if inState(err) {
		return c.Intent(ctx, in.IntentID)
	}
	return toIntent(intent, err)
}

// Intent implements billing.Provider.
func (c *Client) Intent(ctx context.Context, id string) (billing.Intent, error) {
	intent, err := call(ctx, c, "payment_intents.retrieve", func(ctx context.Context) (*stripego.PaymentIntent, error) {
		params := &stripego.PaymentIntentParams{}
		params.Context = ctx
		return c.api.PaymentIntents.Get(id, params)
	})
	return toIntent(intent, err)
}

// searched is how far around a payment's creation its intent is looked for.
const searched = 25 * time.Hour

// Find implements billing.Provider. It lists, because Stripe's search lags.
func (c *Client) Find(ctx context.Context, paymentID uuid.UUID, created time.Time) (billing.Intent, error) {
	intent, err := call(ctx, c, "payment_intents.list", func(ctx context.Context) (*stripego.PaymentIntent, error) {
		params := &stripego.PaymentIntentListParams{CreatedRange: &stripego.RangeQueryParams{
			GreaterThanOrEqual: created.Add(-time.Hour).Unix(), LesserThanOrEqual: created.Add(searched).Unix(),
		}}
		params.Limit = stripego.Int64(100)
		params.Context = ctx
		list := c.api.PaymentIntents.List(params)
		for list.Next() {
			if found := list.PaymentIntent(); found.Metadata[metaPayment] == paymentID.String() {
				return found, nil
			}
		}
		return nil, list.Err()
	})
	if err == nil && intent == nil {
		return billing.Intent{}, &billing.ProviderError{Outage: billing.Missing, Code: "resource_missing", Message: "there is no intent for the payment"}
	}
	return toIntent(intent, err)
}

// Cancel implements billing.Provider.
func (c *Client) Cancel(ctx context.Context, id string) (billing.Intent, error) {
	intent, err := call(ctx, c, "payment_intents.cancel", func(ctx context.Context) (*stripego.PaymentIntent, error) {
		params := &stripego.PaymentIntentCancelParams{CancellationReason: stripego.String("abandoned")}
		params.Context = ctx
		return c.api.PaymentIntents.Cancel(id, params)
	})
	if inState(err) {
		return c.Intent(ctx, id)
	}
	return toIntent(intent, err)
}

func inState(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.state
}

// toIntent reads an intent, also the one inside a bank's refusal.
func toIntent(intent *stripego.PaymentIntent, err error) (billing.Intent, error) {
	var f *failure
	if errors.As(err, &f) && f.decline != nil {
		read := fromIntent(f.decline)
		if read.FailureCode == "" {
			read.FailureCode, read.FailureMessage = f.Code, f.Message
		}
		return read, nil
	}
	if err != nil {
		return billing.Intent{}, err
	}
	return fromIntent(intent), nil
}

func fromIntent(pi *stripego.PaymentIntent) billing.Intent {
	currency := strings.ToUpper(string(pi.Currency))
	intent := billing.Intent{
		ID: pi.ID, Status: billing.IntentStatus(pi.Status),
		Amount:    money.Money{CurrencyCode: currency, AmountMinor: pi.Amount},
		Received:  money.Money{CurrencyCode: currency, AmountMinor: pi.AmountReceived},
		PaymentID: parse(pi.Metadata[metaPayment]), OrderID: parse(pi.Metadata[metaOrder]),
		ClientSecret: pi.ClientSecret,
	}
	if action := pi.NextAction; action != nil && action.RedirectToURL != nil {
		intent.RedirectURL = action.RedirectToURL.URL
	}
	if last := pi.LastPaymentError; last != nil {
		intent.FailureCode, intent.DeclineCode, intent.FailureMessage = string(last.Code), string(last.DeclineCode), last.Msg
	}
	return intent
}

func parse(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}
