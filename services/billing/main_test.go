package billing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/commercestack/commercestack/ent/billing/migrations"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/store"
	"github.com/commercestack/commercestack/services/billing/stripe"
	"github.com/commercestack/commercestack/services/stripesim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	testKey    = "sk_test_9aBcDeFgHiJkLmNoPqRsTuVw"
	testSecret = "whsec_current"
	oldSecret  = "whsec_previous"
)

// shop is billing on a real database with a simulated Stripe beside it. Only
// the owner of orders is played by the test.
type shop struct {
	t       *testing.T
	db      *postgres.DB
	store   *store.Store
	stripe  *stripe.Client
	billing *billing.Service
	// current is the same, for webhooks.
	current atomic.Pointer[billing.Service]
	orders  *orders
	clock   *clock
	meter   *meter
	url     string
	config  billing.Config
	hooks   *httptest.Server
	admin   *pgxpool.Pool
}

// clock is time as the test wants it.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

type meter struct {
	mu     sync.Mutex
	alarms map[string]int
}

func (m *meter) Moved(billing.Status)          {}
func (m *meter) Refunded(billing.RefundStatus) {}
func (m *meter) Alarm(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alarms[kind]++
}

// orders plays the owner of orders.
type orders struct {
	mu     sync.Mutex
	open   map[uuid.UUID]order
	begins int
	fail   error
}

type order struct {
	owner  billing.Owner
	amount money.Money
	closed bool
	until  time.Time
}

func (o *orders) Begin(_ context.Context, orderID, _ uuid.UUID, owner billing.Owner) (billing.Due, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begins++
	if o.fail != nil {
		return billing.Due{}, o.fail
	}
	known, ok := o.open[orderID]
	if !ok || known.owner != owner {
		return billing.Due{}, fault.NotFound("order", orderID.String())
	}
	if known.closed {
		return billing.Due{}, billing.ErrNotPayable
	}
	return billing.Due{Amount: known.amount, Number: "CS-1001", Email: "ann@example.com", ExpireTime: known.until}, nil
}

func (o *orders) change(id uuid.UUID, change func(*order)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.open[id]
	change(&known)
	o.open[id] = known
}

// newShop starts a shop; the loops run only when a test asks for them.
func newShop(t *testing.T, changes ...func(*stripe.Config)) *shop {
	t.Helper()
	db := pgtest.New(t, "billing", migrations.FS)
	key, err := crypto.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := crypto.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{
		t: t, db: db, store: store.New(db, ring), clock: &clock{}, meter: &meter{alarms: map[string]int{}},
		orders: &orders{open: map[uuid.UUID]order{}},
	}
	s.hooks = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.hooks.Close)
	s.simulate()
	config := stripe.Config{
		URL: s.url, Key: testKey, WebhookSecrets: []string{"whsec_next", testSecret}, CallsPerSecond: 500, MaxWait: time.Second,
		Timeout: 900 * time.Millisecond, Tries: 2, BreakAfter: 1000, BreakFor: time.Second, HTTP: newHTTPClient(t),
	}
	for _, change := range changes {
		change(&config)
	}
	if s.stripe, err = stripe.New(config); err != nil {
		t.Fatal(err)
	}
	s.config = billing.Config{
		Store: s.store, Provider: s.stripe, Orders: s.orders, Meter: s.meter, Logger: slog.New(slog.DiscardHandler), Now: s.clock.now,
		CallTimeout: 2 * time.Second, Poll: 20 * time.Millisecond,
	}
	s.restart()
	return s
}

func newHTTPClient(t *testing.T) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// restart is a new process: everything that was only in memory is gone.
func (s *shop) restart() {
	s.t.Helper()
	var err error
	if s.billing, err = billing.New(s.config); err != nil {
		s.t.Fatal(err)
	}
	s.current.Store(s.billing)
}

func (s *shop) simulate() {
	s.t.Helper()
	pool, err := pgxpool.New(context.Background(), pgtest.Of(s.t, s.db).AdminURL())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	s.admin = pool
	sim, err := stripesim.New(stripesim.Config{
		Pool: pool, SecretKey: testKey, WebhookURL: s.hooks.URL, WebhookSecrets: []string{oldSecret, testSecret},
		Logger: slog.New(slog.DiscardHandler), Client: newHTTPClient(s.t), RetryBase: 20 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		SettleAfter: 30 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	s.t.Cleanup(server.Close)
	s.url = server.URL
	s.background(sim.Run)
}

// background runs a loop until the test ends.
func (s *shop) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("loop: %v", err)
		}
	})
}

// receive is the endpoint of webhooks.
func (s *shop) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	notice, err := s.stripe.Verify(body, r.Header.Get(stripe.HeaderSignature))
	if err != nil {
		http.Error(w, "forged", http.StatusBadRequest)
		return
	}
	if err := s.current.Load().Notify(r.Context(), notice); err != nil {
		http.Error(w, "not stored", http.StatusInternalServerError)
	}
}

// work lets the queues run until the test ends.
func (s *shop) work() { s.background(s.billing.Work) }

// drain works on a queue until nothing in it is due.
func (s *shop) drain(queues ...billing.Queue) {
	s.t.Helper()
	for _, queue := range queues {
		for {
			n, err := s.billing.Drain(context.Background(), queue)
			if err != nil {
				s.t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
	}
}

func (s *shop) control(method, path string, body any) {
	s.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+"/sim/control"+path, bytes.NewReader(encoded))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	res, err := newHTTPClient(s.t).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		s.t.Fatalf("control %s: %s %s", path, res.Status, text)
	}
}

// breaks makes the next calls of an operation go wrong.
func (s *shop) breaks(operation, kind string, count int) {
	s.t.Helper()
	s.control(http.MethodPost, "/faults", map[string]any{"operation": operation, "kind": kind, "count": count, "milliseconds": 3000})
}

func (s *shop) settings(change map[string]any) {
	s.t.Helper()
	s.control(http.MethodPatch, "/settings", change)
}

// user is a customer of the shop.
func user() billing.Owner { return billing.Owner{UserID: uuid.New()} }

// order makes an order that can be paid.
func (s *shop) order(owner billing.Owner, minor int64) uuid.UUID {
	s.t.Helper()
	id := uuid.Must(uuid.NewV7())
	s.orders.change(id, func(o *order) {
		*o = order{owner: owner, amount: money.Money{CurrencyCode: "EUR", AmountMinor: minor}, until: s.clock.now().Add(30 * time.Minute)}
	})
	return id
}

func request(owner billing.Owner, orderID uuid.UUID, method string) billing.PayRequest {
	return billing.PayRequest{ID: uuid.Must(uuid.NewV7()), OrderID: orderID, Owner: owner, PaymentMethod: method, ReturnURL: "https://shop.example/return"}
}

func (s *shop) pay(in billing.PayRequest) billing.Payment {
	s.t.Helper()
	p, err := s.billing.Pay(context.Background(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *shop) payment(id uuid.UUID) billing.Payment {
	s.t.Helper()
	p, err := s.store.Payment(context.Background(), id, billing.Owner{Everyone: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *shop) want(id uuid.UUID, status billing.Status) billing.Payment {
	s.t.Helper()
	p := s.payment(id)
	if p.Status != status {
		s.t.Fatalf("payment is %s (%s %s), want %s", p.Status, p.FailureCode, p.FailureMessage, status)
	}
	return p
}

// events counts what was told of an order, by type.
func (s *shop) events(orderID uuid.UUID) map[string]int {
	s.t.Helper()
	rows, err := s.db.Pool().Query(context.Background(), `SELECT event_type, count(*) FROM outbox WHERE subject = $1 GROUP BY 1`, orderID.String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	counted := map[string]int{}
	for rows.Next() {
		var kind string
		var n int
		if err := rows.Scan(&kind, &n); err != nil {
			s.t.Fatal(err)
		}
		counted[kind] = n
	}
	return counted
}

func (s *shop) wantEvents(orderID uuid.UUID, want map[string]int) {
	s.t.Helper()
	if got := s.events(orderID); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("events are %v, want %v", got, want)
	}
}

const chargedSQL = `SELECT COALESCE(sum((c.doc->>'amount_captured')::bigint) FILTER (WHERE c.doc->>'status' = 'succeeded'), 0)::bigint,
	COALESCE(sum((c.doc->>'amount_refunded')::bigint), 0)::bigint
	FROM stripesim.charge c JOIN stripesim.payment_intent i ON i.id = c.doc->>'payment_intent'
	WHERE i.doc->'metadata'->>'order_id' = $1`

// charged is what Stripe took and gave back for an order, in minor units.
func (s *shop) charged(orderID uuid.UUID) (taken, returned int64) {
	s.t.Helper()
	err := s.admin.QueryRow(context.Background(), chargedSQL, orderID.String()).Scan(&taken, &returned)
	if err != nil {
		s.t.Fatal(err)
	}
	return taken, returned
}

func (s *shop) wantCharged(orderID uuid.UUID, taken, returned int64) {
	s.t.Helper()
	gotTaken, gotReturned := s.charged(orderID)
	if gotTaken != taken || gotReturned != returned {
		s.t.Fatalf("Stripe took %d and returned %d, want %d and %d", gotTaken, gotReturned, taken, returned)
	}
}

func (s *shop) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func contains(text, part string) bool { return strings.Contains(text, part) }

// api is Stripe's own client, for what people do at the dashboard.
func (s *shop) api() *client.API {
	s.t.Helper()
	backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL: stripego.String(s.url), HTTPClient: newHTTPClient(s.t), MaxNetworkRetries: stripego.Int64(0),
		LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull},
	})
	return client.New(testKey, &stripego.Backends{API: backend})
}

// authenticate is the customer at the page of his bank.
func (s *shop) authenticate(p billing.Payment, button string) {
	s.t.Helper()
	form := url.Values{"client_secret": {p.ClientSecret}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.url+"/sim/3ds/"+p.IntentID+"/"+button, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	browser := newHTTPClient(s.t)
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := browser.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		s.t.Fatalf("authentication: %s", res.Status)
	}
}

// settled waits until every webhook that Stripe has sent was handled.
func (s *shop) settled() {
	s.t.Helper()
	s.eventually("webhooks are delivered and handled", func() bool {
		s.drain(billing.QueueWebhooks)
		var pending, open int
		err := s.admin.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM stripesim.delivery WHERE state = 'pending'),
			(SELECT count(*) FROM billing.webhook_event WHERE next_poll_time IS NOT NULL)`).Scan(&pending, &open)
		return err == nil && pending == 0 && open == 0
	})
}

// together runs the same thing n times at once.
func together(n int, run func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	group.Wait()
}

func euros(minor int64) *money.Money { return &money.Money{CurrencyCode: "EUR", AmountMinor: minor} }
