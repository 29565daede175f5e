// Package identity says who calls. The gateway proves an identity once and
// hands it on: in the context inside a process, in a signed header between
// processes. Components trust nothing else.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Header carries the signed identity between processes. The gateway deletes it from every outside request.
const Header = "X-Commerce-Identity"

// The answers of Actor.
const (
	ActorUser    = "user"
	ActorAdmin   = "admin"
	ActorGuest   = "guest"
	ActorService = "service"
)

// Identity is a proven caller. The zero value is an anonymous guest.
type Identity struct {
	// UserID is the UUID of the logged-in person, "" for guests and background work.
	UserID string
	// SessionID is the UUID of the login.
	SessionID string
	// Email is the person's address, empty when the token carries none.
	Email string
	// Roles such as "admin" and "user".
	Roles []string
	// Permissions such as "read:own"; "*" grants all.
	Permissions []string
	// GuestToken is the raw X-Guest-Token of a guest's cart or order. It is a secret.
	GuestToken string
	// Service is the name of the component that calls, "" when the call comes from outside.
	Service string
	// ClientIP is the address of the outside client.
	ClientIP string
	// UserAgent is the User-Agent of the outside client.
	UserAgent string
}

type contextKey struct{}

// With returns a context that carries who calls.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, &id)
}

// From returns who calls; the zero value, an anonymous guest, when nobody said.
func From(ctx context.Context) Identity {
	id, _ := Lookup(ctx)
	return id
}

// Lookup returns who calls and whether anybody said so.
func Lookup(ctx context.Context) (Identity, bool) {
	if id, ok := ctx.Value(contextKey{}).(*Identity); ok {
		return *id, true
	}
	return Identity{}, false
}

// Can reports whether the caller holds the permission. "*" grants all; the empty permission needs none.
func (i Identity) Can(permission string) bool {
	return permission == "" || slices.Contains(i.Permissions, permission) || slices.Contains(i.Permissions, "*")
}

// HasRole reports whether the caller has the role.
func (i Identity) HasRole(role string) bool { return slices.Contains(i.Roles, role) }

// Anonymous reports whether no person is logged in.
func (i Identity) Anonymous() bool { return i.UserID == "" }

// Actor names the kind of caller for audit rows: "admin", "user", "service" or "guest".
// A component that acts for a person counts as that person.
func (i Identity) Actor() string {
	switch {
	case i.UserID != "" && i.HasRole("admin"):
		return ActorAdmin
	case i.UserID != "":
		return ActorUser
	case i.Service != "":
		return ActorService
	default:
		return ActorGuest
	}
}

// GuestTokenHash returns the hex SHA-256 of the guest token, "" without one.
// Stores keep only the hash, so a leaked table opens no cart.
func (i Identity) GuestTokenHash() string {
	if i.GuestToken == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(i.GuestToken))
	return hex.EncodeToString(sum[:])
}
