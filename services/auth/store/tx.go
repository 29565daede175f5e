package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	entgo "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	"github.com/commercestack/commercestack/ent/auth"
	"github.com/commercestack/commercestack/ent/auth/account"
	"github.com/commercestack/commercestack/ent/auth/onetimetoken"
	"github.com/commercestack/commercestack/ent/auth/signingkey"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/auth"
)

// Names of advisory locks; each is held until its transaction ends.
const (
	lockAdmins = "auth.admins"
	lockKeys   = "auth.signing_keys"
)

// tx implements the domain's Tx.
type tx struct {
	*postgres.Tx

	client  *auth.Client
	enqueue Enqueue
}

func (t *tx) CreateAccount(ctx context.Context, a domain.Account) (bool, error) {
	err := t.client.Account.Create().SetID(a.ID).SetEmail(a.Email).SetDisplayName(a.DisplayName).
		SetPasswordHash(a.PasswordHash).SetNillableEmailVerifiedTime(toTime(a.EmailVerifiedTime)).
		SetRoles(a.Roles).SetDisabled(a.Disabled).SetCreateTime(a.CreateTime).SetUpdateTime(a.CreateTime).
		OnConflict(entgo.DoNothing()).Exec(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) LockAccount(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	return one(t.client.Account.Query().Where(account.ID(id)).ForUpdate().Only(ctx))
}

func (t *tx) LockAccountByEmail(ctx context.Context, email string) (domain.Account, error) {
	return one(t.client.Account.Query().Where(account.Email(email)).ForUpdate().Only(ctx))
}

func (t *tx) UpdateAccount(ctx context.Context, a domain.Account, now time.Time) error {
	return t.client.Account.UpdateOneID(a.ID).SetPasswordHash(a.PasswordHash).
		SetNillableEmailVerifiedTime(toTime(a.EmailVerifiedTime)).
		SetRoles(a.Roles).SetDisabled(a.Disabled).SetUpdateTime(now).AddVersion(1).Exec(ctx)
}

func (t *tx) DeleteAccount(ctx context.Context, id uuid.UUID, now time.Time) ([]uuid.UUID, error) {
	ended, err := t.RevokeSessions(ctx, id, uuid.Nil, now)
	if err != nil {
		return nil, err
	}
	return ended, t.client.Account.DeleteOneID(id).Exec(ctx)
}

func (t *tx) LockAdmins(ctx context.Context) ([]uuid.UUID, error) {
	if err := t.lock(ctx, lockAdmins); err != nil {
		return nil, err
	}
	return collect(t.QueryContext(ctx, `SELECT id FROM account WHERE roles @> '["admin"]' AND NOT disabled`))
}

func (t *tx) lock(ctx context.Context, name string) error {
	_, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext($1))", name)
	return err
}

func (t *tx) SaveOneTimeToken(ctx context.Context, token domain.OneTimeToken) error {
	saved, err := t.client.OneTimeToken.Query().Where(onetimetoken.ID(token.ID)).Exist(ctx)
	if err != nil || saved {
		return err
	}
	if token.Purpose == domain.PurposeReset {
		// A job that was late must not put its older link above a newer one.
		newer, err := t.client.OneTimeToken.Query().Where(onetimetoken.AccountID(token.AccountID),
			onetimetoken.Purpose(string(token.Purpose)), onetimetoken.CreateTimeGT(token.CreateTime)).Exist(ctx)
		if err != nil || newer {
			return err
		}
		_, err = t.client.OneTimeToken.Delete().Where(onetimetoken.AccountID(token.AccountID),
			onetimetoken.Purpose(string(token.Purpose)), onetimetoken.UsedTimeIsNil()).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return t.client.OneTimeToken.Create().SetID(token.ID).SetHash(token.Hash).SetPurpose(string(token.Purpose)).
		SetAccountID(token.AccountID).SetPasswordHash(token.PasswordHash).
		SetCreateTime(token.CreateTime).SetExpireTime(token.ExpireTime).Exec(ctx)
}

func (t *tx) UseOneTimeToken(ctx context.Context, purpose domain.Purpose, hash []byte, now time.Time) (domain.OneTimeToken, error) {
	token := domain.OneTimeToken{Hash: hash, Purpose: purpose}
	err := t.QueryRowContext(ctx, `UPDATE one_time_token SET used_time = $3
		WHERE hash = $1 AND purpose = $2 AND used_time IS NULL AND expire_time > $3
		RETURNING id, account_id, password_hash, create_time, expire_time`, hash, string(purpose), now).
		Scan(&token.ID, &token.AccountID, &token.PasswordHash, &token.CreateTime, &token.ExpireTime)
	if errors.Is(err, sql.ErrNoRows) {
		return domain.OneTimeToken{}, domain.ErrMailedToken
	}
	return token, err
}

func (t *tx) DropOneTimeTokens(ctx context.Context, accountID uuid.UUID) error {
	_, err := t.client.OneTimeToken.Delete().
		Where(onetimetoken.AccountID(accountID), onetimetoken.UsedTimeIsNil()).Exec(ctx)
	return err
}

func (t *tx) LockKeys(ctx context.Context) ([]domain.SigningKey, error) {
	if err := t.lock(ctx, lockKeys); err != nil {
		return nil, err
	}
	return keys(ctx, t.client)
}

func (t *tx) SaveKey(ctx context.Context, key domain.SigningKey) error {
	create := t.client.SigningKey.Create().SetID(key.ID).SetState(string(key.State)).SetStateTime(key.StateTime).
		SetPublicKey(key.Public).SetCreateTime(key.CreateTime)
	if key.PrivateSealed != nil {
		create.SetPrivateSealed(key.PrivateSealed)
	}
	return create.OnConflictColumns(signingkey.FieldID).Update(func(u *auth.SigningKeyUpsert) {
		u.UpdateState()
		u.UpdateStateTime()
		u.UpdatePrivateSealed()
	}).Exec(ctx)
}

func (t *tx) RecordKeyRequest(ctx context.Context, id string, now time.Time) (bool, error) {
	result, err := t.ExecContext(ctx, `INSERT INTO key_request (id, create_time) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, id, now)
	if err != nil {
		return false, err
	}
	added, err := result.RowsAffected()
	return added == 1, err
}

func (t *tx) Publish(ctx context.Context, e domain.Event) error {
	switch e := e.(type) {
	case domain.UserRegistered:
		return outbox.Write(ctx, t.Tx, event.New(e.UserID.String(), &eventv1.UserRegistered{
			UserId: e.UserID.String(), Email: e.Email, DisplayName: e.DisplayName,
		}))
	case domain.EmailVerified:
		return outbox.Write(ctx, t.Tx, event.New(e.UserID.String(), &eventv1.EmailVerified{UserId: e.UserID.String(), Email: e.Email}))
	case domain.UserDeleted:
		return outbox.Write(ctx, t.Tx, event.New(e.UserID.String(), &eventv1.UserDeleted{UserId: e.UserID.String()}))
	default:
		return fmt.Errorf("store: unknown event %T", e)
	}
}

func (t *tx) Enqueue(ctx context.Context, request domain.MailRequest) error {
	return t.enqueue(ctx, t.Tx, request)
}
