// Package module starts the user component.
package module

import (
	"context"
	"errors"
	"io/fs"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/api/gen/commerce/user/v1/userv1connect"
	"github.com/commercestack/commercestack/ent/user/migrations"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/services/user"
	"github.com/commercestack/commercestack/services/user/rpc"
	"github.com/commercestack/commercestack/services/user/store"
	"github.com/commercestack/commercestack/services/user/upstream"
)

// Config of the component. It has nothing to choose.
type Config struct{}

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component and registers its subscriptions.
func New(_ context.Context, _ Config, env component.Env) (*component.Component, error) {
	if env.DB == nil || env.Keyring == nil || env.Bus == nil || env.Client == nil {
		return nil, errors.New("user: the environment lacks the database, the keyring, the bus or the clients")
	}
	service, err := user.New(store.New(env.DB, env.Keyring), upstream.NewAccounts(env.Client("auth")),
		upstream.NewHoldings(env.Client("auth"), env.Client("order"), env.Client("billing")), env.Now)
	if err != nil {
		return nil, err
	}
	for _, subscription := range rpc.Subscriptions(service) {
		if err := env.Bus.Subscribe(subscription); err != nil {
			return nil, err
		}
	}
	handler := rpc.NewHandler(service, idempotency.ResourceID)
	return &component.Component{
		Name:     env.Name,
		Register: func(server *connect.Server) { userv1connect.RegisterUserServiceHandler(server, handler) },
		Ready:    env.DB.Ping,
	}, nil
}
