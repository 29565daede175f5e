package app

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/cachelogin"
	"github.com/commercestack/commercestack/internal/redistest"
)

// TestCachePasswordRotation is what the operator does: the other user is
// opened, processes move over, the old one is closed. The processes do what
// needs Redis all the while and are refused nothing.
func TestCachePasswordRotation(t *testing.T) {
	t.Parallel()
	admin, err := cachelogin.AdminLine("admin", "administrator")
	if err != nil {
		t.Fatal(err)
	}
	first, err := cachelogin.Line(cachelogin.UserA, "first-secret")
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.New(t, []string{"user default off", admin, first}, "--notify-keyspace-events", "KA")
	administrator := server.Client(t, "admin", "administrator")
	written := administrator.PSubscribe(t.Context(), "__keyspace@0__:*")
	defer func() { _ = written.Close() }()
	if _, err := written.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := newStack(t)
	s.migrate(t)
	h := &shape{stack: s, t: t, scheme: "http"}
	run := func(redisURL string) (string, func()) {
		h.redis = redisURL
		listen := freeAddress(t)
		stop := h.launch(h.stack.serve("--components", strings.Join(ComponentNames(), ","), "--listen", listen, "--development",
			"--objects-url", "file://"+t.TempDir(), "--billing-stripe-key", stripeKey, "--billing-webhook-secrets", hookSecret)...)
		await(t, http.DefaultClient, "http://"+listen+"/readyz")
		return "http://" + listen, stop
	}
	cache := func(want string, arguments ...string) {
		t.Helper()
		var out strings.Builder
		if err := Main(t.Context(), append([]string{"cache"}, arguments...), &out, io.Discard); err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "secret") || strings.Contains(out.String(), "administrator@") {
			t.Errorf("%v: %s", arguments, out.String())
		}
	}
	adminURL, firstURL, secondURL := server.URL("admin", "administrator"), server.URL(cachelogin.UserA, "first-secret"), server.URL(cachelogin.UserB, "second-secret")
	at, stopFirst := run(firstURL)
	useCache(t, at)
	for range 2 {
		cache("commerce_b logs in", "set-login", "--admin-url", adminURL, "--redis-url", secondURL)
	}
	retire := []string{"retire-login", "--admin-url", adminURL, "--user", cachelogin.UserA}
	cache("after 100ms: cachelogin: retire login commerce_a: the user is in use", append(retire, "--timeout", "100ms")...)
	cache("is the login that the platform is configured to use", append(retire, "--redis-url", firstURL)...)
	at, stopSecond := run(secondURL)
	useCache(t, at)
	stopFirst()
	cache("commerce_a is closed", append(retire, "--redis-url", secondURL)...)
	cache("commerce_a is closed", retire...)
	// A gateway that waits too long for Redis counts alone for a while, as a busy
	// machine can make it: what is kept there is asked for until it was seen.
	kept := written.Channel()
	prefixes := []string{"rate:", "auth:throttle:", "product:cache:"}
	for end := time.Now().Add(time.Minute); len(prefixes) > 0; {
		if time.Now().After(end) {
			t.Fatalf("nothing was kept under %v", prefixes)
		}
		useCache(t, at)
		for again := time.After(time.Second); again != nil && len(prefixes) > 0; {
			select {
			case message := <-kept:
				prefixes = slices.DeleteFunc(prefixes, func(prefix string) bool {
					return strings.HasPrefix(message.Channel, "__keyspace@0__:"+prefix)
				})
			case <-again:
				again = nil
			}
		}
	}
	stopSecond()
	refused, err := administrator.ACLLog(t.Context(), 10).Result()
	if err != nil || len(refused) > 0 {
		t.Errorf("the platform was refused %+v (%v)", refused, err)
	}
	for want, arguments := range map[string][]string{
		"COMMERCE_REDIS_ADMIN_URL is not a redis:// address": {"set-login", "--admin-url", "http://secret@x", "--redis-url", secondURL},
		"COMMERCE_REDIS_URL is not a redis:// address":       {"set-login", "--admin-url", adminURL, "--redis-url", "http://secret@x"},
		"COMMERCE_REDIS_URL is not set":                      {"set-login", "--admin-url", adminURL},
		"needs COMMERCE_TLS_CA_FILE":                         {"set-login", "--admin-url", adminURL, "--tls-cert-file", "x", "--tls-key-file", "x"},
		`does not log in to Redis as "admin"`:                {"set-login", "--admin-url", adminURL, "--redis-url", adminURL},
	} {
		cache(want, arguments...)
	}
}

// useCache makes the platform use what it keeps in Redis.
func useCache(t *testing.T, at string) {
	t.Helper()
	for _, call := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/v1/products", "", 200},
		{"GET", "/api/v1/products", "", 200},
		{"POST", "/api/v1/auth/login", `{"email":"nobody@example.com","password":"wrong wrong wrong"}`, 401},
	} {
		request, err := http.NewRequestWithContext(t.Context(), call.method, at+call.path, strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != call.status {
			t.Errorf("%s: %d %s", call.path, response.StatusCode, content)
		}
	}
}
