package upstream

import (
	"context"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/user"
)

// Accounts asks auth.
type Accounts struct {
	service authv1connect.AccountServiceClient
}

// NewAccounts returns Accounts that calls through the client.
func NewAccounts(client *connect.Client) *Accounts {
	return &Accounts{service: authv1connect.NewAccountServiceClient(client)}
}

// Account returns an account.
func (a *Accounts) Account(ctx context.Context, id uuid.UUID) (user.Account, error) {
	answer, err := a.service.GetAccount(ctx, &authv1.GetAccountRequest{UserId: id.String()})
	return fromProto(answer.GetAccount(), err)
}

// Accounts returns a page of accounts, newest first.
func (a *Accounts) Accounts(ctx context.Context, query user.AccountQuery) ([]user.Account, string, error) {
	answer, err := a.service.ListAccounts(ctx, &authv1.ListAccountsRequest{
		PageSize: query.PageSize, PageToken: query.PageToken, Q: query.Text,
	})
	if err != nil {
		return nil, "", err
	}
	accounts := make([]user.Account, len(answer.GetAccounts()))
	for i, account := range answer.GetAccounts() {
		if accounts[i], err = fromProto(account, nil); err != nil {
			return nil, "", err
		}
	}
	return accounts, answer.GetNextPageToken(), nil
}

// SetRoles replaces the roles of an account.
func (a *Accounts) SetRoles(ctx context.Context, id uuid.UUID, roles []string) (user.Account, error) {
	answer, err := a.service.SetAccountRoles(ctx, &authv1.SetAccountRolesRequest{UserId: id.String(), Roles: roles})
	return fromProto(answer.GetAccount(), err)
}

// SetDisabled forbids logins or lifts the ban.
func (a *Accounts) SetDisabled(ctx context.Context, id uuid.UUID, disabled bool) (user.Account, error) {
	answer, err := a.service.DisableAccount(ctx, &authv1.DisableAccountRequest{UserId: id.String(), Disabled: disabled})
	return fromProto(answer.GetAccount(), err)
}

// Delete erases an account.
func (a *Accounts) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := a.service.DeleteAccount(ctx, &authv1.DeleteAccountRequest{UserId: id.String()})
	return err
}

func fromProto(a *authv1.Account, err error) (user.Account, error) {
	if err != nil {
		if failure := fault.From(err); failure != nil && failure.Kind == fault.KindNotFound {
			err = user.ErrUserNotFound
		}
		return user.Account{}, err
	}
	id, err := uuid.Parse(a.GetUserId())
	if err != nil {
		return user.Account{}, fault.New(fault.KindInternal, "", "").WithCause(err)
	}
	return user.Account{
		ID: id, Email: a.GetEmail(), EmailVerified: a.GetEmailVerified(), DisplayName: a.GetDisplayName(),
		Roles: a.GetRoles(), Disabled: a.GetDisabled(), CreateTime: a.GetCreateTime().AsTime(),
	}, nil
}
