package jwtverify

import (
	"github.com/golang-jwt/jwt/v5"

	"github.com/commercestack/commercestack/internal/identity"
)

const (
	// Issuer is the "iss" of every access token.
	Issuer = "commercestack/auth"
	// Audience is the "aud" of every access token.
	Audience = "commerce"
)

// Claims are the payload of an access token. The registered ones hold iss, sub
// (the user), aud, exp, nbf, iat and jti.
type Claims struct {
	jwt.RegisteredClaims

	// UserID is the person, the same as sub.
	UserID string `json:"userId"`
	// SessionID is the login.
	SessionID string `json:"sid"`
	// Email is the person's address.
	Email string `json:"email,omitempty"`
	// Roles such as "admin" and "user".
	Roles []string `json:"roles"`
	// Permissions such as "read:own"; "*" grants all.
	Permissions []string `json:"permissions"`
}

// Identity returns who the claims speak of.
func (c Claims) Identity() identity.Identity {
	return identity.Identity{
		UserID: c.UserID, SessionID: c.SessionID, Email: c.Email, Roles: c.Roles, Permissions: c.Permissions,
	}
}
