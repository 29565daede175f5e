package rpc

import (
	"context"
	"strings"

	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/internal/page"
	"github.com/commercestack/commercestack/services/auth"
)

const defaultPageSize = 20

type accountHandler struct {
	authv1connect.UnimplementedAccountServiceHandler

	service *auth.Service
}

func (h *accountHandler) GetAccount(ctx context.Context, req *authv1.GetAccountRequest) (*authv1.GetAccountResponse, error) {
	id := fromID(req.GetUserId())
	account, err := h.service.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	return &authv1.GetAccountResponse{Account: toProtoAccount(account)}, nil
}

func (h *accountHandler) ListAccounts(ctx context.Context, req *authv1.ListAccountsRequest) (*authv1.ListAccountsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	query := auth.AccountQuery{Text: req.GetQ(), Limit: size + 1} // one more tells whether there is a next page
	for _, text := range req.GetUserIds() {
		query.IDs = append(query.IDs, fromID(text))
	}
	filter := page.FilterHash(req.GetQ(), strings.Join(req.GetUserIds(), ","))
	if token := req.GetPageToken(); token != "" {
		if err := page.Decode(token, &query.After, filter); err != nil {
			return nil, err
		}
	}
	accounts, err := h.service.ListAccounts(ctx, query)
	if err != nil {
		return nil, err
	}
	answer := &authv1.ListAccountsResponse{}
	if len(accounts) > size {
		accounts = accounts[:size]
		last := accounts[size-1]
		answer.NextPageToken = page.Encode(auth.Cursor{CreateTime: last.CreateTime, ID: last.ID}, filter)
	}
	answer.Accounts = make([]*authv1.Account, len(accounts))
	for i, account := range accounts {
		answer.Accounts[i] = toProtoAccount(account)
	}
	return answer, nil
}

func (h *accountHandler) SetAccountRoles(
	ctx context.Context, req *authv1.SetAccountRolesRequest,
) (*authv1.SetAccountRolesResponse, error) {
	account, err := h.change(req.GetUserId(), func(id uuid.UUID) (auth.Account, error) {
		return h.service.SetRoles(ctx, id, req.GetRoles())
	})
	return &authv1.SetAccountRolesResponse{Account: account}, err
}

func (h *accountHandler) DisableAccount(
	ctx context.Context, req *authv1.DisableAccountRequest,
) (*authv1.DisableAccountResponse, error) {
	account, err := h.change(req.GetUserId(), func(id uuid.UUID) (auth.Account, error) {
		return h.service.SetDisabled(ctx, id, req.GetDisabled())
	})
	return &authv1.DisableAccountResponse{Account: account}, err
}

func (h *accountHandler) change(userID string, change func(uuid.UUID) (auth.Account, error)) (*authv1.Account, error) {
	id := fromID(userID)
	account, err := change(id)
	if err != nil {
		return nil, err
	}
	return toProtoAccount(account), nil
}

func (h *accountHandler) DeleteAccount(ctx context.Context, req *authv1.DeleteAccountRequest) (*authv1.DeleteAccountResponse, error) {
	id := fromID(req.GetUserId())
	return &authv1.DeleteAccountResponse{}, h.service.DeleteAccount(ctx, id)
}
