package rpc

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/commercestack/commercestack/internal/fault"
)

// watchEvery is how often a health watch looks again.
const watchEvery = 2 * time.Second

// health is gRPC's health service over the readiness of the process.
type health struct {
	services map[string]bool
	ready    func(ctx context.Context, service string) error
	every    time.Duration
}

func registerHealth(server *connect.Server, ready func(ctx context.Context, service string) error) {
	h := &health{services: map[string]bool{"": true}, ready: ready, every: watchEvery}
	for spec := range server.Specs() {
		service, _ := splitProcedure(spec.Procedure)
		h.services[service] = true
	}
	methods := grpc_health_v1.File_grpc_health_v1_health_proto.Services().ByName("Health").Methods()
	server.Register(
		connect.Method{Spec: connect.Spec{
			StreamType: connect.StreamTypeUnary, Schema: methods.ByName("Check"), Procedure: grpc_health_v1.Health_Check_FullMethodName,
			IdempotencyLevel: connect.IdempotencyNoSideEffects,
		}, Handler: h.check},
		connect.Method{Spec: connect.Spec{
			StreamType: connect.StreamTypeServer, Schema: methods.ByName("Watch"), Procedure: grpc_health_v1.Health_Watch_FullMethodName,
		}, Handler: h.watch},
	)
}

func (h *health) status(ctx context.Context, service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if h.ready(ctx, service) != nil {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

func (h *health) check(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var request grpc_health_v1.HealthCheckRequest
	if err := stream.Receive(&request); err != nil {
		return undecodable(err, connect.StreamTypeUnary)
	}
	if !h.services[request.GetService()] {
		return fault.NotFound("service", request.GetService())
	}
	return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: h.status(ctx, request.GetService())})
}

// watch sends the status now and whenever it changes, until the caller leaves.
func (h *health) watch(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var request grpc_health_v1.HealthCheckRequest
	if err := stream.Receive(&request); err != nil {
		return undecodable(err, connect.StreamTypeUnary)
	}
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	for {
		now := grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
		if h.services[request.GetService()] {
			now = h.status(ctx, request.GetService())
		}
		if now != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return errors.Join(errCanceled, err)
			}
			last = now
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
