// Package component says what the program gives a component and what a
// component gives back. A component knows nothing else of the program, so the
// same code runs alone or beside the others in one process.
package component

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/internal/postgres"
)

// Env is what a component gets from the program.
type Env struct {
	// Name of the component, such as "order".
	Name string
	// Logger writes JSON with the component's name.
	Logger *slog.Logger
	// DB is the component's own schema under its own login role; nil for components without data.
	DB *postgres.DB
	// Bus carries events; subscriptions are registered in New.
	Bus bus.Bus
	// Redis is the cache. It may be down at any time and nothing about money lives only there.
	Redis redis.UniversalClient
	// Client returns a client of another component, in process or over the network.
	Client func(component string) *connect.Client
	// Keyring encrypts sensitive fields at rest.
	Keyring *crypto.Keyring
	// Objects holds uploads.
	Objects *objectstore.Store
	// Registry takes the component's metrics.
	Registry prometheus.Registerer
	// Now is the clock.
	Now func() time.Time
	// PublicURL is the shop's address as customers see it, without a trailing slash.
	PublicURL string
	// Development is true where external services are simulated.
	Development bool
	// Currency is the shop's ISO 4217 currency.
	Currency string
}

// Component is what a component gives the program.
type Component struct {
	// Name of the component, such as "order".
	Name string
	// Register adds the component's services to the server.
	Register func(*connect.Server)
	// Routes are raw HTTP routes by http.ServeMux pattern, for what is neither RPC nor REST (pages, images).
	Routes map[string]http.Handler
	// Run are background loops; each returns when its context ends. An error stops the process.
	Run []func(context.Context) error
	// Ready fails while the component cannot serve.
	Ready func(context.Context) error
	// Close frees what New opened. It may be nil.
	Close func()
}
