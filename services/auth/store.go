package auth

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store reads the component's tables and opens transactions on them.
type Store interface {
	// InTx runs body in one transaction, again from the start when the database asks for a retry.
	InTx(ctx context.Context, body func(ctx context.Context, tx Tx) error) error
	// AccountByEmail returns the account of a normalized address or ErrAccountNotFound.
	AccountByEmail(ctx context.Context, email string) (Account, error)
	// Account returns an account or ErrAccountNotFound.
	Account(ctx context.Context, id uuid.UUID) (Account, error)
	// ListAccounts returns a page of accounts, newest first.
	ListAccounts(ctx context.Context, query AccountQuery) ([]Account, error)
	// LiveSessions returns the account's sessions that are neither revoked nor expired.
	LiveSessions(ctx context.Context, accountID uuid.UUID, now time.Time) ([]Session, error)
	// AccountOfSession returns the account of a live session of an account that may log in, else ErrSessionNotFound.
	AccountOfSession(ctx context.Context, sessionID uuid.UUID, now time.Time) (Account, error)
	// AccountOfToken returns the account a usable mailed token belongs to, else ErrMailedToken.
	AccountOfToken(ctx context.Context, purpose Purpose, hash []byte, now time.Time) (Account, error)
	// RevokedSessions returns ended sessions whose access tokens may still be alive.
	RevokedSessions(ctx context.Context, now time.Time) ([]uuid.UUID, error)
	// Keys returns every signing key that was not removed.
	Keys(ctx context.Context) ([]SigningKey, error)
	// Prune deletes expired rows.
	Prune(ctx context.Context, now time.Time, grace time.Duration) error
}

// Tx writes the component's tables in one transaction.
type Tx interface {
	AccountTx
	SessionTx
	TokenTx
	KeyTx
	EffectTx
}

// AccountTx writes accounts.
type AccountTx interface {
	// CreateAccount inserts the account unless its address or id is taken, and reports whether it did.
	CreateAccount(ctx context.Context, account Account) (bool, error)
	// LockAccount returns an account and keeps others from changing it until the transaction ends.
	LockAccount(ctx context.Context, id uuid.UUID) (Account, error)
	// LockAccountByEmail is LockAccount by address.
	LockAccountByEmail(ctx context.Context, email string) (Account, error)
	// UpdateAccount writes the hash, verification time, roles and ban of a locked account.
	UpdateAccount(ctx context.Context, account Account, now time.Time) error
	// DeleteAccount erases an account with its sessions and tokens and returns the sessions that were alive.
	DeleteAccount(ctx context.Context, id uuid.UUID, now time.Time) ([]uuid.UUID, error)
	// LockAdmins lets one transaction at a time change who is an administrator and returns
	// the ids of those who can log in.
	LockAdmins(ctx context.Context) ([]uuid.UUID, error)
}

// SessionTx writes sessions and their refresh tokens.
type SessionTx interface {
	// CreateSession inserts a session with its first refresh token and ends the account's sessions beyond the newest keep.
	CreateSession(ctx context.Context, session Session, token RefreshToken, keep int) (ended []uuid.UUID, err error)
	// UseRefreshToken marks an unused, unexpired token of a live session as used. It reports false when there is none.
	UseRefreshToken(ctx context.Context, hash, successorSealed []byte, now time.Time) (sessionID uuid.UUID, ok bool, err error)
	// AddRefreshToken adds the successor and prolongs its session.
	AddRefreshToken(ctx context.Context, token RefreshToken) error
	// RefreshToken returns a token by its hash with its session, or ErrRefreshToken.
	RefreshToken(ctx context.Context, hash []byte) (RefreshToken, Session, error)
	// RevokeSession ends a live session of the account; an empty answer means there is none.
	RevokeSession(ctx context.Context, accountID, sessionID uuid.UUID, now time.Time) ([]uuid.UUID, error)
	// RevokeSessionOfToken ends the live session of a refresh token.
	RevokeSessionOfToken(ctx context.Context, hash []byte, now time.Time) ([]uuid.UUID, error)
	// RevokeSessions ends every live session of the account except one (uuid.Nil for none).
	RevokeSessions(ctx context.Context, accountID, except uuid.UUID, now time.Time) ([]uuid.UUID, error)
	// RecordRevoked remembers ended sessions until the last of their access tokens has expired.
	RecordRevoked(ctx context.Context, sessionIDs []uuid.UUID, expire time.Time) error
}

// TokenTx writes mailed tokens.
type TokenTx interface {
	// SaveOneTimeToken inserts a mailed token; one that was saved before stays as it is. A reset token supersedes older ones.
	SaveOneTimeToken(ctx context.Context, token OneTimeToken) error
	// UseOneTimeToken marks a usable token as used and returns it, or ErrMailedToken.
	UseOneTimeToken(ctx context.Context, purpose Purpose, hash []byte, now time.Time) (OneTimeToken, error)
	// DropOneTimeTokens deletes the account's unused tokens.
	DropOneTimeTokens(ctx context.Context, accountID uuid.UUID) error
}

// KeyTx writes signing keys.
type KeyTx interface {
	// LockKeys lets one transaction at a time change signing keys and returns those that were not removed.
	LockKeys(ctx context.Context) ([]SigningKey, error)
	// SaveKey inserts or updates a key.
	SaveKey(ctx context.Context, key SigningKey) error
	// RecordKeyRequest remembers a request for a new key. It reports whether it was not known.
	RecordKeyRequest(ctx context.Context, id string, now time.Time) (bool, error)
}

// EffectTx writes what reaches beyond the component's tables.
type EffectTx interface {
	// Publish writes an event that leaves the platform's outbox when the transaction commits.
	Publish(ctx context.Context, event Event) error
	// Enqueue adds a job that calls Service.DeliverMail after the transaction commits.
	Enqueue(ctx context.Context, request MailRequest) error
	// Audit writes an audit row about an account.
	Audit(ctx context.Context, action string, accountID uuid.UUID, detail map[string]string) error
}

// AccountQuery selects a page of accounts.
type AccountQuery struct {
	// Text is part of an address, "" for all.
	Text string
	// IDs restricts the answer, empty for all.
	IDs []uuid.UUID
	// After is the last account of the page before, zero for the first page.
	After Cursor
	// Limit is the page's size.
	Limit int
}

// Cursor is a position in the list of accounts.
type Cursor struct {
	CreateTime time.Time
	ID         uuid.UUID
}
