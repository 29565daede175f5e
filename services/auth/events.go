package auth

import "github.com/google/uuid"

// Event is what the component tells the platform.
type Event interface{ event() }

// UserRegistered says that an account was created.
type UserRegistered struct {
	UserID             uuid.UUID
	Email, DisplayName string
}

// EmailVerified says that a verification mail was answered.
type EmailVerified struct {
	UserID uuid.UUID
	Email  string
}

// UserDeleted says that an account was erased.
type UserDeleted struct{ UserID uuid.UUID }

func (UserRegistered) event() {}
func (EmailVerified) event()  {}
func (UserDeleted) event()    {}
