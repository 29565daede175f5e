package rest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect/v2"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
)

func newBenchServer() *connect.Server {
	server := rpc.NewServer(rpc.ServerOptions{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	productv1connect.RegisterProductServiceHandler(server, newCatalog())
	return server
}

// bare is a stream that neither decodes nor encodes.
type bare struct{ request *productv1.GetProductRequest }

func (b bare) SendHeaders() error { return nil }
func (b bare) Send(any) error     { return nil }
func (b bare) Receive(msg any) error {
	msg.(*productv1.GetProductRequest).ProductId = b.request.GetProductId()
	return nil
}

// BenchmarkHandler is the floor: interceptors and handler without a transport.
func BenchmarkHandler(b *testing.B) {
	server := newBenchServer()
	ctx := identity.With(context.Background(), guest)
	stream := bare{&productv1.GetProductRequest{ProductId: productID}}
	b.ReportAllocs()
	for b.Loop() {
		if err := server.Call(ctx, productv1connect.ProductServiceGetProductProcedure, nil, stream); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkHTTP(b *testing.B, handler http.Handler, newRequest func() *http.Request) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		request := newRequest()
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request.WithContext(identity.With(request.Context(), guest)))
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Body)
		}
	}
}

func BenchmarkREST(b *testing.B) {
	benchmarkHTTP(b, rest.New(newBenchServer()), func() *http.Request {
		return httptest.NewRequest(http.MethodGet, "/api/v1/products/"+productID, nil)
	})
}

func BenchmarkRESTEncoded(b *testing.B) {
	benchmarkHTTP(b, rest.New(newBenchServer()), func() *http.Request {
		return httptest.NewRequest(http.MethodGet, "/api/v1/products?q=encoded", nil)
	})
}

func BenchmarkConnectJSON(b *testing.B) {
	mux := http.NewServeMux()
	rpc.Mount(mux, newBenchServer())
	benchmarkHTTP(b, mux, func() *http.Request {
		request := httptest.NewRequest(http.MethodPost, productv1connect.ProductServiceGetProductProcedure, body(`{"productId":"`+productID+`"}`))
		request.Header.Set("Content-Type", "application/json")
		return request
	})
}

func BenchmarkMatch(b *testing.B) {
	table := contract(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := table.Match(http.MethodGet, "/api/v1/products/"+productID); !ok {
			b.Fatal("no match")
		}
	}
}
