package user

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Store keeps profiles and addresses.
type Store interface {
	// InTx runs body in one transaction, again from the start when the database asks for a retry.
	InTx(ctx context.Context, body func(ctx context.Context, tx Tx) error) error
	// Profile returns a profile, or ErrUserNotFound.
	Profile(ctx context.Context, id uuid.UUID) (Profile, error)
	// Profiles returns the profiles there are of the ids, with one query.
	Profiles(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Profile, error)
	// Addresses returns a person's address book, oldest first.
	Addresses(ctx context.Context, userID uuid.UUID) ([]Address, error)
}

// Tx writes profiles and addresses in one transaction.
type Tx interface {
	// CreateProfile inserts the profile unless there is one or the user was erased.
	CreateProfile(ctx context.Context, profile Profile) error
	// LockProfile returns a profile and keeps others from changing it or its book until the transaction ends.
	LockProfile(ctx context.Context, id uuid.UUID) (Profile, error)
	// UpdateProfile writes a locked profile.
	UpdateProfile(ctx context.Context, profile Profile) error
	// EraseProfile deletes the profile with its book and remembers that the user was erased.
	EraseProfile(ctx context.Context, id uuid.UUID, now time.Time) error
	// Addresses returns a person's address book, oldest first.
	Addresses(ctx context.Context, userID uuid.UUID) ([]Address, error)
	// InsertAddress adds an entry.
	InsertAddress(ctx context.Context, address Address) error
	// UpdateAddress replaces an entry of its owner's book, or fails with ErrAddressNotFound.
	UpdateAddress(ctx context.Context, address Address, now time.Time) error
	// DeleteAddress removes an entry of the person's book, or fails with ErrAddressNotFound.
	DeleteAddress(ctx context.Context, userID, addressID uuid.UUID) error
	// ClearDefault takes the mark of the default from the person's entries.
	ClearDefault(ctx context.Context, userID uuid.UUID) error
	// Once reports whether the subscriber sees the event for the first time.
	Once(ctx context.Context, subscriber, eventID string) (bool, error)
}

// AccountQuery selects a page of accounts.
type AccountQuery struct {
	// Text is part of an address, "" for all.
	Text string
	// PageSize is at most 100; 0 means 20. PageToken continues a list.
	PageSize  int32
	PageToken string
}

// Accounts asks auth, the owner of accounts.
type Accounts interface {
	// Account returns an account, or ErrUserNotFound.
	Account(ctx context.Context, id uuid.UUID) (Account, error)
	// Accounts returns a page of accounts, newest first, and the token of the next.
	Accounts(ctx context.Context, query AccountQuery) (accounts []Account, next string, err error)
	// SetRoles replaces the roles of an account.
	SetRoles(ctx context.Context, id uuid.UUID, roles []string) (Account, error)
	// SetDisabled forbids logins or lifts the ban.
	SetDisabled(ctx context.Context, id uuid.UUID, disabled bool) (Account, error)
	// Delete erases an account.
	Delete(ctx context.Context, id uuid.UUID) error
}

// Holdings asks the other components what they hold of the calling person, as JSON documents.
type Holdings interface {
	Sessions(ctx context.Context) ([]json.RawMessage, error)
	Orders(ctx context.Context) ([]json.RawMessage, error)
	Invoices(ctx context.Context) ([]json.RawMessage, error)
	// BillingProfile is nil when there is none.
	BillingProfile(ctx context.Context) (json.RawMessage, error)
}

// Service is the component's behaviour.
type Service struct {
	store    Store
	accounts Accounts
	holdings Holdings
	now      func() time.Time
}

// New returns a Service. It fails when a dependency is missing.
func New(store Store, accounts Accounts, holdings Holdings, now func() time.Time) (*Service, error) {
	if store == nil || accounts == nil || holdings == nil || now == nil {
		return nil, errors.New("user: a dependency is missing")
	}
	return &Service{store: store, accounts: accounts, holdings: holdings, now: now}, nil
}
