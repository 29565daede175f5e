package observability_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/commercestack/commercestack/internal/app"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/test/observability"
	"github.com/commercestack/commercestack/test/shop"
)

const (
	adminEmail    = "admin@example.com"
	adminPassword = "the administrator's password"
)

var (
	// prometheus scrapes the shop of this package.
	prometheus *observability.Prometheus
	// database is the shop's, as its superuser.
	database *pgx.ConnConfig
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run starts a shop and a Prometheus that scrapes it, and buys something.
func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "commerce-observability-")
	if err != nil {
		return failure(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Chmod(folder, 0o755); err != nil {
		return failure(err)
	}
	server, err := pgserver.StartThrowaway(ctx)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = server.Stop(context.Background()) }()
	if database, err = pgx.ParseConfig(server.URL("postgres")); err != nil {
		return failure(err)
	}
	s, err := startShop(ctx, filepath.Join(folder, "shop"), server.URL("postgres"))
	if err != nil {
		return failure(err)
	}
	defer s.stop()
	prometheus, err = observability.StartPrometheus(ctx, folder, "../../config/prometheus/rules.yaml", observability.Target{
		Job: "shop/demo-metrics", Address: s.metrics,
		// What the ServiceMonitor of a stack gives each series. endpoint is the Prometheus operator's own.
		Labels: map[string]string{
			"namespace": "shop", "stack": "demo", "component": "all", "role": "all", "pod": "demo-all-0", "container": "all", "endpoint": "metrics",
		},
	})
	if err != nil {
		return failure(err)
	}
	defer prometheus.Stop()
	if err := business(ctx, s.address); err != nil {
		return failure(fmt.Errorf("business: %w\n%s", err, s.out.String()))
	}
	// Rates and quantiles of a minute need somebody in the shop until the last test is done.
	open, closed := context.WithCancel(ctx)
	gone := make(chan error, 1)
	go func() { gone <- keepBuying(open, s.address) }()
	code := m.Run()
	closed()
	if err := <-gone; err != nil {
		return failure(fmt.Errorf("while it was watched: %w\n%s", err, s.out.String()))
	}
	return code
}

func failure(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// running is a shop in this process.
type running struct {
	address, metrics string
	out              shop.Output
	stop             func()
}

func startShop(ctx context.Context, folder, databaseURL string) (*running, error) {
	s := &running{}
	listen, err := observability.FreeAddress()
	if err != nil {
		return nil, err
	}
	if s.metrics, err = observability.FreeAddress(); err != nil {
		return nil, err
	}
	s.address = "http://" + listen
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- app.Main(ctx, []string{
			"up", "--listen", listen, "--metrics-listen", s.metrics, "--data", folder, "--database-url", databaseURL, "--no-demo",
			"--admin-email", adminEmail, "--admin-password", adminPassword, "--log-level", "error",
			// So that a limit is met soon on a slow machine, too.
			"--gateway-rate-limits", "read=20/1s:20",
		}, &s.out, &s.out)
	}()
	s.stop = func() {
		cancel()
		<-done
	}
	err = shop.Eventually(ctx, 2*time.Minute, func() (bool, error) {
		select {
		case err := <-done:
			done <- err
			return false, fmt.Errorf("the shop ended: %w\n%s", err, s.out.String())
		default:
			return strings.Contains(s.out.String(), "is ready"), nil
		}
	})
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// pace keeps the shop within its budget of calls to the payment provider: what
// is over it is refused, and told of by an alert.
const pace = 500 * time.Millisecond

// business is a short day: people register, look, buy, are declined, get money
// back, and one asks too often.
func business(ctx context.Context, address string) error {
	guest := shop.New(address)
	admin, err := guest.Login(ctx, adminEmail, adminPassword)
	if err != nil {
		return err
	}
	product, err := admin.NewProduct(ctx, "Brass lamp", "EUR", 2500, 1000)
	if err != nil {
		return err
	}
	person, err := guest.Register(ctx, shop.NewEmail())
	if err != nil {
		return err
	}
	for range 30 {
		if _, err := guest.Must(ctx, http.MethodGet, "/api/v1/products/"+product, nil); err != nil {
			return err
		}
	}
	for i := range 10 {
		if err := purchase(ctx, person.Shop, admin.Shop, product, i); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pace):
		}
	}
	return refused(ctx, guest, product)
}

// keepBuying is a quiet afternoon: some business every few seconds until ctx ends.
func keepBuying(ctx context.Context, address string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pace):
		}
		err := business(ctx, address)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the afternoon is over
		}
		if err != nil {
			return err
		}
	}
}

// purchase buys one piece; the first card is declined, the second payment is given back.
func purchase(ctx context.Context, person, admin *shop.Shop, product string, i int) error {
	order, err := person.Place(ctx, product, 1)
	if err != nil || order.Status != http.StatusOK {
		return errors.Join(err, fmt.Errorf("place: %+v", order))
	}
	id := order.String("order", "id")
	if i == 0 {
		if answer, err := person.Pay(ctx, id, "pm_card_chargeDeclined"); err != nil || answer.Status >= http.StatusInternalServerError {
			return errors.Join(err, fmt.Errorf("pay with a bad card: %+v", answer))
		}
	}
	payment, err := person.Pay(ctx, id, "pm_card_visa")
	if err != nil || payment.Status != http.StatusOK {
		return errors.Join(err, fmt.Errorf("pay: %+v", payment))
	}
	if _, err := person.WaitOrder(ctx, id, "CONFIRMED"); err != nil {
		return err
	}
	if i == 1 {
		_, err := admin.Must(ctx, http.MethodPost, "/api/v1/billing/payments/"+payment.String("payment", "id")+":refund", map[string]any{"reason": "it was broken"})
		return err
	}
	return nil
}

// refused looks at a product until the shop has had enough.
func refused(ctx context.Context, guest *shop.Shop, product string) error {
	for range 2000 {
		answer, err := guest.Do(ctx, http.MethodGet, "/api/v1/products/"+product, nil)
		if err != nil {
			return err
		}
		if answer.Status == http.StatusTooManyRequests {
			return nil
		}
	}
	return errors.New("no limit was met")
}
