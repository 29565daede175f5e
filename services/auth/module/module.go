package module

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/ent/auth/migrations"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/services/auth"
	"github.com/commercestack/commercestack/services/auth/password"
	"github.com/commercestack/commercestack/services/auth/rpc"
	"github.com/commercestack/commercestack/services/auth/store"
	"github.com/commercestack/commercestack/services/auth/throttle"
	"github.com/commercestack/commercestack/services/auth/token"
	"github.com/commercestack/commercestack/services/auth/upstream"
	"github.com/commercestack/commercestack/services/auth/web"
)

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component. It makes sure that a signing key exists, so a
// process that is ready can log people in.
func New(ctx context.Context, config Config, env component.Env) (*component.Component, error) {
	service, jobs, err := build(config, env)
	if err != nil {
		return nil, err
	}
	if err := service.RotateKeys(ctx); err != nil {
		return nil, fmt.Errorf("auth: signing keys: %w", err)
	}
	return &component.Component{
		Name: env.Name,
		Register: func(server *connect.Server) {
			rpc.Register(server, service, idempotency.ResourceID)
		},
		Routes: web.Routes(service, env.Logger),
		Work:   []func(context.Context) error{jobs.Run},
		Ready:  env.DB.Ping,
	}, nil
}

// EnsureAdmin makes sure that the address has an account that may do
// everything and reports whether it made one. It needs the database and the
// keyring of env. An existing account keeps its password when keepPassword is set.
func EnsureAdmin(ctx context.Context, config Config, env component.Env, email, password string, keepPassword bool) (created bool, err error) {
	env.Registry = nil // the running component, if any, has registered its metrics
	service, _, err := build(config, env)
	if err != nil {
		return false, err
	}
	// A hash takes tens of megabytes that a start should not leave behind.
	defer debug.FreeOSMemory()
	return service.EnsureAdmin(ctx, auth.EnsureAdminInput{Email: email, Password: password, KeepPassword: keepPassword})
}

func build(config Config, env component.Env) (*auth.Service, *job.Client, error) {
	if err := config.validate(); err != nil {
		return nil, nil, err
	}
	if env.DB == nil || env.Keyring == nil || env.Now == nil || env.Client == nil || env.Logger == nil {
		return nil, nil, errors.New("auth: the environment lacks the database, the keyring, the clock, the clients or the logger")
	}
	jobs, err := job.New(env.DB, job.Config{Logger: env.Logger, Registry: env.Registry})
	if err != nil {
		return nil, nil, err
	}
	var service *auth.Service
	if err := registerJobs(jobs, func() *auth.Service { return service }); err != nil {
		return nil, nil, err
	}
	keys := func(ctx context.Context) ([]auth.SigningKey, error) { return service.VerificationKeys(ctx) }
	service, err = auth.New(config.domain(env.PublicURL), auth.Deps{
		Store:  store.New(env.DB, enqueueMail(jobs)),
		Hasher: password.New(config.password()), Throttle: throttle.New(env.Redis, env.Now, env.Logger),
		Tokens: token.New(keys, env.Now), Sealer: env.Keyring,
		Revocations: jwtverify.NewRevocations(env.Redis, env.Now, env.Logger),
		Mailer:      upstream.NewMailer(env.Client("notification")),
		Now:         env.Now, Logger: env.Logger,
	})
	return service, jobs, err
}
