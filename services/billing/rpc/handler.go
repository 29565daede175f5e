package rpc

import (
	"context"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/stripe"
)

// managePayments is the permission of those who see and refund every payment.
const managePayments = "manage:payments"

// Verify checks the signature of a webhook and reads it.
type Verify func(payload []byte, signature string) (billing.Notice, error)

// Print draws a document as PDF.
type Print func(document billing.Invoice) ([]byte, error)

// Handler implements the BillingService and the ReimbursementService.
type Handler struct {
	service *billing.Service
	// newID is the id for the fact that a call creates.
	newID  func(ctx context.Context) uuid.UUID
	verify Verify
	draw   Print
}

var (
	_ billingv1connect.BillingServiceHandler       = (*Handler)(nil)
	_ billingv1connect.ReimbursementServiceHandler = (*Handler)(nil)
)

// NewHandler returns a handler over the domain.
func NewHandler(service *billing.Service, newID func(ctx context.Context) uuid.UUID, verify Verify, draw Print) *Handler {
	return &Handler{service: service, newID: newID, verify: verify, draw: draw}
}

// Register adds both services to a server.
func Register(server *connect.Server, handler *Handler) {
	billingv1connect.RegisterBillingServiceHandler(server, handler)
	billingv1connect.RegisterReimbursementServiceHandler(server, handler)
}

// CreatePayment implements the contract.
func (h *Handler) CreatePayment(ctx context.Context, req *billingv1.CreatePaymentRequest) (*billingv1.CreatePaymentResponse, error) {
	owner := self(ctx)
	p, err := h.service.Pay(ctx, billing.PayRequest{
		ID: h.newID(ctx), OrderID: fromID(req.GetOrderId()), Owner: owner,
		PaymentMethod: req.GetPaymentMethod(), ReturnURL: req.GetReturnUrl(),
	})
	if err != nil {
		return nil, err
	}
	return &billingv1.CreatePaymentResponse{Payment: toPayment(p, owner)}, nil
}

// GetPayment implements the contract.
func (h *Handler) GetPayment(ctx context.Context, req *billingv1.GetPaymentRequest) (*billingv1.GetPaymentResponse, error) {
	owner := viewer(ctx)
	p, err := h.service.Store.Payment(ctx, fromID(req.GetPaymentId()), owner)
	if err != nil {
		return nil, err
	}
	refunds, err := h.service.Store.PaymentRefunds(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return &billingv1.GetPaymentResponse{Payment: toPayment(p, owner), Refunds: toRefunds(refunds)}, nil
}

// ListPayments implements the contract.
func (h *Handler) ListPayments(ctx context.Context, req *billingv1.ListPaymentsRequest) (*billingv1.ListPaymentsResponse, error) {
	filter, binding, err := filterOf(ctx, req)
	if err != nil {
		return nil, err
	}
	payments, err := h.service.Store.Payments(ctx, filter)
	if err != nil {
		return nil, err
	}
	response := &billingv1.ListPaymentsResponse{}
	if size := filter.Limit - 1; len(payments) > size {
		payments = payments[:size]
		response.NextPageToken = next(payments[size-1].CreateTime, payments[size-1].ID, binding)
	}
	for _, p := range payments {
		response.Payments = append(response.Payments, toPayment(p, filter.Owner))
	}
	return response, nil
}

// RefundPayment implements the contract.
func (h *Handler) RefundPayment(ctx context.Context, req *billingv1.RefundPaymentRequest) (*billingv1.RefundPaymentResponse, error) {
	in := billing.RefundRequest{ID: h.newID(ctx), PaymentID: fromID(req.GetPaymentId()), Reason: req.GetReason()}
	if amount := req.GetAmount(); amount != nil {
		in.Amount = &money.Money{CurrencyCode: amount.GetCurrencyCode(), AmountMinor: amount.GetAmountMinor()}
	}
	p, r, err := h.service.Refund(ctx, in)
	if err != nil {
		return nil, err
	}
	return &billingv1.RefundPaymentResponse{Payment: toPayment(p, viewer(ctx)), Refund: toRefund(r)}, nil
}

// RefundOrder implements the contract.
func (h *Handler) RefundOrder(ctx context.Context, req *billingv1.RefundOrderRequest) (*billingv1.RefundOrderResponse, error) {
	refunds, err := h.service.GiveBack(ctx, fromID(req.GetOrderId()), req.GetReason())
	if err != nil {
		return nil, err
	}
	return &billingv1.RefundOrderResponse{Refunds: toRefunds(refunds)}, nil
}

// HandleStripeWebhook implements the contract.
func (h *Handler) HandleStripeWebhook(ctx context.Context, req *billingv1.HandleStripeWebhookRequest) (*billingv1.HandleStripeWebhookResponse, error) {
	notice, err := h.verify(req.GetEvent().GetData(), rpc.RequestHeader(ctx).Get(stripe.HeaderSignature))
	if err != nil {
		return nil, err
	}
	if err := h.service.Notify(ctx, notice); err != nil {
		return nil, err
	}
	return &billingv1.HandleStripeWebhookResponse{}, nil
}

// self is the caller as one who pays.
func self(ctx context.Context) billing.Owner {
	id := identity.From(ctx)
	return billing.Owner{UserID: fromID(id.UserID), GuestTokenHash: id.GuestTokenHash()}
}

// viewer is the caller as one who looks.
func viewer(ctx context.Context) billing.Owner {
	owner := self(ctx)
	owner.Everyone = identity.From(ctx).Can(managePayments)
	return owner
}

// lister narrows lists to the caller's own unless an administrator asks for all.
func lister(ctx context.Context, all bool) (billing.Owner, error) {
	if !all {
		return self(ctx), nil
	}
	if !identity.From(ctx).Can(managePayments) {
		return billing.Owner{}, fault.Unauthorized("only administrators list everybody's")
	}
	return viewer(ctx), nil
}
