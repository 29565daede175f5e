package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

const productID = "0198c1de-7b1a-7000-8000-000000000001"

// catalog answers for the product component in these tests. Every handler
// leaves its request in seen, so that tests can look at what was decoded.
type catalog struct {
	productv1connect.UnimplementedProductServiceHandler
	seen chan proto.Message
}

func newCatalog() *catalog { return &catalog{seen: make(chan proto.Message, 16)} }

func (c *catalog) record(message proto.Message) {
	select {
	case c.seen <- proto.Clone(message):
	default:
	}
}

func (c *catalog) ListProducts(ctx context.Context, request *productv1.ListProductsRequest) (*productv1.ListProductsResponse, error) {
	c.record(request)
	switch request.GetQ() {
	case "encoded":
		if rpc.SetEncodedJSON(ctx, []byte(`{"products":[],"nextPageToken":"ready"}`), `"v1"`) {
			return &productv1.ListProductsResponse{}, nil
		}
		return &productv1.ListProductsResponse{NextPageToken: "message"}, nil
	case "panic":
		panic("secret in a panic")
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &productv1.ListProductsResponse{Products: []*productv1.Product{sample()}}, nil
}

func (c *catalog) GetProduct(ctx context.Context, request *productv1.GetProductRequest) (*productv1.GetProductResponse, error) {
	c.record(request)
	if request.GetProductId() != productID {
		return nil, fault.NotFound("product", request.GetProductId())
	}
	rpc.SetResponseHeader(ctx, "X-Agent", rpc.RequestHeader(ctx).Get("User-Agent"))
	return &productv1.GetProductResponse{Product: sample()}, nil
}

func (c *catalog) CreateProduct(_ context.Context, request *productv1.CreateProductRequest) (*productv1.CreateProductResponse, error) {
	c.record(request)
	switch request.GetProduct().GetName() {
	case "conflict":
		return nil, fault.Conflict("SKU_TAKEN", "sku %s is taken", request.GetProduct().GetSku()).WithField("product.sku", request.GetProduct().GetSku()).WithMetadata("owner", "other")
	case "stale":
		return nil, fault.Stale("the product changed")
	case "busy":
		return nil, fault.Unavailable("search", 1500*time.Millisecond)
	case "limit":
		return nil, fault.RateLimit(30 * time.Second)
	case "broken":
		return nil, errors.New("password=hunter2 at 10.0.0.1")
	}
	return &productv1.CreateProductResponse{Product: request.GetProduct()}, nil
}

func (c *catalog) UpdateProduct(_ context.Context, request *productv1.UpdateProductRequest) (*productv1.UpdateProductResponse, error) {
	c.record(request)
	return &productv1.UpdateProductResponse{Product: request.GetProduct()}, nil
}

func (c *catalog) DeleteProduct(_ context.Context, request *productv1.DeleteProductRequest) (*productv1.DeleteProductResponse, error) {
	c.record(request)
	return &productv1.DeleteProductResponse{}, nil
}

func (c *catalog) AdjustStock(_ context.Context, request *productv1.AdjustStockRequest) (*productv1.AdjustStockResponse, error) {
	c.record(request)
	return &productv1.AdjustStockResponse{Stock: &productv1.Stock{OnHand: request.GetDelta()}}, nil
}

func (c *catalog) AddProductImage(_ context.Context, request *productv1.AddProductImageRequest) (*productv1.AddProductImageResponse, error) {
	c.record(request)
	return &productv1.AddProductImageResponse{Image: &productv1.Image{Alt: request.GetAlt(), Width: int32(len(request.GetImage().GetData()))}}, nil
}

func (c *catalog) CreateCategory(_ context.Context, request *productv1.CreateCategoryRequest) (*productv1.CreateCategoryResponse, error) {
	c.record(request)
	return &productv1.CreateCategoryResponse{Category: request.GetCategory()}, nil
}

func (c *catalog) ExportProducts(ctx context.Context, request *productv1.ExportProductsRequest) (*httpbody.HttpBody, error) {
	c.record(request)
	rpc.SetResponseHeader(ctx, "Content-Disposition", `attachment; filename="products.csv"`)
	return &httpbody.HttpBody{ContentType: "text/csv", Data: []byte("Handle,Title\n")}, nil
}

func sample() *productv1.Product {
	return &productv1.Product{
		Id: productID, Slug: "mug", Name: "Mug", Price: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 1999},
		Stock: &productv1.Stock{Available: 3}, Etag: "1", CreateTime: timestamppb.New(time.Date(2025, 1, 15, 10, 0, 0, 0, time.UTC)),
	}
}

// accounts answers for the auth component.
type accounts struct {
	authv1connect.UnimplementedAuthServiceHandler
}

func (accounts) Login(context.Context, *authv1.LoginRequest) (*authv1.LoginResponse, error) {
	return nil, fault.AuthFailed("address or password is wrong").WithField("password", "hunter2")
}

func (accounts) ValidateToken(context.Context, *authv1.ValidateTokenRequest) (*authv1.ValidateTokenResponse, error) {
	return &authv1.ValidateTokenResponse{}, nil
}

func (accounts) GetJsonWebKeySet(context.Context, *authv1.GetJsonWebKeySetRequest) (*authv1.GetJsonWebKeySetResponse, error) {
	return &authv1.GetJsonWebKeySetResponse{Keys: []*authv1.JsonWebKey{{Kty: "OKP", Crv: "Ed25519", X: "abc", Kid: "k1", Alg: "EdDSA", Use: "sig"}}}, nil
}

// payments answers for the billing component.
type payments struct {
	billingv1connect.UnimplementedBillingServiceHandler
	seen chan proto.Message
}

func (p payments) HandleStripeWebhook(ctx context.Context, request *billingv1.HandleStripeWebhookRequest) (*billingv1.HandleStripeWebhookResponse, error) {
	p.seen <- proto.Clone(request)
	if rpc.RequestHeader(ctx).Get("Stripe-Signature") == "" {
		return nil, fault.Invalid("Stripe-Signature", "the signature is missing")
	}
	return &billingv1.HandleStripeWebhookResponse{}, nil
}

// profiles answers for the user component.
type profiles struct {
	userv1connect.UnimplementedUserServiceHandler
	seen chan proto.Message
}

func (p profiles) UpdateMe(_ context.Context, request *userv1.UpdateMeRequest) (*userv1.UpdateMeResponse, error) {
	p.seen <- proto.Clone(request)
	return &userv1.UpdateMeResponse{User: request.GetUser()}, nil
}

// shop is a server with all doubles behind real HTTP.
type shop struct {
	*httptest.Server
	catalog  *catalog
	payments payments
	profiles profiles
	logs     *syncBuffer
}

var (
	admin = identity.Identity{UserID: "0198c1de-0000-7000-8000-00000000000a", Roles: []string{"admin"}, Permissions: []string{"*"}}
	user  = identity.Identity{UserID: "0198c1de-0000-7000-8000-00000000000b", Roles: []string{"user"}, Permissions: []string{"read:own", "write:own"}}
	guest = identity.Identity{}
)

// newShop starts the shop. The header X-Test-As names the caller, in the place of a gateway.
func newShop(tb testing.TB) *shop {
	tb.Helper()
	s := &shop{catalog: newCatalog(), payments: payments{seen: make(chan proto.Message, 16)}, profiles: profiles{seen: make(chan proto.Message, 16)}, logs: &syncBuffer{}}
	server := rpc.NewServer(rpc.ServerOptions{Logger: slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Timeout: 5 * time.Second})
	productv1connect.RegisterProductServiceHandler(server, s.catalog)
	authv1connect.RegisterAuthServiceHandler(server, accounts{})
	billingv1connect.RegisterBillingServiceHandler(server, s.payments)
	userv1connect.RegisterUserServiceHandler(server, s.profiles)
	orderv1connect.RegisterOrderServiceHandler(server, orderv1connect.UnimplementedOrderServiceHandler{})
	mux := http.NewServeMux()
	rpc.Mount(mux, server)
	mux.Handle("/", rest.New(server))
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		callers := map[string]identity.Identity{"": guest, "admin": admin, "user": user, "cart": {GuestToken: "t"}}
		if as := r.Header.Get("X-Test-As"); as != "nobody" {
			r = r.WithContext(identity.With(r.Context(), callers[as]))
		}
		mux.ServeHTTP(w, r)
	})
	s.Server = httptest.NewUnstartedServer(gateway)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(s.Close)
	return s
}

// answer is an HTTP answer with its body read.
type answer struct {
	*http.Response
	text string
}

func (s *shop) do(tb testing.TB, as, method, path, body string, headers ...string) answer {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("X-Test-As", as)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.Client().Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{response, string(text)}
}

// failure is the contract's error body.
type failure struct {
	Error struct {
		Code, Message, Timestamp, RequestID string
		Details                             map[string]string
	}
}

func (a answer) failure(tb testing.TB) failure {
	tb.Helper()
	var result failure
	if err := json.Unmarshal([]byte(a.text), &result); err != nil {
		tb.Fatalf("status %d, not an error body: %s", a.StatusCode, a.text)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", result.Error.Timestamp); err != nil {
		tb.Errorf("timestamp %q", result.Error.Timestamp)
	}
	if result.Error.RequestID == "" || result.Error.RequestID != a.Header.Get("X-Request-Id") {
		tb.Errorf("request id %q in the body, %q in the header", result.Error.RequestID, a.Header.Get("X-Request-Id"))
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
		tb.Errorf("headers of an error: %v", a.Header)
	}
	return result
}

func (a answer) compact(tb testing.TB) string {
	tb.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(a.text)); err != nil {
		tb.Fatalf("status %d, not JSON: %s", a.StatusCode, a.text)
	}
	return out.String()
}
