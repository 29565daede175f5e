package module

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	notificationv1 "github.com/commercestack/commercestack/api/gen/commerce/notification/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/notification/v1/notificationv1connect"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	testPassword = "correct horse battery"
	patience     = 20 * time.Second
)

func testConfig() Config {
	return Config{
		RequireVerifiedEmail: true, AccessTokenLife: time.Hour, RefreshTokenLife: 720 * time.Hour, RefreshGrace: 45 * time.Second,
		KeyRotation: 2160 * time.Hour, PasswordMemoryKiB: 64, PasswordPasses: 1, PasswordConcurrent: 4, PasswordQueue: 100,
	}
}

// bench is the running component behind all interceptors, with a front that
// does what a gateway does: it turns an access token into an identity.
type bench struct {
	env    component.Env
	server *connect.Server
	front  http.Handler
	notify *notifier
}

func newBench(t *testing.T) *bench {
	t.Helper()
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	cache := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = cache.Close() })
	db := pgtest.New(t, "auth", Migrations)
	logger := slog.New(slog.DiscardHandler)
	b := &bench{notify: &notifier{mails: make(chan *notificationv1.SendMailRequest, 100)}}
	b.env = component.Env{
		Name: "auth", Logger: logger, DB: db, Redis: cache, Keyring: keyring, Registry: prometheus.NewRegistry(), Now: time.Now,
		PublicURL: "https://shop.test", Client: func(target string) *connect.Client { return b.client("auth", target) },
	}
	keys := idempotency.NewStore(db, keyring)
	b.server = rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(string) *postgres.DB { return db }, logger),
		idempotency.Interceptor(func(string) *idempotency.Store { return keys }),
	}})
	notificationv1connect.RegisterNotificationServiceHandler(b.server, b.notify)
	built, err := New(t.Context(), testConfig(), b.env)
	if err != nil {
		t.Fatal(err)
	}
	built.Register(b.server)
	b.front = b.newFront(built)
	b.run(t, built)
	return b
}

func (b *bench) client(caller, target string) *connect.Client {
	return rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: caller, Target: target})
}

// run runs the component's loops until the test ends.
func (b *bench) run(t *testing.T, built *component.Component) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, loop := range built.Work {
		running.Go(func() {
			if err := loop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func (b *bench) newFront(built *component.Component) http.Handler {
	verifier := jwtverify.New(jwtverify.Config{
		Keys:    jwtverify.FromClient(b.client("gateway", "auth")),
		Revoked: jwtverify.NewRevocations(b.env.Redis, b.env.Now, b.env.Logger).Revoked,
		Now:     b.env.Now,
	})
	mux := http.NewServeMux()
	rpc.Mount(mux, b.server)
	mux.Handle("/", rest.New(b.server))
	for pattern, handler := range built.Routes {
		mux.Handle(pattern, handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := identity.Identity{}
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			claims, err := verifier.Verify(identity.With(r.Context(), identity.Identity{}), token)
			if err != nil {
				rest.WriteError(r.Context(), w, err)
				return
			}
			id = claims.Identity()
		}
		id.ClientIP, id.UserAgent = "192.0.2.9", r.UserAgent()
		mux.ServeHTTP(w, r.WithContext(identity.With(r.Context(), id)))
	})
}

// answer is a response as a client sees it.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) code() string {
	failure, _ := a.body["error"].(map[string]any)
	code, _ := failure["code"].(string)
	return code
}

func (a answer) string(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// call sends a REST request. Headers come as "Name: value".
func (b *bench) call(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	b.front.ServeHTTP(recorder, request)
	response := recorder.Result()
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, text: string(content)}
	if bytes.HasPrefix(content, []byte("{")) {
		if err := json.Unmarshal(content, &got.body); err != nil {
			t.Fatalf("%s %s answers %q: %v", method, path, content, err)
		}
	}
	return got
}

func (b *bench) must(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	got := b.call(t, method, path, body, headers...)
	if got.status != http.StatusOK {
		t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

func bearer(login answer) string { return "Authorization: Bearer " + login.string("accessToken") }

func (b *bench) register(t *testing.T, email string) {
	t.Helper()
	b.must(t, "POST", "/api/v1/auth/register", `{"email":"`+email+`","password":"`+testPassword+`","displayName":"Ada"}`)
}

func (b *bench) login(t *testing.T, email string) answer {
	t.Helper()
	return b.must(t, "POST", "/api/v1/auth/login", `{"email":"`+email+`","password":"`+testPassword+`"}`)
}

// member registers, reads the mail, and verifies.
func (b *bench) member(t *testing.T, email string) {
	t.Helper()
	b.register(t, email)
	b.must(t, "POST", "/api/v1/auth/verify-email", `{"token":"`+b.notify.next(t, email, "email_verification").GetParams()["token"]+`"}`)
}

// notifier stands for the notification component.
type notifier struct {
	notificationv1connect.UnimplementedNotificationServiceHandler

	mu    sync.Mutex
	taken map[string]bool
	fail  int // requests to refuse first
	mails chan *notificationv1.SendMailRequest
}

// SendMail takes each key once.
func (n *notifier) SendMail(_ context.Context, req *notificationv1.SendMailRequest) (*notificationv1.SendMailResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail > 0 {
		n.fail--
		return nil, fault.Unavailable("notification", time.Second)
	}
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	if !n.taken[req.GetIdempotencyKey()] {
		n.taken[req.GetIdempotencyKey()] = true
		n.mails <- req
	}
	return &notificationv1.SendMailResponse{}, nil
}

func (n *notifier) next(t *testing.T, to, template string) *notificationv1.SendMailRequest {
	t.Helper()
	select {
	case mail := <-n.mails:
		if mail.GetTo() != to || mail.GetTemplate() != template {
			t.Fatalf("mail %s to %s, want %s to %s", mail.GetTemplate(), mail.GetTo(), template, to)
		}
		return mail
	case <-time.After(patience):
		t.Fatalf("no mail %s to %s came", template, to)
		return nil
	}
}
