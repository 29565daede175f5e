package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	entgo "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/auth"
	"github.com/commercestack/commercestack/ent/auth/account"
	"github.com/commercestack/commercestack/ent/auth/onetimetoken"
	"github.com/commercestack/commercestack/ent/auth/predicate"
	"github.com/commercestack/commercestack/ent/auth/revokedsession"
	"github.com/commercestack/commercestack/ent/auth/session"
	"github.com/commercestack/commercestack/ent/auth/signingkey"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/auth"
)

// pruneBatch bounds the rows, and so the locks, of one statement of Prune.
const pruneBatch = 5000

// Enqueue adds a job for a mail request to the transaction.
type Enqueue func(ctx context.Context, tx *postgres.Tx, request domain.MailRequest) error

// Store implements the domain's Store.
type Store struct {
	db      *postgres.DB
	client  *auth.Client
	enqueue Enqueue
}

// New returns a Store on the component's schema.
func New(db *postgres.DB, enqueue Enqueue) *Store {
	return &Store{db: db, client: auth.NewClient(auth.Driver(db.Driver())), enqueue: enqueue}
}

// InTx runs body in one transaction.
func (s *Store) InTx(ctx context.Context, body func(context.Context, domain.Tx) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, raw *postgres.Tx) error {
		return body(ctx, &tx{Tx: raw, client: auth.NewClient(auth.Driver(raw.Driver())), enqueue: s.enqueue})
	})
}

// AccountByEmail returns the account of an address.
func (s *Store) AccountByEmail(ctx context.Context, email string) (domain.Account, error) {
	return one(s.client.Account.Query().Where(account.Email(email)).Only(ctx))
}

// Account returns an account.
func (s *Store) Account(ctx context.Context, id uuid.UUID) (domain.Account, error) {
	return one(s.client.Account.Query().Where(account.ID(id)).Only(ctx))
}

// one converts the answer of a query for one account.
func one(row *auth.Account, err error) (domain.Account, error) {
	if auth.IsNotFound(err) {
		return domain.Account{}, domain.ErrAccountNotFound
	}
	if err != nil {
		return domain.Account{}, postgres.Fault(err)
	}
	return fromAccountRow(row), nil
}

// ListAccounts returns a page of accounts, newest first, with one query.
func (s *Store) ListAccounts(ctx context.Context, query domain.AccountQuery) ([]domain.Account, error) {
	var where []predicate.Account
	if query.Text != "" {
		where = append(where, account.EmailContains(query.Text))
	}
	if len(query.IDs) > 0 {
		where = append(where, account.IDIn(query.IDs...))
	}
	if query.After != (domain.Cursor{}) {
		where = append(where, account.Or(
			account.CreateTimeLT(query.After.CreateTime),
			account.And(account.CreateTime(query.After.CreateTime), account.IDLT(query.After.ID)),
		))
	}
	rows, err := s.client.Account.Query().Where(where...).
		Order(account.ByCreateTime(entgo.OrderDesc()), account.ByID(entgo.OrderDesc())).Limit(query.Limit).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	accounts := make([]domain.Account, len(rows))
	for i, row := range rows {
		accounts[i] = fromAccountRow(row)
	}
	return accounts, nil
}

// LiveSessions returns the sessions that are neither revoked nor expired, the most recently used first.
func (s *Store) LiveSessions(ctx context.Context, accountID uuid.UUID, now time.Time) ([]domain.Session, error) {
	rows, err := s.client.Session.Query().
		Where(session.AccountID(accountID), session.RevokeTimeIsNil(), session.ExpireTimeGT(now)).
		Order(session.ByLastUseTime(entgo.OrderDesc()), session.ByID(entgo.OrderDesc())).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	sessions := make([]domain.Session, len(rows))
	for i, row := range rows {
		sessions[i] = fromSessionRow(row)
	}
	return sessions, nil
}

// AccountOfSession returns the account of a live session.
func (s *Store) AccountOfSession(ctx context.Context, sessionID uuid.UUID, now time.Time) (domain.Account, error) {
	found, err := one(s.client.Account.Query().Where(account.Disabled(false), account.HasSessionsWith(
		session.ID(sessionID), session.RevokeTimeIsNil(), session.ExpireTimeGT(now),
	)).Only(ctx))
	if errors.Is(err, domain.ErrAccountNotFound) {
		err = domain.ErrSessionNotFound
	}
	return found, err
}

// AccountOfToken returns the account that a usable mailed token belongs to.
func (s *Store) AccountOfToken(ctx context.Context, purpose domain.Purpose, hash []byte, now time.Time) (domain.Account, error) {
	found, err := one(s.client.Account.Query().Where(account.HasOneTimeTokensWith(
		onetimetoken.Hash(hash), onetimetoken.Purpose(string(purpose)), onetimetoken.UsedTimeIsNil(), onetimetoken.ExpireTimeGT(now),
	)).Only(ctx))
	if errors.Is(err, domain.ErrAccountNotFound) {
		err = domain.ErrMailedToken
	}
	return found, err
}

// RevokedSessions returns ended sessions whose access tokens may be alive.
func (s *Store) RevokedSessions(ctx context.Context, now time.Time) ([]uuid.UUID, error) {
	ids, err := s.client.RevokedSession.Query().Where(revokedsession.ExpireTimeGT(now)).IDs(ctx)
	return ids, postgres.Fault(err)
}

// Keys returns every signing key that was not removed.
func (s *Store) Keys(ctx context.Context) ([]domain.SigningKey, error) { return keys(ctx, s.client) }

func keys(ctx context.Context, client *auth.Client) ([]domain.SigningKey, error) {
	rows, err := client.SigningKey.Query().Where(signingkey.StateNEQ(string(domain.KeyRemoved))).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	found := make([]domain.SigningKey, len(rows))
	for i, row := range rows {
		found[i] = fromKeyRow(row)
	}
	return found, nil
}

// Prune deletes what expired, in batches.
func (s *Store) Prune(ctx context.Context, now time.Time, grace time.Duration) error {
	for _, statement := range []struct {
		text   string
		before time.Time
	}{
		{"UPDATE refresh_token SET successor_sealed = NULL WHERE id IN (SELECT id FROM refresh_token " +
			"WHERE successor_sealed IS NOT NULL AND used_time < $1 LIMIT $2)", now.Add(-grace)},
		{"DELETE FROM refresh_token WHERE id IN (SELECT id FROM refresh_token WHERE expire_time < $1 LIMIT $2)", now},
		{"DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expire_time < $1 LIMIT $2)", now},
		{"DELETE FROM one_time_token WHERE id IN (SELECT id FROM one_time_token WHERE expire_time < $1 LIMIT $2)", now},
		{"DELETE FROM revoked_session WHERE id IN (SELECT id FROM revoked_session WHERE expire_time < $1 LIMIT $2)", now},
	} {
		for {
			tag, err := s.db.Pool().Exec(ctx, statement.text, statement.before, pruneBatch)
			if err != nil {
				return postgres.Fault(err)
			}
			if tag.RowsAffected() < pruneBatch {
				break
			}
		}
	}
	return nil
}

// collect reads a column of ids.
func collect(rows *sql.Rows, err error) (ids []uuid.UUID, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
