package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Purpose says what a mailed token is good for.
type Purpose string

// The purposes of mailed tokens.
const (
	PurposeVerify Purpose = "verify"
	PurposeReset  Purpose = "reset"
)

// The templates of the notification component.
const (
	templateVerification = "email_verification"
	templateReset        = "password_reset"
	templateExists       = "account_exists"
)

// The pages that mailed links open.
const (
	VerifyPath = "/verify-email"
	ResetPath  = "/reset-password"
)

// OneTimeToken is a secret mailed to the owner of an address.
type OneTimeToken struct {
	ID      uuid.UUID
	Hash    []byte
	Purpose Purpose
	// AccountID is whose address it was mailed to.
	AccountID uuid.UUID
	// PasswordHash is the hash of the password that verification makes valid.
	PasswordHash string
	// CreateTime and ExpireTime bound its life.
	CreateTime, ExpireTime time.Time
}

// Mail is a message for the notification component.
type Mail struct {
	// To is the address.
	To string
	// Template names the text, Params fill it in.
	Template string
	Params   map[string]string
	// Key makes sending it again harmless.
	Key string
}

// MailRequest is a queued wish to mail a link. Its content is sealed: a dump
// of the job table opens no account.
type MailRequest struct {
	ID      uuid.UUID
	Purpose Purpose
	Sealed  []byte
	// CreateTime is when the link's life starts.
	CreateTime time.Time
}

type mailContent struct {
	Email        string `json:"email"`
	DisplayName  string `json:"displayName,omitempty"`
	Token        string `json:"token"`
	PasswordHash string `json:"passwordHash,omitempty"`
}

func mailPurpose(id uuid.UUID) []byte { return []byte("auth/mail/" + id.String()) }

func (s *Service) newMailRequest(purpose Purpose, content mailContent) (MailRequest, error) {
	request := MailRequest{ID: uuid.Must(uuid.NewV7()), Purpose: purpose, CreateTime: s.now()}
	plain, err := json.Marshal(content)
	if err != nil {
		return MailRequest{}, fmt.Errorf("encode mail request: %w", err)
	}
	if request.Sealed, err = s.sealer.Seal(plain, mailPurpose(request.ID)); err != nil {
		return MailRequest{}, fmt.Errorf("seal mail request: %w", err)
	}
	return request, nil
}

// DeliverMail decides which mail an address gets, saves the token of its link
// and sends it. Running it again sends nothing twice and keeps the link valid.
func (s *Service) DeliverMail(ctx context.Context, request MailRequest) error {
	plain, err := s.sealer.Open(request.Sealed, mailPurpose(request.ID))
	if err != nil {
		return fmt.Errorf("open mail request: %w", err)
	}
	var content mailContent
	if err := json.Unmarshal(plain, &content); err != nil {
		return fmt.Errorf("decode mail request: %w", err)
	}
	var (
		mail Mail
		send bool
	)
	err = s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		send = false
		account, err := tx.LockAccountByEmail(ctx, content.Email)
		if errors.Is(err, ErrAccountNotFound) {
			return nil // a reset for an address without account, or erased meanwhile
		}
		if err != nil {
			return err
		}
		mail, send, err = s.composeMail(ctx, tx, request, content, account)
		return err
	})
	if err != nil || !send {
		return err
	}
	return s.mailer.Send(ctx, mail)
}

// composeMail decides which mail, if any, suits the account's state, and saves the token of its link.
func (s *Service) composeMail(
	ctx context.Context, tx Tx, request MailRequest, content mailContent, account Account,
) (mail Mail, send bool, err error) {
	mail = Mail{To: account.Email, Key: "auth/" + request.ID.String()}
	token := OneTimeToken{
		ID: request.ID, Hash: hashSecret(content.Token), Purpose: request.Purpose,
		AccountID: account.ID, CreateTime: request.CreateTime,
	}
	switch {
	case account.Disabled:
		return Mail{}, false, nil
	case request.Purpose == PurposeReset:
		mail.Template, mail.Params = templateReset, s.linkParams(account.DisplayName, ResetPath, content.Token)
		token.ExpireTime = request.CreateTime.Add(s.config.ResetLife)
	case account.Verified():
		mail.Template, mail.Params = templateExists, map[string]string{
			"name": account.DisplayName, "link": s.config.PublicURL + ResetPath,
		}
		return mail, true, nil
	default:
		mail.Template, mail.Params = templateVerification, s.linkParams(content.DisplayName, VerifyPath, content.Token)
		token.ExpireTime = request.CreateTime.Add(s.config.VerifyLife)
		token.PasswordHash = content.PasswordHash
	}
	if !s.now().Before(token.ExpireTime) {
		return Mail{}, false, nil // mail was down for so long that the link would be dead on arrival
	}
	return mail, true, tx.SaveOneTimeToken(ctx, token)
}

func (s *Service) linkParams(name, path, token string) map[string]string {
	return map[string]string{
		"name": name, "token": token,
		"link": s.config.PublicURL + path + "?token=" + url.QueryEscape(token),
	}
}
