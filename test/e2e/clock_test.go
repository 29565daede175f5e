package e2e_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/commercestack/commercestack/internal/app"
	"github.com/commercestack/commercestack/internal/pgserver"
	"github.com/commercestack/commercestack/test/shop"
)

// TestWrongClocks runs a shop whose clock is an hour slow beside workers whose
// clock is an hour fast. An order does not expire early, neither because it was
// given an end that is over nor because somebody thinks that it is.
func TestWrongClocks(t *testing.T) {
	t.Parallel()
	ctx, folder := t.Context(), newFolder(t)
	server, err := pgserver.Start(ctx, pgserver.Config{DataDir: filepath.Join(folder, "db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	data := filepath.Join(folder, "data")
	p := startOn(t, data, server.URL("postgres"), "--development-clock-ahead=-1h")
	password, err := os.ReadFile(filepath.Join(data, "keys", "database-password"))
	if err != nil {
		t.Fatal(err)
	}
	common := []string{
		"serve", "--components", "auth,user,product,order,billing,notification,analytics", "--role", "worker", "--metrics-listen", "127.0.0.1:0",
		"--database-url", "postgres://commerce_{component}:" + strings.TrimSpace(string(password)) + "@" + server.Address() + "/postgres?sslmode=disable",
		"--objects-url", "file://" + t.TempDir(), "--identity-keys-file", filepath.Join(data, "keys", "identity.keys"),
		"--encryption-keys-file", filepath.Join(data, "keys", "encryption.keys"), "--billing-stripe-key", "sk_test_clock", "--billing-webhook-secrets", "whsec_clock",
		"--order-sweep-interval", "200ms", "--product-expire-every", "200ms", "--development-clock-ahead=1h",
		"--redis-url", "redis://" + miniredis.RunT(t).Addr(),
	}
	if err := app.Main(ctx, common, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "development") {
		t.Errorf("outside of development a clock may not be wrong on purpose: %v", err)
	}
	workers := start(ctx, append(common, "--development")...)
	t.Cleanup(func() { _ = workers.stop() })
	if err := shop.Eventually(ctx, time.Minute, func() (bool, error) {
		return strings.Contains(workers.err.String(), "the clock of this process differs"), workers.failed()
	}); err != nil {
		t.Fatal(err)
	}
	product, err := p.admin.NewProduct(ctx, "Clockwork orange", "EUR", 1000, 10)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.guest.Place(ctx, product, 1)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("%v %+v", err, answer)
	}
	id, customer := answer.String("order", "id"), p.guest.AsGuest(answer.String("guestToken"))
	expires, err := time.Parse(time.RFC3339, answer.String("order", "expireTime"))
	if left := time.Until(expires); err != nil || left < 5*time.Minute || left > 50*time.Minute {
		t.Errorf("the order expires in %s (%v)", left, err)
	}
	// Workers have swept several times.
	time.Sleep(2 * time.Second)
	order, err := customer.Must(ctx, http.MethodGet, "/api/v1/orders/"+id, nil)
	if err != nil || order.String("order", "status") != "PENDING" {
		t.Fatalf("the order: %v %+v", err, order)
	}
	if paid, err := customer.Do(ctx, http.MethodPost, "/api/v1/billing/payments", map[string]any{"orderId": id, "paymentMethod": "pm_card_visa"}); err != nil || paid.Status != http.StatusOK {
		t.Fatalf("the payment: %v %+v", err, paid)
	}
	if _, err := customer.WaitOrder(ctx, id, "CONFIRMED"); err != nil {
		t.Error(err)
	}
}
