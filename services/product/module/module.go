// Package module starts the product component.
package module

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/api/gen/commerce/product/v1/productv1connect"
	"github.com/commercestack/commercestack/ent/product/migrations"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/job"
	"github.com/commercestack/commercestack/services/product"
	"github.com/commercestack/commercestack/services/product/cache"
	"github.com/commercestack/commercestack/services/product/rpc"
	"github.com/commercestack/commercestack/services/product/store"
)

// Config of the component.
type Config struct {
	// CacheBytes bounds the memory of the catalog cache.
	CacheBytes int64 `default:"33554432" env:"COMMERCE_PRODUCT_CACHE_BYTES" help:"Memory of the catalog cache in bytes."`
	// ExpireEvery is how often reservations whose time is over are ended.
	ExpireEvery time.Duration `default:"10s" env:"COMMERCE_PRODUCT_EXPIRE_EVERY" help:"How often overdue reservations are ended."`
}

// Migrations of the component's schema.
var Migrations fs.FS = migrations.FS

// New builds the component.
func New(_ context.Context, config Config, env component.Env) (*component.Component, error) {
	if env.DB == nil || env.Objects == nil || env.Now == nil {
		return nil, errors.New("product: the environment lacks the database, the object store or the clock")
	}
	st := store.New(env.DB, env.Currency)
	service, err := product.New(product.Config{
		Store: st, Pictures: store.NewPictures(env.Objects), Currency: env.Currency, Now: env.Now,
	})
	if err != nil {
		return nil, err
	}
	reads, err := cache.New(cache.Config{
		Source: st, Redis: env.Redis, Registry: env.Registry, Logger: env.Logger, Now: env.Now, MaxBytes: config.CacheBytes,
	})
	if err != nil {
		return nil, err
	}
	jobs, err := newJobs(config, env, service)
	if err != nil {
		return nil, err
	}
	handlers := rpc.Config{Service: service, Cache: reads, NewID: idempotency.ResourceID, PublicURL: env.PublicURL}
	return &component.Component{
		Name: env.Name,
		Register: func(server *connect.Server) {
			productv1connect.RegisterProductServiceHandler(server, rpc.NewHandler(handlers))
			productv1connect.RegisterStockServiceHandler(server, rpc.NewStockHandler(handlers))
		},
		Routes: map[string]http.Handler{
			"GET " + rpc.MediaPath + "{key...}": http.StripPrefix(rpc.MediaPath, env.Objects.Handler(env.Logger)),
		},
		Run:        []func(context.Context) error{reads.Run},
		Work:       []func(context.Context) error{jobs.Run},
		Invariants: []component.Invariant{{Name: "stock_consistent", Violations: store.NewStockAudit(env.DB).Violations}},
		Ready:      env.DB.Ping,
	}, nil
}

// expireArgs asks for one sweep of overdue reservations.
type expireArgs struct{}

// Kind names the job.
func (expireArgs) Kind() string { return "product_expire_reservations" }

func newJobs(config Config, env component.Env, service *product.Service) (*job.Client, error) {
	jobs, err := job.New(env.DB, job.Config{Logger: env.Logger, Registry: env.Registry, Queues: map[string]int{job.DefaultQueue: 2}})
	if err != nil {
		return nil, err
	}
	job.Register(jobs, func(ctx context.Context, _ *job.Job[expireArgs]) error {
		_, err := service.Expire(ctx)
		return err
	})
	every := config.ExpireEvery
	if every <= 0 {
		every = 10 * time.Second
	}
	return jobs, jobs.Periodic(every, expireArgs{})
}
