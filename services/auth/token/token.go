// Package token signs access tokens and reads them back.
package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/services/auth"
)

// Issuer signs and checks access tokens.
type Issuer struct{ verifier *jwtverify.Verifier }

// New returns an Issuer that checks tokens by the keys the function returns.
func New(keys func(context.Context) ([]auth.SigningKey, error), now func() time.Time) *Issuer {
	return &Issuer{verifier: jwtverify.New(jwtverify.Config{Now: now, Keys: func(ctx context.Context) (map[string]ed25519.PublicKey, error) {
		set, err := keys(ctx)
		if err != nil {
			return nil, err
		}
		byID := make(map[string]ed25519.PublicKey, len(set))
		for _, key := range set {
			byID[key.ID] = key.Public
		}
		return byID, nil
	}})}
}

// Sign returns the signed JWT of the claims and of what their roles permit.
func (i *Issuer) Sign(key auth.SigningKey, claims auth.Claims) (string, error) {
	if len(key.Private) != ed25519.PrivateKeySize {
		return "", errors.New("token: the signing key has no private half")
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwtverify.Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: jwtverify.Issuer, Subject: claims.UserID.String(), Audience: jwt.ClaimStrings{jwtverify.Audience},
			ExpiresAt: jwt.NewNumericDate(claims.ExpireTime), NotBefore: jwt.NewNumericDate(claims.IssueTime),
			IssuedAt: jwt.NewNumericDate(claims.IssueTime), ID: claims.ID,
		},
		UserID: claims.UserID.String(), SessionID: claims.SessionID.String(), Email: claims.Email,
		Roles: claims.Roles, Permissions: access.Permissions(claims.Roles),
	})
	token.Header["kid"] = key.ID
	signed, err := token.SignedString(key.Private)
	if err != nil {
		return "", fmt.Errorf("token: sign: %w", err)
	}
	return signed, nil
}

// Verify returns the claims of a token whose signature, times and audience hold.
func (i *Issuer) Verify(ctx context.Context, token string) (auth.Claims, error) {
	claims, err := i.verifier.Verify(ctx, token)
	if err != nil {
		return auth.Claims{}, err
	}
	userID, userErr := uuid.Parse(claims.UserID)
	sessionID, sessionErr := uuid.Parse(claims.SessionID)
	if err := errors.Join(userErr, sessionErr); err != nil {
		return auth.Claims{}, jwtverify.ErrInvalid.WithCause(err)
	}
	return auth.Claims{
		ID: claims.ID, UserID: userID, SessionID: sessionID, Email: claims.Email,
		Roles:     claims.Roles,
		IssueTime: claims.IssuedAt.Time, ExpireTime: claims.ExpiresAt.Time,
	}, nil
}
