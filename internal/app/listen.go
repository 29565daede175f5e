package app

import (
	"context"
	"net/http"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/audit"
	"github.com/commercestack/commercestack/internal/bus"
	"github.com/commercestack/commercestack/internal/bus/natsbus"
	"github.com/commercestack/commercestack/internal/bus/postgresbus"
	"github.com/commercestack/commercestack/internal/idempotency"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/services/gateway"
)

// addHandlers builds what the process serves: its components, and the gateway
// in front of all when it is here.
func (p *process) addHandlers() error {
	if !p.resources.role.serves() {
		return nil
	}
	p.inner = p.handler()
	if !p.withGateway {
		return nil
	}
	config, err := p.config.Gateway.config()
	if err != nil {
		return err
	}
	options := gateway.Options{
		Config: config, Local: make(map[string]http.Handler), Remote: make(map[string][]gateway.Target),
		Verify: p.newVerify(), Signer: p.resources.keys.signer, Transport: p.directory.http.Transport,
		Logger: p.resources.logger, Registry: p.resources.registry, Now: p.clock.Now,
	}
	if p.resources.sharedLimits {
		options.Redis = p.resources.redis
	}
	for name := range p.directory.local {
		options.Local[name] = p.inner
	}
	if len(p.resources.extra) > 0 {
		options.Local[simulatorName] = p.inner
	}
	options.Local[gatewayName] = p.gatewayRoutes()
	for name, u := range p.directory.remote {
		options.Remote[name] = target(u)
	}
	public, err := gateway.New(options)
	if err != nil {
		return err
	}
	p.public = traced(p.resources.tracing, public)
	return nil
}

// addListeners opens the addresses. With a gateway in the process, listen is
// the public one and internal, when given, serves the components to peers. A
// worker has the address of its metrics only.
func (p *process) addListeners(listen, internal, metrics string) error {
	switch {
	case !p.resources.role.serves():
	case p.public == nil:
		if err := p.listenTLS(listen, p.inner, peerTLS(p.resources.peers)); err != nil {
			return err
		}
	default:
		if err := p.listenTLS(listen, p.public, publicTLS(p.resources.public, p.resources.peers)); err != nil {
			return err
		}
		if internal == "" {
			break
		}
		if err := p.listenTLS(internal, p.inner, peerTLS(p.resources.peers)); err != nil {
			return err
		}
	}
	return p.listenMetrics(metrics)
}

// listenMetrics opens the address of probes and Prometheus, unless it is empty.
func (p *process) listenMetrics(address string) error {
	if address == "" {
		return nil
	}
	if err := p.listen(address, p.metricsHandler()); err != nil {
		return err
	}
	p.listeners[len(p.listeners)-1].last = true
	return nil
}

// addresses lists where the process listens, in the order of addListeners.
func (p *process) addresses() []string {
	all := make([]string, 0, len(p.listeners))
	for i := range p.listeners {
		all = append(all, p.listeners[i].net.Addr().String())
	}
	return all
}

// dataInterceptors are what runs just before a handler, with the database of
// the component that owns the method.
func (p *process) dataInterceptors() []connect.ServerInterceptor {
	for name, db := range p.databases {
		p.keys[name] = idempotency.NewStore(db, p.resources.keys.ring, idempotency.WithLogger(p.resources.logger))
	}
	return []connect.ServerInterceptor{
		audit.Interceptor(func(procedure string) *postgres.DB { return p.databases[rpc.ComponentOf(procedure)] }, p.resources.logger),
		idempotency.Interceptor(func(procedure string) *idempotency.Store { return p.keys[rpc.ComponentOf(procedure)] }),
	}
}

// newBus gives a component the bus: in PostgreSQL under the component's own
// login, so that it can only claim deliveries of its own subscriptions, or NATS
// when an address is configured.
func (p *process) newBus(ctx context.Context, name string) (bus.Bus, error) {
	db := p.databases[name]
	if db == nil {
		return nil, nil //nolint:nilnil // a component without data has no bus
	}
	var events bus.Bus
	var err error
	if p.config.NATSURL != "" {
		events, err = natsbus.New(ctx, natsbus.Config{
			URL: p.config.NATSURL, Credentials: p.config.NATSCredsFile, AuthoritiesFile: p.config.NATSCAFile, Replicas: p.config.NATSReplicas,
			Component: name, Logger: p.resources.logger, Registry: p.resources.registry,
		})
	} else {
		events, err = postgresbus.New(ctx, postgresbus.Config{DB: db, Logger: p.resources.logger, Registry: p.resources.registry})
	}
	if err != nil {
		return nil, err
	}
	p.buses[name] = events
	return events, nil
}
