package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/telemetry"
	"github.com/commercestack/commercestack/services/stripesim"
)

// simulateCommand runs the Stripe simulator alone, for a development stack of several processes.
type simulateCommand struct {
	LogLevel      string        `default:"info" enum:"debug,info,warn,error" env:"COMMERCE_LOG_LEVEL" help:"Lowest level that is logged."`
	Listen        string        `default:"127.0.0.1:8090" env:"COMMERCE_LISTEN" help:"Address of the simulator; it answers below /dev/stripe."`
	MetricsListen string        `env:"COMMERCE_METRICS_LISTEN" help:"Address of /metrics, /healthz and /readyz."`
	DrainDelay    time.Duration `default:"0s" env:"COMMERCE_DRAIN_DELAY" help:"How long to go on serving after a stop was asked for."`
	TLS           peerFiles     `embed:"" prefix:"tls-"`
	DatabaseURL   string        `required:"" env:"COMMERCE_DATABASE_ADMIN_URL" help:"PostgreSQL with a role that may create the schema stripesim."`
	Key           string        `required:"" env:"STRIPE_SECRET_KEY" help:"The key that callers must show; it starts with sk_test_."`
	WebhookURL    string        `required:"" env:"COMMERCE_WEBHOOK_URL" help:"Where signed events go: the shop's /api/v1/billing/webhooks/stripe. They are sent again until they are taken."`
	WebhookSecret []string      `required:"" env:"STRIPE_WEBHOOK_SECRET" help:"Secrets that sign the events."`
	PublicURL     string        `env:"COMMERCE_PUBLIC_URL" help:"The shop's address as customers see it."`
}

// webhookTimeout bounds one try to deliver an event.
const webhookTimeout = 10 * time.Second

// Run implements the command.
func (c *simulateCommand) Run(ctx context.Context, s streams) error {
	r := resources{logger: telemetry.NewLogger(s.err, c.LogLevel), registry: telemetry.NewRegistry()}
	if err := c.TLS.open(&r); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, c.DatabaseURL)
	if err != nil {
		return errors.New("the database address is not a URL")
	}
	defer pool.Close()
	public := ""
	if c.PublicURL != "" {
		public = c.PublicURL + simulatorPath
	}
	simulator, err := stripesim.New(stripesim.Config{
		Pool: pool, SecretKey: c.Key, WebhookURL: c.WebhookURL, WebhookSecrets: c.WebhookSecret,
		PublicURL: public, Logger: r.logger, Client: &http.Client{Timeout: webhookTimeout, Transport: newOutsideTransport(r.peers)},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(simulatorPath+"/", http.StripPrefix(simulatorPath, simulator.Handler()))
	r.loops = []func(context.Context) error{simulator.Run}
	p := &process{
		config: &Config{DrainDelay: c.DrainDelay}, resources: r,
		components: []*component.Component{{Name: simulatorName, Ready: pool.Ping}},
	}
	p.health(mux)
	if err := p.listenTLS(c.Listen, mux, peerTLS(r.peers)); err != nil {
		return err
	}
	if err := p.listenMetrics(c.MetricsListen); err != nil {
		p.close()
		return err
	}
	return p.run(ctx)
}
