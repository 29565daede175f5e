package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/auth"
	"github.com/commercestack/commercestack/ent/auth/refreshtoken"
	domain "github.com/commercestack/commercestack/services/auth"
)

func (t *tx) CreateSession(ctx context.Context, s domain.Session, token domain.RefreshToken, keep int) ([]uuid.UUID, error) {
	err := t.client.Session.Create().SetID(s.ID).SetAccountID(s.AccountID).SetUserAgent(s.UserAgent).SetIPAddress(s.IPAddress).
		SetCreateTime(s.CreateTime).SetLastUseTime(s.LastUseTime).SetExpireTime(s.ExpireTime).Exec(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.insertRefreshToken(ctx, token); err != nil {
		return nil, err
	}
	return collect(t.QueryContext(ctx, `UPDATE session SET revoke_time = $2 WHERE id IN (
			SELECT id FROM session WHERE account_id = $1 AND revoke_time IS NULL AND expire_time > $2
			ORDER BY last_use_time DESC, id DESC OFFSET $3)
		RETURNING id`, s.AccountID, s.CreateTime, keep))
}

func (t *tx) insertRefreshToken(ctx context.Context, token domain.RefreshToken) error {
	return t.client.RefreshToken.Create().SetID(token.ID).SetHash(token.Hash).SetSessionID(token.SessionID).
		SetCreateTime(token.CreateTime).SetExpireTime(token.ExpireTime).Exec(ctx)
}

// UseRefreshToken is the one atomic step of a rotation: of any number of callers one gets the row.
func (t *tx) UseRefreshToken(ctx context.Context, hash, successorSealed []byte, now time.Time) (uuid.UUID, bool, error) {
	var sessionID uuid.UUID
	err := t.QueryRowContext(ctx, `UPDATE refresh_token t SET used_time = $3, successor_sealed = $2 FROM session s
		WHERE t.hash = $1 AND t.used_time IS NULL AND t.expire_time > $3
			AND s.id = t.session_id AND s.revoke_time IS NULL AND s.expire_time > $3
		RETURNING t.session_id`, hash, successorSealed, now).Scan(&sessionID)
	if errors.Is(err, sql.ErrNoRows) {
		return uuid.Nil, false, nil
	}
	return sessionID, err == nil, err
}

// AddRefreshToken adds a successor unless the session was ended since its predecessor was used: a refresh never beats a revocation.
func (t *tx) AddRefreshToken(ctx context.Context, token domain.RefreshToken) error {
	result, err := t.ExecContext(ctx, `UPDATE session SET last_use_time = $2, expire_time = $3
		WHERE id = $1 AND revoke_time IS NULL`, token.SessionID, token.CreateTime, token.ExpireTime)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, domain.ErrRefreshToken)
	}
	return t.insertRefreshToken(ctx, token)
}

func (t *tx) RefreshToken(ctx context.Context, hash []byte) (domain.RefreshToken, domain.Session, error) {
	row, err := t.client.RefreshToken.Query().Where(refreshtoken.Hash(hash)).WithSession().Only(ctx)
	if auth.IsNotFound(err) {
		return domain.RefreshToken{}, domain.Session{}, domain.ErrRefreshToken
	}
	if err != nil {
		return domain.RefreshToken{}, domain.Session{}, err
	}
	return fromTokenRow(row), fromSessionRow(row.Edges.Session), nil
}

func (t *tx) RevokeSession(ctx context.Context, accountID, sessionID uuid.UUID, now time.Time) ([]uuid.UUID, error) {
	return collect(t.QueryContext(ctx, `UPDATE session SET revoke_time = $3
		WHERE id = $2 AND account_id = $1 AND revoke_time IS NULL AND expire_time > $3 RETURNING id`, accountID, sessionID, now))
}

func (t *tx) RevokeSessionOfToken(ctx context.Context, hash []byte, now time.Time) ([]uuid.UUID, error) {
	return collect(t.QueryContext(ctx, `UPDATE session s SET revoke_time = $2 FROM refresh_token t
		WHERE t.hash = $1 AND s.id = t.session_id AND s.revoke_time IS NULL AND s.expire_time > $2 RETURNING s.id`, hash, now))
}

func (t *tx) RevokeSessions(ctx context.Context, accountID, except uuid.UUID, now time.Time) ([]uuid.UUID, error) {
	return collect(t.QueryContext(ctx, `UPDATE session SET revoke_time = $3
		WHERE account_id = $1 AND id <> $2 AND revoke_time IS NULL AND expire_time > $3 RETURNING id`, accountID, except, now))
}

func (t *tx) RecordRevoked(ctx context.Context, sessionIDs []uuid.UUID, expire time.Time) error {
	_, err := t.ExecContext(ctx, `INSERT INTO revoked_session (id, expire_time) SELECT unnest($1::uuid[]), $2
		ON CONFLICT (id) DO NOTHING`, sessionIDs, expire)
	return err
}
