package module

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/commercestack/commercestack/api/gen/commerce/event/v1"
	orderv1 "github.com/commercestack/commercestack/api/gen/commerce/order/v1"
	"github.com/commercestack/commercestack/api/gen/commerce/order/v1/orderv1connect"
	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
)

const address = `"shippingAddress":{"recipient":"Ada","line1":"1 Street","city":"Berlin","countryCode":"DE"}`

func items(pairs ...any) string {
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, fmt.Sprintf(`{"productId":"%v","quantity":%v}`, pairs[i], pairs[i+1]))
	}
	return `"items":[` + strings.Join(parts, ",") + `]`
}

// settlement is what billing calls.
func (b *bench) settlement(t *testing.T) orderv1connect.SettlementServiceClient {
	t.Helper()
	return orderv1connect.NewSettlementServiceClient(
		rpc.NewClient(connectinprocess.New(b.server), rpc.ClientOptions{Caller: "billing", Target: "order"}))
}

func (b *bench) status(t *testing.T, id string) string {
	t.Helper()
	return b.must(t, "GET", "/api/v1/orders/"+id, "", admin...).at("order", "status")
}

func (b *bench) waitFor(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, "order becomes "+status, func() bool { return b.status(t, id) == status })
}

func TestAPurchaseOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.New()
	first, second := b.product.add(1999, 10), b.product.add(500, 10)
	placed := b.must(t, "POST", "/api/v1/orders", "{"+items(first, 1, second, 2, first, 1)+","+address+"}", as(user))
	id := placed.at("order", "id")
	want := `"subtotal":{"currencyCode":"EUR","amountMinor":"4998"},"discount":{"currencyCode":"EUR"},"tax":{"currencyCode":"EUR","amountMinor":"950"},` +
		`"shipping":{"currencyCode":"EUR","amountMinor":"490"},"total":{"currencyCode":"EUR","amountMinor":"6438"}`
	if compact := strings.ReplaceAll(placed.text, `,"amountMinor":"0"`, ""); !strings.Contains(strings.ReplaceAll(compact, " ", ""), want) {
		t.Errorf("placed %s", placed.text)
	}
	if placed.at("order", "status") != "PENDING" || placed.at("order", "userId") != user.String() || placed.at("order", "expireTime") == "" || placed.at("guestToken") != "" {
		t.Errorf("placed %s", placed.text)
	}

	payment := uuid.NewString()
	begun, err := b.settlement(t).BeginPayment(identity.With(t.Context(), identity.Identity{}), &orderv1.BeginPaymentRequest{OrderId: id, PaymentId: payment, UserId: user.String()})
	if err != nil || begun.GetAmount().GetAmountMinor() != 6438 || begun.GetEmail() != user.String()+"@example.com" || begun.GetOrder().GetId() != id {
		t.Fatalf("begin payment: %v, %v", begun, err)
	}
	b.publish(t, id, &eventv1.PaymentSucceeded{PaymentId: payment, OrderId: id, UserId: user.String(), Amount: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 6438}})
	b.waitFor(t, id, "CONFIRMED")
	if b.product.state(id) != "sold" {
		t.Errorf("goods are %s", b.product.state(id))
	}
	b.publish(t, id, &eventv1.InvoiceIssued{InvoiceId: uuid.NewString(), Number: "2026-1", OrderId: id})
	b.publish(t, id, &eventv1.MailSent{MailId: uuid.NewString(), Template: "order_confirmed", OrderId: id})
	b.publish(t, id, &eventv1.MailSent{MailId: uuid.NewString(), Template: "welcome"})
	b.publish(t, id, &eventv1.PaymentRefunded{
		PaymentId: payment, OrderId: id, RefundId: uuid.NewString(), Amount: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 38},
		RefundedTotal: &typev1.Money{CurrencyCode: "EUR", AmountMinor: 38},
	})
	eventually(t, "the history tells everything", func() bool {
		text := b.must(t, "GET", "/api/v1/orders/"+id+"/events", "", as(user)).text
		for _, step := range []string{"PLACED", "PAYMENT_STARTED", "CONFIRMED", "INVOICED", "MAIL_SENT", "REFUNDED"} {
			if !strings.Contains(text, `"`+step+`"`) {
				return false
			}
		}
		return true
	})
	if got := b.must(t, "GET", "/api/v1/orders/"+id, "", as(user)); !strings.Contains(got.text, `"38"`) {
		t.Errorf("refund is not shown: %s", got.text)
	}
	b.must(t, "POST", "/api/v1/orders/"+id+":fulfill", `{"trackingNumber":"T1"}`, admin...)
	if got := b.must(t, "POST", "/api/v1/orders/"+id+":complete", `{}`, admin...); got.at("order", "status") != "COMPLETED" {
		t.Errorf("completed %s", got.text)
	}
	eventually(t, "the outbox drains", func() bool {
		var n int
		if err := b.db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM outbox").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(fmt.Sprint(families), "commerce_order_transitions_total") {
		t.Error("moves are not counted")
	}
}

func TestAGuestBuysAndCancels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	product := b.product.add(1000, 10)
	body := "{" + items(product, 1) + `,"email":"guest@example.com"}`
	if got := b.call(t, "POST", "/api/v1/orders", "{"+items(product, 1)+"}"); got.status != 400 || got.at("error", "details", "field") != "email" {
		t.Errorf("without an address: %d %s", got.status, got.text)
	}
	key := "Idempotency-Key: " + uuid.NewString()
	placed := b.must(t, "POST", "/api/v1/orders", body, key)
	id, token := placed.at("order", "id"), placed.at("guestToken")
	again := b.must(t, "POST", "/api/v1/orders", body, key)
	if again.at("order", "id") != id || again.at("guestToken") != token || again.header.Get("Idempotent-Replayed") != "true" || len(token) < 40 {
		t.Errorf("repetition: %s", again.text)
	}
	if got := b.call(t, "POST", "/api/v1/orders", "{"+items(product, 2)+`,"email":"guest@example.com"}`, key); got.status != 409 {
		t.Errorf("another order under the same key: %d %s", got.status, got.text)
	}
	var stored string
	if err := b.db.Pool().QueryRow(t.Context(), "SELECT guest_token_hash FROM orders WHERE id = $1", id).Scan(&stored); err != nil || stored == token || strings.Contains(stored, token) {
		t.Errorf("the token is stored as %q (%v)", stored, err)
	}
	shown := "X-Guest-Token: " + token
	for path, want := range map[string]int{"": 200, "/events": 200} {
		if got := b.call(t, "GET", "/api/v1/orders/"+id+path, "", shown); got.status != want {
			t.Errorf("with the token: %d %s", got.status, got.text)
		}
		if got := b.call(t, "GET", "/api/v1/orders/"+id+path, "", "X-Guest-Token: wrong"); got.status != 404 || got.code() != "NOT_FOUND" {
			t.Errorf("with a wrong token: %d %s", got.status, got.text)
		}
		if got := b.call(t, "GET", "/api/v1/orders/"+id+path, ""); got.status != 401 || got.code() != "AUTH_FAILED" {
			t.Errorf("without a token: %d %s", got.status, got.text)
		}
		if got := b.call(t, "GET", "/api/v1/orders/"+id+path, "", as(uuid.New())); got.status != 404 {
			t.Errorf("as a user: %d %s", got.status, got.text)
		}
	}
	begun, err := b.settlement(t).BeginPayment(identity.With(t.Context(), identity.Identity{}), &orderv1.BeginPaymentRequest{
		OrderId: id, PaymentId: uuid.NewString(), GuestTokenHash: identity.Identity{GuestToken: token}.GuestTokenHash(),
	})
	if err != nil || begun.GetUserId() != "" || begun.GetEmail() != "guest@example.com" {
		t.Fatalf("paying: %v, %v", begun, err)
	}
	if got := b.must(t, "POST", "/api/v1/orders/"+id+":cancel", `{"reason":"no"}`, shown); got.at("order", "status") != "CANCELLED" {
		t.Errorf("cancelled %s", got.text)
	}
	// Goods go back and, since money was on its way, so does that.
	eventually(t, "goods and money go back", func() bool { return b.product.state(id) == "released" && b.billing.refunded(id) != "" })
}

func TestBadInputNamesTheFieldAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.New()
	product := b.product.add(1000, 10)
	order := b.must(t, "POST", "/api/v1/orders", "{"+items(product, 1)+"}", as(user)).at("order", "id")
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code, field        string
	}{
		"negative quantity":     {"POST", "/orders", "{" + items(product, -1) + "}", []string{as(user)}, 400, "INVALID_INPUT", "items[0].quantity"},
		"huge quantity":         {"POST", "/orders", "{" + items(product, 10001) + "}", []string{as(user)}, 400, "INVALID_INPUT", "items[0].quantity"},
		"malformed product":     {"POST", "/orders", "{" + items("x", 1) + "}", []string{as(user)}, 400, "INVALID_INPUT", "items[0].productId"},
		"unknown product":       {"POST", "/orders", "{" + items(uuid.NewString(), 1) + "}", []string{as(user)}, 404, "NOT_FOUND", ""},
		"too many pieces":       {"POST", "/orders", "{" + items(product, 11) + "}", []string{as(user)}, 409, "OUT_OF_STOCK", ""},
		"nothing":               {"POST", "/orders", "{}", []string{as(user)}, 400, "INVALID_INPUT", "items"},
		"unknown coupon":        {"POST", "/orders", "{" + items(product, 1) + `,"couponCode":"NOPE"}`, []string{as(user)}, 400, "INVALID_INPUT", "couponCode"},
		"bad guest address":     {"POST", "/orders", "{" + items(product, 1) + `,"email":"notanemail"}`, nil, 400, "INVALID_INPUT", "email"},
		"malformed order":       {"GET", "/orders/x", "", []string{as(user)}, 400, "INVALID_INPUT", "orderId"},
		"unknown order":         {"GET", "/orders/" + uuid.NewString(), "", []string{as(user)}, 404, "NOT_FOUND", ""},
		"another's order":       {"GET", "/orders/" + order, "", []string{as(uuid.New())}, 404, "NOT_FOUND", ""},
		"cancelling another's":  {"POST", "/orders/" + order + ":cancel", "{}", []string{as(uuid.New())}, 404, "NOT_FOUND", ""},
		"list as a guest":       {"GET", "/orders", "", nil, 401, "AUTH_FAILED", ""},
		"all as a user":         {"GET", "/orders?all=true", "", []string{as(user)}, 403, "UNAUTHORIZED", ""},
		"forged page token":     {"GET", "/orders?pageToken=abc", "", []string{as(user)}, 400, "INVALID_INPUT", "pageToken"},
		"huge page":             {"GET", "/orders?pageSize=101", "", []string{as(user)}, 400, "INVALID_INPUT", "pageSize"},
		"fulfilling as a user":  {"POST", "/orders/" + order + ":fulfill", "{}", []string{as(user)}, 403, "UNAUTHORIZED", ""},
		"fulfilling unpaid":     {"POST", "/orders/" + order + ":fulfill", "{}", admin, 409, "ORDER_NOT_FULFILLABLE", ""},
		"completing unpaid":     {"POST", "/orders/" + order + ":complete", "{}", admin, 409, "ORDER_NOT_COMPLETABLE", ""},
		"coupon as a user":      {"POST", "/coupons", `{"code":"ABC","percentOffBps":1}`, []string{as(user)}, 403, "UNAUTHORIZED", ""},
		"coupon of nothing":     {"POST", "/coupons", `{"code":"ABC"}`, admin, 400, "INVALID_INPUT", "coupon.percentOffBps"},
		"coupon of two moneys":  {"POST", "/coupons", `{"code":"ABC","amountOff":{"currencyCode":"EUR","amountMinor":"1"},"minimumSubtotal":{"currencyCode":"USD","amountMinor":"1"}}`, admin, 400, "INVALID_INPUT", "coupon.minimumSubtotal"},
		"forged coupon token":   {"GET", "/coupons?pageToken=abc", "", admin, 400, "INVALID_INPUT", "pageToken"},
		"unknown coupon ended":  {"DELETE", "/coupons/" + uuid.NewString(), "", admin, 404, "NOT_FOUND", ""},
		"cart of another":       {"GET", "/carts/" + uuid.NewString(), "", []string{as(user)}, 404, "NOT_FOUND", ""},
		"cart without a token":  {"GET", "/carts/" + uuid.NewString(), "", nil, 401, "AUTH_FAILED", ""},
		"merging as a guest":    {"POST", "/carts/" + uuid.NewString() + ":merge", "{}", nil, 401, "AUTH_FAILED", ""},
		"removing from nothing": {"DELETE", "/carts/" + uuid.NewString() + "/items/" + product, "", []string{as(user)}, 404, "NOT_FOUND", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.call(t, c.method, "/api/v1"+c.path, c.body, c.headers...)
			field := got.at("error", "details", "field")
			if got.status != c.status || got.code() != c.code || !strings.HasSuffix(normal(c.field), normal(field)) || (c.field != "" && field == "") {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
	if got := b.must(t, "GET", "/api/v1/orders", "", as(user)); strings.Count(got.text, `"number"`) != 1 {
		t.Errorf("refused orders were placed: %s", got.text)
	}
}

// normal compares names of fields whatever their spelling.
func normal(field string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "coupon.", "").Replace(field))
}

func TestCartsOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.New()
	product, other := b.product.add(1000, 10), b.product.add(250, 1)
	created := b.must(t, "POST", "/api/v1/carts", "{}")
	guestCart, token := created.at("cart", "id"), "X-Guest-Token: "+created.at("guestToken")
	key := "Idempotency-Key: " + uuid.NewString()
	add := func(cart, product string, quantity int, headers ...string) answer {
		return b.must(t, "POST", "/api/v1/carts/"+cart+"/items", fmt.Sprintf(`{"productId":"%s","quantity":%d}`, product, quantity), headers...)
	}
	add(guestCart, product, 2, token, key)
	if got := add(guestCart, product, 2, token, key); strings.Contains(got.text, `"quantity":4`) {
		t.Errorf("a repetition added: %s", got.text)
	}
	mine := b.must(t, "POST", "/api/v1/carts", "{}", as(user))
	if mine.at("guestToken") != "" || mine.at("cart", "userId") != user.String() {
		t.Errorf("created %s", mine.text)
	}
	add(mine.at("cart", "id"), product, 1, as(user))
	add(mine.at("cart", "id"), other, 1, as(user))
	merged := b.must(t, "POST", "/api/v1/carts/"+guestCart+":merge", "{}", as(user), token)
	if merged.at("cart", "id") != mine.at("cart", "id") || !strings.Contains(merged.text, `"quantity":3`) || merged.at("cart", "subtotal", "amountMinor") != "3250" {
		t.Errorf("merged %s", merged.text)
	}
	path := "/api/v1/carts/" + mine.at("cart", "id")
	if got := b.must(t, "PATCH", path+"/items/"+product, `{"quantity":1}`, as(user)); got.at("cart", "subtotal", "amountMinor") != "1250" {
		t.Errorf("updated %s", got.text)
	}
	if got := b.must(t, "DELETE", path+"/items/"+other, "", as(user)); got.at("cart", "subtotal", "amountMinor") != "1000" {
		t.Errorf("removed %s", got.text)
	}
	placed := b.must(t, "POST", "/api/v1/orders", `{"cartId":"`+mine.at("cart", "id")+`"}`, as(user))
	if placed.at("order", "total", "amountMinor") != "1000" {
		t.Errorf("ordered %s", placed.text)
	}
	if got := b.call(t, "GET", path, "", as(user)); got.status != 404 {
		t.Errorf("an ordered cart answers %d", got.status)
	}
	again := b.must(t, "POST", "/api/v1/carts", "{}", as(user))
	b.must(t, "DELETE", "/api/v1/carts/"+again.at("cart", "id"), "", as(user))
}

func TestCouponsAndListsOverREST(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.New()
	product := b.product.add(1000, 100)
	coupon := b.must(t, "POST", "/api/v1/coupons", `{"code":"fifth","percentOffBps":2000,"startTime":"2020-01-01T00:00:00Z","maxRedemptions":1}`, admin...)
	b.must(t, "POST", "/api/v1/coupons", `{"code":"two-euro","amountOff":{"currencyCode":"EUR","amountMinor":"200"},"minimumSubtotal":{"currencyCode":"EUR","amountMinor":"100"}}`, admin...)
	placed := b.must(t, "POST", "/api/v1/orders", "{"+items(product, 1)+`,"couponCode":"fifth"}`, as(user))
	if placed.at("order", "discount", "amountMinor") != "200" || placed.at("order", "couponCode") != "FIFTH" {
		t.Errorf("placed %s", placed.text)
	}
	if got := b.call(t, "POST", "/api/v1/orders", "{"+items(product, 1)+`,"couponCode":"fifth"}`, as(user)); got.status != 409 || got.code() != "COUPON_USED_UP" {
		t.Errorf("second use: %d %s", got.status, got.text)
	}
	page := b.must(t, "GET", "/api/v1/coupons?pageSize=1", "", admin...)
	rest := b.must(t, "GET", "/api/v1/coupons?pageSize=1&pageToken="+page.at("nextPageToken"), "", admin...)
	if !strings.Contains(page.text, "TWO-EURO") || !strings.Contains(rest.text, "FIFTH") || !strings.Contains(rest.text, `"redemptions":1`) || rest.at("nextPageToken") != "" {
		t.Errorf("pages %s and %s", page.text, rest.text)
	}
	b.must(t, "DELETE", "/api/v1/coupons/"+coupon.at("coupon", "id"), "", admin...)
	for range 2 {
		b.must(t, "POST", "/api/v1/orders", "{"+items(product, 1)+"}", as(user))
	}
	first := b.must(t, "GET", "/api/v1/orders?pageSize=2", "", as(user))
	second := b.must(t, "GET", "/api/v1/orders?pageSize=2&pageToken="+first.at("nextPageToken"), "", as(user))
	if strings.Count(first.text, `"number"`) != 2 || strings.Count(second.text, `"number"`) != 1 || second.at("nextPageToken") != "" {
		t.Errorf("pages %s and %s", first.text, second.text)
	}
	if got := b.call(t, "GET", "/api/v1/orders?pageSize=2&status=PENDING&pageToken="+first.at("nextPageToken"), "", as(user)); got.status != 400 {
		t.Errorf("a token of another list: %d %s", got.status, got.text)
	}
	all := b.must(t, "GET", "/api/v1/orders?all=true&status=PENDING&q="+placed.at("order", "number"), "", admin...)
	if strings.Count(all.text, `"number"`) != 1 {
		t.Errorf("found %s", all.text)
	}
	var audited int
	if err := b.db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM audit_log WHERE action LIKE '%CreateCoupon%'").Scan(&audited); err != nil || audited != 2 {
		t.Errorf("%d audit rows, %v", audited, err)
	}
}

func TestUserDeletionAndFailuresReachOrders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user := uuid.New()
	product := b.product.add(1000, 10)
	id := b.must(t, "POST", "/api/v1/orders", "{"+items(product, 1)+","+address+"}", as(user)).at("order", "id")
	payment := uuid.NewString()
	if _, err := b.settlement(t).BeginPayment(identity.With(t.Context(), identity.Identity{}), &orderv1.BeginPaymentRequest{OrderId: id, PaymentId: payment, UserId: user.String()}); err != nil {
		t.Fatal(err)
	}
	b.publish(t, id, &eventv1.PaymentFailed{PaymentId: payment, OrderId: id, FailureCode: "card_declined"})
	eventually(t, "the history tells of the failure", func() bool {
		return strings.Contains(b.must(t, "GET", "/api/v1/orders/"+id+"/events", "", as(user)).text, "Payment failed: card_declined")
	})
	b.must(t, "POST", "/api/v1/orders/"+id+":cancel", "{}", as(user))
	b.publish(t, user.String(), &eventv1.UserDeleted{UserId: user.String()})
	eventually(t, "the person is forgotten", func() bool {
		got := b.must(t, "GET", "/api/v1/orders/"+id, "", admin...)
		return got.at("order", "email") == "" && !strings.Contains(got.text, "Ada")
	})
}

func TestAnAddressIsAskedOfAuthWhenTheTokenHasNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	placed := b.must(t, "POST", "/api/v1/orders", "{"+items(b.product.add(1000, 10), 1)+"}", admin...)
	if placed.at("order", "email") != "account@example.com" {
		t.Errorf("placed %s", placed.text)
	}
	if text := b.must(t, "GET", "/api/v1/orders/"+placed.at("order", "id")+"/events", "", admin...).text; !strings.Contains(text, `"actor":"user"`) {
		t.Errorf("an administrator who buys is a customer: %s", text)
	}
}

func TestSettlementIsForServicesOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	request := fmt.Sprintf(`{"orderId":"%s","paymentId":"%s"}`, uuid.NewString(), uuid.NewString())
	for name, headers := range map[string][]string{"guest": nil, "user": {as(uuid.New())}, "administrator": admin} {
		if got := b.call(t, "POST", "/commerce.order.v1.SettlementService/BeginPayment", request, headers...); got.status != http.StatusForbidden && got.status != http.StatusUnauthorized && got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	_, err := b.settlement(t).BeginPayment(identity.With(t.Context(), identity.Identity{}), &orderv1.BeginPaymentRequest{OrderId: uuid.NewString(), PaymentId: uuid.NewString()})
	if f := fault.From(err); f == nil || f.Kind != fault.KindAuthFailed {
		t.Errorf("for nobody: %v", err)
	}
}

func TestAStockThatLiesSellsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.product.lie = true
	got := b.call(t, "POST", "/api/v1/orders", "{"+items(b.product.add(1000, 10), 2)+"}", as(uuid.New()))
	if got.status != 500 || got.code() != "INTERNAL_ERROR" || strings.Contains(got.text, "stock") {
		t.Errorf("%d %s", got.status, got.text)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(t.Context(), Config{}, component.Env{}); err == nil {
		t.Error("no keyring was accepted")
	}
	config := defaults(t)
	if config.ReservationTTL != 15*time.Minute || config.Tax["DE:standard"] != 1900 || config.Shipping["EUR"] != "490/5000" {
		t.Errorf("defaults are %+v", config)
	}
	config.Shipping = map[string]string{"EUR": "cheap"}
	if _, err := config.settings("EUR"); err == nil || !strings.Contains(err.Error(), "EUR") {
		t.Errorf("got %v", err)
	}
	registry := prometheus.NewRegistry()
	if _, err := newMeter(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := newMeter(registry); err == nil {
		t.Error("metrics were registered twice")
	}
	if _, err := newMeter(nil); err != nil {
		t.Error(err)
	}
}
