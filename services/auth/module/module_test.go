package module

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/ent/auth/migrate"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/auth"
)

func TestTheWholeLifeOfALoginOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(t, "ada@example.com")
	credentials := `{"email":"ada@example.com","password":"` + testPassword + `"}`
	if got := b.call(t, "POST", "/api/v1/auth/login", credentials); got.status != 401 || got.code() != "AUTH_FAILED" {
		t.Errorf("before verification: %d %s", got.status, got.text)
	}
	mail := b.notify.next(t, "ada@example.com", "email_verification")
	b.must(t, "POST", "/api/v1/auth/verify-email", `{"token":"`+mail.GetParams()["token"]+`"}`)
	login := b.login(t, "ada@example.com")
	if login.string("tokenType") != "Bearer" || login.body["expiresIn"] != 3600.0 || login.string("refreshToken") == "" {
		t.Errorf("login = %s", login.text)
	}
	refreshed := b.must(t, "POST", "/api/v1/auth/refresh", `{"refreshToken":"`+login.string("refreshToken")+`"}`)
	sessions := b.must(t, "GET", "/api/v1/auth/sessions", "", bearer(refreshed))
	list, _ := sessions.body["sessions"].([]any)
	if len(list) != 1 {
		t.Fatalf("sessions = %s", sessions.text)
	}
	session, _ := list[0].(map[string]any)
	if session["current"] != true || session["ipAddress"] != "192.0.2.9" {
		t.Errorf("session = %v", session)
	}
	check := b.must(t, "POST", "/api/v1/auth/validate", `{"token":"`+refreshed.string("accessToken")+`"}`)
	if check.body["valid"] != true || check.string("userId") == "" || check.body["error"] != nil {
		t.Errorf("validation = %s", check.text)
	}
	b.must(t, "POST", "/api/v1/auth/logout", `{"refreshToken":"`+refreshed.string("refreshToken")+`"}`)
	check = b.must(t, "POST", "/api/v1/auth/validate", `{"token":"`+refreshed.string("accessToken")+`"}`)
	if check.body["valid"] == true || check.string("error") == "" || check.body["userId"] != nil {
		t.Errorf("after the logout: %s", check.text)
	}
	eventually(t, "the access token of the ended session stops working", func() bool {
		return b.call(t, "GET", "/api/v1/auth/sessions", "", bearer(refreshed)).status == http.StatusUnauthorized
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("%s: not within %v", what, patience)
}

func TestPasswordsOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "ada@example.com")
	login := b.login(t, "ada@example.com")
	change := func(current, fresh string) answer {
		return b.call(t, "POST", "/api/v1/auth/password-change", `{"currentPassword":"`+current+`","newPassword":"`+fresh+`"}`, bearer(login))
	}
	got := change("not the password", "another password")
	if got.status != 400 || got.code() != "INVALID_INPUT" || strings.Contains(got.text, "not the password") || !strings.Contains(got.text, "currentPassword") {
		t.Errorf("wrong current password: %d %s", got.status, got.text)
	}
	if got := change(testPassword, "another password"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	b.must(t, "GET", "/api/v1/auth/sessions", "", bearer(login))
	known := b.must(t, "POST", "/api/v1/auth/password-reset", `{"email":"ada@example.com"}`)
	unknown := b.must(t, "POST", "/api/v1/auth/password-reset", `{"email":"nobody@example.com"}`)
	if known.text != unknown.text || known.text != "{}" {
		t.Errorf("known: %s, unknown: %s", known.text, unknown.text)
	}
	token := b.notify.next(t, "ada@example.com", "password_reset").GetParams()["token"]
	confirm := `{"token":"` + token + `","newPassword":"` + testPassword + `"}`
	b.must(t, "POST", "/api/v1/auth/password-reset/confirm", confirm)
	again := b.call(t, "POST", "/api/v1/auth/password-reset/confirm", confirm)
	if again.status != 400 || again.code() != "INVALID_INPUT" || strings.Contains(again.text, token) {
		t.Errorf("the second time: %d %s", again.status, again.text)
	}
	b.login(t, "ada@example.com")
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tests := []struct{ name, method, path, body, field string }{
		{"no address", "POST", "/api/v1/auth/register", `{"email":"notanemail","password":"long enough"}`, "email"},
		{"short password", "POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"short"}`, "password"},
		{"common password", "POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"password"}`, "password"},
		{"long name", "POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"long enough","displayName":"` + strings.Repeat("x", 201) + `"}`, "displayName"},
		{"no token", "POST", "/api/v1/auth/verify-email", `{}`, "token"},
		{"unknown token", "POST", "/api/v1/auth/verify-email", `{"token":"unknown"}`, "token"},
		{"unknown reset token", "POST", "/api/v1/auth/password-reset/confirm", `{"token":"x","newPassword":"long enough"}`, "token"},
		{"no refresh token", "POST", "/api/v1/auth/logout", `{}`, "refreshToken"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := b.call(t, test.method, test.path, test.body)
			if got.status != 400 || got.code() != "INVALID_INPUT" || !strings.Contains(got.text, `"field":"`+test.field+`"`) {
				t.Errorf("%d %s", got.status, got.text)
			}
			if strings.Contains(got.text, `"short"`) || strings.Contains(got.text, `"unknown"`) {
				t.Errorf("the answer repeats a secret: %s", got.text)
			}
		})
	}
}

func TestTrap23SessionsOfOthersAreNotFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "a@example.com")
	b.member(t, "b@example.com")
	mine, theirs := b.login(t, "a@example.com"), b.login(t, "b@example.com")
	list := b.must(t, "GET", "/api/v1/auth/sessions", "", bearer(theirs))
	session, _ := list.body["sessions"].([]any)[0].(map[string]any)
	id, _ := session["id"].(string)
	for _, target := range []string{id, uuid.NewString()} {
		if got := b.call(t, "DELETE", "/api/v1/auth/sessions/"+target, "", bearer(mine)); got.status != 404 || got.code() != "NOT_FOUND" {
			t.Errorf("%d %s", got.status, got.text)
		}
	}
	if got := b.call(t, "DELETE", "/api/v1/auth/sessions/not-an-id", "", bearer(mine)); got.status != 400 {
		t.Errorf("a malformed id: %d %s", got.status, got.text)
	}
	if got := b.call(t, "GET", "/api/v1/auth/sessions", ""); got.status != 401 || got.code() != "AUTH_FAILED" {
		t.Errorf("nobody's sessions: %d %s", got.status, got.text)
	}
	b.must(t, "DELETE", "/api/v1/auth/sessions/"+id, "", bearer(theirs))
	if got := b.call(t, "POST", "/api/v1/auth/refresh", `{"refreshToken":"`+theirs.string("refreshToken")+`"}`); got.status != 401 {
		t.Errorf("a revoked session refreshes: %d", got.status)
	}
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.must(t, "GET", "/.well-known/jwks.json", "")
	keys, _ := got.body["keys"].([]any)
	if len(keys) != 1 {
		t.Fatalf("keys = %s", got.text)
	}
	key, _ := keys[0].(map[string]any)
	for name, want := range map[string]string{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"} {
		if key[name] != want {
			t.Errorf("%s = %v", name, key[name])
		}
	}
	if len(key) != 6 {
		t.Errorf("a key has %d members: %v", len(key), key)
	}
	if cache := got.header.Get("Cache-Control"); !strings.Contains(cache, "max-age=300") {
		t.Errorf("Cache-Control = %q", cache)
	}
}

func TestMailIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.notify.mu.Lock()
	b.notify.fail = 1
	b.notify.mu.Unlock()
	b.member(t, "ada@example.com")
	b.login(t, "ada@example.com")
}

func TestAnIdempotencyKeyRegistersOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := `{"email":"ada@example.com","password":"` + testPassword + `"}`
	for range 3 {
		b.must(t, "POST", "/api/v1/auth/register", body, "Idempotency-Key: once")
	}
	b.notify.next(t, "ada@example.com", "email_verification")
	select {
	case mail := <-b.notify.mails:
		t.Errorf("a second mail: %v", mail.GetTemplate())
	case <-time.After(300 * time.Millisecond):
	}
	got := b.call(t, "POST", "/api/v1/auth/register", strings.Replace(body, "ada", "eve", 1), "Idempotency-Key: once")
	if got.status != 409 {
		t.Errorf("another request under the key: %d %s", got.status, got.text)
	}
}

func TestAuditRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "ada@example.com")
	b.login(t, "ada@example.com")
	rows, err := b.env.DB.Pool().Query(t.Context(), "SELECT action || ' ' || actor || ' ' || ip || ' ' || details::text FROM audit_log")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			t.Fatal(err)
		}
		all.WriteString(row + "\n")
	}
	for _, want := range []string{"AuthService/Register guest 192.0.2.9", "AuthService/Login guest 192.0.2.9"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no row %q in\n%s", want, all.String())
		}
	}
	for _, secret := range []string{testPassword, "ada@example.com"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the audit log holds %q", secret)
		}
	}
}

func TestAccountsAreForComponentsOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.member(t, "ada@example.com")
	b.member(t, "bob@example.com")
	ctx := identity.With(t.Context(), identity.Identity{})
	accounts := authv1connect.NewAccountServiceClient(b.client("user", "auth"))
	first, err := accounts.ListAccounts(ctx, &authv1.ListAccountsRequest{PageSize: 1})
	if err != nil || len(first.GetAccounts()) != 1 || first.GetAccounts()[0].GetEmail() != "bob@example.com" || first.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", first, err)
	}
	second, err := accounts.ListAccounts(ctx, &authv1.ListAccountsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	if err != nil || len(second.GetAccounts()) != 1 || second.GetNextPageToken() != "" {
		t.Fatalf("%v, %v", second, err)
	}
	_, err = accounts.ListAccounts(ctx, &authv1.ListAccountsRequest{PageSize: 1, Q: "ada", PageToken: first.GetNextPageToken()})
	wantKind(t, err, fault.KindInvalidInput)
	found, err := accounts.ListAccounts(ctx, &authv1.ListAccountsRequest{Q: "ada@", UserIds: []string{second.GetAccounts()[0].GetUserId()}})
	if err != nil || len(found.GetAccounts()) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	ada := found.GetAccounts()[0]
	if ada.GetDisplayName() != "Ada" || !ada.GetEmailVerified() || ada.GetCreateTime() == nil {
		t.Errorf("account = %v", ada)
	}
	changed, err := accounts.SetAccountRoles(ctx, &authv1.SetAccountRolesRequest{UserId: ada.GetUserId(), Roles: []string{"admin"}})
	if err != nil || changed.GetAccount().GetRoles()[0] != "admin" {
		t.Fatalf("%v, %v", changed, err)
	}
	_, err = accounts.DeleteAccount(ctx, &authv1.DeleteAccountRequest{UserId: ada.GetUserId()})
	if !errors.Is(err, auth.ErrLastAdmin) {
		t.Errorf("error = %v", err)
	}
	bob := first.GetAccounts()[0].GetUserId()
	if disabled, err := accounts.DisableAccount(ctx, &authv1.DisableAccountRequest{UserId: bob, Disabled: true}); err != nil || !disabled.GetAccount().GetDisabled() {
		t.Fatalf("%v, %v", disabled, err)
	}
	if _, err := accounts.DeleteAccount(ctx, &authv1.DeleteAccountRequest{UserId: bob}); err != nil {
		t.Fatal(err)
	}
	_, err = accounts.GetAccount(ctx, &authv1.GetAccountRequest{UserId: bob})
	wantKind(t, err, fault.KindNotFound)
	_, err = accounts.SetAccountRoles(ctx, &authv1.SetAccountRolesRequest{UserId: bob, Roles: []string{"user"}})
	wantKind(t, err, fault.KindNotFound)

	login := b.login(t, "ada@example.com")
	got := b.call(t, "POST", "/commerce.auth.v1.AccountService/GetAccount", `{"userId":"`+ada.GetUserId()+`"}`, bearer(login))
	if got.status != http.StatusForbidden {
		t.Errorf("an administrator from outside: %d %s", got.status, got.text)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if f := fault.From(err); f == nil || f.Kind != kind {
		t.Errorf("error = %v, want kind %d", err, kind)
	}
}

func TestEnsureAdminOfTheModule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, want := range []bool{true, false} {
		created, err := EnsureAdmin(t.Context(), testConfig(), b.env, "ada@example.com", testPassword, true)
		if err != nil || created != want {
			t.Fatalf("run %d: created = %v, %v", i, created, err)
		}
	}
	login := b.login(t, "ada@example.com")
	check := b.must(t, "POST", "/api/v1/auth/validate", `{"token":"`+login.string("accessToken")+`"}`)
	if !strings.Contains(check.text, `"admin"`) || !strings.Contains(check.text, `"*"`) {
		t.Errorf("validation = %s", check.text)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, bad := range []Config{
		{AccessTokenLife: -1}, {AccessTokenLife: time.Hour, RefreshTokenLife: time.Hour}, {KeyRotation: time.Minute},
	} {
		if err := bad.validate(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	b := newBench(t)
	if _, err := New(t.Context(), Config{KeyRotation: time.Minute}, b.env); err == nil {
		t.Error("a bad configuration starts")
	}
	empty := b.env
	empty.Keyring = nil
	if _, err := EnsureAdmin(t.Context(), testConfig(), empty, "a@example.com", testPassword, true); err == nil {
		t.Error("an environment without keyring starts")
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if _, err := New(ended, testConfig(), b.env); err == nil {
		t.Error("starts without a signing key")
	}
}

func TestMigrationsMatchTheSchema(t *testing.T) {
	t.Parallel()
	pgtest.AssertSchemaMatches(t, pgtest.New(t, "auth", Migrations), migrate.Tables)
}
