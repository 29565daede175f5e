package auth

import (
	"context"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// RequestPasswordReset queues a mail with a reset link. It does the same work
// for every address: whether there is an account is looked up by the job.
func (s *Service) RequestPasswordReset(ctx context.Context, email string) error {
	email = NormalizeEmail(email)
	request, err := s.newMailRequest(PurposeReset, mailContent{Email: email, Token: newSecret()})
	if err != nil {
		return err
	}
	if !s.throttle.Mail(ctx, string(PurposeReset)+":"+email) {
		return nil // a full mailbox helps nobody; the answer is the same
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error { return tx.Enqueue(ctx, request) })
}

// ConfirmPasswordReset sets a new password by a mailed token, once, and ends
// every session. Following the link proves the address too.
func (s *Service) ConfirmPasswordReset(ctx context.Context, token, password string) error {
	hash := hashSecret(token)
	// Looking first keeps guessed tokens from buying a hash each.
	owner, err := s.store.AccountOfToken(ctx, PurposeReset, hash, s.now())
	if err != nil {
		return err
	}
	if err := checkNewPassword("newPassword", password, owner.Email); err != nil {
		return err
	}
	passwordHash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		now := s.now()
		used, err := tx.UseOneTimeToken(ctx, PurposeReset, hash, now)
		if err != nil {
			return nil, err
		}
		account, err := tx.LockAccount(ctx, used.AccountID)
		if err != nil {
			return nil, err
		}
		if !account.Verified() {
			account.EmailVerifiedTime = now
			if err := tx.Publish(ctx, EmailVerified{UserID: account.ID, Email: account.Email}); err != nil {
				return nil, err
			}
		}
		return s.setPassword(ctx, tx, account, passwordHash, uuid.Nil)
	})
	if err == nil {
		s.throttle.Forgive(ctx, owner.Email, "")
	}
	return err
}

// ChangePasswordInput is a person's wish for a new password.
type ChangePasswordInput struct {
	// AccountID and SessionID are the caller's.
	AccountID, SessionID uuid.UUID
	// Current proves that it is the person; New is the new password.
	Current, New string
	// IPAddress is the caller's.
	IPAddress string
}

// ChangePassword sets a new password and ends the person's other sessions.
func (s *Service) ChangePassword(ctx context.Context, in ChangePasswordInput) error {
	account, err := s.store.Account(ctx, in.AccountID)
	if err != nil {
		return err
	}
	if err := checkNewPassword("newPassword", in.New, account.Email); err != nil {
		return err
	}
	if in.New == in.Current {
		return fault.Invalid("newPassword", "must differ from the current password")
	}
	if wait := s.throttle.Guess(ctx, account.Email, in.IPAddress); wait > 0 {
		return fault.RateLimit(wait)
	}
	match, _, err := s.hasher.Verify(ctx, in.Current, account.PasswordHash)
	if err != nil {
		return err
	}
	if !match {
		return fault.Invalid("currentPassword", "is wrong")
	}
	s.throttle.Forgive(ctx, account.Email, in.IPAddress)
	hash, err := s.hasher.Hash(ctx, in.New)
	if err != nil {
		return err
	}
	return s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		current, err := tx.LockAccount(ctx, account.ID)
		if err != nil {
			return nil, err
		}
		if current.PasswordHash != account.PasswordHash {
			return nil, fault.Invalid("currentPassword", "is wrong") // changed by another session meanwhile
		}
		return s.setPassword(ctx, tx, current, hash, in.SessionID)
	})
}

// setPassword writes the hash, drops every mailed link and ends the account's sessions except one.
func (s *Service) setPassword(ctx context.Context, tx Tx, account Account, hash string, keep uuid.UUID) ([]uuid.UUID, error) {
	now := s.now()
	account.PasswordHash = hash
	if err := tx.UpdateAccount(ctx, account, now); err != nil {
		return nil, err
	}
	if err := tx.DropOneTimeTokens(ctx, account.ID); err != nil {
		return nil, err
	}
	return tx.RevokeSessions(ctx, account.ID, keep, now)
}
