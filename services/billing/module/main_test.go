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
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/stripesim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	testKey    = "sk_test_thisIsNoRealKeyAtAll"
	testSecret = "whsec_first"
	patience   = 20 * time.Second
)

func testConfig(url string) Config {
	return Config{
		StripeURL: url, StripeKey: testKey, WebhookSecrets: []string{"whsec_rolled", testSecret}, StripeCalls: 500, StripeMaxWait: time.Second,
		StripeTimeout: 2 * time.Second, StripeTries: 2, BreakAfter: 100, BreakFor: time.Second, CallTimeout: 5 * time.Second,
		Polls: []time.Duration{time.Second}, Retries: []time.Duration{time.Minute},
	}
}

// bench is the running component behind all interceptors, beside a simulated
// Stripe that sends its webhooks through the REST transport.
type bench struct {
	t      *testing.T
	env    component.Env
	server *connect.Server
	front  http.Handler
	orders *orders
	bus    *postgresbus.Bus
	admin  *pgxpool.Pool
	sim    string
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
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "billing", Migrations: Migrations},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	db := database.DB(t, "billing")
	logger := slog.New(slog.DiscardHandler)
	b := &bench{t: t, orders: &orders{open: map[string]*orderv1.BeginPaymentResponse{}}}
	if b.bus, err = postgresbus.New(t.Context(), postgresbus.Config{DB: db, Logger: logger, Poll: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.bus.Close)
	keys := idempotency.NewStore(db, keyring)
	b.server = rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(string) *postgres.DB { return db }, logger),
		idempotency.Interceptor(func(string) *idempotency.Store { return keys }),
	}})
	orderv1connect.RegisterSettlementServiceHandler(b.server, b.orders)
	b.env = component.Env{
		Name: "billing", Logger: logger, DB: db, Bus: b.bus, Keyring: keyring, Registry: prometheus.NewRegistry(), Now: time.Now, Currency: "EUR",
		Client: func(target string) *connect.Client {
			return rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "billing", Target: target})
		},
	}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.front.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	b.simulate(database.AdminURL(), listener.URL+"/api/v1/billing/webhooks/stripe")
	built, err := New(t.Context(), testConfig(b.sim), b.env)
	if err != nil {
		t.Fatal(err)
	}
	built.Register(b.server)
	b.front = front(b.server)
	b.run(append(built.Work, b.bus.Run, (&outbox.Relay{DB: db, Bus: b.bus, Logger: logger, Poll: 50 * time.Millisecond}).Run)...)
	return b
}

func (b *bench) simulate(adminURL, webhookURL string) {
	b.t.Helper()
	var err error
	if b.admin, err = pgxpool.New(context.Background(), adminURL); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.admin.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	b.t.Cleanup(transport.CloseIdleConnections)
	sim, err := stripesim.New(stripesim.Config{
		Pool: b.admin, SecretKey: testKey, WebhookURL: webhookURL, WebhookSecrets: []string{testSecret},
		Logger: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: transport}, RetryBase: 50 * time.Millisecond,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	b.t.Cleanup(server.Close)
	b.sim = server.URL
	b.run(sim.Run)
}

func (b *bench) run(loops ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() {
			if err := loop(ctx); err != nil {
				b.t.Error(err)
			}
		})
	}
	b.t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// front does what a gateway does: it says who calls.
func front(server *connect.Server) http.Handler {
	transport := rest.New(server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := identity.Identity{GuestToken: r.Header.Get("X-Guest-Token"), ClientIP: "192.0.2.9"}
		if id.UserID = r.Header.Get("X-Test-User"); id.UserID != "" {
			id.Email, id.Roles, id.Permissions = "ann@example.com", []string{"user"}, []string{"read:own", "write:own"}
		}
		if r.Header.Get("X-Test-Admin") != "" {
			id.Roles, id.Permissions = []string{"admin"}, []string{"*"}
		}
		transport.ServeHTTP(w, r.WithContext(identity.With(r.Context(), id)))
	})
}

// orders stands for the order component.
type orders struct {
	orderv1connect.UnimplementedSettlementServiceHandler

	mu   sync.Mutex
	open map[string]*orderv1.BeginPaymentResponse
}

func (o *orders) BeginPayment(ctx context.Context, req *orderv1.BeginPaymentRequest) (*orderv1.BeginPaymentResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	due, ok := o.open[req.GetOrderId()]
	if !ok || due.GetUserId() != req.GetUserId() || identity.From(ctx).Service != "billing" {
		return nil, fault.NotFound("order", req.GetOrderId())
	}
	return due, nil
}

func (o *orders) place(userID string, minor int64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := uuid.Must(uuid.NewV7()).String()
	o.open[id] = &orderv1.BeginPaymentResponse{
		Amount: &typev1.Money{CurrencyCode: "EUR", AmountMinor: minor}, Number: "CS-1001", UserId: userID, Email: "ann@example.com",
	}
	return id
}

// answer is a response as a client sees it.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// at follows names into the body.
func (a answer) at(path string) any {
	var value any = a.body
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

func (a answer) string(path string) string {
	text, _ := a.at(path).(string)
	return text
}

// call sends a REST request. Headers come as "Name: value".
func (b *bench) call(method, path, body string, headers ...string) answer {
	b.t.Helper()
	request := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
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
		b.t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header, text: string(content)}
	if bytes.HasPrefix(content, []byte("{")) {
		if err := json.Unmarshal(content, &got.body); err != nil {
			b.t.Fatalf("%s %s answers %q: %v", method, path, content, err)
		}
	}
	return got
}

func (b *bench) must(method, path, body string, headers ...string) answer {
	b.t.Helper()
	got := b.call(method, path, body, headers...)
	if got.status != http.StatusOK {
		b.t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not in time: %s", what)
		}
	}
}
