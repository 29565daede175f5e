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
	// Outside reaches servers beside the components that may have a certificate of the stack's own authority, such as
	// the Stripe simulator; nil when there is no such authority.
	Outside http.RoundTripper
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

// Invariant is a rule that holds at any time unless something is broken, told
// by the component that owns the rows.
type Invariant struct {
	// Name of the rule, such as "stock_consistent".
	Name string
	// Violations counts what breaks it, by a query that is cheap whatever the size of the tables.
	Violations func(ctx context.Context) (int64, error)
}

// Component is what a component gives the program.
type Component struct {
	// Name of the component, such as "order".
	Name string
	// Register adds the component's services to the server.
	Register func(*connect.Server)
	// Routes are raw HTTP routes by http.ServeMux pattern, for what is neither RPC nor REST (pages, images).
	Routes map[string]http.Handler
	// Run are the loops that serving needs, such as keeping a cache true. Each returns when its context ends. An error
	// stops the process.
	Run []func(context.Context) error
	// Work are the loops that work on queues: jobs, mails, what waits for another try. A process that only serves runs
	// none of them, and one that only works serves nothing, so that both can be scaled apart.
	Work []func(context.Context) error
	// Invariants are looked at now and then by processes that work.
	Invariants []Invariant
	// Ready fails while the component cannot serve.
	Ready func(context.Context) error
	// Close frees what New opened. It may be nil.
	Close func()
}
