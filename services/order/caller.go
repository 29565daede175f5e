package order

import (
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Actors of an order's history.
const (
	ActorUser   = "user"
	ActorGuest  = "guest"
	ActorAdmin  = "admin"
	ActorSystem = "system"
)

// Caller is who asks, as the gateway proved it.
type Caller struct {
	// UserID is uuid.Nil for guests and components.
	UserID uuid.UUID
	// Email is the user's address when the token carries it.
	Email string
	// GuestTokenHash is the hex SHA-256 of the guest token shown, "" without one.
	GuestTokenHash string
	// Admin may see and move every order.
	Admin bool
}

// Anonymous tells whether no person is logged in.
func (c Caller) Anonymous() bool { return c.UserID == uuid.Nil }

// Actor is the caller's name in an order's history.
func (c Caller) Actor() string {
	switch {
	case c.Admin:
		return ActorAdmin
	case c.Anonymous():
		return ActorGuest
	default:
		return ActorUser
	}
}

// owner returns the predicate that every query for the caller's things carries.
// A caller without any proof is asked for one: there is nothing he could own.
func (c Caller) owner() (Owner, error) {
	if c.Admin {
		return Owner{Everyone: true}, nil
	}
	if c.Anonymous() && c.GuestTokenHash == "" {
		return Owner{}, fault.AuthFailed("log in, or show the guest token")
	}
	return Owner{UserID: c.UserID, GuestTokenHash: c.GuestTokenHash}, nil
}

// Owner restricts a query to what one caller owns. Its zero value owns nothing.
type Owner struct {
	// UserID owns what a user created.
	UserID uuid.UUID
	// GuestTokenHash owns what was created with that token and never belongs to a user.
	GuestTokenHash string
	// Everyone lifts the restriction, for administrators.
	Everyone bool
}

// self owns what the caller created, also for administrators: nobody orders
// another person's cart.
func (c Caller) self() Owner {
	return Owner{UserID: c.UserID, GuestTokenHash: c.GuestTokenHash}
}

// placer is who placed an order: an administrator buys as a user.
func (c Caller) placer() string {
	if c.Anonymous() {
		return ActorGuest
	}
	return ActorUser
}
