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
	"github.com/alecthomas/kong"
	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 20 * time.Second

var (
	admin = identity.Identity{UserID: uuid.NewString(), Roles: []string{"admin"}, Permissions: []string{"*"}}
	user  = identity.Identity{UserID: uuid.NewString(), Roles: []string{"user"}, Permissions: []string{"read:own", "write:own"}}
	guest = identity.Identity{Permissions: []string{"read:public"}}
)

// bench is the running component behind all interceptors.
type bench struct {
	db       *postgres.DB
	redis    *miniredis.Miniredis
	registry *prometheus.Registry
	products productv1connect.ProductServiceClient
	stock    productv1connect.StockServiceClient
	client   *connect.Client
	mux      *http.ServeMux
	stop     func()
}

type setting func(*Config, *component.Env)

func newBench(t testing.TB, settings ...setting) *bench {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	b := &bench{db: pgtest.New(t, "product", Migrations), redis: miniredis.RunT(t), registry: prometheus.NewRegistry()}
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), MaxRetries: -1, DialTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	objects, err := objectstore.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	env := component.Env{
		Name: "product", Logger: logger, DB: b.db, Redis: client, Objects: objects, Registry: b.registry, Now: time.Now,
		PublicURL: "https://shop.example", Currency: "EUR",
	}
	config := defaults(t)
	for _, set := range settings {
		set(&config, &env)
	}
	built, err := New(t.Context(), config, env)
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(t, b.db, logger)
	built.Register(server)
	b.client = rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Target: "product", Deadline: time.Minute})
	b.products = productv1connect.NewProductServiceClient(b.client)
	b.stock = productv1connect.NewStockServiceClient(
		rpc.NewClient(connectinprocess.New(server), rpc.ClientOptions{Caller: "order", Target: "product"}))
	b.mux = http.NewServeMux()
	for pattern, route := range built.Routes {
		b.mux.Handle(pattern, route)
	}
	b.mux.Handle("/", rest.New(server))
	b.run(t, append(built.Run, built.Work...))
	if err := built.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func defaults(t testing.TB) Config {
	t.Helper()
	var config struct {
		Product Config `embed:"" prefix:"product-"`
	}
	parser, err := kong.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return config.Product
}

func newServer(t testing.TB, db *postgres.DB, logger *slog.Logger) *connect.Server {
	t.Helper()
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := idempotency.NewStore(db, keyring)
	return rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(string) *postgres.DB { return db }, logger),
		idempotency.Interceptor(func(string) *idempotency.Store { return keys }),
	}})
}

func (b *bench) run(t testing.TB, loops []func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() {
			if err := loop(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	b.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(b.stop)
}

func as(t testing.TB, id identity.Identity) context.Context {
	t.Helper()
	return identity.With(t.Context(), id)
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// at reads a text along a path of names.
func (a answer) at(path ...string) string {
	var here any = a.body
	for _, name := range path {
		object, _ := here.(map[string]any)
		here = object[name]
	}
	text, _ := here.(string)
	return text
}

// call sends a REST request as somebody.
func (b *bench) call(t testing.TB, id identity.Identity, method, path, body string, headers ...string) answer {
	t.Helper()
	request := httptest.NewRequestWithContext(as(t, id), method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	b.mux.ServeHTTP(recorder, request)
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

func (b *bench) must(t testing.TB, id identity.Identity, method, path, body string, headers ...string) answer {
	t.Helper()
	got := b.call(t, id, method, path, body, headers...)
	if got.status != http.StatusOK {
		t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

// create adds a product over RPC.
func (b *bench) create(t testing.TB, p *productv1.Product) *productv1.Product {
	t.Helper()
	if p.GetPrice() == nil {
		p.Price = &typev1.Money{CurrencyCode: "EUR", AmountMinor: 1999}
	}
	response, err := b.products.CreateProduct(as(t, admin), &productv1.CreateProductRequest{Product: p})
	if err != nil {
		t.Fatalf("create %q: %v", p.GetName(), err)
	}
	return response.GetProduct()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

func inCurrency(code string) setting {
	return func(_ *Config, env *component.Env) { env.Currency = code }
}
