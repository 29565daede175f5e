package module

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/alecthomas/kong"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 20 * time.Second

// bench is the running component behind all interceptors, with small servers
// in place of the components it asks, and a front that takes the caller's
// identity from headers where a gateway would prove it.
type bench struct {
	db       *postgres.DB
	bus      *postgresbus.Bus
	server   *connect.Server
	front    http.Handler
	product  *productServer
	billing  *billingServer
	registry *prometheus.Registry
}

// defaults are what the program starts with.
func defaults(t testing.TB) Config {
	t.Helper()
	var config struct {
		Order Config `embed:"" prefix:"order-"`
	}
	parser, err := kong.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return config.Order
}

func newBench(t testing.TB) *bench {
	t.Helper()
	database := pgtest.NewDatabase(t, pgtest.Schema{Component: "order", Migrations: Migrations},
		pgtest.Schema{Component: postgresbus.Schema, Migrations: postgresbus.Migrations(), Plain: true})
	logger := slog.New(slog.DiscardHandler)
	b := &bench{
		db: database.DB(t, "order"), product: &productServer{products: map[string]*productv1.Product{}, held: map[string]string{}},
		billing: &billingServer{}, registry: prometheus.NewRegistry(),
	}
	var err error
	if b.bus, err = postgresbus.New(t.Context(), postgresbus.Config{DB: b.db, Logger: logger, Poll: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := idempotency.NewStore(b.db, keyring)
	b.server = rpc.NewServer(rpc.ServerOptions{Logger: logger, Interceptors: []connect.ServerInterceptor{
		audit.Interceptor(func(procedure string) *postgres.DB {
			if rpc.ComponentOf(procedure) == "order" {
				return b.db
			}
			return nil
		}, logger),
		idempotency.Interceptor(func(procedure string) *idempotency.Store {
			if rpc.ComponentOf(procedure) == "order" {
				return keys
			}
			return nil
		}),
	}})
	productv1connect.RegisterStockServiceHandler(b.server, b.product)
	billingv1connect.RegisterReimbursementServiceHandler(b.server, b.billing)
	authv1connect.RegisterAccountServiceHandler(b.server, accountServer{})
	built, err := New(t.Context(), defaults(t), component.Env{
		Name: "order", Logger: logger, DB: b.db, Bus: b.bus, Keyring: keyring, Registry: b.registry, Now: time.Now, Currency: "EUR",
		Client: func(target string) *connect.Client {
			return rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "order", Target: target})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	built.Register(b.server)
	mux := http.NewServeMux()
	rpc.Mount(mux, b.server)
	mux.Handle("/", rest.New(b.server))
	b.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(identity.With(r.Context(), asHeaders(r.Header))))
	})
	b.run(t, append(built.Work, b.bus.Run, (&outbox.Relay{DB: b.db, Bus: b.bus}).Run))
	if err := built.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// asHeaders reads who a test calls as.
func asHeaders(h http.Header) identity.Identity {
	id := identity.Identity{UserID: h.Get("Test-User"), GuestToken: h.Get("X-Guest-Token"), Service: h.Get("Test-Service")}
	switch {
	case h.Get("Test-Admin") != "":
		id.Roles, id.Permissions = []string{"admin"}, []string{"*"}
	case id.UserID != "":
		id.Email, id.Roles, id.Permissions = id.UserID+"@example.com", []string{"user"}, []string{"read:own", "write:own"}
	default:
		id.Permissions = []string{"read:public"}
	}
	return id
}

func (b *bench) run(t testing.TB, loops []func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, loop := range loops {
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

// as is the header of a user.
func as(user uuid.UUID) string { return "Test-User: " + user.String() }

var admin = []string{"Test-User: " + uuid.NewString(), "Test-Admin: yes"}

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) code() string { return a.at("error", "code") }

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

func (b *bench) call(t testing.TB, method, path, body string, headers ...string) answer {
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

func (b *bench) must(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	got := b.call(t, method, path, body, headers...)
	if got.status != http.StatusOK {
		t.Fatalf("%s %s answers %d %s", method, path, got.status, got.text)
	}
	return got
}

func (b *bench) publish(t testing.TB, subject string, payload proto.Message) {
	t.Helper()
	if err := b.bus.Publish(t.Context(), []event.Event{event.New(subject, payload)}); err != nil {
		t.Fatal(err)
	}
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

// productServer stands for the stock of the product component.
type productServer struct {
	productv1connect.UnimplementedStockServiceHandler

	mutex    sync.Mutex
	products map[string]*productv1.Product
	held     map[string]string
	lie      bool
}

func (p *productServer) add(price int64, pieces int32) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	id := uuid.Must(uuid.NewV7()).String()
	p.products[id] = &productv1.Product{
		Id: id, Name: "Thing", Sku: "T", Price: &typev1.Money{CurrencyCode: "EUR", AmountMinor: price}, WeightGrams: 100,
		Stock: &productv1.Stock{Available: pieces},
	}
	return id
}

func (p *productServer) state(order string) string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.held[order]
}

func (p *productServer) set(order, state string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.held[order] = state
}

// ReserveStock answers in another order than it was asked.
func (p *productServer) ReserveStock(_ context.Context, req *productv1.ReserveStockRequest) (*productv1.ReserveStockResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	res := &productv1.ReserveStockResponse{ExpireTime: req.ExpireTime}
	for _, line := range slices.Backward(req.Lines) {
		product := p.products[line.ProductId]
		if product == nil {
			return nil, fault.NotFound("product", line.ProductId)
		}
		if product.Stock.Available < line.Quantity {
			return nil, fault.Conflict("OUT_OF_STOCK", "not enough pieces are in stock")
		}
		quantity := line.Quantity
		if p.lie {
			quantity--
		}
		res.Products = append(res.Products, &productv1.ReservedProduct{
			ProductId: line.ProductId, Sku: product.Sku, Name: product.Name, UnitPrice: product.Price, Quantity: quantity, WeightGrams: product.WeightGrams,
		})
	}
	p.held[req.OrderId] = "reserved"
	return res, nil
}

func (p *productServer) ExtendReservation(_ context.Context, req *productv1.ExtendReservationRequest) (*productv1.ExtendReservationResponse, error) {
	return &productv1.ExtendReservationResponse{ExpireTime: req.ExpireTime}, nil
}

func (p *productServer) CommitReservation(_ context.Context, req *productv1.CommitReservationRequest) (*productv1.CommitReservationResponse, error) {
	p.set(req.OrderId, "sold")
	return &productv1.CommitReservationResponse{}, nil
}

func (p *productServer) ReleaseReservation(_ context.Context, req *productv1.ReleaseReservationRequest) (*productv1.ReleaseReservationResponse, error) {
	p.set(req.OrderId, "released")
	return &productv1.ReleaseReservationResponse{}, nil
}

func (p *productServer) BatchGetProducts(_ context.Context, req *productv1.BatchGetProductsRequest) (*productv1.BatchGetProductsResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	res := &productv1.BatchGetProductsResponse{}
	for _, id := range req.ProductIds {
		if product := p.products[id]; product != nil {
			res.Products = append(res.Products, product)
		}
	}
	return res, nil
}

// billingServer stands for the billing component.
type billingServer struct {
	billingv1connect.UnimplementedReimbursementServiceHandler

	mutex   sync.Mutex
	refunds map[string]string
}

func (b *billingServer) RefundOrder(_ context.Context, req *billingv1.RefundOrderRequest) (*billingv1.RefundOrderResponse, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.refunds == nil {
		b.refunds = map[string]string{}
	}
	b.refunds[req.OrderId] = req.Reason
	return &billingv1.RefundOrderResponse{}, nil
}

func (b *billingServer) refunded(order string) string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.refunds[order]
}

type accountServer struct {
	authv1connect.UnimplementedAccountServiceHandler
}

func (accountServer) GetAccount(_ context.Context, req *authv1.GetAccountRequest) (*authv1.GetAccountResponse, error) {
	return &authv1.GetAccountResponse{Account: &authv1.Account{UserId: req.UserId, Email: "account@example.com"}}, nil
}
