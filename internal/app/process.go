package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/certificate"
	"github.com/commercestack/commercestack/internal/clock"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/internal/outbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// resources are what a process opened before it builds components.
type resources struct {
	keys     keys
	redis    redis.UniversalClient
	objects  *objectstore.Store
	logger   *slog.Logger
	registry telemetry.Registry
	// databaseURL returns a component's login.
	databaseURL func(component string) (string, error)
	// sharedLimits is false when Redis is this process's own, so that limits need not leave the process.
	sharedLimits bool
	// extra are handlers of this process that belong to no component (the Stripe simulator), by mux pattern.
	extra map[string]http.Handler
	// loops run beside the components'.
	loops []func(context.Context) error
	// tracing makes spans; nil is off.
	tracing trace.TracerProvider
	// peers is the certificate of this process among components; nil is plain HTTP.
	peers *certificate.Store
	// public is the certificate of the public address; nil is plain HTTP.
	public *certificate.Store
	// role says whether the process serves, works on queues, or both; "" is both.
	role role
	// patience is how long a start waits for a database that does not answer; 0 does not wait.
	patience time.Duration
}

// process is a running set of components.
type process struct {
	config     *Config
	resources  resources
	components []*component.Component
	databases  map[string]*postgres.DB
	timekeeper *postgres.DB // whose clock counts; nil without a database
	buses      map[string]bus.Bus
	keys       map[string]*idempotency.Store
	directory  *directory
	server     *connect.Server
	invariants *prometheus.GaugeVec
	draining   atomic.Bool
	listeners  []listener
	// withGateway is true when this process has the public listener.
	withGateway bool
	// inner serves the components of this process; public is the gateway.
	inner, public http.Handler
	clock         *clock.Clock
}

// newProcess builds the named components. remote holds the addresses of the
// others. Whatever was opened is closed again when something fails.
func newProcess(ctx context.Context, config *Config, names []string, remote map[string]*url.URL, r resources) (_ *process, err error) {
	chosen, withGateway, err := choose(names)
	if err != nil {
		return nil, err
	}
	if err := checkWork(r.role, chosen, withGateway); err != nil {
		return nil, err
	}
	wall, err := config.wall()
	if err != nil {
		return nil, err
	}
	p := &process{
		config: config, resources: r, databases: make(map[string]*postgres.DB), buses: make(map[string]bus.Bus),
		keys: make(map[string]*idempotency.Store), withGateway: withGateway, clock: clock.New(wall, r.logger),
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, entry := range chosen {
		if entry.migrations == nil {
			continue
		}
		if err := p.openDatabase(ctx, entry.name); err != nil {
			return nil, err
		}
	}
	p.server = p.newServer()
	p.directory = &directory{
		server: p.server, local: make(map[string]bool), remote: remote, signer: r.keys.signer, tracing: r.tracing,
		http: &http.Client{Transport: newTransport(r.peers)}, clients: make(map[string]*connect.Client),
	}
	for _, entry := range chosen {
		p.directory.local[entry.name] = true
	}
	if err := p.checkRemotes(); err != nil {
		return nil, err
	}
	for _, entry := range chosen {
		if err := p.build(ctx, entry); err != nil {
			return nil, err
		}
	}
	if r.role.works() {
		p.invariants = newInvariants()
		if err := r.registry.Register(p.invariants); err != nil {
			return nil, err
		}
	}
	return p, p.addHandlers()
}

func (p *process) openDatabase(ctx context.Context, name string) error {
	login, err := p.resources.databaseURL(name)
	if err != nil {
		return err
	}
	replica := ""
	if p.config.DatabaseReplicaURL != "" {
		replica = replaceComponent(p.config.DatabaseReplicaURL, name)
	}
	db, err := p.awaitDatabase(ctx, postgres.Config{
		URL: login, Schema: name, ReplicaURL: replica, MaxConns: p.config.DatabaseMaxConns, Logger: p.resources.logger,
	})
	if err != nil {
		return fmt.Errorf("component %s: %w", name, err)
	}
	p.databases[name] = db
	p.resources.registry.MustRegister(db.Collector(), outbox.Collector(db))
	if p.timekeeper != nil {
		return nil
	}
	// All schemas are in one database, so the first one is asked for the time.
	p.resources.registry.MustRegister(p.clock.Collector())
	if err := p.await(ctx, "time", func() error { return p.clock.Follow(ctx, db.Pool()) }); err != nil {
		return fmt.Errorf("component %s: ask the database for its time: %w", name, err)
	}
	p.timekeeper = db
	return nil
}

// databasePause is the time between two attempts to reach a database at the start.
const databasePause = 500 * time.Millisecond

// awaitDatabase opens a database. One that is away for a moment, or whose name is not known yet, is waited for: a
// process that ended instead would be started again after a pause that grows. What no waiting helps, such as a wrong
// password, fails at once.
func (p *process) awaitDatabase(ctx context.Context, config postgres.Config) (db *postgres.DB, err error) {
	return db, p.await(ctx, config.Schema, func() error {
		db, err = postgres.Open(ctx, config)
		return err
	})
}

// await tries something of the database until it succeeds, fails for good, or patience is over.
func (p *process) await(ctx context.Context, what string, try func() error) error {
	for begun := time.Now(); ; {
		err := try()
		if err == nil || fault.From(postgres.Fault(err)) == nil || time.Since(begun) >= p.resources.patience {
			return err
		}
		p.resources.logger.WarnContext(ctx, "waiting for the database", "what", what, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(databasePause):
		}
	}
}

// build makes one component with everything it is allowed to touch, and nothing else.
func (p *process) build(ctx context.Context, entry registration) error {
	events, err := p.newBus(ctx, entry.name)
	if err != nil {
		return fmt.Errorf("component %s: event bus: %w", entry.name, err)
	}
	env := component.Env{
		Name: entry.name, Logger: p.resources.logger.With(slog.String("component", entry.name)), DB: p.databases[entry.name],
		Bus: events, Redis: p.resources.redis, Client: p.directory.clientFor(entry.name), Keyring: p.resources.keys.ring,
		Objects: p.resources.objects, Registry: p.resources.registry, Now: p.clock.Now,
		Outside: newOutsideTransport(p.resources.peers), PublicURL: p.config.PublicURL, Development: p.config.Development, Currency: p.config.Currency,
	}
	built, err := entry.build(ctx, p.config, env)
	if err != nil {
		return fmt.Errorf("component %s: %w", entry.name, err)
	}
	if built.Register != nil {
		built.Register(p.server)
	}
	p.components = append(p.components, built)
	return nil
}

// run serves until the context ends, then stops in the order that loses
// nothing: say not ready, finish requests, stop background loops, close.
func (p *process) run(ctx context.Context) error {
	defer p.close()
	loops, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	group, groupCtx := errgroup.WithContext(loops)
	if p.resources.role.serves() {
		for _, built := range p.components {
			for _, loop := range built.Run {
				group.Go(named(groupCtx, built.Name, loop))
			}
		}
	}
	if p.resources.role.works() {
		p.work(groupCtx, group)
	}
	for i := range p.listeners {
		group.Go(p.listeners[i].serve)
	}
	if p.timekeeper != nil {
		group.Go(named(groupCtx, "clock", func(ctx context.Context) error { return p.clock.Run(ctx, p.timekeeper.Pool()) }))
	}
	for _, loop := range p.resources.loops {
		group.Go(named(groupCtx, "simulator", loop))
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-groupCtx.Done():
		}
		p.draining.Store(true)
		if ctx.Err() != nil && p.resources.role.serves() {
			time.Sleep(p.config.DrainDelay)
		}
		p.shutdownListeners()
		stopLoops()
		return nil
	})
	err := group.Wait()
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || err == nil) {
		return nil
	}
	return err
}

// work runs what the queues of the components need: events are delivered, jobs
// run, outboxes are relayed to the bus, and what was remembered against
// repetition is forgotten in time.
func (p *process) work(ctx context.Context, group *errgroup.Group) {
	for _, events := range p.buses {
		group.Go(named(ctx, "event bus", events.Run))
	}
	for _, built := range p.components {
		for _, loop := range built.Work {
			group.Go(named(ctx, built.Name, loop))
		}
		db, ok := p.databases[built.Name]
		if !ok {
			continue
		}
		group.Go(named(ctx, built.Name+" invariants", p.watchInvariants(built, db)))
		relay := &outbox.Relay{DB: db, Bus: p.buses[built.Name], Logger: p.resources.logger}
		if p.resources.role == roleWorker {
			relay.Poll = workerPoll // nobody in this process wakes it
		}
		group.Go(named(ctx, built.Name+" outbox", relay.Run))
		group.Go(named(ctx, built.Name+" idempotency", p.keys[built.Name].Run))
		group.Go(named(ctx, built.Name+" inbox", func(ctx context.Context) error { return inbox.Run(ctx, db, p.resources.logger) }))
	}
}

// workerPoll is how often a worker looks at an outbox that other processes fill.
const workerPoll = 250 * time.Millisecond

// named wraps a loop so that its failure says whose it is.
func named(ctx context.Context, name string, loop func(context.Context) error) func() error {
	return func() error {
		if err := loop(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
}

// ready fails while a component cannot serve, or once the process drains.
func (p *process) ready(ctx context.Context) error {
	if p.draining.Load() {
		return errors.New("stopping")
	}
	for _, built := range p.components {
		if built.Ready == nil {
			continue
		}
		if err := built.Ready(ctx); err != nil {
			return fmt.Errorf("component %s is not ready", built.Name)
		}
	}
	return nil
}

// close frees what newProcess opened. It runs after everything stopped.
func (p *process) close() {
	for _, built := range p.components {
		if built.Close != nil {
			built.Close()
		}
	}
	for _, events := range p.buses {
		events.Close()
	}
	for _, db := range p.databases {
		db.Close()
	}
	for i := range p.listeners {
		p.listeners[i].close()
	}
}
