package upstream

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/user"
)

// strange answers what no component should.
type strange struct {
	authv1connect.UnimplementedAccountServiceHandler
	authv1connect.UnimplementedAuthServiceHandler
	orderv1connect.UnimplementedOrderServiceHandler
	billingv1connect.UnimplementedBillingServiceHandler
}

func (strange) GetAccount(context.Context, *authv1.GetAccountRequest) (*authv1.GetAccountResponse, error) {
	return &authv1.GetAccountResponse{Account: &authv1.Account{UserId: "nobody"}}, nil
}

func (strange) ListAccounts(context.Context, *authv1.ListAccountsRequest) (*authv1.ListAccountsResponse, error) {
	return &authv1.ListAccountsResponse{Accounts: []*authv1.Account{{UserId: "nobody"}}}, nil
}

func (strange) SetAccountRoles(_ context.Context, req *authv1.SetAccountRolesRequest) (*authv1.SetAccountRolesResponse, error) {
	return nil, fault.NotFound("account", req.GetUserId())
}

func (strange) ListSessions(context.Context, *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	return nil, fault.Unavailable("database", 0)
}

func (strange) ListOrders(context.Context, *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	return &orderv1.ListOrdersResponse{NextPageToken: "again"}, nil
}

func (strange) GetBillingProfile(context.Context, *billingv1.GetBillingProfileRequest) (*billingv1.GetBillingProfileResponse, error) {
	return nil, fault.Conflict("BROKEN", "broken")
}

func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	server := rpc.NewServer(rpc.ServerOptions{})
	authv1connect.RegisterAccountServiceHandler(server, strange{})
	authv1connect.RegisterAuthServiceHandler(server, strange{})
	orderv1connect.RegisterOrderServiceHandler(server, strange{})
	billingv1connect.RegisterBillingServiceHandler(server, strange{})
	to := func(target string) *connect.Client {
		return rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Caller: "user", Target: target})
	}
	ctx := identity.With(t.Context(), identity.Identity{UserID: uuid.NewString(), Permissions: []string{"*"}})
	accounts, holdings := NewAccounts(to("auth")), NewHoldings(to("auth"), to("order"), to("billing"))
	if _, err := accounts.Account(ctx, uuid.New()); fault.From(err) == nil || fault.From(err).Kind != fault.KindInternal {
		t.Errorf("an account without id: %v", err)
	}
	if _, _, err := accounts.Accounts(ctx, user.AccountQuery{}); err == nil {
		t.Error("a list of accounts without ids")
	}
	if _, err := accounts.SetRoles(ctx, uuid.New(), []string{"user"}); !errors.Is(err, user.ErrUserNotFound) {
		t.Errorf("an unknown account: %v", err)
	}
	if _, err := holdings.Sessions(ctx); err == nil {
		t.Error("sessions of a database that is down")
	}
	if _, err := holdings.Orders(ctx); err == nil {
		t.Error("a list that never ends")
	}
	if _, err := holdings.BillingProfile(ctx); err == nil {
		t.Error("a broken profile")
	}
}
