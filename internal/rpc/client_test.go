package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/health/grpc_health_v1"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		var calls atomic.Int32
		failing := func(times int32, failure error) func() error {
			calls.Store(0)
			return func() error {
				if calls.Add(1) <= times {
					return failure
				}
				return nil
			}
		}
		busy := fault.Unavailable("database", 0)
		for _, test := range []struct {
			name  string
			times int32
			err   error
			want  int32
			ok    bool
		}{
			{"recovers", 2, busy, 3, true},
			{"gives up", 9, busy, 3, false},
			{"other failures are final", 9, fault.Conflict("X", "x"), 1, false},
			{"a long pause is the caller's", 9, fault.Unavailable("database", time.Minute), 1, false},
		} {
			next := failing(test.times, test.err)
			b.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return next() }
			err := get(t.Context(), client)
			if (err == nil) != test.ok || calls.Load() != test.want {
				t.Errorf("%s: %d calls, %v", test.name, calls.Load(), err)
			}
		}
		next := failing(1, busy)
		b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return next() }
		if err := commit(t.Context(), client); err == nil || calls.Load() != 1 {
			t.Errorf("a call that changes something was sent %d times, %v", calls.Load(), err)
		}
		next = failing(9, busy)
		b.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return next() }
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		if err := get(ctx, client); err == nil || calls.Load() != 1 {
			t.Errorf("a retry beyond the deadline: %d calls, %v", calls.Load(), err)
		}
	})
}

func TestCallerEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bench, client *connect.Client) {
		b.stock.commit = func(ctx context.Context, _ *productv1.CommitReservationRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := commit(ctx, client)
		if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := commit(ctx, client); !errors.Is(err, context.Canceled) {
			t.Errorf("cancel: %v", err)
		}
	})
}

func TestDefaultDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stock.commit = func(ctx context.Context, _ *productv1.CommitReservationRequest) error {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > time.Second {
			t.Errorf("deadline in %v", left)
		}
		return nil
	}
	client := rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: b.signer, Deadline: time.Second})
	if err := commit(t.Context(), client); err != nil {
		t.Error(err)
	}
}

// refusing is a server that is there but answers nothing of ours.
func refusing(t *testing.T, status int) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server, &asked
}

// TestCircuitBreakerForgivesOneDeadPod: the calls that waited for it fail at the same moment, in the middle of others that are answered.
func TestCircuitBreakerForgivesOneDeadPod(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return nil }
	var dead atomic.Bool
	base := b.http.Client().Transport
	through := roundTripper(func(r *http.Request) (*http.Response, error) {
		if dead.Load() {
			_ = r.Body.Close()
			return nil, errors.New("connection lost")
		}
		return base.RoundTrip(r)
	})
	client := rpc.NewClient(rpc.NewTransport(&http.Client{Transport: through}, b.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: b.signer})
	for range 20 {
		if err := commit(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	dead.Store(true)
	for range 8 {
		if err := commit(t.Context(), client); err == nil {
			t.Fatal("a lost connection is no failure")
		}
	}
	dead.Store(false)
	if err := commit(t.Context(), client); err != nil {
		t.Errorf("the pods beside the dead one are given up too: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCircuitBreaker(t *testing.T) {
	t.Parallel()
	signer, err := identity.NewSigner(identity.GenerateKeys())
	if err != nil {
		t.Fatal(err)
	}
	server, asked := refusing(t, http.StatusBadGateway)
	client := rpc.NewClient(rpc.NewTransport(server.Client(), server.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: signer})
	for range 8 {
		err := commit(t.Context(), client)
		if f := fault.From(err); f == nil || f.Kind != fault.KindUnavailable || !strings.Contains(f.Message, "product") || f.RetryAfter <= 0 {
			t.Fatalf("%+v", f)
		}
	}
	if asked.Load() != 5 {
		t.Errorf("the target was asked %d times: the breaker must open after 5", asked.Load())
	}
	b := newBench(t) // a target that answers "my dependency is down" is itself up
	b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error {
		return fault.Unavailable("stripe", time.Second)
	}
	client = rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{Caller: "order", Target: "billing", Remote: true, Signer: b.signer})
	for range 8 {
		if err := commit(t.Context(), client); !strings.Contains(err.Error(), "stripe") {
			t.Fatalf("%v", err)
		}
	}
	server, _ = refusing(t, http.StatusTeapot)
	client = rpc.NewClient(rpc.NewTransport(server.Client(), server.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: signer})
	if f := fault.From(commit(t.Context(), client)); f == nil || f.Kind != fault.KindInternal {
		t.Errorf("%+v", f)
	}
}

func TestTraceCrosses(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	b := newBench(t, func(o *rpc.ServerOptions) { o.TracerProvider = provider })
	b.stock.commit = func(context.Context, *productv1.CommitReservationRequest) error { return errors.New("broken") }
	client := rpc.NewClient(rpc.NewTransport(b.http.Client(), b.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: b.signer, TracerProvider: provider})
	if err := commit(t.Context(), client); err == nil {
		t.Fatal("no failure")
	}
	b.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return nil }
	if err := get(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	spans := exporter.GetSpans()
	if len(spans) != 4 {
		t.Fatalf("%d spans", len(spans))
	}
	server, caller := spans[0], spans[1]
	if server.SpanContext.TraceID() != caller.SpanContext.TraceID() || server.Parent.SpanID() != caller.SpanContext.SpanID() {
		t.Error("the server's span is no child of the client's")
	}
	if server.Name != "commerce.product.v1.StockService/CommitReservation" || server.Status.Code.String() != "Error" {
		t.Errorf("%s %v", server.Name, server.Status)
	}
	if !strings.Contains(b.logs.String(), `"traceId":"`+server.SpanContext.TraceID().String()) {
		t.Error("the log line has no trace id")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ready := errors.New("starting")
	server := rpc.NewServer(rpc.ServerOptions{})
	mux := http.NewServeMux()
	var up atomic.Bool
	rpc.Mount(mux, server, rpc.WithoutReflection(), rpc.WithReadiness(func(context.Context, string) error {
		if up.Load() {
			return nil
		}
		return ready
	}))
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	client := connect.NewClient(connecthttp.NewTransport(h.Client(), h.URL))
	check := connect.Spec{StreamType: connect.StreamTypeUnary, Procedure: grpc_health_v1.Health_Check_FullMethodName}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{grpc_health_v1.HealthCheckResponse_NOT_SERVING, grpc_health_v1.HealthCheckResponse_SERVING} {
		var answer grpc_health_v1.HealthCheckResponse
		if err := client.CallUnary(t.Context(), check, &grpc_health_v1.HealthCheckRequest{}, &answer); err != nil || answer.GetStatus() != want {
			t.Errorf("%v, %v", answer.GetStatus(), err)
		}
		up.Store(true)
	}
	err := client.CallUnary(t.Context(), check, &grpc_health_v1.HealthCheckRequest{Service: "no.such"}, &grpc_health_v1.HealthCheckResponse{})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("%v", err)
	}
}

func TestHealthWatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client := rpc.NewClient(connecthttp.NewTransport(b.http.Client(), b.http.URL, connecthttp.WithGRPCWeb()), rpc.ClientOptions{Caller: "probe", Target: "product", Remote: true, Signer: b.signer})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := connect.Spec{StreamType: connect.StreamTypeServer, Procedure: grpc_health_v1.Health_Watch_FullMethodName}
	for service, want := range map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"commerce.product.v1.StockService": grpc_health_v1.HealthCheckResponse_SERVING, "no.such": grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN,
	} {
		stream, err := client.CallServerStream(ctx, watch, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		var answer grpc_health_v1.HealthCheckResponse
		if err := stream.Receive(&answer); err != nil || answer.GetStatus() != want {
			t.Errorf("%v, %v", answer.GetStatus(), err)
		}
		if err := stream.Close(); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
	stream, err := client.CallServerStream(ctx, connect.Spec{StreamType: connect.StreamTypeServer, Procedure: "/no.Service/Method"}, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		err = stream.Receive(&grpc_health_v1.HealthCheckResponse{})
		_ = stream.Close()
	}
	if fault.From(err) == nil {
		t.Errorf("a stream fails with %v, which is no fault", err)
	}
}

func TestReflection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	t.Cleanup(h2.CloseIdleConnections)
	stream := grpcreflect.NewClient(connect.NewClient(connecthttp.NewTransport(h2, b.http.URL, connecthttp.WithGRPC()))).NewStream(t.Context())
	defer func() { _ = stream.Close() }()
	services, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, service := range services {
		found = found || service == "commerce.product.v1.ProductService"
	}
	if !found {
		t.Errorf("%v", services)
	}
}
