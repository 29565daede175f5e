package stripe

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"golang.org/x/time/rate"

	"github.com/commercestack/commercestack/services/billing"
)

// Config says how Stripe is reached.
type Config struct {
	// URL of the API; empty is Stripe's own.
	URL string
	// Key is the secret key.
	Key string
	// WebhookSecrets verify events; several are valid while one is being rolled.
	WebhookSecrets []string
	// CallsPerSecond is this process's share of the account's limit.
	CallsPerSecond float64
	// MaxWait bounds the wait for a turn within that share.
	MaxWait time.Duration
	// Timeout bounds one try of a call.
	Timeout time.Duration
	// Tries bounds how often a call is made within one go.
	Tries int
	// BreakAfter is how many calls in a row must get no answer until none is made for BreakFor.
	BreakAfter uint32
	BreakFor   time.Duration
	// HTTP makes the calls; nil is a client of its own.
	HTTP *http.Client
	// Observe is told of every try: operation, outcome ("ok", "declined", "rejected", "missing", "refused", "lost") and duration.
	Observe func(operation, outcome string, took time.Duration)
}

// Client implements billing.Provider.
type Client struct {
	config  Config
	api     *client.API
	queue   sync.Mutex
	limit   *rate.Limiter
	breaker *gobreaker.CircuitBreaker[any]
}

var _ billing.Provider = (*Client)(nil)

const firstPause = 100 * time.Millisecond

// New returns a client. It makes no call yet. It fails when the key is missing.
func New(config Config) (*Client, error) {
	if config.Key == "" {
		return nil, errors.New("stripe: the secret key is missing")
	}
	if config.URL == "" {
		config.URL = stripego.APIURL
	}
	if config.HTTP == nil {
		config.HTTP = &http.Client{}
	}
	if config.Observe == nil {
		config.Observe = func(string, string, time.Duration) {}
	}
	backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL: stripego.String(config.URL), HTTPClient: config.HTTP,
		// Retries are ours: they count against the budget and know when to stop.
		MaxNetworkRetries: stripego.Int64(0), EnableTelemetry: stripego.Bool(false),
		LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull},
	})
	breakAfter := max(config.BreakAfter, 1)
	return &Client{
		config: config,
		api:    client.New(config.Key, &stripego.Backends{API: backend, Connect: backend, Uploads: backend}),
		limit:  rate.NewLimiter(rate.Limit(config.CallsPerSecond), max(1, int(config.CallsPerSecond/10))),
		breaker: gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
			Name: "stripe", Timeout: config.BreakFor,
			ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= breakAfter },
			IsSuccessful: func(err error) bool { return !unreachable(err) },
		}),
	}, nil
}

// Open tells whether the circuit breaker holds calls back.
func (c *Client) Open() bool { return c.breaker.State() == gobreaker.StateOpen }

// call makes one call, several times if need be, always with the parameters
// that carry its idempotency key. Once a try may have had an effect, the whole
// call counts as lost unless a later try is answered.
func call[T any](ctx context.Context, c *Client, operation string, do func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	lost := false
	pause := firstPause
	for try := 1; ; try++ {
		result, err := once(ctx, c, operation, do)
		if err == nil {
			return result, nil
		}
		failure := classify(err)
		if failure.Outage == billing.Rejected || failure.Outage == billing.Missing || failure.decline != nil {
			return zero, failure
		}
		lost = lost || failure.Outage == billing.Lost
		if try >= c.config.Tries || failure.breaker || !sleep(ctx, pause) {
			if lost {
				failure.Outage = billing.Lost
			}
			return zero, failure
		}
		pause *= 3
	}
}

// once makes one try within the budget.
func once[T any](ctx context.Context, c *Client, operation string, do func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	started := time.Now()
	if err := c.turn(ctx); err != nil {
		c.config.Observe(operation, "refused", time.Since(started))
		return zero, err
	}
	started = time.Now()
	answer, err := c.breaker.Execute(func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
		return do(ctx)
	})
	c.config.Observe(operation, outcome(err), time.Since(started))
	if err != nil {
		return zero, err
	}
	return answer.(T), nil //nolint:forcetypeassert // do returned it
}

var errBudget = errors.New("the budget of calls is used up")

// turn waits for the budget, but not for long: queued work can wait, people cannot.
func (c *Client) turn(ctx context.Context) error {
	// Reservations given back out of turn would hand out more than the budget.
	c.queue.Lock()
	reservation := c.limit.Reserve()
	delay := reservation.Delay()
	if delay > c.config.MaxWait {
		reservation.Cancel()
	}
	c.queue.Unlock()
	if delay > c.config.MaxWait {
		return errBudget
	}
	if !sleep(ctx, delay) {
		return errBudget
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
