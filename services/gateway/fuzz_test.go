package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
)

// FuzzClientAddress: whatever the header says, the result is an address, and
// an untrusted peer is believed about itself only.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range [][2]string{
		{"203.0.113.9:1234", "1.2.3.4"}, {"10.0.0.1:1", "1.2.3.4, 5.6.7.8"}, {"[::1]:80", "[2001:db8::1]:443"}, {"", ""}, {"10.0.0.1:1", "fe80::1%eth0, ,"},
	} {
		f.Add(seed[0], seed[1])
	}
	proxies, err := parseTrustedProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		got := proxies.clientAddress(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if got == "" {
			if parseHost(peer).IsValid() {
				t.Fatalf("%q has no address", peer)
			}
			return
		}
		addr, err := netip.ParseAddr(got)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("%q is not a plain address (%v)", got, err)
		}
		if direct := parseHost(peer); !proxies.contains(direct) && addr != direct {
			t.Fatalf("%s spoke for %s", direct, addr)
		}
		if limitAddress(got) == "" {
			t.Fatalf("%q counts as nobody", got)
		}
	})
}

// FuzzResolve: a path leads to an endpoint that exists, and a component never
// sees a request as something else than the gateway did.
func FuzzResolve(f *testing.F) {
	for _, seed := range [][2]string{
		{"GET", "/api/v1/products"},
		{"POST", "/api/v1/orders/x:cancel"},
		{"GET", "/shop/../api/v1/orders"},
		{"GET", "/media/%2e%2e/x"},
		{"POST", "/commerce.product.v1.StockService/ReserveStock"},
		{"PRI", "//"},
		{"GET", "/admin%2Fx"},
		{"GET", "/%"},
		{"OPTIONS", "*"},
		{"POST", "/commerce.product.v1.StockService%2FReserveStock"},
		{"GET", "/api/v1/orders/%00"},
	} {
		f.Add(seed[0], seed[1])
	}
	resolver, err := newResolver()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		to, allow, ok := resolver.resolve(&http.Request{Method: method, URL: u})
		switch {
		case !ok && (to.component != "" || to.rule != nil):
			t.Fatalf("%s %s is refused with %+v", method, path, to)
		case ok && (to.component == "" || to.name == "" || to.policy == ""):
			t.Fatalf("%s %s leads to %+v", method, path, to)
		case ok && len(allow) > 0:
			t.Fatalf("%s %s is found and refused", method, path)
		case ok && to.rule == nil && !strings.HasPrefix(u.Path, "/grpc.") && strings.HasPrefix(u.Path, "/commerce."):
			t.Fatalf("%s %s has no rule", method, path)
		}
	})
}

func TestEveryProcedureHasAPlace(t *testing.T) {
	t.Parallel()
	resolver, err := newResolver()
	if err != nil {
		t.Fatal(err)
	}
	policies := DefaultPolicies()
	for procedure, to := range resolver.procedures {
		if to.rule.GetLevel() == accessv1.Level_LEVEL_UNSPECIFIED || to.component == "" {
			t.Errorf("%s is open to nobody: %+v", procedure, to)
		}
		if _, ok := policies[to.policy]; !ok {
			t.Errorf("%s has the unknown policy %q", procedure, to.policy)
		}
		if to.ignoresToken && to.rule.GetLevel() != accessv1.Level_LEVEL_PUBLIC {
			t.Errorf("%s needs a token and ignores it", procedure)
		}
	}
	for path, want := range map[string]string{
		"/": "storefront", "/shop/x": "storefront", "/admin/orders": "admin", "/media/a/b": "product", "/docs": Name, "/healthz": Name,
		"/.well-known/jwks.json": "auth", "/grpc.health.v1.Health/Check": Name, "/verify-email": "auth", "/dev/stripe/v1/x": "stripesim",
	} {
		to, _, ok := resolver.resolve(httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if !ok || to.component != want {
			t.Errorf("%s leads to %q", path, to.component)
		}
	}
}
