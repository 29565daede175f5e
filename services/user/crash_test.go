package user_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/ent/user/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/user"
	"github.com/commercestack/commercestack/services/user/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// saboteur lets a number of statements reach the database and fails all that follow.
type saboteur struct{ left atomic.Int64 }

// peace is more statements than any use case has.
const peace = 1 << 40

// TraceQueryStart implements pgx.QueryTracer.
func (s *saboteur) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if s.left.Add(-1) >= 0 {
		return ctx
	}
	dead, cancel := context.WithDeadline(ctx, time.Unix(0, 0))
	cancel()
	return dead
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *saboteur) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// people answers for auth: everybody exists.
type people struct{ down error }

func (p *people) Account(_ context.Context, id uuid.UUID) (user.Account, error) {
	return user.Account{ID: id, Email: "a@example.com", DisplayName: "Ada"}, p.down
}

func (p *people) Accounts(context.Context, user.AccountQuery) ([]user.Account, string, error) {
	return []user.Account{{ID: uuid.New()}}, "", p.down
}

func (p *people) SetRoles(context.Context, uuid.UUID, []string) (user.Account, error) {
	return user.Account{}, p.down
}

func (p *people) SetDisabled(context.Context, uuid.UUID, bool) (user.Account, error) {
	return user.Account{}, p.down
}

func (p *people) Delete(context.Context, uuid.UUID) error { return p.down }

// belongings answers for the components that hold something of a person, until one of them fails.
type belongings struct{ failing string }

func (b *belongings) part(name string) ([]json.RawMessage, error) {
	if b.failing == name {
		return nil, errors.New(name + " is down")
	}
	return nil, nil
}

func (b *belongings) Sessions(context.Context) ([]json.RawMessage, error) { return b.part("sessions") }

func (b *belongings) Orders(context.Context) ([]json.RawMessage, error) { return b.part("orders") }

func (b *belongings) Invoices(context.Context) ([]json.RawMessage, error) { return b.part("invoices") }

func (b *belongings) BillingProfile(context.Context) (json.RawMessage, error) {
	_, err := b.part("profile")
	return nil, err
}

type bench struct {
	*user.Service

	honest *postgres.DB
	enemy  *saboteur
	people *people
	goods  *belongings
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{honest: pgtest.New(t, "user", migrations.FS), enemy: &saboteur{}, people: &people{}, goods: &belongings{}}
	b.enemy.left.Store(peace)
	db, err := postgres.Open(t.Context(), postgres.Config{
		URL: pgtest.URLFor(t, b.honest, "user"), Schema: "user", Tracer: b.enemy, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	if b.Service, err = user.New(store.New(db, keyring), b.people, b.goods, time.Now); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) snapshot(t *testing.T) (content string) {
	t.Helper()
	for _, table := range []string{"profile", "address", "erased_user", "inbox"} {
		var rows string
		query := "SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM " + table + " t"
		if err := b.honest.Pool().QueryRow(t.Context(), query).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		content += table + ": " + rows + "\n"
	}
	return content
}

// TestTrap17EveryFailedStatementChangesNothing breaks each use case at each of
// its statements. It must fail, leave no trace, and succeed when it is repeated.
func TestTrap17EveryFailedStatementChangesNothing(t *testing.T) {
	t.Parallel()
	id, addressID, name := uuid.New(), uuid.New(), "Countess"
	phone := "+43 1 234567"
	address := user.Address{ID: addressID, UserID: id, IsDefault: true, Postal: user.Postal{Recipient: "Ada", Line1: "Ring 1"}}
	withProfile := func(ctx context.Context, b *bench) error { _, err := b.User(ctx, id); return err }
	withAddress := func(ctx context.Context, b *bench) error { _, err := b.CreateAddress(ctx, address); return err }
	none := func(context.Context, *bench) error { return nil }
	tests := []struct {
		name    string
		prepare func(ctx context.Context, b *bench) error
		run     func(ctx context.Context, b *bench) error
		// steps says that the use case is several transactions, each of which may stay.
		steps bool
	}{
		{"registered", none, func(ctx context.Context, b *bench) error {
			return b.OnRegistered(ctx, user.Registered{EventID: addressID.String(), UserID: id, Time: time.Unix(0, 0)})
		}, false},
		{"deleted", withAddress, func(ctx context.Context, b *bench) error { return b.OnDeleted(ctx, addressID.String(), id) }, false},
		{"read", none, withProfile, true},
		{"read again", withAddress, withProfile, false},
		{"list", withProfile, func(ctx context.Context, b *bench) error {
			_, _, err := b.ListUsers(ctx, user.AccountQuery{})
			return err
		}, false},
		{"update", withProfile, func(ctx context.Context, b *bench) error {
			_, err := b.Update(ctx, user.UpdateInput{ID: id, Change: user.Change{DisplayName: &name, Phone: &phone}})
			return err
		}, true},
		{"add address", withProfile, withAddress, false},
		{"add address without profile", none, withAddress, true},
		{"update address", withAddress, func(ctx context.Context, b *bench) error {
			_, err := b.UpdateAddress(ctx, address)
			return err
		}, false},
		{"delete address", withAddress, func(ctx context.Context, b *bench) error { return b.DeleteAddress(ctx, id, addressID) }, false},
		{"list addresses", withAddress, func(ctx context.Context, b *bench) error {
			_, err := b.ListAddresses(ctx, id)
			return err
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if err := test.prepare(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			failures := 0
			for n := int64(0); ; n++ {
				before := b.snapshot(t)
				b.enemy.left.Store(n)
				err := test.run(t.Context(), b)
				b.enemy.left.Store(peace)
				if err == nil {
					break
				}
				failures++
				if after := b.snapshot(t); after != before && !test.steps {
					t.Fatalf("failing after %d statements (%v) left\n%s\nof\n%s", n, err, after, before)
				}
			}
			if failures == 0 {
				t.Error("nothing was broken: the test proves nothing")
			}
		})
	}
}

func TestFailuresOfOthersAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := uuid.New()
	for _, part := range []string{"sessions", "orders", "invoices", "profile"} {
		b.goods.failing = part
		if _, err := b.Export(t.Context(), id); err == nil {
			t.Errorf("an export without %s", part)
		}
	}
	if _, err := b.User(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	b.people.down = errors.New("auth is down")
	disabled := true
	calls := map[string]func() error{
		"read":   func() error { _, err := b.User(t.Context(), id); return err },
		"export": func() error { _, err := b.Export(t.Context(), id); return err },
		"list":   func() error { _, _, err := b.ListUsers(t.Context(), user.AccountQuery{}); return err },
		"delete": func() error { return b.Delete(t.Context(), id) },
		"address": func() error {
			_, err := b.CreateAddress(t.Context(), user.Address{ID: id, UserID: uuid.New()})
			return err
		},
		"roles": func() error {
			_, err := b.AdminUpdate(t.Context(), user.AdminUpdateInput{UpdateInput: user.UpdateInput{ID: id}, Roles: []string{"user"}})
			return err
		},
		"ban": func() error {
			_, err := b.AdminUpdate(t.Context(), user.AdminUpdateInput{UpdateInput: user.UpdateInput{ID: id}, Disabled: &disabled})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, b.people.down) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
