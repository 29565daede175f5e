package app

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/commercestack/commercestack/test/shop"
)

// collector takes traces over OTLP and keeps the names of their spans by trace.
type collector struct {
	mutex sync.Mutex
	spans map[string][]string
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	// ExportTraceServiceRequest.resource_spans.scope_spans.spans
	for _, resource := range fields(body, 1) {
		for _, scope := range fields(resource, 2) {
			for _, span := range fields(scope, 2) {
				id, name := fields(span, 1), fields(span, 5)
				if len(id) == 1 && len(name) == 1 {
					c.spans[string(id[0])] = append(c.spans[string(id[0])], string(name[0]))
				}
			}
		}
	}
}

// fields returns the contents of a message's fields of the number.
func fields(message []byte, number protowire.Number) (all [][]byte) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return all
		}
		message = message[size:]
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return all
		}
		if n == number && kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(message)
			all = append(all, content)
		}
		message = message[size:]
	}
	return all
}

// TestOneRequestIsOneTrace follows a payment from the gateway through calls,
// events and jobs in one trace, which is found by its request id. The shop is
// filled by the Job that a cluster would run.
func TestOneRequestIsOneTrace(t *testing.T) { //nolint:paralleltest // it sets the environment
	c := &collector{spans: map[string][]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	h := newShape(t)
	metrics := freeAddress(t)
	password := write(t, bossPassword+"\n", t.TempDir(), "password")
	loading := make(chan string, 1)
	go func() { // it starts before the shop does
		var out strings.Builder
		if err := Main(t.Context(), []string{"import", "demo", "--url", h.base(), "--admin-email", bossEmail, "--password-file", password}, &out, &out); err != nil {
			out.WriteString(err.Error())
		}
		loading <- out.String()
	}()
	stop := h.serve("--components", withData+",admin,storefront,gateway", "--listen", h.gateway, "--metrics-listen", metrics)
	await(t, http.DefaultClient, h.base()+"/readyz")
	if out := <-loading; !strings.Contains(out, "products created\nevery product of the demo catalog has its picture") {
		t.Errorf("demo: %s", out)
	}
	boss := h.boss(nil)
	products, err := boss.Must(t.Context(), http.MethodGet, "/api/v1/products?pageSize=1", nil)
	if err != nil || products.Len("products") != 1 || products.Len("products", 0, "images") != 1 {
		t.Errorf("the demo catalog: %s (%v)", products.Raw, err)
	}
	const request = "follow-this-payment"
	id := buy(t, boss.With("X-Request-Id", request))
	if _, err := boss.WaitOrder(t.Context(), id, "CONFIRMED"); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(request))
	wanted := []string{"gateway POST", "commerce.billing.v1.BillingService/CreatePayment", "commerce.product.v1.StockService/ReserveStock", "analytics.counts ORDER_PLACED"}
	if err := shop.Eventually(t.Context(), patience, func() (bool, error) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		found := strings.Join(c.spans[string(sum[:16])], "\n")
		for _, name := range wanted {
			if !strings.Contains(found, name) {
				return false, nil
			}
		}
		return true, nil
	}); err != nil {
		t.Errorf("the trace lacks one of %q: %q", wanted, c.spans[string(sum[:16])])
	}
	status, body, err := get(t, "http://"+metrics+"/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("metrics: %d (%v)", status, err)
	}
	for _, kept := range []string{
		`{component="product",invariant="stock_consistent"} 0`, `{component="order",invariant="orders_settled"} 0`,
		`{component="billing",invariant="payments_reconciled"} 0`, `{component="auth",invariant="outbox_drained"} 0`,
	} {
		if !strings.Contains(body, "commerce_invariant_violations"+kept+"\n") {
			t.Errorf("no %s", kept)
		}
	}
	stop()
}
