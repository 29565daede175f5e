package rpc

import (
	"context"

	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/services/user"
)

// GetUser returns any user.
func (h *Handler) GetUser(ctx context.Context, req *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	id := fromID(req.GetUserId())
	found, err := h.service.User(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserResponse{User: toProto(found)}, nil
}

// UpdateUser changes any user.
func (h *Handler) UpdateUser(ctx context.Context, req *userv1.UpdateUserRequest) (*userv1.UpdateUserResponse, error) {
	actor, err := me(ctx)
	if err != nil {
		return nil, err
	}
	id := fromID(req.GetUserId())
	change, err := fromMask(req.GetUser(), req.GetUpdateMask(), adminFields)
	if err != nil {
		return nil, err
	}
	changed, err := h.service.AdminUpdate(ctx, user.AdminUpdateInput{
		UpdateInput: user.UpdateInput{ID: id, Change: change.profile, Etag: etagOf(req.GetEtag(), req.GetUser())},
		ActorID:     actor, Roles: change.roles, Disabled: change.disabled,
	})
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateUserResponse{User: toProto(changed)}, nil
}

// DeleteUser erases any user.
func (h *Handler) DeleteUser(ctx context.Context, req *userv1.DeleteUserRequest) (*userv1.DeleteUserResponse, error) {
	id := fromID(req.GetUserId())
	return &userv1.DeleteUserResponse{}, h.service.Delete(ctx, id)
}

// ListUsers lists users, newest first.
func (h *Handler) ListUsers(ctx context.Context, req *userv1.ListUsersRequest) (*userv1.ListUsersResponse, error) {
	users, next, err := h.service.ListUsers(ctx, user.AccountQuery{
		Text: req.GetQ(), PageSize: req.GetPageSize(), PageToken: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	answer := &userv1.ListUsersResponse{Users: make([]*userv1.User, len(users)), NextPageToken: next}
	for i, found := range users {
		answer.Users[i] = toProto(found)
	}
	return answer, nil
}
