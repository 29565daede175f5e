package module

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stripe/stripe-go/v76/webhook"

	billingv1 "github.com/commercestack/commercestack/api/gen/commerce/billing/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/billing/v1/billingv1connect"
	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/event"
	"github.com/commercestack/commercestack/internal/identity"
)

func euros(minor int64) *typev1.Money { return &typev1.Money{CurrencyCode: "EUR", AmountMinor: minor} }

// confirm is what the order component tells once it heard of the money.
func (b *bench) confirm(orderID, userID string, total int64) {
	b.t.Helper()
	err := b.bus.Publish(b.t.Context(), []event.Event{event.New(orderID, &eventv1.OrderConfirmed{OrderId: orderID, UserId: userID, Order: &eventv1.OrderSnapshot{
		OrderId: orderID, Number: "CS-1001", UserId: userID, Email: "ann@example.com", Subtotal: euros(total), Discount: euros(0),
		Tax: euros(0), Shipping: euros(0), Total: euros(total),
		Lines:           []*eventv1.OrderLine{{Name: "Lampe „Öl“", Quantity: 1, UnitPrice: euros(total), Tax: euros(0), Total: euros(total)}},
		ShippingAddress: &typev1.Address{Recipient: "Ann Müller", Line1: "Weg 1", City: "Köln", PostalCode: "50667", CountryCode: "DE"},
	}})})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestAPurchaseOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	userID := uuid.NewString()
	me := "X-Test-User: " + userID
	orderID := b.orders.place(userID, 4999)
	body := fmt.Sprintf(`{"orderId":%q,"paymentMethod":"pm_card_visa","returnUrl":"https://shop.example/back"}`, orderID)
	paid := b.must("POST", "/api/v1/billing/payments", body, me, "Idempotency-Key: one")
	if paid.string("payment.status") != "SUCCEEDED" || paid.string("payment.orderId") != orderID {
		t.Fatalf("payment is %s", paid.text)
	}
	again := b.must("POST", "/api/v1/billing/payments", body, me, "Idempotency-Key: one")
	if again.string("payment.id") != paid.string("payment.id") {
		t.Errorf("the repeated request made another payment: %s", again.text)
	}
	if twin := b.call("POST", "/api/v1/billing/payments", body, me); twin.status != http.StatusConflict || twin.string("error.code") != "ORDER_ALREADY_PAID" {
		t.Errorf("a second payment: %d %s", twin.status, twin.text)
	}
	b.eventually("webhooks are handled", func() bool {
		var n int
		err := b.admin.QueryRow(t.Context(), `SELECT count(*) FROM billing.webhook_event WHERE next_poll_time IS NULL AND last_error = ''`).Scan(&n)
		return err == nil && n >= 2
	})
	b.confirm(orderID, userID, 4999)
	var list answer
	b.eventually("the invoice", func() bool {
		list = b.must("GET", "/api/v1/billing/invoices?orderId="+orderID, "", me)
		invoices, _ := list.at("invoices").([]any)
		return len(invoices) == 1
	})
	invoice, _ := list.at("invoices").([]any)[0].(map[string]any)
	if want := fmt.Sprintf("INV-%d-000001", time.Now().UTC().Year()); invoice["number"] != want || invoice["kind"] != "INVOICE" {
		t.Errorf("invoice is %v", invoice)
	}
	id, _ := invoice["id"].(string)
	one := b.must("GET", "/api/v1/billing/invoices/"+id, "", me)
	if one.string("invoice.orderNumber") != "CS-1001" {
		t.Errorf("invoice is %s", one.text)
	}
	pdf := b.must("GET", "/api/v1/billing/invoices/"+id+"/pdf", "", me)
	if pdf.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(pdf.text, "%PDF-1.") {
		t.Errorf("PDF is %s %.20q", pdf.header.Get("Content-Type"), pdf.text)
	}
	stranger := "X-Test-User: " + uuid.NewString()
	for _, path := range []string{"/api/v1/billing/invoices/" + id, "/api/v1/billing/invoices/" + id + "/pdf", "/api/v1/billing/payments/" + paid.string("payment.id")} {
		if got := b.call("GET", path, "", stranger); got.status != http.StatusNotFound {
			t.Errorf("a stranger gets %d from %s", got.status, path)
		}
	}
	b.refund(paid.string("payment.id"), me)
}

// refund gives the payment of a purchase back in two parts.
func (b *bench) refund(paymentID, me string) {
	t := b.t
	t.Helper()
	path := "/api/v1/billing/payments/" + paymentID + ":refund"
	if got := b.call("POST", path, `{"reason":"broken"}`, me); got.status != http.StatusForbidden {
		t.Errorf("a customer refunds himself: %d", got.status)
	}
	admin := []string{"X-Test-User: " + uuid.NewString(), "X-Test-Admin: yes"}
	part := b.must("POST", path, `{"amount":{"currencyCode":"EUR","amountMinor":"999"},"reason":"broken"}`, append(admin, "Idempotency-Key: r1")...)
	if part.string("refund.status") != "SUCCEEDED" || part.string("payment.status") != "PARTIALLY_REFUNDED" {
		t.Fatalf("refund is %s", part.text)
	}
	if part.at("payment.clientSecret") != "" && part.at("payment.clientSecret") != nil {
		t.Error("an administrator sees the customer's secret")
	}
	if again := b.must("POST", path, `{"amount":{"currencyCode":"EUR","amountMinor":"999"},"reason":"broken"}`, append(admin, "Idempotency-Key: r1")...); again.string("refund.id") != part.string("refund.id") {
		t.Errorf("the repeated refund is another: %s", again.text)
	}
	rest := b.must("POST", path, `{"reason":"rest"}`, admin...)
	if rest.string("payment.status") != "REFUNDED" {
		t.Errorf("payment is %s", rest.text)
	}
	got := b.must("GET", "/api/v1/billing/payments/"+paymentID, "", me)
	if refunds, _ := got.at("refunds").([]any); len(refunds) != 2 {
		t.Errorf("payment is %s", got.text)
	}
	documents := b.must("GET", "/api/v1/billing/invoices", "", me)
	if list, _ := documents.at("invoices").([]any); len(list) != 3 {
		t.Errorf("documents are %s", documents.text)
	}
	if got := b.call("POST", path, `{"reason":"more"}`, admin...); got.status != http.StatusConflict {
		t.Errorf("refunding again: %d %s", got.status, got.text)
	}
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	userID := uuid.NewString()
	me := "X-Test-User: " + userID
	for range 3 {
		b.must("POST", "/api/v1/billing/payments", fmt.Sprintf(`{"orderId":%q,"paymentMethod":"pm_card_visa"}`, b.orders.place(userID, 100)), me)
	}
	first := b.must("GET", "/api/v1/billing/payments?pageSize=2", "", me)
	token := first.string("nextPageToken")
	second := b.must("GET", "/api/v1/billing/payments?pageSize=2&pageToken="+token, "", me)
	one, _ := first.at("payments").([]any)
	two, _ := second.at("payments").([]any)
	if len(one) != 2 || len(two) != 1 || second.string("nextPageToken") != "" {
		t.Errorf("pages are %s and %s", first.text, second.text)
	}
	if got := b.call("GET", "/api/v1/billing/payments?pageSize=2&all=true&pageToken="+token, "", me); got.status != http.StatusForbidden {
		t.Errorf("a customer lists everybody's: %d", got.status)
	}
	if got := b.call("GET", "/api/v1/billing/payments?pageToken=!", "", me); got.status != http.StatusBadRequest {
		t.Errorf("a damaged token: %d", got.status)
	}
	if got := b.must("GET", "/api/v1/billing/payments?all=true", "", "X-Test-User: "+uuid.NewString(), "X-Test-Admin: yes"); len(got.at("payments").([]any)) != 3 {
		t.Errorf("an administrator sees %s", got.text)
	}
	if got := b.must("GET", "/api/v1/billing/payments", "", "X-Test-User: "+uuid.NewString()); len(got.at("payments").([]any)) != 0 {
		t.Errorf("a stranger sees %s", got.text)
	}
}

func TestBillingProfile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	userID := uuid.NewString()
	me := "X-Test-User: " + userID
	empty := b.must("GET", "/api/v1/billing/profile", "", me)
	if empty.string("profile.userId") != userID || empty.string("profile.etag") != "0" {
		t.Errorf("profile is %s", empty.text)
	}
	body := `{"name":"Müller GmbH","taxId":"DE123456789","defaultPaymentMethod":"pm_card_visa",
		"address":{"recipient":"Müller GmbH","line1":"Weg 2","city":"Köln","postalCode":"50667","countryCode":"DE"}}`
	written := b.must("PATCH", "/api/v1/billing/profile", body, me, `If-Match: "0"`)
	if written.string("profile.etag") != "1" || written.string("profile.defaultPaymentMethod") != "pm_card_visa" || written.string("profile.address.city") != "Köln" {
		t.Errorf("profile is %s", written.text)
	}
	if got := b.call("PATCH", "/api/v1/billing/profile", `{"name":"x"}`, me, `If-Match: "0"`); got.status != http.StatusPreconditionFailed {
		t.Errorf("a stale change: %d %s", got.status, got.text)
	}
	if got := b.must("PATCH", "/api/v1/billing/profile", `{"name":"Neu"}`, me); got.string("profile.taxId") != "DE123456789" || got.string("profile.name") != "Neu" {
		t.Errorf("profile is %s", got.text)
	}
	if got := b.call("PATCH", "/api/v1/billing/profile", `{"userId":"x"}`, me); got.status != http.StatusBadRequest {
		t.Errorf("another's id: %d %s", got.status, got.text)
	}
	if got := b.call("PATCH", "/api/v1/billing/profile", `{"defaultPaymentMethod":"pm_card_chargeDeclined"}`, me); got.status != http.StatusBadRequest {
		t.Errorf("a card that is refused: %d %s", got.status, got.text)
	}
	paid := b.must("POST", "/api/v1/billing/payments", fmt.Sprintf(`{"orderId":%q}`, b.orders.place(userID, 700)), me)
	if paid.string("payment.status") != "SUCCEEDED" {
		t.Errorf("payment with the default method is %s", paid.text)
	}
	var details []byte
	if err := b.admin.QueryRow(t.Context(), `SELECT details_sealed FROM billing.billing_profile`).Scan(&details); err != nil || strings.Contains(string(details), "DE123456789") {
		t.Errorf("details are stored in clear (%v)", err)
	}
	if err := b.bus.Publish(t.Context(), []event.Event{event.New(userID, &eventv1.UserDeleted{UserId: userID})}); err != nil {
		t.Fatal(err)
	}
	b.eventually("the account is forgotten", func() bool {
		var left int
		err := b.admin.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM billing.billing_profile)
			+ (SELECT count(*) FROM billing.payment WHERE user_id IS NOT NULL OR email <> '')`).Scan(&left)
		return err == nil && left == 0
	})
}

func TestForgedWebhooksChangeNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	event := `{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent"}}}`
	sign := func(secret string, at time.Time) string {
		return fmt.Sprintf("Stripe-Signature: t=%d,v1=%x", at.Unix(), webhook.ComputeSignature(at, []byte(event), secret))
	}
	for name, header := range map[string]string{
		"unsigned": "X-Nothing: 1", "nonsense": "Stripe-Signature: abc", "another secret": sign("whsec_guess", time.Now()),
		"too old": sign(testSecret, time.Now().Add(-6*time.Minute)),
	} {
		if got := b.call("POST", "/api/v1/billing/webhooks/stripe", event, header); got.status != http.StatusBadRequest || got.string("error.code") != "INVALID_INPUT" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	var stored int
	if err := b.admin.QueryRow(t.Context(), `SELECT count(*) FROM billing.webhook_event`).Scan(&stored); err != nil || stored != 0 {
		t.Fatalf("%d events stored, %v", stored, err)
	}
	for _, secret := range []string{testSecret, "whsec_rolled", testSecret} {
		b.must("POST", "/api/v1/billing/webhooks/stripe", event, sign(secret, time.Now()))
	}
	if err := b.admin.QueryRow(t.Context(), `SELECT count(*) FROM billing.webhook_event`).Scan(&stored); err != nil || stored != 1 {
		t.Errorf("%d events stored, %v", stored, err)
	}
}

func TestComponentsAskForRefundsAndPeopleCannot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	userID := uuid.NewString()
	orderID := b.orders.place(userID, 1200)
	b.must("POST", "/api/v1/billing/payments", fmt.Sprintf(`{"orderId":%q,"paymentMethod":"pm_card_visa"}`, orderID), "X-Test-User: "+userID)
	client := billingv1connect.NewReimbursementServiceClient(b.env.Client("billing"))
	ctx := identity.With(t.Context(), identity.Identity{Service: "order"})
	for range 2 {
		response, err := client.RefundOrder(ctx, &billingv1.RefundOrderRequest{OrderId: orderID, Reason: "cancelled"})
		if err != nil || len(response.GetRefunds()) != 1 || response.GetRefunds()[0].GetStatus() != billingv1.Refund_SUCCEEDED {
			t.Fatalf("refunds are %v, %v", response.GetRefunds(), err)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	userID := uuid.NewString()
	b.must("POST", "/api/v1/billing/payments", fmt.Sprintf(`{"orderId":%q,"paymentMethod":"pm_card_chargeDeclined"}`, b.orders.place(userID, 700)), "X-Test-User: "+userID)
	registry, _ := b.env.Registry.(*prometheus.Registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, family := range families {
		found[family.GetName()] = true
	}
	for _, want := range []string{
		"commerce_payments_total", "commerce_payment_provider_calls_total", "commerce_payment_provider_call_seconds",
		"commerce_billing_queue_depth", "commerce_billing_queue_overdue_seconds", "commerce_payment_unknown_oldest_seconds",
	} {
		if !found[want] {
			t.Errorf("there is no metric %s", want)
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no key":      {func(c *Config) { c.StripeKey = "" }, "STRIPE_SECRET_KEY"},
		"no secret":   {func(c *Config) { c.WebhookSecrets = []string{" "} }, "STRIPE_WEBHOOK_SECRET"},
		"odd address": {func(c *Config) { c.StripeURL = "ftp://x" }, "COMMERCE_BILLING_STRIPE_URL"},
		"no calls":    {func(c *Config) { c.StripeCalls = 0 }, "COMMERCE_BILLING_STRIPE_CALLS"},
		"no pause":    {func(c *Config) { c.Polls = []time.Duration{0} }, "COMMERCE_BILLING_POLLS"},
	} {
		config := testConfig(b.sim)
		tt.change(&config)
		env := b.env
		env.Registry = prometheus.NewRegistry()
		if _, err := New(t.Context(), config, env); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(t.Context(), testConfig(b.sim), b.env); err == nil {
		t.Error("metrics were registered twice")
	}
	env := b.env
	env.DB = nil
	if _, err := New(t.Context(), testConfig(b.sim), env); err == nil {
		t.Error("New succeeds without a database")
	}
}
