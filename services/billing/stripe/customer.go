package stripe

import (
	"context"
	"errors"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"github.com/commercestack/commercestack/services/billing"
)

// Customer implements billing.Provider.
func (c *Client) Customer(ctx context.Context, userID uuid.UUID, email string) (string, error) {
	customer, err := call(ctx, c, "customers.create", func(ctx context.Context) (*stripego.Customer, error) {
		params := &stripego.CustomerParams{}
		if email != "" {
			params.Email = stripego.String(email)
		}
		params.AddMetadata(metaUser, userID.String())
		params.SetIdempotencyKey("customer-" + userID.String())
		params.Context = ctx
		return c.api.Customers.New(params)
	})
	if err != nil {
		return "", err
	}
	return customer.ID, nil
}

// Attach implements billing.Provider.
func (c *Client) Attach(ctx context.Context, customerID, method string) (string, error) {
	attached, err := call(ctx, c, "payment_methods.attach", func(ctx context.Context) (*stripego.PaymentMethod, error) {
		params := &stripego.PaymentMethodAttachParams{Customer: stripego.String(customerID)}
		params.Context = ctx
		return c.api.PaymentMethods.Attach(method, params)
	})
	if err != nil {
		return "", err
	}
	return attached.ID, nil
}

// Forget implements billing.Provider.
func (c *Client) Forget(ctx context.Context, customerID string) error {
	_, err := call(ctx, c, "customers.delete", func(ctx context.Context) (*stripego.Customer, error) {
		params := &stripego.CustomerParams{}
		params.Context = ctx
		return c.api.Customers.Del(customerID, params)
	})
	var refusal *billing.ProviderError
	if errors.As(err, &refusal) && refusal.Outage == billing.Missing {
		return nil
	}
	return err
}
