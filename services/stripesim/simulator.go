package stripesim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// APIVersion is the version of Stripe's API whose shapes the simulator speaks.
const APIVersion = "2023-10-16"

// Config is what a Simulator needs. Pool and SecretKey are required; every
// duration has a default.
type Config struct {
	// Pool reaches the database; its role may create, or owns, schema stripesim.
	Pool *pgxpool.Pool
	// SecretKey is the bearer key that callers must show: sk_test_….
	SecretKey string
	// WebhookURL receives signed events; empty sends none.
	WebhookURL string
	// WebhookSecrets sign every event once each, so that a secret can be rolled.
	WebhookSecrets []string
	// PublicURL is where a browser finds the simulator, with the path below which
	// Handler is mounted, for the pages of authentication; empty takes the address
	// of the call.
	PublicURL string
	// Logger gets deliveries and failures; nil is slog.Default.
	Logger *slog.Logger
	// Client posts webhooks; nil is a client with a timeout of 10 seconds.
	Client *http.Client
	// RetryBase is the wait after the first failed delivery, doubled after each
	// further one; 0 is one second.
	RetryBase time.Duration
	// RetryMax bounds that wait; 0 is one hour.
	RetryMax time.Duration
	// AbandonAfter is the age at which an event is no longer sent; 0 is three days.
	AbandonAfter time.Duration
	// SettleAfter is how long slow payment methods and refunds take; 0 is two seconds.
	SettleAfter time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Validate returns every mistake of the configuration, naming the field and
// never the value of a secret.
func (c Config) Validate() error {
	var errs []error
	if c.Pool == nil {
		errs = append(errs, errors.New("stripesim: Pool is missing"))
	}
	if !strings.HasPrefix(c.SecretKey, "sk_test_") {
		errs = append(errs, errors.New("stripesim: SecretKey must start with sk_test_"))
	}
	for name, text := range map[string]string{"WebhookURL": c.WebhookURL, "PublicURL": c.PublicURL} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
			errs = append(errs, fmt.Errorf("stripesim: %s is not an http or https URL", name))
		}
	}
	if c.WebhookURL != "" && len(c.WebhookSecrets) == 0 {
		errs = append(errs, errors.New("stripesim: WebhookSecrets is empty, WebhookURL is set"))
	}
	for i, s := range c.WebhookSecrets {
		if s == "" {
			errs = append(errs, fmt.Errorf("stripesim: WebhookSecrets[%d] is empty", i))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.RetryBase = cmp.Or(c.RetryBase, time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, time.Hour)
	c.AbandonAfter = cmp.Or(c.AbandonAfter, 72*time.Hour)
	c.SettleAfter = cmp.Or(c.SettleAfter, 2*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.Client = cmp.Or(c.Client, &http.Client{Timeout: 10 * time.Second})
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Simulator answers Stripe's API from its own tables.
type Simulator struct {
	cfg     Config
	control *control
	// wake tells the delivery loop that there may be something to send.
	wake chan struct{}
}

// New checks the configuration and brings the schema up to date. It returns an
// error when either fails.
func New(config Config) (*Simulator, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Simulator{cfg: config.withDefaults(), control: newControl(), wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := migrate(ctx, s.cfg.Pool); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Simulator) now() time.Time { return s.cfg.Now().UTC() }
