package auth

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// maxSessions bounds the live sessions of an account: a further login ends the one used least recently.
const maxSessions = 50

// Session is one login of one person.
type Session struct {
	// ID is the session's id, the "sid" of its access tokens.
	ID uuid.UUID
	// AccountID is the person.
	AccountID uuid.UUID
	// UserAgent and IPAddress are the client's at login.
	UserAgent, IPAddress string
	// CreateTime is when the person logged in.
	CreateTime time.Time
	// LastUseTime is when the refresh token was last used.
	LastUseTime time.Time
	// ExpireTime is when the session ends unless it is refreshed.
	ExpireTime time.Time
	// RevokeTime is when the session was ended, zero while it lives.
	RevokeTime time.Time
}

// Live reports whether the session's tokens count at the moment.
func (s Session) Live(now time.Time) bool { return s.RevokeTime.IsZero() && now.Before(s.ExpireTime) }

// Tokens is the answer to a login or a refresh.
type Tokens struct {
	// Access is the signed access token.
	Access string
	// Refresh is good for one refresh.
	Refresh string
	// ExpiresIn is the life of the access token.
	ExpiresIn time.Duration
}

// Client says from where a person calls.
type Client struct {
	// IPAddress is the client's address, "" when unknown.
	IPAddress string
	// UserAgent is the client's User-Agent header.
	UserAgent string
}

// ListSessions returns the live sessions of a person, the most recently used first.
func (s *Service) ListSessions(ctx context.Context, accountID uuid.UUID) ([]Session, error) {
	return s.store.LiveSessions(ctx, accountID, s.now())
}

// RevokeSession ends a session of the account. A session that is over already or somebody else's is not found.
func (s *Service) RevokeSession(ctx context.Context, accountID, sessionID uuid.UUID) error {
	return s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		ended, err := tx.RevokeSession(ctx, accountID, sessionID, s.now())
		if err == nil && len(ended) == 0 {
			err = ErrSessionNotFound
		}
		return ended, err
	})
}

// Logout ends the session that a refresh token belongs to, whichever of its tokens it is.
// An unknown token is no error: whoever holds it is logged out.
func (s *Service) Logout(ctx context.Context, refreshToken string) error {
	return s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		return tx.RevokeSessionOfToken(ctx, hashSecret(refreshToken), s.now())
	})
}

// endSessions runs end in a transaction and then tells every verifier at once which sessions it ended.
// What that broadcast misses (Redis down, process killed) RepublishRevocations repeats.
func (s *Service) endSessions(ctx context.Context, end func(context.Context, Tx) ([]uuid.UUID, error)) error {
	var ended []uuid.UUID
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		var err error
		if ended, err = end(ctx, tx); err != nil {
			return err
		}
		return s.recordRevoked(ctx, tx, ended)
	})
	if err != nil {
		return err
	}
	s.announceRevoked(ctx, ended)
	return nil
}

func (s *Service) recordRevoked(ctx context.Context, tx Tx, ended []uuid.UUID) error {
	if len(ended) == 0 {
		return nil
	}
	return tx.RecordRevoked(ctx, ended, s.now().Add(s.config.AccessLife+clockSkew))
}

func (s *Service) announceRevoked(ctx context.Context, ended []uuid.UUID) {
	if len(ended) == 0 {
		return
	}
	if err := s.revocations.Revoke(ctx, ended, s.config.AccessLife+clockSkew); err != nil {
		s.logger.WarnContext(ctx, "ended sessions are not announced yet, their access tokens work a little longer",
			"sessions", len(ended), "error", err)
	}
}

// RepublishRevocations announces again every session whose access tokens may
// not have expired yet. It heals a cache that was down or lost its memory.
func (s *Service) RepublishRevocations(ctx context.Context) error {
	ids, err := s.store.RevokedSessions(ctx, s.now())
	if err != nil || len(ids) == 0 {
		return err
	}
	return s.revocations.Revoke(ctx, ids, s.config.AccessLife+clockSkew)
}

// Prune deletes what no longer decides anything: expired sessions and tokens,
// sealed successors past their grace and old revocations.
func (s *Service) Prune(ctx context.Context) error {
	return s.store.Prune(ctx, s.now(), s.config.RefreshGrace)
}
