package rpc

import (
	"context"
	"encoding/base64"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/services/auth"
)

// NewID returns the id of what a call creates, the same one when the call is repeated under its idempotency key.
type NewID func(ctx context.Context) uuid.UUID

// Register adds both services to the server.
func Register(server *connect.Server, service *auth.Service, newID NewID) {
	authv1connect.RegisterAuthServiceHandler(server, &authHandler{service: service, newID: newID})
	authv1connect.RegisterAccountServiceHandler(server, &accountHandler{service: service})
}

type authHandler struct {
	authv1connect.UnimplementedAuthServiceHandler

	service *auth.Service
	newID   NewID
}

// caller is the logged-in person of a call.
type caller struct{ userID, sessionID uuid.UUID }

func callerOf(ctx context.Context) (caller, error) {
	id := identity.From(ctx)
	userID, err := uuid.Parse(id.UserID)
	if err != nil {
		return caller{}, auth.ErrNotLoggedIn
	}
	// A service that acts for a person has no session; then none is the current one.
	sessionID, _ := uuid.Parse(id.SessionID)
	return caller{userID, sessionID}, nil
}

func clientOf(ctx context.Context) auth.Client {
	id := identity.From(ctx)
	return auth.Client{IPAddress: id.ClientIP, UserAgent: id.UserAgent}
}

func (h *authHandler) Register(ctx context.Context, req *authv1.RegisterRequest) (*authv1.RegisterResponse, error) {
	err := h.service.Register(ctx, auth.RegisterInput{
		ID: h.newID(ctx), Email: req.GetEmail(), Password: req.GetPassword(), DisplayName: req.GetDisplayName(),
	})
	return &authv1.RegisterResponse{}, err
}

func (h *authHandler) VerifyEmail(ctx context.Context, req *authv1.VerifyEmailRequest) (*authv1.VerifyEmailResponse, error) {
	return &authv1.VerifyEmailResponse{}, h.service.VerifyEmail(ctx, req.GetToken())
}

func (h *authHandler) Login(ctx context.Context, req *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	tokens, err := h.service.Login(ctx, auth.LoginInput{Email: req.GetEmail(), Password: req.GetPassword(), Client: clientOf(ctx)})
	if err != nil {
		return nil, err
	}
	return &authv1.LoginResponse{
		AccessToken: tokens.Access, RefreshToken: tokens.Refresh, TokenType: tokenType, ExpiresIn: toSeconds(tokens.ExpiresIn),
	}, nil
}

func (h *authHandler) Refresh(ctx context.Context, req *authv1.RefreshRequest) (*authv1.RefreshResponse, error) {
	tokens, err := h.service.Refresh(ctx, req.GetRefreshToken())
	if err != nil {
		return nil, err
	}
	return &authv1.RefreshResponse{
		AccessToken: tokens.Access, RefreshToken: tokens.Refresh, TokenType: tokenType, ExpiresIn: toSeconds(tokens.ExpiresIn),
	}, nil
}

func (h *authHandler) Logout(ctx context.Context, req *authv1.LogoutRequest) (*authv1.LogoutResponse, error) {
	return &authv1.LogoutResponse{}, h.service.Logout(ctx, req.GetRefreshToken())
}

func (h *authHandler) RequestPasswordReset(
	ctx context.Context, req *authv1.RequestPasswordResetRequest,
) (*authv1.RequestPasswordResetResponse, error) {
	return &authv1.RequestPasswordResetResponse{}, h.service.RequestPasswordReset(ctx, req.GetEmail())
}

func (h *authHandler) ConfirmPasswordReset(
	ctx context.Context, req *authv1.ConfirmPasswordResetRequest,
) (*authv1.ConfirmPasswordResetResponse, error) {
	return &authv1.ConfirmPasswordResetResponse{}, h.service.ConfirmPasswordReset(ctx, req.GetToken(), req.GetNewPassword())
}

func (h *authHandler) ChangePassword(ctx context.Context, req *authv1.ChangePasswordRequest) (*authv1.ChangePasswordResponse, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	return &authv1.ChangePasswordResponse{}, h.service.ChangePassword(ctx, auth.ChangePasswordInput{
		AccountID: who.userID, SessionID: who.sessionID, IPAddress: clientOf(ctx).IPAddress,
		Current: req.GetCurrentPassword(), New: req.GetNewPassword(),
	})
}

func (h *authHandler) ValidateToken(ctx context.Context, req *authv1.ValidateTokenRequest) (*authv1.ValidateTokenResponse, error) {
	result, err := h.service.ValidateToken(ctx, req.GetToken())
	if err != nil {
		return nil, err
	}
	if !result.Valid {
		return &authv1.ValidateTokenResponse{Error: &result.Problem}, nil
	}
	userID := result.Account.ID.String()
	return &authv1.ValidateTokenResponse{
		Valid: true, UserId: &userID, Roles: result.Account.Roles, Permissions: access.Permissions(result.Account.Roles),
	}, nil
}

func (h *authHandler) ListSessions(ctx context.Context, _ *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := h.service.ListSessions(ctx, who.userID)
	if err != nil {
		return nil, err
	}
	answer := &authv1.ListSessionsResponse{Sessions: make([]*authv1.Session, len(sessions))}
	for i, session := range sessions {
		answer.Sessions[i] = toProtoSession(session, who.sessionID)
	}
	return answer, nil
}

func (h *authHandler) RevokeSession(ctx context.Context, req *authv1.RevokeSessionRequest) (*authv1.RevokeSessionResponse, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	sessionID := fromID(req.GetSessionId())
	return &authv1.RevokeSessionResponse{}, h.service.RevokeSession(ctx, who.userID, sessionID)
}

func (h *authHandler) GetJsonWebKeySet(
	ctx context.Context, _ *authv1.GetJsonWebKeySetRequest,
) (*authv1.GetJsonWebKeySetResponse, error) {
	keys, err := h.service.VerificationKeys(ctx)
	if err != nil {
		return nil, err
	}
	answer := &authv1.GetJsonWebKeySetResponse{Keys: make([]*authv1.JsonWebKey, len(keys))}
	for i, key := range keys {
		answer.Keys[i] = &authv1.JsonWebKey{
			Kty: "OKP", Crv: "Ed25519", X: base64.RawURLEncoding.EncodeToString(key.Public), Kid: key.ID, Alg: "EdDSA", Use: "sig",
		}
	}
	return answer, nil
}
