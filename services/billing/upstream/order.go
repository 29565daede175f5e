// Package upstream asks other components what billing needs of them: the owner
// of orders, what is owed.
package upstream

import (
	"context"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
)

// Orders asks the order component.
type Orders struct {
	client orderv1connect.SettlementServiceClient
}

var _ billing.Orders = (*Orders)(nil)

// NewOrders returns orders behind a client of the order component.
func NewOrders(client *connect.Client) *Orders {
	return &Orders{client: orderv1connect.NewSettlementServiceClient(client)}
}

// Begin implements billing.Orders.
func (o *Orders) Begin(ctx context.Context, orderID, paymentID uuid.UUID, owner billing.Owner) (billing.Due, error) {
	request := &orderv1.BeginPaymentRequest{OrderId: orderID.String(), PaymentId: paymentID.String(), GuestTokenHash: owner.GuestTokenHash}
	if owner.UserID != uuid.Nil {
		request.UserId = owner.UserID.String()
	}
	response, err := o.client.BeginPayment(ctx, request)
	if err != nil {
		return billing.Due{}, err
	}
	due := billing.Due{
		Amount: money.Money{CurrencyCode: response.GetAmount().GetCurrencyCode(), AmountMinor: response.GetAmount().GetAmountMinor()},
		Number: response.GetNumber(), Email: response.GetEmail(),
	}
	if response.ExpireTime != nil {
		due.ExpireTime = response.GetExpireTime().AsTime()
	}
	return due, nil
}
