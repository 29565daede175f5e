package rpc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/telemetry"
)

const id = "0198c1de-7b1a-7000-8000-000000000001"

// stock and catalog answer as a test tells them to.
type stock struct {
	productv1connect.UnimplementedStockServiceHandler
	commit func(context.Context, *productv1.CommitReservationRequest) error
}

func (s *stock) CommitReservation(ctx context.Context, request *productv1.CommitReservationRequest) (*productv1.CommitReservationResponse, error) {
	return &productv1.CommitReservationResponse{}, s.commit(ctx, request)
}

func (s *stock) ReserveStock(context.Context, *productv1.ReserveStockRequest) (*productv1.ReserveStockResponse, error) {
	return &productv1.ReserveStockResponse{}, nil
}

type catalog struct {
	productv1connect.UnimplementedProductServiceHandler
	get func(context.Context, *productv1.GetProductRequest) error
}

func (c *catalog) GetProduct(ctx context.Context, request *productv1.GetProductRequest) (*productv1.GetProductResponse, error) {
	return &productv1.GetProductResponse{Product: &productv1.Product{Id: request.GetProductId()}}, c.get(ctx, request)
}

func (c *catalog) CreateCategory(context.Context, *productv1.CreateCategoryRequest) (*productv1.CreateCategoryResponse, error) {
	return &productv1.CreateCategoryResponse{}, nil
}

// bench is a server with both doubles and the ways to reach it.
type bench struct {
	server   *connect.Server
	http     *httptest.Server
	stock    stock
	catalog  catalog
	logs     *syncBuffer
	registry *prometheus.Registry
	signer   *identity.Signer
	provider trace.TracerProvider
}

func newBench(tb testing.TB, configure ...func(*rpc.ServerOptions)) *bench {
	tb.Helper()
	signer, err := identity.NewSigner(identity.GenerateKeys())
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{logs: &syncBuffer{}, registry: prometheus.NewRegistry(), signer: signer}
	options := rpc.ServerOptions{Logger: telemetry.NewLogger(b.logs, "debug"), Registry: b.registry, Signer: signer}
	for _, change := range configure {
		change(&options)
	}
	b.provider = options.TracerProvider
	b.server = rpc.NewServer(options)
	productv1connect.RegisterStockServiceHandler(b.server, &b.stock)
	productv1connect.RegisterProductServiceHandler(b.server, &b.catalog)
	mux := http.NewServeMux()
	rpc.Mount(mux, b.server)
	b.http = httptest.NewUnstartedServer(mux)
	b.http.Config.Protocols = new(http.Protocols)
	b.http.Config.Protocols.SetHTTP1(true)
	b.http.Config.Protocols.SetUnencryptedHTTP2(true)
	b.http.Start()
	tb.Cleanup(b.http.Close)
	return b
}

// each runs a test against the server in process and over HTTP: components
// must not be able to tell.
func each(t *testing.T, test func(t *testing.T, b *bench, client *connect.Client), configure ...func(*rpc.ServerOptions)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, configure...)
		test(t, b, rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "order", Target: "product", TracerProvider: b.provider}))
	})
	t.Run("HTTP", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, configure...)
		test(t, b, rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{
			Caller: "order", Target: "product", Remote: true, Signer: b.signer, TracerProvider: b.provider,
		}))
	})
}

func commit(ctx context.Context, client *connect.Client) error {
	_, err := productv1connect.NewStockServiceClient(client).CommitReservation(ctx, &productv1.CommitReservationRequest{OrderId: id})
	return err
}

func get(ctx context.Context, client *connect.Client) error {
	_, err := productv1connect.NewProductServiceClient(client).GetProduct(ctx, &productv1.GetProductRequest{ProductId: id})
	return err
}

func TestTargetSeesCallerAndPerson(t *testing.T) {
	t.Parallel()
	caller := identity.Identity{UserID: "u", Email: "a@example.com", Roles: []string{"user"}, GuestToken: "g", Service: "gateway", ClientIP: "192.0.2.1"}
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		var seen identity.Identity
		var request string
		b.stock.commit = func(ctx context.Context, _ *productv1.CommitReservationRequest) error {
			seen, request = identity.From(ctx), rpc.RequestID(ctx)
			return nil
		}
		ctx := telemetry.WithRequestID(identity.With(t.Context(), caller), "req-1")
		if err := commit(ctx, client); err != nil {
			t.Fatal(err)
		}
		want := caller
		want.Service = "order"
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
		if request != "req-1" {
			t.Errorf("request id %q", request)
		}
		if identity.From(ctx).Service != "gateway" {
			t.Error("the call changed its caller's identity")
		}
		if err := commit(t.Context(), client); err != nil || seen.Service != "order" || !seen.Anonymous() || request == "" {
			t.Errorf("background work: %+v, %q, %v", seen, request, err)
		}
	})
}

func TestNestedCallHasNoStaleIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	nested := rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "product", Target: "product"})
	var outer, inner identity.Identity
	b.catalog.get = func(ctx context.Context, _ *productv1.GetProductRequest) error {
		outer = identity.From(ctx)
		if rpc.RequestHeader(ctx).Get("Idempotency-Key") == "" {
			t.Error("the outer header is missing")
		}
		return commit(ctx, nested)
	}
	b.stock.commit = func(ctx context.Context, _ *productv1.CommitReservationRequest) error {
		inner = identity.From(ctx)
		if rpc.RequestHeader(ctx).Get("Idempotency-Key") != "" {
			t.Error("a header of the outer call reached the inner one")
		}
		if rpc.SetEncodedJSON(ctx, []byte("{}"), "") || rpc.WantsJSON(ctx) {
			t.Error("an inner call answers for the outer one")
		}
		return nil
	}
	ctx, info := connect.NewClientContext(identity.With(t.Context(), identity.Identity{UserID: "u"}))
	info.RequestHeader().Set("Idempotency-Key", "k")
	if err := get(ctx, rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "order", Target: "product"})); err != nil {
		t.Fatal(err)
	}
	if outer.Service != "order" || inner.Service != "product" || inner.UserID != "u" {
		t.Errorf("outer %+v, inner %+v", outer, inner)
	}
}

func TestIdentityOverHTTPMustBeSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return nil }
	stranger, err := identity.NewSigner(identity.GenerateKeys())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(signer *identity.Signer) string {
		token, err := signer.Sign(identity.Identity{Service: "order"})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, test := range map[string]struct {
		header string
		want   connect.Code
	}{
		"none": {"", connect.CodeUnauthenticated}, "garbage": {"a.b.c", connect.CodeUnauthenticated},
		"another platform's": {sign(stranger), connect.CodeUnauthenticated}, "ours": {sign(b.signer), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := connect.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL))
			ctx, info := connect.NewClientContext(t.Context())
			if test.header != "" {
				info.RequestHeader().Set(identity.Header, test.header)
			}
			err := get(ctx, plain)
			if test.want == 0 && err != nil || test.want != 0 && connect.CodeOf(err) != test.want {
				t.Errorf("%v", err)
			}
			if info.ResponseHeader().Get("X-Request-Id") == "" {
				t.Error("no request id in the answer")
			}
		})
	}
	t.Run("no signer at all", func(t *testing.T) {
		t.Parallel()
		client := rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true})
		if f := fault.From(get(t.Context(), client)); f == nil || f.Kind != fault.KindInternal {
			t.Errorf("%v", f)
		}
		huge := identity.With(t.Context(), identity.Identity{GuestToken: strings.Repeat("x", 64<<10)})
		client = rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: b.signer})
		if f := fault.From(get(huge, client)); f == nil || f.Kind != fault.KindInternal {
			t.Errorf("%v", f)
		}
	})
}

func TestAllowAnonymousIsForTests(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *rpc.ServerOptions) { o.AllowAnonymous = true })
	b.catalog.get = func(ctx context.Context, _ *productv1.GetProductRequest) error {
		if !identity.From(ctx).Anonymous() {
			return errors.New("somebody")
		}
		return nil
	}
	plain := connect.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL))
	if err := get(t.Context(), plain); err != nil {
		t.Error(err)
	}
	if err := commit(t.Context(), plain); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("an anonymous caller used an internal method: %v", err)
	}
}

func TestMethodWithoutRuleIsRefused(t *testing.T) {
	t.Parallel()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("bare.proto"), Package: proto.String("commerce.bare.v1"), Syntax: proto.String("proto3"), Dependency: []string{"commerce/product/v1/product.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("BareService"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Do"), InputType: proto.String(".commerce.product.v1.GetProductRequest"), OutputType: proto.String(".commerce.product.v1.GetProductResponse"),
		}}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	served := false
	handler := func(context.Context, connect.Spec, connect.ServerStream) error {
		served = true
		return nil
	}
	server.Register(
		connect.Method{Spec: connect.Spec{Procedure: "/commerce.bare.v1.BareService/Do", Schema: file.Services().Get(0).Methods().Get(0)}, Handler: handler},
		connect.Method{Spec: connect.Spec{Procedure: "/commerce.bare.v1.BareService/NoSchema"}, Handler: handler},
	)
	ctx := identity.With(t.Context(), identity.Identity{UserID: "u", Service: "order", Permissions: []string{"*"}})
	for _, procedure := range []string{"/commerce.bare.v1.BareService/Do", "/commerce.bare.v1.BareService/NoSchema"} {
		if err := server.Call(ctx, procedure, nil, nil); connect.CodeOf(err) != connect.CodePermissionDenied || served {
			t.Errorf("%s: %v", procedure, err)
		}
	}
	if rpc.ComponentOf("/commerce.bare.v1.BareService/Do") != "bare" || rpc.ComponentOf("/odd") != "odd" {
		t.Error("component names")
	}
}

func TestFaultsCrossEveryTransport(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		for _, want := range []*fault.Error{
			fault.Invalid("lines[0].quantity", "too many").WithField("lines[0].quantity", "7"), fault.AuthFailed("who"), fault.Unauthorized("no"),
			fault.NotFound("order", "1"), fault.Conflict("OUT_OF_STOCK", "only 1").WithMetadata("available", "1"), fault.Stale("changed"),
			fault.RateLimit(3 * time.Second), fault.Unavailable("stripe", 2*time.Second).WithMessage("stripe is down"),
			fault.New(fault.KindNotFound, "NO_RESERVATION", "none"),
		} {
			b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error {
				return want.WithCause(io.ErrUnexpectedEOF)
			}
			err := commit(t.Context(), client)
			got := fault.From(err)
			if !errors.Is(err, want) || got == nil {
				t.Errorf("%v became %v", want, err)
				continue
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: the server's cause crossed over", want.Reason)
			}
			if got.Message != want.Message || got.Field != want.Field || got.Value != want.Value || got.RetryAfter != want.RetryAfter || !cmp.Equal(got.Metadata["available"], want.Metadata["available"]) {
				t.Errorf("%+v became %+v", want, got)
			}
		}
	})
}

func TestForeignErrors(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		for _, test := range []struct {
			err  error
			want fault.Kind
			is   error
		}{
			{errors.New("dsn=postgres://secret"), fault.KindInternal, nil},
			{fault.New(fault.KindInternal, "", "secret"), fault.KindInternal, nil},
			{connect.NewError(connect.CodeNotFound, "gone"), fault.KindNotFound, nil},
			{connect.NewError(connect.CodeAlreadyExists, "there"), fault.KindConflict, nil},
			{connect.NewError(connect.CodeOutOfRange, "far"), fault.KindInvalidInput, nil},
			{connect.NewError(connect.CodeInternal, "secret").WithRemote(), fault.KindInternal, nil},
			{connect.NewError(connect.CodeUnimplemented, "no"), fault.KindInternal, nil},
			{context.DeadlineExceeded, fault.KindUnavailable, context.DeadlineExceeded},
			{context.Canceled, fault.KindUnavailable, nil}, // by somebody else than this caller
			{fault.New(fault.KindUnavailable, "CANCELED", "a component's caller went away"), fault.KindUnavailable, nil},
		} {
			b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return test.err }
			err := commit(t.Context(), client)
			if got := fault.From(err); got == nil || got.Kind != test.want && got.Reason != "UNIMPLEMENTED" || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v became %v", test.err, err)
			}
			if test.is == nil && errors.Is(err, context.Canceled) {
				t.Errorf("%v: a caller who waits is told that it went away", test.err)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is no %v", err, test.is)
			}
		}
		b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { panic("secret") }
		if err := commit(t.Context(), client); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("panic became %v", err)
		}
	})
}

func TestValidation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		_, err := productv1connect.NewStockServiceClient(client).ReserveStock(t.Context(), &productv1.ReserveStockRequest{
			OrderId: id, ExpireTime: timestamppb.Now(), Lines: []*productv1.ReserveStockRequest_Line{{ProductId: id, Quantity: 1}, {ProductId: "x", Quantity: 1}},
		})
		if f := fault.From(err); f == nil || f.Field != "lines[1].productId" || f.Value != "x" {
			t.Errorf("%+v", f)
		}
		admin := identity.With(t.Context(), identity.Identity{UserID: "u", Permissions: []string{"*"}})
		deep := &productv1.Category{}
		for range 40 {
			deep = &productv1.Category{Children: []*productv1.Category{deep}}
		}
		_, err = productv1connect.NewProductServiceClient(client).CreateCategory(admin, &productv1.CreateCategoryRequest{Category: deep})
		if f := fault.From(err); f == nil || f.Kind != fault.KindInvalidInput || !strings.Contains(f.Message, "deeper") {
			t.Errorf("%+v", f)
		}
		if _, err := productv1connect.NewProductServiceClient(client).CreateCategory(admin, &productv1.CreateCategoryRequest{Category: deep.GetChildren()[0].GetChildren()[0]}); fault.From(err) == nil {
			t.Error("38 levels pass")
		}
		if _, err := productv1connect.NewProductServiceClient(client).CreateCategory(admin, &productv1.CreateCategoryRequest{Category: &productv1.Category{Name: "n", Children: []*productv1.Category{{Name: "c"}}}}); err != nil {
			t.Error(err)
		}
	})
	if err := rpc.Warm(t.Context(), newBench(t).server); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rpc.Warm(ended, newBench(t).server); !errors.Is(err, context.Canceled) {
		t.Errorf("warming did not stop: %v", err)
	}
}

func TestUndecodableRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token, err := b.signer.Sign(identity.Identity{Service: "order"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ kind, body, want string }{
		"JSON":      {"application/json", `{"productId": secret}`, "could not be decoded"},
		"proto":     {"application/proto", "\xff\xff\xff", "could not be decoded"},
		"not UTF-8": {"application/proto", "\x0a\x01\xff", "could not be decoded"},
		"too large": {"application/json", `{"productId":"` + strings.Repeat("x", 5<<20) + `"}`, "larger than allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.http.URL+productv1connect.ProductServiceGetProductProcedure, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.kind)
			request.Header.Set(identity.Header, token)
			response, err := b.http.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), test.want) || strings.Contains(string(text), "secret") {
				t.Errorf("%d %s", response.StatusCode, text)
			}
		})
	}
}

func TestObservation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return nil }
	client := rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "order", Target: "product"})
	if err := commit(telemetry.WithRequestID(t.Context(), "one"), client); err != nil {
		t.Fatal(err)
	}
	b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error {
		return fault.Conflict("GONE", "gone")
	}
	if err := commit(t.Context(), client); err == nil {
		t.Fatal("no failure")
	}
	recorder := httptest.NewRecorder()
	telemetry.MetricsHandler(b.registry).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`commerce_rpc_requests_total{code="failed_precondition",component="product",method="StockService/CommitReservation"} 1`,
		`commerce_rpc_requests_total{code="ok",component="product",method="StockService/CommitReservation"} 1`,
		`commerce_rpc_duration_seconds_count{component="product",method="StockService/CommitReservation"} 2`,
		`commerce_rpc_in_flight{component="product"} 0`,
	} {
		if !strings.Contains(recorder.Body.String(), line+"\n") {
			t.Errorf("no %s in\n%s", line, recorder.Body)
		}
	}
	logs := b.logs.String()
	for _, part := range []string{`"requestId":"one"`, `"component":"product"`, `"procedure":"/commerce.product.v1.StockService/CommitReservation"`, `"code":"ok"`, `"level":"DEBUG"`, `"reason":"GONE"`, `"level":"INFO"`, `"duration":`} {
		if !strings.Contains(logs, part) {
			t.Errorf("no %s in %s", part, logs)
		}
	}
	rpc.NewServer(rpc.ServerOptions{Registry: b.registry}) // a second server shares the metrics
}

func TestTimeoutEndsCallsWithoutDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *rpc.ServerOptions) { o.Timeout = 30 * time.Millisecond })
	b.catalog.get = func(ctx context.Context, _ *productv1.GetProductRequest) error {
		<-ctx.Done()
		return errors.New("driver: statement canceled") // as a database driver words it
	}
	token, err := b.signer.Sign(identity.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set(identity.Header, token)
	err = get(ctx, connect.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL)))
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("%v", err)
	}
}

func TestInterceptorsRunInsideOurs(t *testing.T) {
	t.Parallel()
	var ran atomic.Int32
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return nil }
		if err := commit(t.Context(), client); err != nil || ran.Load() == 0 {
			t.Errorf("%v", err)
		}
	}, func(o *rpc.ServerOptions) {
		o.Interceptors = []connect.ServerInterceptor{func(next connect.ServerFunc) connect.ServerFunc {
			return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
				if identity.From(ctx).Service == "order" {
					ran.Add(1)
				}
				return next(ctx, spec, stream)
			}
		}}
	})
}
