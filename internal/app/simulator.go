package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/commercestack/commercestack/services/stripesim"
)

const (
	// simulatorName is how the gateway finds the simulator.
	simulatorName = "stripesim"
	// simulatorPath is where it is mounted.
	simulatorPath  = "/dev/stripe"
	webhookPath    = "/api/v1/billing/webhooks/stripe"
	simulatorConns = 6
)

// openSimulator puts a simulated Stripe in the place of the real one when no key
// is configured. Its keys are random and live in the data folder.
func (c *upCommand) openSimulator(ctx context.Context, h *host, adminURL string) error {
	if c.Billing.StripeKey != "" {
		return nil
	}
	key, err := c.keptSecret("stripe-simulator-key")
	if err != nil {
		return err
	}
	secret, err := c.keptSecret("stripe-simulator-webhook")
	if err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(adminURL)
	if err != nil {
		return fmt.Errorf("the database address is not a URL")
	}
	config.MaxConns = simulatorConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	h.closers = append(h.closers, pool.Close)
	local := "http://" + c.Listen
	simulator, err := stripesim.New(stripesim.Config{
		Pool: pool, SecretKey: "sk_test_" + key, WebhookURL: local + webhookPath, WebhookSecrets: []string{"whsec_" + secret},
		PublicURL: c.PublicURL + simulatorPath, Logger: h.resources.logger,
	})
	if err != nil {
		return fmt.Errorf("start the Stripe simulator: %w", err)
	}
	c.Billing.StripeURL, c.Billing.StripeKey, c.Billing.WebhookSecrets = local+simulatorPath, "sk_test_"+key, []string{"whsec_" + secret}
	h.resources.extra = map[string]http.Handler{simulatorPath + "/": http.StripPrefix(simulatorPath, simulator.Handler())}
	h.resources.loops = append(h.resources.loops, simulator.Run)
	return nil
}
