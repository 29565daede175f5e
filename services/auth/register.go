package auth

import (
	"context"

	"github.com/google/uuid"
)

// RegisterInput is a wish for an account.
type RegisterInput struct {
	// ID is the id the account gets.
	ID uuid.UUID
	// Email, Password and DisplayName are the person's.
	Email, Password, DisplayName string
}

// Register creates an account unless the address has one, and queues a mail
// to the address either way. The caller learns nothing of which it was: both
// cases hash the password once, insert (or not) one account and queue one job.
func (s *Service) Register(ctx context.Context, in RegisterInput) error {
	email := NormalizeEmail(in.Email)
	if err := checkNewPassword("password", in.Password, email); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return err
	}
	mail, err := s.newMailRequest(PurposeVerify, mailContent{
		Email: email, DisplayName: in.DisplayName, Token: newSecret(), PasswordHash: hash,
	})
	if err != nil {
		return err
	}
	mayMail := s.throttle.Mail(ctx, string(PurposeVerify)+":"+email)
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		created, err := tx.CreateAccount(ctx, Account{
			ID: in.ID, Email: email, DisplayName: in.DisplayName, PasswordHash: hash,
			Roles: []string{RoleUser}, CreateTime: s.now(),
		})
		if err != nil {
			return err
		}
		if created {
			event := UserRegistered{UserID: in.ID, Email: email, DisplayName: in.DisplayName}
			if err := tx.Publish(ctx, event); err != nil {
				return err
			}
		}
		if !mayMail {
			return nil
		}
		return tx.Enqueue(ctx, mail)
	})
}

// VerifyEmail redeems the token of a verification mail. The password of the
// registration that caused the mail becomes the account's password.
func (s *Service) VerifyEmail(ctx context.Context, token string) error {
	return s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		now := s.now()
		used, err := tx.UseOneTimeToken(ctx, PurposeVerify, hashSecret(token), now)
		if err != nil {
			return nil, err
		}
		account, err := tx.LockAccount(ctx, used.AccountID)
		if err != nil {
			return nil, err
		}
		if account.Verified() {
			return nil, ErrMailedToken
		}
		account.EmailVerifiedTime = now
		var ended []uuid.UUID
		if used.PasswordHash != "" && used.PasswordHash != account.PasswordHash {
			account.PasswordHash = used.PasswordHash
			if ended, err = tx.RevokeSessions(ctx, account.ID, uuid.Nil, now); err != nil {
				return nil, err
			}
		}
		if err := tx.UpdateAccount(ctx, account, now); err != nil {
			return nil, err
		}
		if err := tx.DropOneTimeTokens(ctx, account.ID); err != nil {
			return nil, err
		}
		return ended, tx.Publish(ctx, EmailVerified{UserID: account.ID, Email: account.Email})
	})
}
