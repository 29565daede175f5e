package stripesim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/services/stripesim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	testKey    = "sk_test_51HouseOfCardsAndCoins"
	testSecret = "whsec_first"
)

// bundle is one simulator on a database of its own, with Stripe's own client
// in front of it and a receiver of webhooks behind it.
type bundle struct {
	t      *testing.T
	sim    *stripesim.Simulator
	pool   *pgxpool.Pool
	config stripesim.Config
	url    string
	stripe *client.API
	http   *http.Client
	hooks  *receiver
}

func setup(t *testing.T, changes ...func(*stripesim.Config)) *bundle {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), pgtest.NewDatabase(t).AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	hooks := newReceiver(t)
	config := stripesim.Config{
		Pool: pool, SecretKey: testKey, WebhookURL: hooks.url, WebhookSecrets: []string{testSecret},
		Logger: slog.New(slog.DiscardHandler), Client: newHTTPClient(t),
		RetryBase: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond, SettleAfter: 50 * time.Millisecond,
	}
	for _, change := range changes {
		change(&config)
	}
	return start(t, config, hooks)
}

func start(t *testing.T, config stripesim.Config, hooks *receiver) *bundle {
	t.Helper()
	sim, err := stripesim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	b := &bundle{t: t, sim: sim, pool: config.Pool, config: config, url: server.URL, http: newHTTPClient(t), hooks: hooks}
	b.stripe = b.clientWith(testKey, b.http)
	return b
}

// run starts the delivery loop and returns what stops it.
func (b *bundle) run() (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.sim.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

func (b *bundle) clientWith(key string, httpClient *http.Client) *client.API {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(b.url), HTTPClient: httpClient, MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, EnableTelemetry: stripe.Bool(false),
	})
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
}

func newHTTPClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// control calls an endpoint below /sim/control and fails the test unless it
// answers 200.
func (b *bundle) control(method, path, body string) map[string]any {
	b.t.Helper()
	status, answer := b.call(method, "/sim/control"+path, "application/json", body)
	if status != http.StatusOK {
		b.t.Fatalf("%s /sim/control%s: %d %v", method, path, status, answer)
	}
	return answer
}

func (b *bundle) call(method, path, contentType, body string) (int, map[string]any) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, b.url+path, bytes.NewBufferString(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	req.Header.Set("Content-Type", contentType)
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// post sends a form to the API past Stripe's client.
func (b *bundle) post(path, form string) (int, map[string]any) {
	b.t.Helper()
	return b.call(http.MethodPost, path, "application/x-www-form-urlencoded", form)
}

// fault lets the next calls of an operation go wrong.
func (b *bundle) fault(operation, kind string) {
	b.t.Helper()
	b.control(http.MethodPost, "/faults", `{"operation":"`+operation+`","kind":"`+kind+`","milliseconds":200}`)
}

func (b *bundle) countRows(query string, args ...any) int {
	b.t.Helper()
	var n int
	if err := b.pool.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// cardIntent are the parameters of a card payment of 19.99 EUR.
func cardIntent(method string, confirm bool) *stripe.PaymentIntentParams {
	p := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(1999), Currency: stripe.String("eur"),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
	}
	if method != "" {
		p.PaymentMethod = stripe.String(method)
	}
	if confirm {
		p.Confirm = stripe.Bool(true)
	}
	return p
}

// pay makes an intent that is paid with a card.
func (b *bundle) pay(method string) *stripe.PaymentIntent {
	b.t.Helper()
	pi, err := b.stripe.PaymentIntents.New(cardIntent(method, true))
	if err != nil {
		b.t.Fatal(err)
	}
	if pi.Status != stripe.PaymentIntentStatusSucceeded {
		b.t.Fatalf("status = %s, want succeeded", pi.Status)
	}
	return pi
}

func (b *bundle) intent(id string) *stripe.PaymentIntent {
	b.t.Helper()
	pi, err := b.stripe.PaymentIntents.Get(id, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return pi
}

// stripeError fails the test unless err is an error of the API.
func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want one of Stripe's", err)
	}
	return e
}

// receiver takes webhooks as a shop would: it checks the signature with
// Stripe's library, and answers as it is told.
type receiver struct {
	t      *testing.T
	url    string
	secret string

	mu      sync.Mutex
	events  []stripe.Event
	errs    []error
	answers []int // taken one by one; 200 when used up
	arrived chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, secret: testSecret, arrived: make(chan struct{}, 1)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	event, err := webhook.ConstructEvent(body, req.Header.Get("Stripe-Signature"), r.secret)
	if err != nil {
		r.errs = append(r.errs, err)
	} else {
		r.events = append(r.events, event)
	}
	status := http.StatusOK
	if len(r.answers) > 0 {
		status, r.answers = r.answers[0], r.answers[1:]
	}
	w.WriteHeader(status)
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// wait returns the events once there are at least n.
func (r *receiver) wait(n int) []stripe.Event {
	r.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		events := append([]stripe.Event(nil), r.events...)
		r.mu.Unlock()
		if len(events) >= n {
			return events
		}
		select {
		case <-r.arrived:
		case <-deadline:
			r.t.Fatalf("%d events arrived, want %d", len(events), n)
		}
	}
}

func (r *receiver) setAnswers(statuses ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = statuses
}

func (r *receiver) errors() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

func types(events []stripe.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = string(e.Type)
	}
	return out
}

// waitFor waits for an event of one type about one object.
func (r *receiver) waitFor(eventType, objectID string) stripe.Event {
	r.t.Helper()
	for n := 0; ; {
		events := r.wait(n)
		for _, e := range events {
			if string(e.Type) == eventType && e.Data.Object["id"] == objectID {
				return e
			}
		}
		n = len(events) + 1
	}
}

type webPage struct {
	*http.Response
	text string
}

// page opens a page as a browser would, without following redirects.
func (b *bundle) page(method, target, form string) webPage {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, target, bytes.NewBufferString(form))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return webPage{resp, string(text)}
}
