package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/auth"
)

func (b *bench) admin(t *testing.T, email string) auth.Account {
	t.Helper()
	if _, err := b.EnsureAdmin(t.Context(), auth.EnsureAdminInput{Email: email, Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	accounts, err := b.ListAccounts(t.Context(), auth.AccountQuery{Text: email, Limit: 1})
	if err != nil || len(accounts) != 1 {
		t.Fatalf("%v, %v", accounts, err)
	}
	return accounts[0]
}

func TestEnsureAdmin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := auth.EnsureAdminInput{Email: " Admin@Example.com", Password: goodPassword}
	created, err := b.EnsureAdmin(t.Context(), in)
	if err != nil || !created {
		t.Fatalf("created = %v, %v", created, err)
	}
	tokens := b.login(t, "admin@example.com", goodPassword)
	if roles := b.claims(t, tokens.Access).Roles; strings.Join(roles, ",") != "admin,user" {
		t.Errorf("roles = %v", roles)
	}
	if created, err = b.EnsureAdmin(t.Context(), in); created || err != nil || !b.valid(t, tokens.Access) {
		t.Errorf("the second time: created = %v, %v, or the session ended", created, err)
	}
	in.Password, in.KeepPassword = newPassword, true
	if _, err := b.EnsureAdmin(t.Context(), in); err != nil || !b.valid(t, tokens.Access) {
		t.Errorf("keeping the password: %v", err)
	}
	in.KeepPassword = false
	if _, err := b.EnsureAdmin(t.Context(), in); err != nil || b.valid(t, tokens.Access) {
		t.Errorf("a new password ends sessions: %v", err)
	}
	b.login(t, "admin@example.com", newPassword)
	if n := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'USER_REGISTERED'"); n != 1 {
		t.Errorf("%d registrations", n)
	}
	for _, bad := range []auth.EnsureAdminInput{{Email: "nobody", Password: goodPassword}, {Email: "A <a@b.c>", Password: goodPassword}} {
		_, err := b.EnsureAdmin(t.Context(), bad)
		wantField(t, err, "email")
	}
	_, err = b.EnsureAdmin(t.Context(), auth.EnsureAdminInput{Email: "a@example.com", Password: "short"})
	wantField(t, err, "password")
}

func TestEnsureAdminDoesNotTrustUnprovenAccounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	err := b.Register(t.Context(), auth.RegisterInput{ID: uuid.New(), Email: "admin@example.com", Password: "the stranger's password"})
	if err != nil {
		t.Fatal(err)
	}
	in := auth.EnsureAdminInput{Email: "admin@example.com", Password: goodPassword, KeepPassword: true}
	if created, err := b.EnsureAdmin(t.Context(), in); created || err != nil {
		t.Fatal(created, err)
	}
	if _, err := b.tryLogin(t, "admin@example.com", "the stranger's password"); !errors.Is(err, auth.ErrBadCredentials) {
		t.Errorf("a stranger became the administrator: %v", err)
	}
	b.login(t, "admin@example.com", goodPassword)
}

func TestSetRolesAndDisableEndSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	tokens := b.login(t, "a@example.com", goodPassword)
	account, err := b.SetRoles(t.Context(), id, []string{"user", "admin", "user"})
	if err != nil || strings.Join(account.Roles, ",") != "admin,user" || b.valid(t, tokens.Access) {
		t.Fatalf("roles = %v, %v", account.Roles, err)
	}
	tokens = b.login(t, "a@example.com", goodPassword)
	if _, err := b.SetRoles(t.Context(), id, []string{"admin", "user"}); err != nil || !b.valid(t, tokens.Access) {
		t.Error("setting the same roles ends sessions")
	}
	b.admin(t, "admin@example.com")
	if _, err := b.SetDisabled(t.Context(), id, true); err != nil || b.valid(t, tokens.Access) {
		t.Error("a banned account keeps its session")
	}
	if _, err := b.Refresh(t.Context(), tokens.Refresh); err == nil {
		t.Error("a banned account refreshes")
	}
	if _, err := b.tryLogin(t, "a@example.com", goodPassword); !errors.Is(err, auth.ErrAccountDisabled) {
		t.Errorf("a banned account logs in: %v", err)
	}
	if _, err := b.SetDisabled(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	b.login(t, "a@example.com", goodPassword)
	_, err = b.SetRoles(t.Context(), id, []string{"root"})
	wantField(t, err, "roles")
	_, err = b.SetRoles(t.Context(), id, nil)
	wantField(t, err, "roles")
	_, err = b.SetRoles(t.Context(), uuid.New(), []string{"user"})
	wantFault(t, err, auth.ErrAccountNotFound)
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.admin(t, "first@example.com").ID
	b.member(t, "user@example.com")
	_, err := b.SetRoles(t.Context(), first, []string{"user"})
	wantFault(t, err, auth.ErrLastAdmin)
	_, err = b.SetDisabled(t.Context(), first, true)
	wantFault(t, err, auth.ErrLastAdmin)
	wantFault(t, b.DeleteAccount(t.Context(), first), auth.ErrLastAdmin)
	second := b.admin(t, "second@example.com").ID
	// Two administrators who demote each other at once: one of them stays.
	var wg sync.WaitGroup
	var refused sync.Map
	for _, id := range []uuid.UUID{first, second} {
		wg.Go(func() {
			if _, err := b.SetRoles(context.Background(), id, []string{"user"}); err != nil {
				refused.Store(id, err)
			}
		})
	}
	wg.Wait()
	n := 0
	refused.Range(func(_, err any) bool {
		n++
		if !errors.Is(err.(error), auth.ErrLastAdmin) {
			t.Error(err)
		}
		return true
	})
	if admins := b.count(t, `SELECT count(*) FROM account WHERE roles @> '["admin"]'`); n != 1 || admins != 1 {
		t.Errorf("%d refused, %d administrators are left", n, admins)
	}
}

func TestDeleteAccountErasesEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	tokens := b.login(t, "a@example.com", goodPassword)
	session := b.claims(t, tokens.Access).SessionID
	b.resetToken(t, "a@example.com")
	for range 2 {
		if err := b.DeleteAccount(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"account", "session", "refresh_token", "one_time_token"} {
		if n := b.count(t, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := b.count(t, "SELECT count(*) FROM outbox WHERE event_type = 'USER_DELETED'"); n != 1 {
		t.Errorf("%d events", n)
	}
	if b.valid(t, tokens.Access) || !b.redis.Exists("auth:revoked:"+session.String()) {
		t.Error("access tokens of the erased account work")
	}
	if _, err := b.Refresh(t.Context(), tokens.Refresh); err == nil {
		t.Error("refresh tokens of the erased account work")
	}
	b.redis.FlushAll()
	if err := b.RepublishRevocations(t.Context()); err != nil || !b.redis.Exists("auth:revoked:"+session.String()) {
		t.Errorf("the revocation went with the account: %v", err)
	}
	if again := b.member(t, "a@example.com"); again == id {
		t.Error("the address is not free")
	}
}

func TestListAccounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []uuid.UUID
	for i := range 7 {
		ids = append(ids, b.register(t, fmt.Sprintf("person_%d@example.com", i)))
		if i%2 == 0 { // pairs share their time, so that the id decides
			b.advance(time.Second)
		}
	}
	var seen []uuid.UUID
	query := auth.AccountQuery{Limit: 3}
	for {
		var page []auth.Account
		queries := pgtest.CountQueries(t.Context(), func(ctx context.Context) {
			var err error
			if page, err = b.ListAccounts(ctx, query); err != nil {
				t.Fatal(err)
			}
		})
		if queries != 1 {
			t.Errorf("a page costs %d queries", queries)
		}
		if len(page) == 0 {
			break
		}
		for _, account := range page {
			seen = append(seen, account.ID)
		}
		last := page[len(page)-1]
		query.After = auth.Cursor{CreateTime: last.CreateTime, ID: last.ID}
	}
	if len(seen) != 7 {
		t.Fatalf("%d accounts in the pages", len(seen))
	}
	for i, id := range seen {
		if id != ids[6-i] {
			t.Errorf("place %d is not the newest of the rest", i)
		}
	}
	for text, want := range map[string]int{"PERSON_3": 1, "person": 7, "%": 0, "son%_": 0, "nobody": 0} {
		if found, err := b.ListAccounts(t.Context(), auth.AccountQuery{Text: text, Limit: 10}); err != nil || len(found) != want {
			t.Errorf("%q finds %d, %v", text, len(found), err)
		}
	}
	found, err := b.ListAccounts(t.Context(), auth.AccountQuery{IDs: []uuid.UUID{ids[2], uuid.New()}, Limit: 10})
	if err != nil || len(found) != 1 || found[0].ID != ids[2] {
		t.Errorf("by id: %v, %v", found, err)
	}
	_, err = b.Account(t.Context(), uuid.New())
	if f := fault.From(err); f == nil || f.Kind != fault.KindNotFound {
		t.Errorf("error = %v", err)
	}
}
