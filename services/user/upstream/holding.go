package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/internal/fault"
)

const (
	pageSize = 100
	// maxPages ends a list whose tokens go in circles.
	maxPages = 10_000
)

// Holdings asks the components what they hold of the calling person.
type Holdings struct {
	auth    authv1connect.AuthServiceClient
	order   orderv1connect.OrderServiceClient
	billing billingv1connect.BillingServiceClient
}

// NewHoldings returns Holdings that calls through the clients of auth, order and billing.
func NewHoldings(auth, order, billing *connect.Client) *Holdings {
	return &Holdings{
		auth:    authv1connect.NewAuthServiceClient(auth),
		order:   orderv1connect.NewOrderServiceClient(order),
		billing: billingv1connect.NewBillingServiceClient(billing),
	}
}

// Sessions returns the person's live sessions.
func (h *Holdings) Sessions(ctx context.Context) ([]json.RawMessage, error) {
	answer, err := h.auth.ListSessions(ctx, &authv1.ListSessionsRequest{})
	if err != nil {
		return nil, err
	}
	return encode(answer.GetSessions())
}

// Orders returns all orders of the person.
func (h *Holdings) Orders(ctx context.Context) ([]json.RawMessage, error) {
	return collect(func(token string) ([]*orderv1.Order, string, error) {
		answer, err := h.order.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: pageSize, PageToken: token})
		return answer.GetOrders(), answer.GetNextPageToken(), err
	})
}

// Invoices returns all invoices of the person.
func (h *Holdings) Invoices(ctx context.Context) ([]json.RawMessage, error) {
	return collect(func(token string) ([]*billingv1.Invoice, string, error) {
		answer, err := h.billing.ListInvoices(ctx, &billingv1.ListInvoicesRequest{PageSize: pageSize, PageToken: token})
		return answer.GetInvoices(), answer.GetNextPageToken(), err
	})
}

// BillingProfile returns the person's billing profile, nil when there is none.
func (h *Holdings) BillingProfile(ctx context.Context) (json.RawMessage, error) {
	answer, err := h.billing.GetBillingProfile(ctx, &billingv1.GetBillingProfileRequest{})
	if failure := fault.From(err); failure != nil && failure.Kind == fault.KindNotFound || err == nil && answer.GetProfile() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(answer.GetProfile())
}

// collect reads every page of a list.
func collect[M proto.Message](page func(token string) ([]M, string, error)) ([]json.RawMessage, error) {
	var all []json.RawMessage
	token := ""
	for range maxPages {
		messages, next, err := page(token)
		if err != nil {
			return nil, err
		}
		documents, err := encode(messages)
		if err != nil {
			return nil, err
		}
		all = append(all, documents...)
		if next == "" {
			return all, nil
		}
		token = next
	}
	return nil, errors.New("upstream: a list does not end")
}

func encode[M proto.Message](messages []M) ([]json.RawMessage, error) {
	documents := make([]json.RawMessage, len(messages))
	for i, message := range messages {
		document, err := protojson.Marshal(message)
		if err != nil {
			return nil, fmt.Errorf("upstream: encode: %w", err)
		}
		documents[i] = document
	}
	return documents, nil
}
