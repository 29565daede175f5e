package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/api/httpbody"

	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/services/user"
)

// errNotLoggedIn is a call for "me" by nobody. The access rule refuses it before.
var errNotLoggedIn = fault.AuthFailed("log in first")

// NewID returns the id of what a call creates, the same one when the call is repeated under its idempotency key.
type NewID func(ctx context.Context) uuid.UUID

// Handler serves UserService.
type Handler struct {
	userv1connect.UnimplementedUserServiceHandler

	service *user.Service
	newID   NewID
}

// NewHandler returns a Handler.
func NewHandler(service *user.Service, newID NewID) *Handler {
	return &Handler{service: service, newID: newID}
}

// me is the id of the calling person.
func me(ctx context.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(identity.From(ctx).UserID)
	if err != nil {
		return uuid.Nil, errNotLoggedIn
	}
	return id, nil
}

// GetMe returns the caller's profile.
func (h *Handler) GetMe(ctx context.Context, _ *userv1.GetMeRequest) (*userv1.GetMeResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	found, err := h.service.User(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetMeResponse{User: toProto(found)}, nil
}

// UpdateMe changes the caller's profile.
func (h *Handler) UpdateMe(ctx context.Context, req *userv1.UpdateMeRequest) (*userv1.UpdateMeResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	change, err := fromMask(req.GetUser(), req.GetUpdateMask(), ownFields)
	if err != nil {
		return nil, err
	}
	changed, err := h.service.Update(ctx, user.UpdateInput{ID: id, Change: change.profile, Etag: etagOf(req.GetEtag(), req.GetUser())})
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateMeResponse{User: toProto(changed)}, nil
}

// DeleteMe erases the caller.
func (h *Handler) DeleteMe(ctx context.Context, _ *userv1.DeleteMeRequest) (*userv1.DeleteMeResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	return &userv1.DeleteMeResponse{}, h.service.Delete(ctx, id)
}

// ExportMe returns everything the platform holds of the caller.
func (h *Handler) ExportMe(ctx context.Context, _ *userv1.ExportMeRequest) (*httpbody.HttpBody, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	export, err := h.service.Export(ctx, id)
	if err != nil {
		return nil, err
	}
	document, err := toDocument(export)
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: "application/json", Data: document}, nil
}

// ListAddresses lists the caller's address book.
func (h *Handler) ListAddresses(ctx context.Context, _ *userv1.ListAddressesRequest) (*userv1.ListAddressesResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	book, err := h.service.ListAddresses(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.ListAddressesResponse{Addresses: toProtoBook(book)}, nil
}

// CreateAddress adds an address to the caller's book.
func (h *Handler) CreateAddress(ctx context.Context, req *userv1.CreateAddressRequest) (*userv1.CreateAddressResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	created, err := h.service.CreateAddress(ctx, user.Address{
		ID: h.newID(ctx), UserID: id, Postal: fromProtoPostal(req.GetAddress()), IsDefault: req.GetIsDefault(),
	})
	if err != nil {
		return nil, err
	}
	return &userv1.CreateAddressResponse{Address: toProtoAddress(created)}, nil
}

// UpdateAddress replaces an address of the caller's book.
func (h *Handler) UpdateAddress(ctx context.Context, req *userv1.UpdateAddressRequest) (*userv1.UpdateAddressResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	addressID := fromID(req.GetAddressId())
	changed, err := h.service.UpdateAddress(ctx, user.Address{
		ID: addressID, UserID: id, Postal: fromProtoPostal(req.GetAddress()), IsDefault: req.GetIsDefault(),
	})
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateAddressResponse{Address: toProtoAddress(changed)}, nil
}

// DeleteAddress removes an address from the caller's book.
func (h *Handler) DeleteAddress(ctx context.Context, req *userv1.DeleteAddressRequest) (*userv1.DeleteAddressResponse, error) {
	id, err := me(ctx)
	if err != nil {
		return nil, err
	}
	addressID := fromID(req.GetAddressId())
	return &userv1.DeleteAddressResponse{}, h.service.DeleteAddress(ctx, id, addressID)
}
