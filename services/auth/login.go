package auth

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// LoginInput is an attempt to log in.
type LoginInput struct {
	Email, Password string
	Client          Client
}

// Claims are what an access token says.
type Claims struct {
	// ID is unique for each token.
	ID string
	// UserID and SessionID are the person and the login.
	UserID, SessionID uuid.UUID
	// Email is the person's address.
	Email string
	// Roles are the account's.
	Roles []string
	// IssueTime and ExpireTime bound the token's life.
	IssueTime, ExpireTime time.Time
}

// errCredentialsChanged is a password that changed between its check and the session.
var errCredentialsChanged = errors.New("auth: the credentials changed meanwhile")

// Login opens a session for a right password. A wrong one costs the same time whether or not there is an account.
func (s *Service) Login(ctx context.Context, in LoginInput) (Tokens, error) {
	email := NormalizeEmail(in.Email)
	if wait := s.throttle.Guess(ctx, email, in.Client.IPAddress); wait > 0 {
		return Tokens{}, fault.RateLimit(wait)
	}
	// A parallel login may renew the hash, so one change gets a second look.
	for range 2 {
		account, err := s.checkPassword(ctx, email, in.Password)
		if err != nil {
			return Tokens{}, err
		}
		if !account.Verified() && !s.config.AllowUnverified {
			return Tokens{}, ErrEmailNotVerified
		}
		tokens, err := s.openSession(ctx, account, in.Client)
		if errors.Is(err, errCredentialsChanged) {
			continue
		}
		if err == nil {
			s.throttle.Forgive(ctx, email, in.Client.IPAddress)
		}
		return tokens, err
	}
	return Tokens{}, ErrBadCredentials
}

// checkPassword returns the account that the password opens, its hash renewed when its parameters were outdated.
func (s *Service) checkPassword(ctx context.Context, email, password string) (Account, error) {
	account, err := s.store.AccountByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrAccountNotFound) {
		return Account{}, err
	}
	match, outdated, err := s.hasher.Verify(ctx, password, account.PasswordHash)
	switch {
	case err != nil:
		return Account{}, err
	case !match:
		return Account{}, ErrBadCredentials
	case account.Disabled:
		return Account{}, ErrAccountDisabled
	case outdated:
		account.PasswordHash = s.rehash(ctx, account, password)
	}
	return account, nil
}

// rehash replaces a hash made with outdated parameters and returns the hash that holds now.
// Failing to is no reason to refuse a login.
func (s *Service) rehash(ctx context.Context, account Account, password string) string {
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		err = s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
			current, err := tx.LockAccount(ctx, account.ID)
			if err != nil {
				return err
			}
			if current.PasswordHash != account.PasswordHash {
				return errCredentialsChanged
			}
			current.PasswordHash = hash
			return tx.UpdateAccount(ctx, current, s.now())
		})
	}
	if err != nil {
		s.logger.WarnContext(ctx, "password hash keeps its outdated parameters", "account", account.ID, "error", err)
		return account.PasswordHash
	}
	return hash
}

// openSession creates a session unless the account changed since its password was checked.
func (s *Service) openSession(ctx context.Context, account Account, client Client) (Tokens, error) {
	now := s.now()
	session := Session{
		ID: uuid.Must(uuid.NewV7()), AccountID: account.ID,
		UserAgent: truncate(client.UserAgent, 512), IPAddress: truncate(client.IPAddress, 64),
		CreateTime: now, LastUseTime: now, ExpireTime: now.Add(s.config.RefreshLife),
	}
	refresh := newSecret()
	var ended []uuid.UUID
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		current, err := tx.LockAccount(ctx, account.ID)
		switch {
		case errors.Is(err, ErrAccountNotFound):
			return ErrBadCredentials
		case err != nil:
			return err
		case current.Disabled:
			return ErrAccountDisabled
		case current.PasswordHash != account.PasswordHash:
			return errCredentialsChanged
		}
		account = current
		if ended, err = tx.CreateSession(ctx, session, s.newRefreshToken(refresh, session.ID, now), maxSessions); err != nil {
			return err
		}
		return s.recordRevoked(ctx, tx, ended)
	})
	if err != nil {
		return Tokens{}, err
	}
	s.announceRevoked(ctx, ended)
	return s.issue(ctx, account, session.ID, refresh)
}

// issue signs an access token beside a refresh token.
func (s *Service) issue(ctx context.Context, account Account, sessionID uuid.UUID, refresh string) (Tokens, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return Tokens{}, err
	}
	now := s.now()
	access, err := s.tokens.Sign(key, Claims{
		ID: uuid.NewString(), UserID: account.ID, SessionID: sessionID, Email: account.Email,
		Roles:     account.Roles,
		IssueTime: now, ExpireTime: now.Add(s.config.AccessLife),
	})
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{Access: access, Refresh: refresh, ExpiresIn: s.config.AccessLife}, nil
}

// truncate returns at most limit bytes of text without cutting a character.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
