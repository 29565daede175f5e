package stripe_test

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/money"
	"github.com/commercestack/commercestack/services/billing"
	"github.com/commercestack/commercestack/services/billing/stripe"
)

// startMock runs stripe-mock, which checks requests against Stripe's published
// description of its API.
func startMock(t *testing.T) string {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "../../../hack/tool", "--path", "stripe-mock").Output()
	if err != nil {
		t.Fatalf("build stripe-mock: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	mock := exec.CommandContext(ctx, strings.TrimSpace(string(path)), "-http-addr", address)
	if err := mock.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = mock.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("stripe-mock does not listen: %v", err)
		}
	}
}

// Every call that we make must be one that Stripe documents: a wrong name or
// type of a parameter would be refused only in production otherwise.
func TestStripeKnowsEveryParameterWeSend(t *testing.T) {
	t.Parallel()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := stripe.New(stripe.Config{
		URL: startMock(t), Key: "sk_test_123", CallsPerSecond: 100, MaxWait: time.Second, Timeout: 10 * time.Second, Tries: 1,
		BreakAfter: 100, HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	full := input()
	full.ReturnURL = "https://shop.example/back"
	bare := input()
	bare.CustomerID = ""
	amount := money.Money{CurrencyCode: "EUR", AmountMinor: 100}
	for name, do := range map[string]func(ctx context.Context) error{
		"pay, with everything": func(ctx context.Context) error { _, err := c.Pay(ctx, full); return err },
		"pay, with little":     func(ctx context.Context) error { _, err := c.Pay(ctx, bare); return err },
		"confirm": func(ctx context.Context) error {
			_, err := c.Confirm(ctx, billing.ConfirmInput{IntentID: "pi_123", PaymentMethod: "pm_card_visa", ReturnURL: "https://shop.example", Attempt: 2})
			return err
		},
		"intent": func(ctx context.Context) error { _, err := c.Intent(ctx, "pi_123"); return err },
		"cancel": func(ctx context.Context) error { _, err := c.Cancel(ctx, "pi_123"); return err },
		"refund of a part": func(ctx context.Context) error {
			_, err := c.Refund(ctx, billing.RefundInput{RefundID: uuid.New(), IntentID: "pi_123", Amount: amount})
			return err
		},
		"refund of everything": func(ctx context.Context) error {
			_, err := c.Refund(ctx, billing.RefundInput{RefundID: uuid.New(), IntentID: "pi_123", Whole: true})
			return err
		},
		"refunds":  func(ctx context.Context) error { _, err := c.Refunds(ctx, "pi_123"); return err },
		"customer": func(ctx context.Context) error { _, err := c.Customer(ctx, uuid.New(), "ann@example.com"); return err },
		"attach":   func(ctx context.Context) error { _, err := c.Attach(ctx, "cus_123", "pm_card_visa"); return err },
		"forget":   func(ctx context.Context) error { return c.Forget(ctx, "cus_123") },
	} {
		if err := do(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The list of stripe-mock has no intent of ours, and that is its answer.
	if _, err := c.Find(t.Context(), uuid.New(), time.Now()); err == nil || !strings.Contains(err.Error(), "no intent") {
		t.Errorf("find: %v", err)
	}
}
