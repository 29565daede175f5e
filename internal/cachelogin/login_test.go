package cachelogin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/internal/cachelogin"
	"github.com/commercestack/commercestack/internal/redistest"
)

const (
	adminUser     = "admin"
	adminPassword = "the-administrator-knows-it"
)

// users is a file of users with an administrator and the given lines.
func users(t testing.TB, lines ...string) []string {
	t.Helper()
	admin, err := cachelogin.AdminLine(adminUser, adminPassword)
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"user default off", admin}, lines...)
}

func line(t testing.TB, user, password string) string {
	t.Helper()
	text, err := cachelogin.Line(user, password)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLoginsAlternate(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, users(t, line(t, cachelogin.UserA, "first")))
	admin := server.Client(t, adminUser, adminPassword)
	first, second := server.Client(t, cachelogin.UserA, "first"), server.Client(t, cachelogin.UserB, "second")
	use := func(client *redis.Client) error {
		return client.Set(t.Context(), "product:cache:x", "1", time.Minute).Err()
	}
	if err := use(first); err != nil {
		t.Fatal(err)
	}
	if err := use(second); err == nil {
		t.Fatal("the second login opens before it was set")
	}
	for range 2 { // a crash after the first time
		if err := cachelogin.Set(t.Context(), admin, second); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(use(first), use(second)); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if err := cachelogin.Retire(impatient, admin, cachelogin.UserA); !errors.Is(err, cachelogin.ErrInUse) || !strings.Contains(err.Error(), "commerce_a") {
		t.Errorf("a login in use: %v", err)
	}
	// Connections that are lost come back, since the login still holds.
	if killed, err := admin.Do(t.Context(), "CLIENT", "KILL", "USER", cachelogin.UserA).Int(); err != nil || killed == 0 {
		t.Fatalf("%d connections were killed (%v)", killed, err)
	}
	if err := use(first); err != nil {
		t.Errorf("after a lost connection: %v", err)
	}
	retired := make(chan error, 1)
	go func() { retired <- cachelogin.Retire(t.Context(), admin, cachelogin.UserA) }()
	time.Sleep(100 * time.Millisecond)
	_ = first.Close()
	if err := <-retired; err != nil {
		t.Fatalf("after its last connection: %v", err)
	}
	if err := use(server.Client(t, cachelogin.UserA, "first")); err == nil {
		t.Error("a retired login opens")
	}
	for range 2 {
		if err := cachelogin.Retire(t.Context(), admin, cachelogin.UserA); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	if err := use(second); err != nil {
		t.Errorf("the new login: %v", err)
	}
	// The way back: the idle user comes into use with another password.
	third := server.Client(t, cachelogin.UserA, "third")
	if err := cachelogin.Set(t.Context(), admin, third); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(use(third), use(second)); err != nil {
		t.Error(err)
	}
	if err := use(server.Client(t, cachelogin.UserA, "first")); err == nil {
		t.Error("the password of before opens again")
	}
}

// TestRestartedServer: what is set lives on in a file that the server may write.
func TestRestartedServer(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, users(t, line(t, cachelogin.UserA, "first")))
	admin := server.Client(t, adminUser, adminPassword)
	second := server.Client(t, cachelogin.UserB, "second")
	if err := cachelogin.Set(t.Context(), admin, second); err != nil {
		t.Fatal(err)
	}
	if err := cachelogin.Retire(t.Context(), admin, cachelogin.UserA); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	server.Start(t)
	if err := second.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the new login after a restart: %v", err)
	}
	if err := server.Client(t, cachelogin.UserA, "first").Ping(t.Context()).Err(); err == nil {
		t.Error("the retired login is back")
	}
}

// TestRetireSurvivesACrash leaves the step half done.
func TestRetireSurvivesACrash(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, users(t, line(t, cachelogin.UserA, "first")))
	admin := server.Client(t, adminUser, adminPassword)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", cachelogin.UserA, "off").Err(); err != nil {
		t.Fatal(err)
	}
	if err := cachelogin.Retire(t.Context(), admin, cachelogin.UserA); err != nil {
		t.Fatal(err)
	}
	list, err := admin.Do(t.Context(), "ACL", "LIST").StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range list {
		if strings.HasPrefix(user, "user commerce_a ") && (!strings.Contains(user, " off ") || strings.Contains(user, "#")) {
			t.Errorf("after its retirement: %s", user)
		}
	}
}

// TestUsersMayDoNothingElse: keys of others, lists of keys, and the server itself are closed.
func TestUsersMayDoNothingElse(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, users(t, line(t, cachelogin.UserA, "first")))
	client := server.Client(t, cachelogin.UserA, "first")
	for _, command := range [][]any{
		{"GET", "session:1"},
		{"SET", "other", "x"},
		{"KEYS", "*"},
		{"SCAN", "0"},
		{"FLUSHALL"},
		{"FLUSHDB"},
		{"CONFIG", "GET", "*"},
		{"ACL", "LIST"},
		{"ACL", "SETUSER", "commerce_a", "+@all"},
		{"CLIENT", "LIST"},
		{"CLIENT", "KILL", "USER", "admin"},
		{"SHUTDOWN", "NOSAVE"},
		{"MONITOR"},
		{"REPLICAOF", "127.0.0.1", "1"},
		{"PUBLISH", "x", "y"},
		{"SCRIPT", "FLUSH"},
		{"FUNCTION", "LIST"},
		{"EVAL", "return redis.call('KEYS', '*')", "0"},
		{"EVAL", "return redis.call('GET', 'session:1')", "0"},
	} {
		err := client.Do(t.Context(), command...).Err()
		if err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "can't run this command") &&
			!strings.Contains(err.Error(), "can't access at least one of the keys") && !strings.Contains(err.Error(), "ACL failure in script") {
			t.Errorf("%v: %v", command, err)
		}
	}
}

// TestServerAgreesWithTheFile: what Set makes of a user is what Line makes of it.
func TestServerAgreesWithTheFile(t *testing.T) {
	t.Parallel()
	server := redistest.New(t, users(t, line(t, cachelogin.UserA, "same"),
		"user commerce on >old ~* &* +@all")) // what was there before is gone
	admin := server.Client(t, adminUser, adminPassword)
	for _, user := range []string{cachelogin.UserB, cachelogin.User} {
		if err := cachelogin.Set(t.Context(), admin, server.Client(t, user, "same")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := admin.Do(t.Context(), "ACL", "LIST").StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, text := range list {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, "user "), " ")
		found[name] = rest
	}
	if found[cachelogin.UserA] == "" || found[cachelogin.UserA] != found[cachelogin.UserB] || found[cachelogin.UserA] != found[cachelogin.User] {
		t.Errorf("the users differ:\n%s", strings.Join(list, "\n"))
	}
	if strings.Contains(line(t, cachelogin.UserA, "same"), "same") {
		t.Error("the line shows the password")
	}
	server.Stop(t)
	server.WriteUsers(t, users(t, line(t, cachelogin.UserB, "same")))
	server.Start(t)
	if err := server.Client(t, cachelogin.UserA, "same").Ping(t.Context()).Err(); err == nil {
		t.Error("a user logs in that the file does not name")
	}
	if err := server.Client(t, cachelogin.UserB, "same").Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const secret = "do-not-show-this"
	server := redistest.New(t, users(t))
	admin := server.Client(t, adminUser, adminPassword)
	closed := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Username: adminUser, Password: secret, MaxRetries: -1})
	t.Cleanup(func() { _ = closed.Close() })
	_, lineErr := cachelogin.Line("default", secret)
	_, emptyErr := cachelogin.Line(cachelogin.UserA, "")
	_, adminErr := cachelogin.AdminLine(cachelogin.UserA, secret)
	_, noPassword := cachelogin.AdminLine(adminUser, "")
	for want, err := range map[string]error{
		`does not log in to Redis as "default"`: cachelogin.Set(t.Context(), admin, server.Client(t, "default", secret)),
		`does not log in to Redis as "admin"`:   cachelogin.Set(t.Context(), admin, server.Client(t, adminUser, secret)),
		`does not log in to Redis as ""`:        cachelogin.Set(t.Context(), admin, server.Client(t, "", secret)),
		"has no password":                       cachelogin.Set(t.Context(), admin, server.Client(t, cachelogin.UserA, "")),
		"set login commerce_a":                  cachelogin.Set(t.Context(), closed, server.Client(t, cachelogin.UserA, secret)),
		"WRONGPASS":                             cachelogin.Set(t.Context(), server.Client(t, adminUser, secret), server.Client(t, cachelogin.UserA, secret)),
		`as "x"`:                                cachelogin.Retire(t.Context(), admin, "x"),
		"retire login commerce_b":               cachelogin.Retire(t.Context(), closed, cachelogin.UserB),
		"is the administrator":                  cachelogin.Retire(t.Context(), server.Client(t, cachelogin.UserB, secret), cachelogin.UserB),
		`Redis as "default"`:                    lineErr,
		"of commerce_a has no password":         emptyErr,
		`not called "commerce_a"`:               adminErr,
		"the administrator has no password":     noPassword,
	} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
	if err := cachelogin.Retire(t.Context(), admin, cachelogin.UserB); err != nil {
		t.Errorf("one that was never made: %v", err)
	}
	if !slices.Equal(cachelogin.Rules(), cachelogin.Rules()) || slices.Contains(cachelogin.Rules(), "+@all") {
		t.Error("the rules")
	}
}
