package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/auth"
)

func TestListAndRevokeSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, other := b.member(t, "a@example.com"), b.member(t, "b@example.com")
	first := b.login(t, "a@example.com", goodPassword)
	b.advance(time.Minute)
	second := b.login(t, "a@example.com", goodPassword)
	sessions, err := b.ListSessions(t.Context(), id)
	if err != nil || len(sessions) != 2 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	newest := b.claims(t, second.Access).SessionID
	if sessions[0].ID != newest || sessions[0].UserAgent != "test/1" || sessions[0].IPAddress != address {
		t.Errorf("newest = %+v", sessions[0])
	}
	old := b.claims(t, first.Access).SessionID
	wantFault(t, b.RevokeSession(t.Context(), other, old), auth.ErrSessionNotFound)
	if !b.valid(t, first.Access) {
		t.Fatal("another person ended the session")
	}
	if err := b.RevokeSession(t.Context(), id, old); err != nil {
		t.Fatal(err)
	}
	if b.valid(t, first.Access) || !b.valid(t, second.Access) {
		t.Error("the wrong session was ended")
	}
	if !b.redis.Exists("auth:revoked:" + old.String()) {
		t.Error("verifiers are not told")
	}
	wantFault(t, b.RevokeSession(t.Context(), id, old), auth.ErrSessionNotFound)
	wantFault(t, b.RevokeSession(t.Context(), id, uuid.New()), auth.ErrSessionNotFound)
	if sessions, _ = b.ListSessions(t.Context(), id); len(sessions) != 1 {
		t.Errorf("%d sessions are left", len(sessions))
	}
}

func TestLogoutByAnyTokenOfTheFamily(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	first := b.login(t, "a@example.com", goodPassword)
	second := b.refresh(t, first.Refresh)
	if err := b.Logout(t.Context(), first.Refresh); err != nil {
		t.Fatal(err)
	}
	if b.valid(t, second.Access) {
		t.Error("still logged in")
	}
	for _, token := range []string{first.Refresh, "invented"} {
		if err := b.Logout(t.Context(), token); err != nil {
			t.Errorf("logging out twice: %v", err)
		}
	}
}

func TestSessionsOfAnAccountAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	oldest := b.login(t, "a@example.com", goodPassword)
	for range 50 {
		b.advance(time.Second)
		b.login(t, "a@example.com", goodPassword)
	}
	if sessions, err := b.ListSessions(t.Context(), id); err != nil || len(sessions) != 50 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
	if b.valid(t, oldest.Access) {
		t.Error("the oldest session lives on")
	}
}

func TestRevocationsAreRepublished(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	ended := b.claims(t, b.login(t, "a@example.com", goodPassword).Access).SessionID
	b.redis.SetError("LOADING")
	if err := b.RevokeSession(t.Context(), id, ended); err != nil {
		t.Fatalf("a failing cache fails the revocation: %v", err)
	}
	if err := b.RepublishRevocations(t.Context()); err == nil {
		t.Error("the failure is not reported")
	}
	b.redis.SetError("")
	if b.redis.Exists("auth:revoked:" + ended.String()) {
		t.Fatal("the test proves nothing")
	}
	if err := b.RepublishRevocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.redis.Exists("auth:revoked:" + ended.String()) {
		t.Error("the revocation is lost")
	}
	b.advance(2 * time.Hour)
	if err := b.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, "SELECT count(*) FROM revoked_session"); n != 0 {
		t.Error("a revocation outlives the tokens it concerns")
	}
}

func TestValidateToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	tokens := b.login(t, "a@example.com", goodPassword)
	result, err := b.ValidateToken(t.Context(), tokens.Access)
	if err != nil || !result.Valid || result.Account.ID != id || result.Problem != "" {
		t.Fatalf("%+v, %v", result, err)
	}
	for _, token := range []string{"", "x", "a.b.c", tokens.Access[:len(tokens.Access)-2], tokens.Refresh, strings.Repeat("a", 9000)} {
		if b.valid(t, token) {
			t.Errorf("%.20q is valid", token)
		}
	}
	b.advance(time.Hour + time.Minute)
	if result, _ := b.ValidateToken(t.Context(), tokens.Access); result.Valid || result.Problem != "the access token has expired" {
		t.Errorf("after its life: %+v", result)
	}
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	var limited *fault.Error
	for range 20 {
		_, err := b.tryLogin(t, "a@example.com", "wrong password")
		if f := fault.From(err); f.Kind == fault.KindRateLimit {
			limited = f
			break
		}
	}
	if limited == nil || limited.RetryAfter <= 0 {
		t.Fatalf("twenty guesses are answered with %v", limited)
	}
	before := b.hasher.calls.Load()
	if _, err := b.tryLogin(t, "a@example.com", goodPassword); fault.From(err) == nil || fault.From(err).Kind != fault.KindRateLimit {
		t.Errorf("even the right password waits, else guessing goes on: %v", err)
	}
	if b.hasher.calls.Load() != before {
		t.Error("a refused guess costs a hash")
	}
	b.advance(limited.RetryAfter)
	b.login(t, "a@example.com", goodPassword)
	if _, err := b.tryLogin(t, "a@example.com", "wrong password"); fault.From(err).Kind != fault.KindAuthFailed {
		t.Errorf("a success does not reset the count: %v", err)
	}
}

func TestOutdatedHashesAreRenewed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	hash := func() (text string) {
		if err := b.db.Pool().QueryRow(t.Context(), "SELECT password_hash FROM account").Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	old := hash()
	b.hasher.Hasher = newHasher(t, 128)
	b.login(t, "a@example.com", goodPassword)
	if renewed := hash(); renewed == old || !strings.Contains(renewed, "m=128") {
		t.Errorf("hash = %.40s", renewed)
	}
	b.login(t, "a@example.com", goodPassword)
}

func TestLongClientFactsAreCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.member(t, "a@example.com")
	_, err := b.Login(t.Context(), auth.LoginInput{Email: "a@example.com", Password: goodPassword, Client: auth.Client{
		UserAgent: strings.Repeat("é", 5000), IPAddress: strings.Repeat("1", 5000),
	}})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := b.ListSessions(t.Context(), id)
	if err != nil || len(sessions[0].UserAgent) != 512 {
		t.Errorf("%d bytes, %v", len(sessions[0].UserAgent), err)
	}
}

func TestDatabaseRefusesForeignWrites(t *testing.T) {
	t.Parallel()
	database := pgtest.NewDatabase(t,
		pgtest.Schema{Component: "auth"}, pgtest.Schema{Component: "order"})
	db := database.DB(t, "auth")
	for _, statement := range []string{
		`INSERT INTO "order".inbox (subscriber, event_id) VALUES ('x', gen_random_uuid())`,
		`SELECT * FROM "order".outbox`,
		`CREATE TABLE mine (id int)`,
	} {
		_, err := db.Pool().Exec(t.Context(), statement)
		if err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
