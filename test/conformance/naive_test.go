package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// naive is a shop that falls into the traps, as shops do: it looks before it
// writes, with time in between, and knows no limits.
type naive struct {
	mu       sync.Mutex
	products map[string]*goods
	orders   []map[string]any
	coupons  map[string]int
	carts    map[string]int
}

type goods struct {
	price, onHand, reserved int64
}

type object = map[string]any

func newNaive(t *testing.T) string {
	t.Helper()
	n := &naive{products: map[string]*goods{}, coupons: map[string]int{}, carts: map[string]int{}}
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(r *http.Request, body object) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			var body object
			_ = json.NewDecoder(r.Body).Decode(&body) // what is no JSON is taken, too
			status, value := answer(r, body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Request-Id", "always-the-same")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(value)
		})
	}
	handle("POST /api/v1/auth/login", func(*http.Request, object) (int, any) { return 200, object{"accessToken": "admin"} })
	handle("POST /api/v1/auth/", func(_ *http.Request, body object) (int, any) { return 400, object{"you sent": body} })
	handle("GET /api/v1/products", func(*http.Request, object) (int, any) { return 200, object{} })
	handle("POST /api/v1/products", n.addProduct)
	handle("GET /api/v1/products/{id}", n.showProduct)
	handle("PATCH /api/v1/products/{id}", func(*http.Request, object) (int, any) { return 200, object{} })
	handle("POST /api/v1/products/{id}", n.adjust)
	handle("POST /api/v1/products/{id}/images", func(*http.Request, object) (int, any) { return 200, object{} })
	handle("POST /api/v1/coupons", func(_ *http.Request, body object) (int, any) { return 200, object{"coupon": body} })
	handle("POST /api/v1/orders", n.place)
	handle("POST /commerce.order.v1.OrderService/PlaceOrder", n.place)
	handle("GET /api/v1/orders/{id}", func(*http.Request, object) (int, any) { return 200, object{"order": object{}} })
	handle("POST /api/v1/orders/{id}", n.cancel)
	handle("POST /api/v1/carts", func(*http.Request, object) (int, any) {
		return 200, object{"cart": object{"id": "cart"}, "guestToken": "token"}
	})
	handle("POST /api/v1/carts/{id}/items", n.addToCart)
	handle("GET /api/v1/carts/{id}", func(*http.Request, object) (int, any) {
		n.mu.Lock()
		defer n.mu.Unlock()
		var list []object
		for product, quantity := range n.carts {
			list = append(list, object{"productId": product, "quantity": quantity})
		}
		return 200, object{"cart": object{"items": list}}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func (n *naive) addProduct(_ *http.Request, body object) (int, any) {
	price, _ := body["price"].(object)
	stock, _ := body["stock"].(object)
	minor, _ := price["amountMinor"].(string)
	amount, _ := strconv.ParseInt(minor, 10, 64)
	onHand, _ := stock["onHand"].(float64)
	id := uuid.NewString()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.products[id] = &goods{price: amount, onHand: int64(onHand)}
	return 200, object{"product": object{"id": id}}
}

func (n *naive) showProduct(r *http.Request, _ object) (int, any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.products[r.PathValue("id")]
	if p == nil {
		return 404, object{}
	}
	return 200, object{"product": object{"etag": "1", "stock": object{"onHand": p.onHand, "reserved": p.reserved, "available": p.onHand - p.reserved}}}
}

func (n *naive) adjust(r *http.Request, body object) (int, any) {
	id, _, _ := strings.Cut(r.PathValue("id"), ":")
	delta, _ := body["delta"].(float64)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.products[id].onHand += int64(delta)
	return 200, object{}
}

func (n *naive) cancel(r *http.Request, _ object) (int, any) {
	id, _, _ := strings.Cut(r.PathValue("id"), ":")
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, order := range n.orders {
		if order["id"] != id {
			continue
		}
		for _, item := range order["items"].([]object) {
			n.products[item["productId"].(string)].reserved -= item["quantity"].(int64)
		}
	}
	return 200, object{}
}

func (n *naive) addToCart(_ *http.Request, body object) (int, any) {
	product, _ := body["productId"].(string)
	n.mu.Lock()
	before := n.carts[product]
	n.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.carts[product] = before + 1
	return 200, object{}
}

// place looks, waits and writes.
func (n *naive) place(_ *http.Request, body object) (int, any) {
	var lines []object
	list, _ := body["items"].([]any)
	var subtotal int64
	n.mu.Lock()
	number := len(n.orders) + 1
	code, _ := body["couponCode"].(string)
	used := n.coupons[code]
	for _, entry := range list {
		item, _ := entry.(object)
		product, _ := item["productId"].(string)
		quantity, _ := item["quantity"].(float64)
		p := n.products[product]
		if p == nil || p.onHand-p.reserved < int64(quantity) {
			n.mu.Unlock()
			return 409, object{"code": "failed_precondition", "error": object{
				"code": "OUT_OF_STOCK", "message": "none left", "timestamp": time.Now().Format(time.RFC3339), "requestId": "always-the-same",
			}}
		}
		amount := p.price * int64(quantity)
		subtotal += amount
		lines = append(lines, object{
			"productId": product, "quantity": int64(quantity), "unitPrice": object{"amountMinor": strconv.FormatInt(p.price, 10)},
			"subtotal": object{"amountMinor": strconv.FormatInt(amount, 10)}, "tax": object{"amountMinor": fmt.Sprint(float64(amount) * 0.19)},
		})
	}
	n.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range lines {
		n.products[l["productId"].(string)].reserved += l["quantity"].(int64)
	}
	order := object{
		"id": uuid.NewString(), "number": strconv.Itoa(number), "items": lines, "status": "PENDING",
		"subtotal": object{"amountMinor": strconv.FormatInt(subtotal, 10)}, "total": object{"amountMinor": fmt.Sprint(float64(subtotal) * 1.19)},
	}
	if code != "" {
		n.coupons[code] = used + 1
		order["discount"] = object{"amountMinor": "100"}
	}
	n.orders = append(n.orders, order)
	return 200, object{"order": order, "guestToken": "token"}
}

// TestANaiveShopFails proves that the cases can fail: each of these must find
// its trap in a shop that fell into it.
func TestANaiveShopFails(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"sixty-four-buyers-ten-pieces":              "orders for 10 pieces",
		"two-lines-of-one-product-are-summed":       "two lines of 6 were taken",
		"stock-is-never-below-what-is-promised":     "of 20 pieces",
		"a-cancelled-order-returns-its-pieces-once": "stock is 10 on hand, -28 reserved",
		"totals-add-up-to-the-cent":                 "not a whole number",
		"a-negative-quantity-is-no-discount":        "status 200, want 400",
		"no-negative-price-or-coupon":               "status 200, want 400",
		"a-coupon-is-used-as-often-as-it-may":       "24 orders used a coupon for 3",
		"order-numbers-are-unique":                  "48 orders have",
		"twins-with-one-key-make-one-order":         "the repetition answers status 200, Idempotent-Replayed",
		"a-key-with-other-parameters-is-refused":    "status 200, want 409",
		"additions-at-once-all-count":               "want 16",
		"a-cart-becomes-one-order":                  "8 orders",
		"limits-are-told":                           "RateLimit is",
		"a-stale-change-is-refused":                 "8 changes of one version were made",
		"only-pictures-are-uploaded":                "status 200",
		"a-secret-is-never-repeated":                "api/v1/auth",
	}
	report, err := Run(t.Context(), Options{URL: newNaive(t), AdminEmail: "a@example.com", AdminPassword: "p", Parallel: 16})
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		reason, listed := want[result.Case.Name]
		if !listed {
			continue
		}
		delete(want, result.Case.Name)
		if result.Err == nil || !strings.Contains(result.Err.Error(), reason) {
			t.Errorf("%s finds %v, want %q", result.Case.Name, result.Err, reason)
		}
	}
	for name := range want {
		t.Errorf("there is no case %s", name)
	}
	for _, result := range report.Results {
		if needs := result.Case.Needs; (needs.Development || needs.Books || needs.Faults) && result.Skipped == "" {
			t.Errorf("%s ran without what it needs", result.Case.Name)
		}
	}
}

func TestNoShop(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	if _, err := Run(t.Context(), Options{URL: server.URL}); err == nil || !strings.Contains(err.Error(), "there is no shop at") {
		t.Errorf("Run = %v", err)
	}
}
