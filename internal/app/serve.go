package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/commercestack/commercestack/internal/objectstore"
	"github.com/commercestack/commercestack/internal/telemetry"
	"github.com/commercestack/commercestack/internal/topology"
)

// serveCommand runs some components of a stack against databases and peers that exist.
type serveCommand struct {
	Config `embed:""`

	Components     []string          `required:"" env:"COMMERCE_COMPONENTS" help:"Components to run: ${components}."`
	Listen         string            `default:"127.0.0.1:8080" env:"COMMERCE_LISTEN" help:"Address of the gateway when it is among the components, else of the components."`
	InternalListen string            `env:"COMMERCE_INTERNAL_LISTEN" help:"Address of the components when the gateway is among them."`
	Role           role              `default:"all" enum:"all,api,worker" env:"COMMERCE_ROLE" help:"What to do: all; api serves and leaves queues (jobs, events, mails) to others; worker works on queues and has no address but that of its metrics."`
	TLS            peerFiles         `embed:"" prefix:"tls-"`
	GatewayTLS     publicFiles       `embed:"" prefix:"gateway-tls-"`
	URLs           map[string]string `name:"url" env:"COMMERCE_URLS" help:"Addresses of the other components, as name=http://host:port. COMMERCE_<COMPONENT>_URL works too."`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, s streams) error {
	logger := telemetry.NewLogger(s.err, c.LogLevel)
	r, closeAll, err := c.open(ctx, logger)
	if err != nil {
		return err
	}
	defer closeAll()
	p, err := newProcess(ctx, &c.Config, c.Components, c.remotes(), r)
	if err != nil {
		return err
	}
	if err := p.addListeners(c.Listen, c.InternalListen, c.MetricsListen); err != nil {
		p.close()
		return err
	}
	logger.InfoContext(ctx, "serving", "components", c.Components, "role", c.Role, "listen", p.addresses())
	return p.run(ctx)
}

// startPatience is shorter than the minute after which the startup probe of a pod gives up.
const startPatience = 45 * time.Second

// open makes what the components need from the configuration.
func (c *serveCommand) open(ctx context.Context, logger *slog.Logger) (resources, func(), error) {
	if c.RedisURL == "" {
		return resources{}, nil, errors.New("COMMERCE_REDIS_URL is not set")
	}
	keys, err := loadKeys(c.IdentityKeysFile, c.EncryptionKeysFile)
	if err != nil {
		return resources{}, nil, err
	}
	r := resources{
		keys: keys, registry: telemetry.NewRegistry(), databaseURL: c.databaseURL, sharedLimits: true, logger: logger, role: c.Role,
		patience: startPatience,
	}
	if err := errors.Join(c.TLS.open(&r), c.GatewayTLS.open(&r)); err != nil {
		return resources{}, nil, err
	}
	client, err := newRedis(c.RedisURL, r.peers)
	if err != nil {
		return resources{}, nil, err
	}
	r.redis = client
	closeTracing, err := openTracing(ctx, c.Components, &r)
	if err != nil {
		_ = client.Close()
		return resources{}, nil, err
	}
	closers := []func(){closeTracing, func() { _ = client.Close() }}
	closeAll := func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	}
	if c.ObjectsURL != "" {
		if r.objects, err = objectstore.Open(ctx, c.ObjectsURL); err != nil {
			closeAll()
			return resources{}, nil, fmt.Errorf("object storage: %w", err)
		}
		closers = append(closers, func() { _ = r.objects.Close() })
	}
	return r, closeAll, nil
}

// remotes collects the addresses of components outside this process.
func (c *serveCommand) remotes() map[string]*url.URL {
	remote := make(map[string]*url.URL)
	for _, name := range append(ComponentNames(), simulatorName) {
		if name == gatewayName || slices.Contains(c.Components, name) {
			continue
		}
		if u, err := remoteURL(name, c.URLs); err == nil {
			remote[name] = u
		}
	}
	return remote
}

// checkRemotes fails at start when a component that is needed is nowhere.
func (p *process) checkRemotes() error {
	for _, name := range ComponentNames() {
		if name == gatewayName || p.directory.local[name] || p.directory.remote[name] != nil {
			continue
		}
		if slices.Contains(p.needs(), name) {
			_, err := remoteURL(name, nil)
			return err
		}
	}
	return nil
}

// needs lists what the components of this process call.
func (p *process) needs() []string {
	var all []string
	for name := range p.directory.local {
		all = append(all, topology.Find(name).Calls...)
	}
	if p.withGateway {
		all = append(all, topology.Find(gatewayName).Calls...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// componentList is what the help shows.
func componentList() string { return strings.Join(ComponentNames(), ", ") }
