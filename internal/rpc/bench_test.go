package rpc_test

import (
	"context"
	"io"
	"testing"

	"connectrpc.com/connect/v2/connectinprocess"

	productv1 "github.com/commercestack/commercestack/api/gen/commerce/product/v1"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// BenchmarkInProcess is what a call costs a component that runs beside its target.
func BenchmarkInProcess(b *testing.B) {
	bench := newBench(b, func(o *rpc.ServerOptions) { o.Logger = telemetry.NewLogger(io.Discard, "info") })
	bench.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return nil }
	client := rpc.NewClient(connectinprocess.New(bench.server), rpc.ClientOptions{Caller: "order", Target: "product"})
	ctx := telemetry.WithRequestID(identity.With(context.Background(), identity.Identity{UserID: "u"}), "r")
	b.ReportAllocs()
	for b.Loop() {
		if err := get(ctx, client); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHTTP is what the same call costs over the loopback.
func BenchmarkHTTP(b *testing.B) {
	bench := newBench(b, func(o *rpc.ServerOptions) { o.Logger = telemetry.NewLogger(io.Discard, "info") })
	bench.catalog.get = func(context.Context, *productv1.GetProductRequest) error { return nil }
	client := rpc.NewClient(rpc.NewTransport(bench.http.Client(), bench.http.URL), rpc.ClientOptions{Caller: "order", Target: "product", Remote: true, Signer: bench.signer})
	b.ReportAllocs()
	for b.Loop() {
		if err := get(b.Context(), client); err != nil {
			b.Fatal(err)
		}
	}
}
