package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/commercestack/commercestack/test/shop"
)

// startNATS runs a NATS server of the test's own that wants a password.
func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, Username: "shop", Password: "secret",
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return strings.Replace(s.ClientURL(), "nats://", "nats://shop:secret@", 1)
}

// TestPurchaseOverNATS buys in both shapes; the events that settle the order
// travel through NATS and not through PostgreSQL.
func TestPurchaseOverNATS(t *testing.T) {
	t.Parallel()
	for name, processes := range map[string][]string{
		"one process": {withData + ",admin,storefront,gateway"},
		"several":     {"auth,user,product,analytics", "order", "billing,notification,admin,storefront", "gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newShape(t)
			nats := startNATS(t)
			addresses := make([]string, len(processes))
			var urls []string
			for i, components := range processes {
				if addresses[i] = freeAddress(t); strings.HasSuffix(components, gatewayName) {
					addresses[i] = h.gateway
				}
				for component := range strings.SplitSeq(components, ",") {
					if component != gatewayName {
						urls = append(urls, "--url", component+"=http://"+addresses[i])
					}
				}
			}
			for i, components := range processes {
				h.serve(append([]string{"--components", components, "--listen", addresses[i], "--nats-url", nats}, urls...)...)
			}
			for _, address := range addresses {
				await(t, http.DefaultClient, "http://"+address+"/readyz")
			}
			boss := h.boss(nil)
			id := buy(t, boss)
			if _, err := boss.WaitOrder(t.Context(), id, "CONFIRMED"); err != nil {
				t.Fatal(err)
			}
			if err := shop.Eventually(t.Context(), patience, func() (bool, error) {
				subjects, err := boss.Subjects(t.Context(), bossEmail)
				return strings.Contains(strings.Join(subjects, " "), "confirmed"), err
			}); err != nil {
				t.Errorf("no mail: %v", err)
			}
			if events := h.count(t, "SELECT count(*) FROM bus.event"); events != 0 {
				t.Errorf("%d events went through PostgreSQL", events)
			}
		})
	}
}
