package module

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/commercestack/commercestack/services/billing/stripe"
)

// Config of the component. Secrets come by environment or file, never by flag.
type Config struct {
	StripeURL      string        `env:"COMMERCE_BILLING_STRIPE_URL" help:"Stripe's API, or a server like it; empty is Stripe."`
	StripeKey      string        `env:"STRIPE_SECRET_KEY,COMMERCE_BILLING_STRIPE_KEY,STRIPE_API_KEY" hidden:"" help:"Stripe's secret key."`
	WebhookSecrets []string      `env:"STRIPE_WEBHOOK_SECRET,COMMERCE_BILLING_WEBHOOK_SECRETS" hidden:"" help:"Secrets of Stripe's webhooks; several are valid while one is rolled."`
	StripeCalls    float64       `default:"90" env:"COMMERCE_BILLING_STRIPE_CALLS" help:"This process's share of the 100 calls a second that Stripe allows an account."`
	StripeMaxWait  time.Duration `default:"3s" env:"COMMERCE_BILLING_STRIPE_MAX_WAIT" help:"How long a call waits for its turn before its payment is queued."`
	StripeTimeout  time.Duration `default:"4s" env:"COMMERCE_BILLING_STRIPE_TIMEOUT" help:"Bound on one try of a call to Stripe."`
	StripeTries    int           `default:"3" env:"COMMERCE_BILLING_STRIPE_TRIES" help:"How often a call to Stripe is tried before its payment is queued."`
	BreakAfter     uint32        `default:"8" env:"COMMERCE_BILLING_STRIPE_BREAK_AFTER" help:"Unanswered calls in a row after which Stripe is left alone for a while."`
	BreakFor       time.Duration `default:"5s" env:"COMMERCE_BILLING_STRIPE_BREAK_FOR" help:"How long Stripe is left alone then."`

	CallTimeout time.Duration   `default:"9s" env:"COMMERCE_BILLING_CALL_TIMEOUT" help:"Bound on all that one request asks of Stripe."`
	Polls       []time.Duration `default:"5s,30s,5m,1h,24h" env:"COMMERCE_BILLING_POLLS" help:"Pauses between questions about a payment whose outcome is unknown; the last one repeats."`
	Retries     []time.Duration `default:"2m,5m,10m" env:"COMMERCE_BILLING_RETRIES" help:"Pauses before a refused collection from a stored method is tried again, while the order waits."`
}

func (c Config) validate() error {
	var errs []error
	if c.StripeKey == "" {
		errs = append(errs, errors.New("billing: STRIPE_SECRET_KEY is missing"))
	}
	secrets := c.secrets()
	if len(secrets) == 0 {
		errs = append(errs, errors.New("billing: STRIPE_WEBHOOK_SECRET is missing"))
	}
	if u, err := url.Parse(c.StripeURL); c.StripeURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		errs = append(errs, errors.New("billing: COMMERCE_BILLING_STRIPE_URL is not an http or https URL"))
	}
	if c.StripeCalls <= 0 {
		errs = append(errs, errors.New("billing: COMMERCE_BILLING_STRIPE_CALLS must be greater than 0"))
	}
	for name, list := range map[string][]time.Duration{"POLLS": c.Polls, "RETRIES": c.Retries} {
		for _, d := range list {
			if d <= 0 {
				errs = append(errs, fmt.Errorf("billing: COMMERCE_BILLING_%s holds %s, which is not a pause", name, d))
			}
		}
	}
	return errors.Join(errs...)
}

// secrets are the webhook secrets without blanks.
func (c Config) secrets() []string {
	var secrets []string
	for _, secret := range c.WebhookSecrets {
		if secret = strings.TrimSpace(secret); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

const idleConns = 32

// stripe returns the client. outside reaches a server in Stripe's place; Stripe
// itself is reached as everybody reaches it.
func (c Config) stripe(observe func(operation, outcome string, took time.Duration), outside http.RoundTripper) (*stripe.Client, error) {
	own := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	own.MaxIdleConnsPerHost = idleConns
	var transport http.RoundTripper = own
	if outside != nil && c.StripeURL != "" {
		transport = outside
	}
	return stripe.New(stripe.Config{
		URL: c.StripeURL, Key: c.StripeKey, WebhookSecrets: c.secrets(), CallsPerSecond: c.StripeCalls, MaxWait: c.StripeMaxWait,
		Timeout: c.StripeTimeout, Tries: c.StripeTries, BreakAfter: c.BreakAfter, BreakFor: c.BreakFor,
		HTTP: &http.Client{Transport: transport}, Observe: observe,
	})
}
