package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/auth/migrations"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/auth"
	"github.com/commercestack/commercestack/services/auth/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func newStore(t *testing.T) (*store.Store, *postgres.DB) {
	t.Helper()
	db := pgtest.New(t, "auth", migrations.FS)
	return store.New(db, func(context.Context, *postgres.Tx, domain.MailRequest) error { return nil }), db
}

func in(t *testing.T, s *store.Store, body func(ctx context.Context, tx domain.Tx) error) error {
	t.Helper()
	return s.InTx(t.Context(), body)
}

func newAccount(t *testing.T, s *store.Store, email string) domain.Account {
	t.Helper()
	account := domain.Account{ID: uuid.Must(uuid.NewV7()), Email: email, PasswordHash: "h", Roles: []string{"user"}, CreateTime: time.Now()}
	err := in(t, s, func(ctx context.Context, tx domain.Tx) error {
		created, err := tx.CreateAccount(ctx, account)
		if err == nil && !created {
			err = errors.New("not created")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func TestTheDatabaseHoldsTheInvariants(t *testing.T) {
	t.Parallel()
	s, db := newStore(t)
	account := newAccount(t, s, "a@example.com")
	now := time.Now()
	session := domain.Session{ID: uuid.New(), AccountID: account.ID, CreateTime: now, LastUseTime: now, ExpireTime: now.Add(time.Hour)}
	token := domain.RefreshToken{ID: uuid.New(), Hash: make([]byte, 32), SessionID: session.ID, CreateTime: now, ExpireTime: now.Add(time.Hour)}
	if err := in(t, s, func(ctx context.Context, tx domain.Tx) error {
		_, err := tx.CreateSession(ctx, session, token, 5)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	insertToken := `INSERT INTO refresh_token (id, hash, session_id, create_time, expire_time, used_time, successor_sealed)
		SELECT gen_random_uuid(), `
	tests := []struct{ name, statement string }{
		{"a second account for an address", `INSERT INTO account SELECT gen_random_uuid(), email, '', 'h', NULL, roles, false, 1, now(), now() FROM account`},
		{"an address in capitals", `UPDATE account SET email = 'A@example.com'`},
		{"an account without roles", `UPDATE account SET roles = '[]'`},
		{"a second live token in a family", insertToken + `sha256('x'), session_id, now(), now(), NULL, NULL FROM refresh_token`},
		{"a token under a known hash", insertToken + `hash, session_id, now(), now(), now(), NULL FROM refresh_token`},
		{"a token in clear", insertToken + `'clear', session_id, now(), now(), now(), NULL FROM refresh_token`},
		{"a successor of an unused token", `UPDATE refresh_token SET successor_sealed = 'x'`},
		{"a token without session", insertToken + `sha256('y'), gen_random_uuid(), now(), now(), now(), NULL FROM refresh_token`},
		{"an unknown purpose", `INSERT INTO one_time_token SELECT gen_random_uuid(), sha256('z'), 'other', '', now(), now(), NULL, id FROM account`},
		{"an active key without private half", `INSERT INTO signing_key VALUES ('k', 'active', sha256('p'), NULL, now(), now())`},
		{"a removed key with private half", `INSERT INTO signing_key VALUES ('k', 'removed', sha256('p'), 'x', now(), now())`},
	}
	for _, test := range tests {
		if _, err := db.Pool().Exec(t.Context(), test.statement); err == nil || !postgres.IsUnique(err, "") && !postgres.IsCheck(err, "") && !postgres.IsForeignKey(err, "") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCreateAccountReportsTakenAddressesAndIDs(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	known := newAccount(t, s, "a@example.com")
	for _, account := range []domain.Account{
		{ID: uuid.New(), Email: known.Email, PasswordHash: "h", Roles: []string{"user"}, CreateTime: time.Now()},
		{ID: known.ID, Email: "b@example.com", PasswordHash: "h", Roles: []string{"user"}, CreateTime: time.Now()},
	} {
		err := in(t, s, func(ctx context.Context, tx domain.Tx) error {
			created, err := tx.CreateAccount(ctx, account)
			if created {
				t.Errorf("%s was created", account.Email)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestADatabaseThatDoesNotAnswerInTimeIsUnavailable(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	calls := map[string]func() error{
		"account":          func() error { _, err := s.Account(ctx, uuid.New()); return err },
		"account by email": func() error { _, err := s.AccountByEmail(ctx, "a"); return err },
		"accounts":         func() error { _, err := s.ListAccounts(ctx, domain.AccountQuery{Limit: 1}); return err },
		"sessions":         func() error { _, err := s.LiveSessions(ctx, uuid.New(), time.Now()); return err },
		"session":          func() error { _, err := s.AccountOfSession(ctx, uuid.New(), time.Now()); return err },
		"token":            func() error { _, err := s.AccountOfToken(ctx, domain.PurposeReset, nil, time.Now()); return err },
		"revoked":          func() error { _, err := s.RevokedSessions(ctx, time.Now()); return err },
		"keys":             func() error { _, err := s.Keys(ctx); return err },
		"prune":            func() error { return s.Prune(ctx, time.Now(), time.Minute) },
		"transaction":      func() error { return s.InTx(ctx, func(context.Context, domain.Tx) error { return nil }) },
	}
	for name, call := range calls {
		if f := fault.From(call()); f == nil || f.Kind != fault.KindUnavailable {
			t.Errorf("%s: %v", name, f)
		}
	}
}

type strangeEvent struct{ domain.Event }

func TestUnknownEventsAreADefect(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	err := in(t, s, func(ctx context.Context, tx domain.Tx) error { return tx.Publish(ctx, strangeEvent{}) })
	if err == nil {
		t.Error("an event that nobody can read was published")
	}
}
