// Package module starts the billing component.
package module

import (
	"context"
	"errors"
	"io/fs"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/ent/billing/migrations"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/pdf"
	"github.com/commercestack/commercestack/services/billing/rpc"
	"github.com/commercestack/commercestack/services/billing/store"
	"github.com/commercestack/commercestack/services/billing/upstream"
)

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component and registers its subscriptions.
func New(_ context.Context, config Config, env component.Env) (*component.Component, error) {
	if env.DB == nil || env.Keyring == nil || env.Bus == nil || env.Client == nil || env.Now == nil || env.Logger == nil {
		return nil, errors.New("billing: the environment lacks the database, the keyring, the bus, the clients, the clock or the logger")
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	meter, err := newMeter(env.Registry)
	if err != nil {
		return nil, err
	}
	provider, err := config.stripe(meter.called, env.Outside)
	if err != nil {
		return nil, err
	}
	service, err := billing.New(billing.Config{
		Store: store.New(env.DB, env.Keyring), Provider: provider, Orders: upstream.NewOrders(env.Client("order")), Meter: meter,
		Logger: env.Logger, Now: env.Now, Polls: config.Polls, Retries: config.Retries, CallTimeout: config.CallTimeout,
	})
	if err != nil {
		return nil, err
	}
	if env.Registry != nil {
		if err := env.Registry.Register(store.NewCollector(env.DB)); err != nil {
			return nil, err
		}
	}
	for _, subscription := range rpc.Subscriptions(service) {
		if err := env.Bus.Subscribe(subscription); err != nil {
			return nil, err
		}
	}
	handler := rpc.NewHandler(service, idempotency.ResourceID, provider.Verify, pdf.Render)
	return &component.Component{
		Name:       env.Name,
		Register:   func(server *connect.Server) { rpc.Register(server, handler) },
		Work:       []func(context.Context) error{service.Work},
		Invariants: []component.Invariant{{Name: "payments_reconciled", Violations: func(ctx context.Context) (int64, error) { return store.Unreconciled(ctx, env.DB) }}},
		Ready:      env.DB.Ping,
	}, nil
}
