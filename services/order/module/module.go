package module

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	"github.com/commercestack/commercestack/ent/order/migrations"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/services/order"
	"github.com/commercestack/commercestack/services/order/rpc"
	"github.com/commercestack/commercestack/services/order/store"
	"github.com/commercestack/commercestack/services/order/task"
	"github.com/commercestack/commercestack/services/order/upstream"
)

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component and registers its subscriptions.
func New(_ context.Context, config Config, env component.Env) (*component.Component, error) {
	if env.Keyring == nil {
		return nil, errors.New("order: guest tokens need a keyring")
	}
	settings, err := config.settings(env.Currency)
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	jobs, err := job.New(env.DB, job.Config{Logger: env.Logger, Registry: env.Registry})
	if err != nil {
		return nil, err
	}
	meter, err := newMeter(env.Registry)
	if err != nil {
		return nil, err
	}
	data := store.New(env.DB, jobs)
	service, err := order.New(order.Config{
		Orders: data, Carts: data, Coupons: data,
		Stock: upstream.NewStock(env.Client("product")), Purse: upstream.NewPurse(env.Client("billing")),
		Accounts: upstream.NewAccounts(env.Client("auth")), Tokens: tokens{keyring: env.Keyring},
		Meter: meter, Logger: env.Logger, Now: env.Now, Settings: settings,
	})
	if err != nil {
		return nil, err
	}
	forget := func(ctx context.Context) error {
		_, err := inbox.Purge(ctx, env.DB)
		return err
	}
	if err := task.Register(jobs, service, config.SweepInterval, forget); err != nil {
		return nil, err
	}
	for _, subscription := range rpc.Subscriptions(service) {
		if err := env.Bus.Subscribe(subscription); err != nil {
			return nil, err
		}
	}
	return &component.Component{
		Name: env.Name,
		Register: func(server *connect.Server) {
			orders := rpc.NewOrders(service)
			orderv1connect.RegisterOrderServiceHandler(server, orders)
			orderv1connect.RegisterSettlementServiceHandler(server, orders)
			orderv1connect.RegisterCartServiceHandler(server, rpc.NewCarts(service))
			orderv1connect.RegisterCouponServiceHandler(server, rpc.NewCoupons(service))
		},
		Work:       []func(context.Context) error{jobs.Run},
		Invariants: []component.Invariant{{Name: "orders_settled", Violations: func(ctx context.Context) (int64, error) { return store.Unsettled(ctx, env.DB) }}},
		Ready:      env.DB.Ping,
	}, nil
}

// tokens derives guest tokens, so that the repetition of a request that was cut
// off hands out the token whose hash was stored.
type tokens struct {
	keyring *crypto.Keyring
}

// GuestTokens implements order.Tokens.
func (t tokens) GuestTokens(kind string, id uuid.UUID) []order.GuestToken {
	var all []order.GuestToken
	for _, token := range t.keyring.TokensFor("guest "+kind, id.String()) {
		all = append(all, order.GuestToken{Token: token, Hash: crypto.HashToken(token)})
	}
	return all
}
