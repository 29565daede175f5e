package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commercestack/commercestack/internal/pgtest"
)

// freeAddress is an address that nobody uses now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// stack is a migrated database, Redis and keys, for processes of a stack.
type stack struct {
	login, admin, redis, ids, ring string
}

func newStack(t *testing.T) stack {
	t.Helper()
	s := stack{admin: pgtest.NewDatabase(t).AdminURL(), redis: "redis://" + miniredis.RunT(t).Addr() + "?protocol=2"}
	u, err := url.Parse(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	s.login = strings.Replace(s.admin, u.User.String()+"@", "commerce_{component}:component@", 1)
	if s.ids, s.ring, err = ensureKeys(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s stack) migrate(t *testing.T) {
	t.Helper()
	var out strings.Builder
	if err := Main(t.Context(), []string{"migrate", "--admin-url", s.admin, "--database-url", s.login}, &out, &out); err != nil || !strings.Contains(out.String(), "up to date") {
		t.Fatalf("migrate: %v\n%s", err, out.String())
	}
}

func (s stack) serve(arguments ...string) []string {
	return append([]string{
		"serve", "--database-url", s.login, "--redis-url", s.redis, "--identity-keys-file", s.ids, "--encryption-keys-file", s.ring, "--log-level", "error",
	}, arguments...)
}

func TestServe(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	s.migrate(t) // a second time changes nothing
	listen, metrics := freeAddress(t), freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() {
		finished <- Main(ctx, s.serve("--components", "analytics,notification", "--development", "--listen", listen, "--metrics-listen", metrics,
			"--objects-url", "file://"+t.TempDir()), io.Discard, io.Discard)
	}()
	var out strings.Builder
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := Main(t.Context(), []string{"health", "http://" + listen + "/readyz"}, &out, &out)
		if err == nil {
			break
		}
		select {
		case err := <-finished:
			t.Fatalf("serve ended: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %v", err)
		}
	}
	if status, body, err := get(t, "http://"+listen+"/api/v1/analytics/daily"); err != nil || status != 401 || !strings.Contains(body, "AUTH_FAILED") {
		t.Errorf("without the gateway's word: %d %s (%v)", status, body, err)
	}
	if status, body, err := get(t, "http://"+listen+"/dev/mail"); err != nil || status != 200 || body != "{\"messages\":[]}\n" {
		t.Errorf("mail: %d %q (%v)", status, body, err)
	}
	if status, _, err := get(t, "http://"+listen+"/api/v1/products"); err != nil || status != 404 {
		t.Errorf("a component of another process: %d (%v)", status, err)
	}
	if status, body, err := get(t, "http://"+metrics+"/metrics"); err != nil || status != 200 || !strings.Contains(body, "commerce_mails{") {
		t.Errorf("metrics: %d (%v)", status, err)
	}
	stop()
	if err := <-finished; err != nil {
		t.Errorf("the stop failed: %v", err)
	}
}

// TestAStartWaitsForItsDatabase that comes up later, and not for one that refuses it.
func TestAStartWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	u, err := url.Parse(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	away := freeAddress(t)
	late := s
	late.login = strings.Replace(s.login, "@"+u.Host, "@"+away, 1)
	listen := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() {
		finished <- Main(ctx, late.serve("--components", "analytics", "--listen", listen), io.Discard, io.Discard)
	}()
	select {
	case err := <-finished:
		t.Fatalf("it ended while the database was away: %v", err)
	case <-time.After(2 * databasePause):
	}
	forward(t, away, u.Host)
	await(t, http.DefaultClient, "http://"+listen+"/readyz")
	stop()
	if err := <-finished; err != nil {
		t.Error(err)
	}
	wrong := s
	wrong.login = strings.Replace(s.login, ":component@", ":wrong@", 1)
	begun := time.Now()
	if err := Main(t.Context(), wrong.serve("--components", "analytics", "--listen", listen), io.Discard, io.Discard); err == nil || time.Since(begun) > startPatience/2 {
		t.Errorf("a wrong password is waited for: %v", err)
	}
}

// forward passes connections to an address on to another one.
func forward(t *testing.T, from, to string) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in) }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
}

func TestServeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.migrate(t)
	// Clipped: two cases append to it, each to a list of its own.
	base := slices.Clip(s.serve("--components", "analytics", "--listen", "127.0.0.1:0"))
	for want, arguments := range map[string][]string{
		"COMMERCE_REDIS_URL is not set":               {"serve", "--components", "analytics"},
		"COMMERCE_REDIS_URL is not a redis://":        append(base, "--redis-url", "http://x"),
		"--identity-keys-file":                        {"serve", "--components", "analytics", "--redis-url", s.redis},
		"object storage":                              append(base, "--objects-url", "nowhere://x"),
		"set COMMERCE_NOTIFICATION_URL":               s.serve("--components", "auth", "--listen", "127.0.0.1:0"),
		`there is no component "orders"`:              s.serve("--components", "orders"),
		"set COMMERCE_ANALYTICS_DATABASE_URL":         {"serve", "--components", "analytics", "--redis-url", s.redis, "--identity-keys-file", s.ids, "--encryption-keys-file", s.ring},
		"no way to send mail":                         s.serve("--components", "notification", "--listen", "127.0.0.1:0"),
		"missing flags: --components":                 {"serve"},
		"unknown flag":                                {"serve", "--nonsense"},
		"rate limit":                                  s.serve("--components", "analytics,gateway", "--gateway-rate-limits", "read=x", "--url", allRemote()),
		"is neither an address nor a network":         s.serve("--components", "analytics,gateway", "--gateway-trusted-proxies", "x", "--url", allRemote()),
		"listen on 256.0.0.1:1":                       s.serve("--components", "analytics", "--listen", "256.0.0.1:1"),
		"must be one of \"off\",\"detect\",\"block\"": s.serve("--components", "analytics", "--gateway-waf", "loud"),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := Main(ctx, arguments, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// allRemote places every component somewhere else.
func allRemote() string {
	var all []string
	for _, name := range ComponentNames() {
		if name != gatewayName && name != "analytics" {
			all = append(all, name+"=http://127.0.0.1:1")
		}
	}
	return strings.Join(all, ";")
}

func TestMigrateAndCreateAdmin(t *testing.T) { //nolint:paralleltest // it sets the environment
	s := newStack(t)
	both := make(chan error, 2) // two pods start at once
	for range 2 {
		go func() {
			both <- Main(t.Context(), []string{"migrate", "--admin-url", s.admin, "--database-url", s.login}, io.Discard, io.Discard)
		}()
	}
	for range 2 {
		if err := <-both; err != nil {
			t.Errorf("migrate beside another: %v", err)
		}
	}
	for want, arguments := range map[string][]string{
		"has no password":            {"--admin-url", s.admin, "--database-url", strings.Replace(s.login, ":component@", "@", 1)},
		"set COMMERCE_AUTH_":         {"--admin-url", s.admin, "--database-url", s.admin},
		"missing flags: --admin-url": {},
	} {
		if err := Main(t.Context(), append([]string{"migrate"}, arguments...), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	create := []string{"user", "create-admin", "--email", "boss@example.com", "--database-url", s.login, "--identity-keys-file", s.ids, "--encryption-keys-file", s.ring}
	if err := Main(t.Context(), create, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "COMMERCE_ADMIN_PASSWORD") {
		t.Errorf("without a password: %v", err)
	}
	file := write(t, "the boss knows it\n", t.TempDir(), "password")
	for i, want := range []string{"boss@example.com: created\n", "boss@example.com: made an administrator, with the password given\n"} {
		var out strings.Builder
		if err := Main(t.Context(), append(create, "--password-file", file), &out, io.Discard); err != nil || out.String() != want {
			t.Errorf("time %d: %q (%v)", i, out.String(), err)
		}
	}
	t.Setenv("COMMERCE_ADMIN_PASSWORD", "x")
	if err := Main(t.Context(), create, io.Discard, io.Discard); err == nil || strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a weak password: %v", err)
	}
	for want, arguments := range map[string][]string{
		"keys-file":          {"user", "create-admin", "--email", "boss@example.com"},
		"set COMMERCE_AUTH_": {"user", "create-admin", "--email", "boss@example.com", "--identity-keys-file", s.ids, "--encryption-keys-file", s.ring},
	} {
		if err := Main(t.Context(), arguments, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
