// Package module starts the analytics component.
package module

import (
	"context"
	"io/fs"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/api/gen/commerce/analytics/v1/analyticsv1connect"
	"github.com/commercestack/commercestack/ent/analytics/migrations"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/services/analytics"
	"github.com/commercestack/commercestack/services/analytics/rpc"
	"github.com/commercestack/commercestack/services/analytics/store"
)

// Config of the component. It has nothing to choose.
type Config struct{}

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component and registers its subscription.
func New(_ context.Context, _ Config, env component.Env) (*component.Component, error) {
	handler := rpc.NewHandler(analytics.New(store.New(env.DB), env.Now))
	if err := env.Bus.Subscribe(bus.Subscription{
		Name: store.Subscriber, Types: rpc.EventTypes(), Handle: handler.HandleEvent, HandleBatch: handler.HandleEvents,
		// One day's row takes every event: more workers would only wait for its lock.
		Concurrency: 1,
	}); err != nil {
		return nil, err
	}
	return &component.Component{
		Name:     env.Name,
		Register: func(server *connect.Server) { analyticsv1connect.RegisterAnalyticsServiceHandler(server, handler) },
		Ready:    env.DB.Ping,
	}, nil
}
