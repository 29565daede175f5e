package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// RefreshToken is one link of a session's chain.
type RefreshToken struct {
	// ID of the row.
	ID uuid.UUID
	// Hash of the secret.
	Hash []byte
	// SessionID is the family.
	SessionID uuid.UUID
	// CreateTime and ExpireTime bound its life.
	CreateTime, ExpireTime time.Time
	// UsedTime is when it was exchanged, zero before.
	UsedTime time.Time
	// SuccessorSealed is the encrypted token it was exchanged for, nil after the grace period.
	SuccessorSealed []byte
}

// replay is what presenting a used token means.
type replay uint8

const (
	// replayRefused is a token of a session that is over, or an expired one.
	replayRefused replay = iota
	// replayGrace is a second tab, or a client that never got the answer.
	replayGrace
	// replayTheft is a token that its owner exchanged long ago.
	replayTheft
)

// judge decides what to do with a token that UseRefreshToken did not accept.
func (t RefreshToken) judge(session Session, now time.Time, grace time.Duration) replay {
	switch {
	case !session.Live(now) || t.UsedTime.IsZero():
		return replayRefused
	case now.Before(t.UsedTime.Add(grace)) && len(t.SuccessorSealed) > 0:
		return replayGrace
	default:
		return replayTheft
	}
}

func (s *Service) newRefreshToken(secret string, sessionID uuid.UUID, now time.Time) RefreshToken {
	return RefreshToken{
		ID: uuid.Must(uuid.NewV7()), Hash: hashSecret(secret), SessionID: sessionID,
		CreateTime: now, ExpireTime: now.Add(s.config.RefreshLife),
	}
}

// Refresh exchanges a refresh token for the next one and a new access token.
// Concurrent and repeated exchanges within the grace period get the same
// successor; a later one ends the session.
func (s *Service) Refresh(ctx context.Context, refreshToken string) (Tokens, error) {
	hash, successor := hashSecret(refreshToken), newSecret()
	sealed, err := s.sealer.Seal([]byte(successor), successorPurpose(hash))
	if err != nil {
		return Tokens{}, fmt.Errorf("seal successor: %w", err)
	}
	var (
		sessionID uuid.UUID
		ended     []uuid.UUID
		account   Account
	)
	refused := false
	err = s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		refused, ended = false, nil
		now := s.now()
		id, used, err := tx.UseRefreshToken(ctx, hash, sealed, now)
		if err != nil {
			return err
		}
		if used {
			sessionID = id
			return tx.AddRefreshToken(ctx, s.newRefreshToken(successor, id, now))
		}
		token, session, err := tx.RefreshToken(ctx, hash)
		if err != nil {
			return err
		}
		sessionID = session.ID
		switch token.judge(session, now, s.config.RefreshGrace) {
		case replayGrace:
			return s.openSuccessor(token, &successor)
		case replayTheft:
			refused = true // the revocation must commit, so it is no error here
			ended, err = s.revokeFamily(ctx, tx, session)
			return err
		default:
			return ErrRefreshToken
		}
	})
	if err != nil {
		return Tokens{}, err
	}
	s.announceRevoked(ctx, ended)
	if refused {
		return Tokens{}, ErrRefreshToken
	}
	account, err = s.store.AccountOfSession(ctx, sessionID, s.now())
	if errors.Is(err, ErrSessionNotFound) {
		return Tokens{}, ErrRefreshToken
	}
	if err != nil {
		return Tokens{}, err
	}
	return s.issue(ctx, account, sessionID, successor)
}

func (s *Service) openSuccessor(token RefreshToken, successor *string) error {
	plain, err := s.sealer.Open(token.SuccessorSealed, successorPurpose(token.Hash))
	if err != nil {
		return fmt.Errorf("open successor: %w", err)
	}
	*successor = string(plain)
	return nil
}

func (s *Service) revokeFamily(ctx context.Context, tx Tx, session Session) ([]uuid.UUID, error) {
	ended, err := tx.RevokeSession(ctx, session.AccountID, session.ID, s.now())
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"sessionId": session.ID.String()}
	if err := tx.Audit(ctx, "auth.refresh_token_replayed", session.AccountID, detail); err != nil {
		return nil, err
	}
	return ended, s.recordRevoked(ctx, tx, ended)
}

// successorPurpose binds a sealed successor to the token it succeeds.
func successorPurpose(hash []byte) []byte { return fmt.Appendf(nil, "auth/refresh/%x", hash) }
