package app

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/test/shop"
)

const (
	bossEmail    = "boss@example.com"
	bossPassword = "the boss knows it"
	stripeKey    = "sk_test_shape"
	hookSecret   = "whsec_shape"
)

// withData are the components that have queues.
const withData = "auth,user,product,order,billing,notification,analytics"

// shape is a stack in several processes, as pods run it.
type shape struct {
	stack

	t       *testing.T
	scheme  string
	gateway string
	stripe  string
	objects string
	// flags go to every process, such as those of TLS.
	flags []string
}

// newShape prepares a database and an administrator, and starts the Stripe
// simulator, whose webhooks go to the gateway's address.
func newShape(t *testing.T, flags ...string) *shape {
	t.Helper()
	h := &shape{stack: newStack(t), t: t, scheme: "http", gateway: freeAddress(t), stripe: freeAddress(t), objects: t.TempDir(), flags: flags}
	if len(flags) > 0 {
		h.scheme = "https"
	}
	h.migrate(t)
	file := write(t, bossPassword+"\n", t.TempDir(), "password")
	if err := Main(t.Context(), []string{
		"user", "create-admin", "--email", bossEmail, "--password-file", file, "--database-url", h.login,
		"--identity-keys-file", h.ids, "--encryption-keys-file", h.ring,
	}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	h.launch(append([]string{
		"stripe-simulator", "--listen", h.stripe, "--database-url", h.admin, "--key", stripeKey, "--webhook-secret", hookSecret,
		"--webhook-url", h.base() + webhookPath, "--public-url", h.base(), "--log-level", "error",
	}, flags...)...)
	return h
}

// base is the public address.
func (h *shape) base() string { return h.scheme + "://" + h.gateway }

// serve starts a process and returns how to stop it, which must succeed.
func (h *shape) serve(arguments ...string) (stop func()) {
	h.t.Helper()
	return h.launch(append(append(h.stack.serve(
		"--development", "--public-url", h.base(), "--objects-url", "file://"+h.objects, "--url", simulatorName+"="+h.scheme+"://"+h.stripe,
		"--billing-stripe-url", h.scheme+"://"+h.stripe+simulatorPath, "--billing-stripe-key", stripeKey, "--billing-webhook-secrets", hookSecret,
		"--auth-password-memory-ki-b", "8192",
	), h.flags...), arguments...)...)
}

// launch runs a command until the test ends or it is stopped.
func (h *shape) launch(arguments ...string) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan error, 1)
	var complaints strings.Builder
	go func() { finished <- Main(ctx, arguments, io.Discard, &complaints) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-finished; err != nil {
			h.t.Errorf("%s: %v\n%s", arguments[0], err, complaints.String())
		}
	}
	h.t.Cleanup(stop)
	return stop
}

// await waits until an address says that it is ready.
func await(t *testing.T, client *http.Client, url string) {
	t.Helper()
	err := shop.Eventually(t.Context(), time.Minute, func() (bool, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			return false, err
		}
		answer, err := client.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // not listening yet
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

// buy places and pays an order as the administrator, and returns its id.
func buy(t *testing.T, boss *shop.Shop) string {
	t.Helper()
	product, err := boss.NewProduct(t.Context(), "Enamel mug", "EUR", 1290, 50)
	if err != nil {
		t.Fatal(err)
	}
	placed, err := boss.Place(t.Context(), product, 2)
	if err != nil || placed.Status != http.StatusOK {
		t.Fatalf("place: %v %s", err, placed.Raw)
	}
	id := placed.String("order", "id")
	if paid, err := boss.Pay(t.Context(), id, "pm_card_visa"); err != nil || paid.Status != http.StatusOK {
		t.Fatalf("pay: %v %s", err, paid.Raw)
	}
	return id
}

// boss logs the administrator in.
func (h *shape) boss(client *http.Client) *shop.Shop {
	h.t.Helper()
	guest := shop.New(h.base())
	if client != nil {
		guest.HTTP = client
	}
	person, err := guest.Login(h.t.Context(), bossEmail, bossPassword)
	if err != nil {
		h.t.Fatal(err)
	}
	return person.Shop
}

func TestAWorkerSettlesWhatOthersTookIn(t *testing.T) {
	t.Parallel()
	h := newShape(t)
	h.serve("--role", "api", "--components", withData+",admin,storefront,gateway", "--listen", h.gateway)
	await(t, http.DefaultClient, h.base()+"/readyz")
	boss := h.boss(nil)
	id := buy(t, boss)
	time.Sleep(3 * time.Second) // longer than any loop would need
	waiting, err := boss.Must(t.Context(), http.MethodGet, "/api/v1/orders/"+id, nil)
	if err != nil || waiting.String("order", "status") != "PENDING" {
		t.Fatalf("without a worker the order is %s (%v)", waiting.String("order", "status"), err)
	}
	metrics := freeAddress(t)
	listen := freeAddress(t)
	stop := h.serve("--role", "worker", "--components", withData, "--listen", listen, "--metrics-listen", metrics, "--drain-delay", "1h")
	await(t, http.DefaultClient, "http://"+metrics+"/readyz")
	if _, err := boss.WaitOrder(t.Context(), id, "CONFIRMED"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t, "http://"+listen+"/healthz"); err == nil {
		t.Error("a worker listens for calls")
	}
	if status, body, err := get(t, "http://"+metrics+"/metrics"); err != nil || status != 200 || !strings.Contains(body, "commerce_bus_deliveries_total") {
		t.Errorf("metrics: %d (%v)", status, err)
	}
	stop() // a worker has no clients whose balancers must notice first
}

func TestWorkersNeedWork(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, components := range []string{"gateway", "admin", "analytics,storefront"} {
		err := Main(t.Context(), s.serve("--role", "worker", "--components", components, "--url", allRemote()), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "has no queues") {
			t.Errorf("%s: %v", components, err)
		}
	}
	if err := Main(t.Context(), s.serve("--role", "boss", "--components", "order"), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), `"all","api","worker"`) {
		t.Errorf("%v", err)
	}
}

// count runs a query for one number as the database's administrator.
func (h *shape) count(t *testing.T, query string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
