package upstream

import (
	"context"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	"github.com/commercestack/commercestack/services/order"
)

// Purse asks the billing component.
type Purse struct {
	client billingv1connect.ReimbursementServiceClient
}

var _ order.Purse = (*Purse)(nil)

// NewPurse returns a purse behind a client of the billing component.
func NewPurse(client *connect.Client) *Purse {
	return &Purse{client: billingv1connect.NewReimbursementServiceClient(client)}
}

// Refund implements order.Purse.
func (p *Purse) Refund(ctx context.Context, orderID uuid.UUID, reason string) error {
	_, err := p.client.RefundOrder(ctx, &billingv1.RefundOrderRequest{
		OrderId: orderID.String(), Reason: reason[:min(len(reason), maxReason)],
	})
	return err
}

// Accounts asks the auth component.
type Accounts struct {
	client authv1connect.AccountServiceClient
}

var _ order.Accounts = (*Accounts)(nil)

// NewAccounts returns accounts behind a client of the auth component.
func NewAccounts(client *connect.Client) *Accounts {
	return &Accounts{client: authv1connect.NewAccountServiceClient(client)}
}

// Email implements order.Accounts.
func (a *Accounts) Email(ctx context.Context, userID uuid.UUID) (string, error) {
	res, err := a.client.GetAccount(ctx, &authv1.GetAccountRequest{UserId: userID.String()})
	if err != nil {
		return "", err
	}
	return res.GetAccount().GetEmail(), nil
}
