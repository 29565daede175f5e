package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is the components behind the gateway: the real RPC and REST stack with
// small handlers in it, and pages beside.
type shop struct {
	productv1connect.UnimplementedProductServiceHandler
	orderv1connect.UnimplementedOrderServiceHandler
	authv1connect.UnimplementedAuthServiceHandler

	// handler is what a component's process serves.
	handler http.Handler
	signer  *identity.Signer

	mu      sync.Mutex
	callers []identity.Identity
	headers []http.Header
	// slow holds GetOrder until it is closed or the caller's time is up.
	slow chan struct{}
}

func newShop(t testing.TB) *shop {
	t.Helper()
	signer, err := identity.NewSigner(identity.GenerateKeys())
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{signer: signer, slow: make(chan struct{})}
	server := rpc.NewServer(rpc.ServerOptions{Signer: signer, Logger: slog.New(slog.DiscardHandler)})
	productv1connect.RegisterProductServiceHandler(server, s)
	productv1connect.RegisterStockServiceHandler(server, productv1connect.UnimplementedStockServiceHandler{})
	orderv1connect.RegisterOrderServiceHandler(server, s)
	authv1connect.RegisterAuthServiceHandler(server, s)
	billingv1connect.RegisterBillingServiceHandler(server, billingv1connect.UnimplementedBillingServiceHandler{})
	mux := http.NewServeMux()
	rpc.Mount(mux, server)
	mux.HandleFunc("/media/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Content-Security-Policy", "sandbox")
		_, _ = w.Write(bytes.Repeat([]byte("png "), 1000))
	})
	mux.HandleFunc("/admin/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/panic" {
			panic("the dashboard broke: secret-value")
		}
		if r.URL.Path == "/admin/abort" {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		_, _ = w.Write([]byte("<p>admin</p>"))
	})
	mux.Handle("/", rest.New(server))
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.headers = append(s.headers, r.Header.Clone())
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	return s
}

func (s *shop) see(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callers = append(s.callers, identity.From(ctx))
}

// last returns who called last and with which headers.
func (s *shop) last(t testing.TB) (identity.Identity, http.Header) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.callers) == 0 {
		t.Fatal("no component was called")
	}
	return s.callers[len(s.callers)-1], s.headers[len(s.headers)-1]
}

func (s *shop) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.headers)
}

// ListProducts answers with enough to be worth compressing.
func (s *shop) ListProducts(ctx context.Context, request *productv1.ListProductsRequest) (*productv1.ListProductsResponse, error) {
	s.see(ctx)
	response := &productv1.ListProductsResponse{}
	for range 20 {
		response.Products = append(response.Products, &productv1.Product{Name: "Shirt " + request.GetQ(), Description: strings.Repeat("cotton ", 20)})
	}
	return response, nil
}

func (s *shop) CreateProduct(ctx context.Context, request *productv1.CreateProductRequest) (*productv1.CreateProductResponse, error) {
	s.see(ctx)
	return &productv1.CreateProductResponse{Product: request.GetProduct()}, nil
}

func (s *shop) AddProductImage(ctx context.Context, request *productv1.AddProductImageRequest) (*productv1.AddProductImageResponse, error) {
	s.see(ctx)
	return &productv1.AddProductImageResponse{Image: &productv1.Image{Alt: request.GetProductId()}}, nil
}

func (s *shop) PlaceOrder(ctx context.Context, _ *orderv1.PlaceOrderRequest) (*orderv1.PlaceOrderResponse, error) {
	s.see(ctx)
	return &orderv1.PlaceOrderResponse{Order: &orderv1.Order{Number: "1"}}, nil
}

func (s *shop) GetOrder(ctx context.Context, request *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	s.see(ctx)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.slow:
		return &orderv1.GetOrderResponse{Order: &orderv1.Order{Id: request.GetOrderId()}}, nil
	}
}

func (s *shop) ListOrders(ctx context.Context, _ *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	s.see(ctx)
	return &orderv1.ListOrdersResponse{}, nil
}

func (s *shop) Login(ctx context.Context, request *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	s.see(ctx)
	return &authv1.LoginResponse{AccessToken: "for " + request.GetEmail()}, nil
}

// tokens issues and checks access tokens as the platform does.
type tokens struct {
	key  ed25519.PrivateKey
	gone atomic.Bool
}

func newTokens(t testing.TB) *tokens {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tokens{key: key}
}

func (k *tokens) verify() func(context.Context, string) (identity.Identity, error) {
	verifier := jwtverify.New(jwtverify.Config{
		Keys: func(context.Context) (map[string]ed25519.PublicKey, error) {
			return map[string]ed25519.PublicKey{"1": k.key.Public().(ed25519.PublicKey)}, nil
		},
		Revoked: func(context.Context, string) bool { return k.gone.Load() },
	})
	return func(ctx context.Context, token string) (identity.Identity, error) {
		claims, err := verifier.Verify(ctx, token)
		if err != nil {
			return identity.Identity{}, err
		}
		return claims.Identity(), nil
	}
}

// bearer is the header of a user with permissions, whose token lives for a while.
func (k *tokens) bearer(t testing.TB, user string, life time.Duration, permissions ...string) string {
	t.Helper()
	now := time.Now().Add(-time.Hour)
	claims := jwtverify.Claims{
		UserID: user, SessionID: uuid.NewString(), Roles: []string{"user"}, Permissions: permissions,
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: user, Issuer: jwtverify.Issuer, Audience: jwt.ClaimStrings{jwtverify.Audience}, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(time.Now().Add(life)),
		},
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = "1"
	signed, err := token.SignedString(k.key)
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + signed
}

// door is a running gateway.
type door struct {
	*tokens

	url      string
	gateway  *Gateway
	registry *prometheus.Registry
	log      *syncBuffer
	client   *http.Client
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// everything are the components that the test shop serves.
var everything = []string{"auth", "product", "order", "billing", "admin", Name}

// newDoor starts a gateway with the shop behind it in the same process. change may be nil.
func newDoor(t testing.TB, behind *shop, change func(*Options)) *door {
	t.Helper()
	d := &door{tokens: newTokens(t), registry: prometheus.NewRegistry(), log: &syncBuffer{}}
	options := Options{
		Config: Config{Policies: DefaultPolicies(), RequestTimeout: 10 * time.Second, MaxBodyBytes: 16 << 20},
		Local:  make(map[string]http.Handler), Remote: make(map[string][]Target), Verify: d.verify(), Signer: behind.signer,
		Logger: slog.New(slog.NewJSONHandler(d.log, nil)), Registry: d.registry, Now: time.Now,
	}
	for _, name := range everything {
		options.Local[name] = behind.handler
	}
	if change != nil {
		change(&options)
	}
	if options.Transport == nil {
		transport := NewTransport()
		t.Cleanup(transport.CloseIdleConnections)
		options.Transport = transport
	}
	var err error
	if d.gateway, err = New(options); err != nil {
		t.Fatal(err)
	}
	d.url = serve(t, d.gateway)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	d.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

// serve runs a handler over HTTP/1.1 and HTTP/2 without TLS, as the program does.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// apart moves the shop to another process: the gateway reaches it over the network.
func apart(t testing.TB, behind *shop) func(*Options) {
	t.Helper()
	at := mustURL(t, serve(t, behind.handler))
	return func(o *Options) {
		for name := range o.Local {
			o.Remote[name] = []Target{{URL: at, Weight: 1}}
		}
		o.Local = map[string]http.Handler{}
	}
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

type answer struct {
	status int
	header http.Header
	text   string
}

// failure reads the contract's error body.
func (a answer) failure(t testing.TB) (code, message, requestID string) {
	t.Helper()
	var body struct {
		Error struct {
			Code, Message, Timestamp, RequestID string
		}
	}
	if err := json.Unmarshal([]byte(a.text), &body); err != nil || body.Error.Timestamp == "" {
		t.Fatalf("%d %q is not the contract's error body (%v)", a.status, a.text, err)
	}
	return body.Error.Code, body.Error.Message, body.Error.RequestID
}

// call sends a request. Headers are "Name: value".
func (d *door) call(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
		if name == "Content-Type" || name == "User-Agent" {
			request.Header.Set(name, value)
		}
	}
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, text: string(content)}
}

// nopRegisterer takes metrics of gateways that are never started.
type nopRegisterer struct{ prometheus.Registerer }

func (nopRegisterer) MustRegister(...prometheus.Collector) {}
