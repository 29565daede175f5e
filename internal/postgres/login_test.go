package postgres_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
)

// as is the address of a role in the database of another address.
func as(t *testing.T, address, role, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

// logIn reports whether the address opens, and keeps the session until the returned function is called.
func logIn(t *testing.T, address string) (end func(), err error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		return nil, err
	}
	return func() { _ = conn.Close(context.WithoutCancel(t.Context())) }, nil
}

func TestLoginsAlternate(t *testing.T) {
	t.Parallel()
	const name = "alternating"
	admin := pgtest.NewDatabase(t).AdminURL()
	first, second := as(t, admin, "commerce_alternating_a", "first"), as(t, admin, "commerce_alternating_b", "second")
	for range 2 {
		if err := postgres.Bootstrap(t.Context(), admin, []postgres.Component{
			{Name: name, Logins: []postgres.Login{{Role: "commerce_alternating_a", Password: "first"}}},
		}); err != nil {
			t.Fatal(err)
		}
		if err := postgres.Migrate(t.Context(), admin, name, postgres.Platform()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: first, Schema: name})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Pool().Exec(t.Context(), "DELETE FROM inbox"); err != nil {
		t.Errorf("a member of the pair may not write: %v", err)
	}
	if _, err := db.Pool().Exec(t.Context(), "DELETE FROM goose_platform"); state(err) != insufficientPrivilege {
		t.Errorf("it may rewrite the record of migrations: %v", err)
	}
	var group bool
	if err := connect(t, admin).QueryRow(t.Context(), "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'commerce_alternating'").Scan(&group); err != nil || group {
		t.Errorf("the role that holds the rights logs in: %t (%v)", group, err)
	}
	for range 2 { // a crash after the first time
		if err := postgres.SetLogin(t.Context(), admin, name, second); err != nil {
			t.Fatal(err)
		}
	}
	impatient, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if err := postgres.RetireLogin(impatient, admin, name, "commerce_alternating_a"); !errors.Is(err, postgres.ErrInUse) || !strings.Contains(err.Error(), "commerce_alternating_a") {
		t.Errorf("a login in use: %v", err)
	}
	if end, err := logIn(t, first); err != nil {
		t.Errorf("it was closed all the same: %v", err)
	} else {
		end()
	}
	retired := make(chan error, 1)
	go func() { retired <- postgres.RetireLogin(t.Context(), admin, name, "commerce_alternating_a") }()
	time.Sleep(100 * time.Millisecond)
	db.Close()
	if err := <-retired; err != nil {
		t.Fatalf("after its last session: %v", err)
	}
	if _, err := logIn(t, first); err == nil {
		t.Error("a retired login opens")
	}
	if err := postgres.RetireLogin(t.Context(), admin, name, "commerce_alternating_a"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := postgres.RetireLogin(t.Context(), admin, name, "commerce_alternating_b"); err == nil || !strings.Contains(err.Error(), "no other role") {
		t.Errorf("the last login: %v", err)
	}
	if end, err := logIn(t, second); err != nil {
		t.Errorf("the new login: %v", err)
	} else {
		end()
	}
}

// TestRotationSurvivesACrash leaves each step half done and runs it again.
func TestRotationSurvivesACrash(t *testing.T) {
	t.Parallel()
	const name = "crashing"
	admin := pgtest.NewDatabase(t).AdminURL()
	if err := postgres.Bootstrap(t.Context(), admin, []postgres.Component{{Name: name, Password: "plain"}}); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, admin)
	execute := func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	// The role was made, and nothing else of the step.
	execute("CREATE ROLE commerce_crashing_b NOLOGIN")
	second := as(t, admin, "commerce_crashing_b", "second")
	if err := postgres.SetLogin(t.Context(), admin, name, second); err != nil {
		t.Fatal(err)
	}
	// Logging in was forbidden, and the password is still there.
	execute("ALTER ROLE commerce_crashing NOLOGIN")
	if err := postgres.RetireLogin(t.Context(), admin, name, "commerce_crashing"); err != nil {
		t.Fatal(err)
	}
	var password *string
	if err := conn.QueryRow(t.Context(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'commerce_crashing'").Scan(&password); err != nil || password != nil {
		t.Errorf("the password is still there (%v)", err)
	}
	// A migration with the plain login opens it again: commerce up and compose go on.
	if err := postgres.Bootstrap(t.Context(), admin, []postgres.Component{{Name: name, Password: "again"}}); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{as(t, admin, "commerce_crashing", "again"), second} {
		end, err := logIn(t, address)
		if err != nil {
			t.Fatal(err)
		}
		end()
	}
}

func TestLoginsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	const name, secret = "refusing", "do-not-show-this"
	admin := pgtest.NewDatabase(t).AdminURL()
	if err := postgres.Bootstrap(t.Context(), admin, []postgres.Component{{Name: name, Password: "plain"}}); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"does not log in as postgres":    postgres.SetLogin(t.Context(), admin, name, as(t, admin, "postgres", secret)),
		"does not log in as commerce_o":  postgres.SetLogin(t.Context(), admin, name, as(t, admin, "commerce_order_a", secret)),
		"has no password":                postgres.SetLogin(t.Context(), admin, name, as(t, admin, "commerce_refusing_a", "")),
		"printable ASCII":                postgres.SetLogin(t.Context(), admin, name, as(t, admin, "commerce_refusing_a", "pässword")),
		"cannot parse":                   postgres.SetLogin(t.Context(), admin, name, "postgres://x:"+secret+"@host:port/"),
		"refused":                        postgres.SetLogin(t.Context(), "postgres://x:"+secret+"@127.0.0.1:1/x", name, as(t, admin, "commerce_refusing_a", secret)),
		"does not log in as x":           postgres.RetireLogin(t.Context(), admin, name, "x"),
		"is not of the form":             postgres.RetireLogin(t.Context(), admin, "a b", "x"),
		"commerce_refusing_b: failed to": postgres.RetireLogin(t.Context(), "postgres://x:"+secret+"@127.0.0.1:1/x", name, "commerce_refusing_b"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
	if err := postgres.Bootstrap(t.Context(), admin, []postgres.Component{{Name: name, Logins: []postgres.Login{{Role: "postgres", Password: "x"}}}}); err == nil {
		t.Error("a migration changes a foreign role")
	}
	if err := postgres.RetireLogin(t.Context(), admin, name, "commerce_refusing_b"); err != nil {
		t.Errorf("one that was never made: %v", err)
	}
}
