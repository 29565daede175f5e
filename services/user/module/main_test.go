package module_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/user/module"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bench is the running component behind all interceptors, beside stand-ins of
// the components it asks. Who calls is put into the context as a gateway does.
type bench struct {
	db       *postgres.DB
	server   *connect.Server
	rest     http.Handler
	bus      *collectingBus
	accounts *accounts
	holdings *holdings
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
	database := pgtest.NewDatabase(t,
		pgtest.Schema{Component: "auth"}, pgtest.Schema{Component: "user", Migrations: module.Migrations})
	b := &bench{db: database.DB(t, "user"), bus: &collectingBus{}, accounts: &accounts{}, holdings: &holdings{}}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	env := component.Env{
		Name: "user", Logger: logger, DB: b.db, Bus: b.bus, Keyring: keyring, Now: time.Now, PublicURL: "https://shop.test",
		Client: func(target string) *connect.Client { return b.client("user", target) },
	}
	keys := idempotency.NewStore(b.db, keyring)
	b.server = rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(procedure string) *postgres.DB { return b.of(procedure) }, logger),
		idempotency.Interceptor(func(procedure string) *idempotency.Store {
			if rpc.ComponentOf(procedure) == "user" {
				return keys
			}
			return nil
		}),
	}})
	orderv1connect.RegisterOrderServiceHandler(b.server, b.holdings)
	billingv1connect.RegisterBillingServiceHandler(b.server, &invoices{holdings: b.holdings})
	authv1connect.RegisterAccountServiceHandler(b.server, b.accounts)
	authv1connect.RegisterAuthServiceHandler(b.server, sessions{})
	user, err := module.New(t.Context(), module.Config{}, env)
	if err != nil {
		t.Fatal(err)
	}
	user.Register(b.server)
	b.rest = rest.New(b.server)
	return b
}

func (b *bench) of(procedure string) *postgres.DB {
	if rpc.ComponentOf(procedure) == "user" {
		return b.db
	}
	return nil
}

func (b *bench) client(caller, target string) *connect.Client {
	return rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: caller, Target: target})
}

// person makes an account and returns who it is.
func (b *bench) person(t *testing.T, email string) identity.Identity {
	t.Helper()
	return identity.Identity{
		UserID: b.accounts.add(email, "user"), Email: email, Roles: []string{"user"}, Permissions: []string{"read:own", "write:own"},
	}
}

func (b *bench) admin(t *testing.T, email string) identity.Identity {
	t.Helper()
	return identity.Identity{UserID: b.accounts.add(email, "admin"), Email: email, Roles: []string{"admin"}, Permissions: []string{"*"}}
}

func (b *bench) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := b.db.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// answer is a response as a client sees it.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) object(name string) map[string]any {
	object, _ := a.body[name].(map[string]any)
	return object
}

func (a answer) list(name string) []any {
	list, _ := a.body[name].([]any)
	return list
}

func (a answer) code() string {
	code, _ := a.object("error")["code"].(string)
	return code
}

func (b *bench) call(t *testing.T, who identity.Identity, method, path, body string, headers ...string) answer {
	t.Helper()
	request := httptest.NewRequestWithContext(identity.With(t.Context(), who), method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	b.rest.ServeHTTP(recorder, request)
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

func (b *bench) must(t *testing.T, who identity.Identity, method, path, body string, headers ...string) answer {
	t.Helper()
	got := b.call(t, who, method, path, body, headers...)
	if got.status != http.StatusOK {
		t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

// collectingBus keeps the subscriptions; tests deliver.
type collectingBus struct {
	bus.Bus

	mu            sync.Mutex
	subscriptions []bus.Subscription
}

func (c *collectingBus) Subscribe(s bus.Subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscriptions = append(c.subscriptions, s)
	return s.ValidateHandler()
}

func (c *collectingBus) deliver(t *testing.T, e event.Event) {
	t.Helper()
	if err := c.try(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func (c *collectingBus) try(ctx context.Context, e event.Event) error {
	for _, s := range c.subscriptions {
		for _, kind := range s.Types {
			if kind == e.Type {
				if err := s.Handle(ctx, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// holdings stands for the components that hold orders and invoices.
type holdings struct {
	orderv1connect.UnimplementedOrderServiceHandler

	mu      sync.Mutex
	orders  int // of each person
	profile bool
	down    bool
	asked   []identity.Identity
}

func (h *holdings) page(ctx context.Context, token string, size int32) (from, to int, next string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, identity.From(ctx))
	if h.down {
		return 0, 0, "", fault.Unavailable("order", time.Minute)
	}
	from, _ = strconv.Atoi(token)
	if to = from + int(size); to < h.orders {
		return from, to, strconv.Itoa(to), nil
	}
	return from, h.orders, "", nil
}

func (h *holdings) ListOrders(ctx context.Context, req *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	from, to, next, err := h.page(ctx, req.GetPageToken(), req.GetPageSize())
	answer := &orderv1.ListOrdersResponse{NextPageToken: next}
	for i := from; i < to; i++ {
		answer.Orders = append(answer.Orders, &orderv1.Order{Id: uuid.NewString(), Number: strconv.Itoa(i)})
	}
	return answer, err
}

type invoices struct {
	billingv1connect.UnimplementedBillingServiceHandler

	holdings *holdings
}

func (i *invoices) ListInvoices(ctx context.Context, req *billingv1.ListInvoicesRequest) (*billingv1.ListInvoicesResponse, error) {
	from, to, next, err := i.holdings.page(ctx, req.GetPageToken(), req.GetPageSize())
	answer := &billingv1.ListInvoicesResponse{NextPageToken: next}
	for n := from; n < to; n++ {
		answer.Invoices = append(answer.Invoices, &billingv1.Invoice{Id: uuid.NewString(), Number: strconv.Itoa(n)})
	}
	return answer, err
}

func (i *invoices) GetBillingProfile(context.Context, *billingv1.GetBillingProfileRequest) (*billingv1.GetBillingProfileResponse, error) {
	if !i.holdings.profile {
		return nil, fault.NotFound("billing profile", "")
	}
	return &billingv1.GetBillingProfileResponse{Profile: &billingv1.BillingProfile{Name: "Ada Ltd"}}, nil
}
