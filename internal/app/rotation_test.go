package app

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPasswordRotation is what the operator does: the other login is opened,
// processes move over, the old one is closed. Analytics subscribes to events,
// so the bus has to know both logins.
func TestPasswordRotation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	first := s
	first.login = strings.Replace(s.login, "commerce_{component}:component@", "commerce_{component}_a:first@", 1)
	second := s
	second.login = strings.Replace(s.login, "commerce_{component}:component@", "commerce_{component}_b:second@", 1)
	first.migrate(t)
	first.migrate(t)
	h := &shape{stack: first, t: t, scheme: "http"}
	run := func(st stack, listen string) func() {
		stop := h.launch(st.serve("--components", "analytics", "--listen", listen)...)
		await(t, http.DefaultClient, "http://"+listen+"/readyz")
		return stop
	}
	database := func(want string, arguments ...string) {
		t.Helper()
		var out strings.Builder
		err := Main(t.Context(), append([]string{"database"}, arguments...), &out, io.Discard)
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "second@") {
			t.Errorf("%v: %s", arguments, out.String())
		}
	}
	stopFirst := run(first, freeAddress(t))
	set := []string{"set-login", "--component", "analytics", "--admin-url", s.admin, "--database-url", second.login}
	database("commerce_analytics_b logs in", set...)
	database("commerce_analytics_b logs in", set...)
	retire := []string{"retire-login", "--component", "analytics", "--admin-url", s.admin, "--role", "commerce_analytics_a"}
	database("after 100ms: postgres: retire login commerce_analytics_a: the role is in use", append(retire, "--timeout", "100ms")...)
	database("is the login that component analytics is configured to use", append(retire, "--database-url", first.login)...)
	// A pod of each would overlap; in one test process they would share a connection that waits for notifications.
	stopFirst()
	stopSecond := run(second, freeAddress(t))
	database("commerce_analytics_a is closed", append(retire, "--database-url", second.login)...)
	database("commerce_analytics_a is closed", retire...)
	if err := Main(t.Context(), first.serve("--components", "analytics", "--listen", freeAddress(t)), io.Discard, io.Discard); err == nil {
		t.Error("the old login still opens")
	}
	stopSecond()
	second.migrate(t) // the next release
	stopSecond = run(second, freeAddress(t))
	stopSecond()
	database("component gateway has no database", "set-login", "--component", "gateway", "--admin-url", s.admin)
	database(`there is no component "x"`, "retire-login", "--component", "x", "--role", "y", "--admin-url", s.admin)
	database("set COMMERCE_ANALYTICS_DATABASE_URL", "set-login", "--component", "analytics", "--admin-url", s.admin)
}

func TestMigrateSaysWhyItFailed(t *testing.T) { //nolint:paralleltest // it sets the environment
	s := newStack(t)
	message := filepath.Join(t.TempDir(), "message")
	t.Setenv("COMMERCE_TERMINATION_LOG", message)
	t.Setenv("COMMERCE_TEST_SECRET", "mentioned")
	for want, arguments := range map[string][]string{
		`logs in as "root"`: {"--admin-url", s.admin, "--database-url", "postgres://root:hidden@h/{component}"},
		"was not ready within 1ns: ": {
			"--admin-url", s.admin, "--database-url", s.login, "--timeout", "1ns",
		},
		"refused":                     {"--admin-url", "postgres://admin:hidden@127.0.0.1:1/x", "--database-url", s.login},
		"missing flags: --admin-url=": {},
		"unknown flag --…":            {"--mentioned"},
	} {
		err := Main(t.Context(), append([]string{"migrate"}, arguments...), io.Discard, io.Discard)
		told, readErr := os.ReadFile(message)
		if err == nil || readErr != nil || !strings.Contains(string(told), want) || strings.Contains(string(told), "hidden") || strings.Count(string(told), "\n") != 1 {
			t.Errorf("%v (%v): told %q, want %q", err, readErr, told, want)
		}
	}
	if got := withoutSecrets("postgres://u:p%40ss@h/db and https://h:8080/x@y", nil); got != "postgres://u:…@h/db and https://h:8080/x@y" {
		t.Error(got)
	}
	if got := lastLine("first\nlast\n"); got != "last" {
		t.Error(got)
	}
	if got := lastLine(strings.Repeat("ä", maxTermination)); len(got) > maxTermination || strings.ContainsRune(got, '\uFFFD') {
		t.Error(len(got))
	}
}

func TestMigrateLists(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Main(t.Context(), []string{"migrate", "--list"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var versions map[string][]string
	if err := json.Unmarshal([]byte(out.String()), &versions); err != nil {
		t.Fatal(err)
	}
	if len(versions) != 8 || len(versions["order"]) < 2 || len(versions["bus"]) < 2 || versions["bus"][1] != "00002_logins" {
		t.Errorf("%v", versions)
	}
}
