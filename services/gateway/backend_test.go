package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/commercestack/commercestack/internal/identity"
)

// to sends everything to the targets over the network.
func to(targets ...Target) func(*Options) {
	return func(o *Options) {
		o.Remote = map[string][]Target{"product": targets, "order": targets, "auth": targets}
		o.Local = map[string]http.Handler{}
	}
}

// flaky counts requests, fails the first ones and then works.
type flaky struct {
	requests atomic.Int64
	failures int64
	fail     http.HandlerFunc
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if n := f.requests.Add(1); n <= f.failures {
		f.fail(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true}`)
}

func unavailable(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not now", http.StatusServiceUnavailable)
}

// hangUp drops the connection or stream without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestRemoteComponentsGetASignedIdentity(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	var seen atomic.Pointer[http.Header]
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Clone()
		seen.Store(&header)
		behind.handler.ServeHTTP(w, r)
	}))
	d := newDoor(t, behind, to(Target{URL: mustURL(t, at), Weight: 1}))
	got := d.call(t, "GET", "/api/v1/orders", "", d.bearer(t, userID, time.Hour, "read:own"), "X-Request-Id: req-1", "X-Forwarded-For: 1.2.3.4")
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	signed, err := behind.signer.Verify(seen.Load().Get(identity.Header))
	if err != nil || signed.UserID != userID || signed.ClientIP != "127.0.0.1" {
		t.Errorf("signed %+v (%v)", signed, err)
	}
	if caller, header := behind.last(t); caller.UserID != userID || header.Get("X-Request-Id") != "req-1" || header.Get("X-Forwarded-For") != "" {
		t.Errorf("the component saw %+v, %v", caller, header)
	}
	if ids := got.header.Values("X-Request-Id"); len(ids) != 1 || ids[0] != "req-1" {
		t.Errorf("ids %q", ids)
	}
}

func TestIdempotentReadsAreRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path string
		failures     int64
		fail         http.HandlerFunc
		status       int
		requests     int64
	}{
		"a read survives lost connections":          {"GET", "/api/v1/products", 2, hangUp, 200, 3},
		"a read survives a component that restarts": {"GET", "/api/v1/products", 2, unavailable, 200, 3},
		"but not for ever":                          {"GET", "/api/v1/products", 9, unavailable, 503, 3},
		"nor does a lost connection":                {"GET", "/api/v1/products", 9, hangUp, 503, 3},
		"a write is never repeated":                 {"POST", "/api/v1/orders", 1, hangUp, 503, 1},
		"nor when the component says 503":           {"POST", "/api/v1/orders", 1, unavailable, 503, 1},
		"nor is a deletion":                         {"DELETE", "/api/v1/carts/" + userID, 1, hangUp, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			component := &flaky{failures: test.failures, fail: test.fail}
			d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, serve(t, component)), Weight: 1}))
			body := ""
			if test.method == http.MethodPost {
				body = `{"items":[]}`
			}
			got := d.call(t, test.method, test.path, body)
			if got.status != test.status || component.requests.Load() != test.requests {
				t.Errorf("%d after %d requests, want %d after %d: %s", got.status, component.requests.Load(), test.status, test.requests, got.text)
			}
		})
	}
}

func TestComponentThatIsDown(t *testing.T) {
	t.Parallel()
	d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, "http://"+deadAddress(t)), Weight: 1}))
	got := d.call(t, "GET", "/api/v1/products", "")
	code, message, _ := got.failure(t)
	if got.status != http.StatusServiceUnavailable || code != "UNAVAILABLE" || got.header.Get("Retry-After") != "1" || strings.Contains(message, "127.0.0.1") {
		t.Errorf("%d %v %s", got.status, got.header, got.text)
	}
	rpc := d.call(t, "POST", "/commerce.product.v1.ProductService/ListProducts", "{}")
	if rpc.status != http.StatusServiceUnavailable || !strings.Contains(rpc.text, `"unavailable"`) || rpc.header.Get("Retry-After") != "1" {
		t.Errorf("over Connect: %d %v %s", rpc.status, rpc.header, rpc.text)
	}
}

// deadAddress is an address where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestCircuitOpensAndCloses(t *testing.T) {
	t.Parallel()
	component := &flaky{failures: breakerFailures, fail: unavailable}
	d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, serve(t, component)), Weight: 1}))
	for range breakerFailures {
		d.call(t, "POST", "/api/v1/orders", `{"items":[]}`)
	}
	for range 5 {
		if got := d.call(t, "POST", "/api/v1/orders", `{"items":[]}`); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("open: %d", got.status)
		}
	}
	if n := component.requests.Load(); n != breakerFailures {
		t.Errorf("%d requests reached a peer that is given up", n)
	}
	if !strings.Contains(d.log.String(), "circuit changed") {
		t.Error("nobody is told")
	}
	time.Sleep(breakerOpen + 50*time.Millisecond)
	for range 3 {
		if got := d.call(t, "POST", "/api/v1/orders", `{"items":[]}`); got.status != 200 {
			t.Errorf("closed again: %d %s", got.status, got.text)
		}
	}
}

// A component that takes no writes is still read: each has a circuit of its own.
func TestRefusedWritesCloseNoReads(t *testing.T) {
	t.Parallel()
	component := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			unavailable(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, serve(t, component)), Weight: 1}))
	for range breakerFailures {
		d.call(t, "POST", "/api/v1/orders", `{"items":[]}`)
	}
	if !strings.Contains(d.log.String(), "circuit changed") {
		t.Error("the circuit of what is written stays closed")
	}
	if got := d.call(t, "GET", "/api/v1/products/1", ""); got.status != 200 {
		t.Errorf("reading while nothing is written: %d %s", got.status, got.text)
	}
	if got := d.call(t, "GET", "/api/v1/orders/1", "", d.bearer(t, userID, time.Hour, "read:own")); got.status != 200 {
		t.Errorf("reading of the component that takes no writes: %d %s", got.status, got.text)
	}
}

// One pod of many dies, and all that waited for it fails at once: the others are not given up for it.
func TestOneDeadPodOpensNoCircuit(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	component := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if dead.Load() {
			hangUp(w, r)
		}
		_, _ = io.WriteString(w, `{"ok":true}`)
	})
	d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, serve(t, component)), Weight: 1}))
	for range 2 * breakerFailures {
		d.call(t, "POST", "/api/v1/orders", `{"items":[]}`)
	}
	dead.Store(true)
	for range breakerFailures {
		d.call(t, "POST", "/api/v1/orders", `{"items":[]}`)
	}
	dead.Store(false)
	if got := d.call(t, "POST", "/api/v1/orders", `{"items":[]}`); got.status != 200 {
		t.Errorf("after one dead pod of three: %d %s", got.status, got.text)
	}
}

func TestClientsThatHangUpOpenNoCircuit(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, to(Target{URL: mustURL(t, serve(t, behind.handler)), Weight: 1}))
	for range 2 * breakerFailures {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		request, err := http.NewRequestWithContext(ctx, "GET", d.url+"/api/v1/orders/"+userID, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := d.client.Do(request); err == nil {
			_ = response.Body.Close()
			t.Errorf("a slow call answers %d", response.StatusCode)
		}
		cancel()
	}
	if got := d.call(t, "GET", "/api/v1/orders", "", d.bearer(t, userID, time.Hour, "read:own")); got.status != 200 {
		t.Errorf("the others get %d %s", got.status, got.text)
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(d.log.String(), `"status":499`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a client that went away is not logged as such")
		}
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	old, canary, idle := &flaky{}, &flaky{}, &flaky{}
	d := newDoor(t, newShop(t), to(Target{URL: mustURL(t, serve(t, old)), Weight: 3}, Target{URL: mustURL(t, serve(t, canary)), Weight: 1},
		Target{URL: mustURL(t, serve(t, idle)), Weight: 0}))
	for range 400 {
		if got := d.call(t, "GET", "/api/v1/products", ""); got.status != 200 {
			t.Fatalf("%d", got.status)
		}
	}
	if share := canary.requests.Load(); share < 50 || share > 150 || old.requests.Load()+share != 400 || idle.requests.Load() != 0 {
		t.Errorf("of 400 requests %d went to the canary, %d to a target of weight 0", share, idle.requests.Load())
	}
}

func TestRepeatable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, body string
		want         bool
	}{
		"get": {"GET", "", true}, "head": {"HEAD", "", true}, "get with a body": {"GET", "x", false}, "post": {"POST", "", false}, "delete": {"DELETE", "", false},
	} {
		if got := repeatable(httptest.NewRequest(test.method, "/", strings.NewReader(test.body))); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPauseEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if pause(ctx, time.Hour) {
		t.Error("waited for a request that is over")
	}
	component := &flaky{failures: 1, fail: unavailable}
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	retry := &retryTransport{reads: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})}
	ctx, stop := context.WithCancel(t.Context())
	retry.next = cancelAfter{transport, stop}
	request := httptest.NewRequest("GET", serve(t, component)+"/", http.NoBody).WithContext(ctx)
	request.RequestURI = ""
	response, err := retry.RoundTrip(request)
	if err == nil {
		_ = response.Body.Close()
		t.Error("a request that ended between two tries was answered")
	}
}

// cancelAfter ends the request when its first answer is there.
type cancelAfter struct {
	http.RoundTripper
	cancel func()
}

func (c cancelAfter) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	c.cancel()
	return response, err
}

func TestLongHeadersDoNotBreakTheIdentity(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	d := newDoor(t, behind, apart(t, behind))
	got := d.call(t, "GET", "/api/v1/products", "", "X-Guest-Token: "+strings.Repeat("g", 20<<10), "User-Agent: "+strings.Repeat("ü", 10<<10))
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	if caller, _ := behind.last(t); caller.GuestToken != "" || len(caller.UserAgent) > maxUserAgent || caller.UserAgent == "" {
		t.Errorf("the component saw %d and %d bytes", len(caller.GuestToken), len(caller.UserAgent))
	}
}

func TestIdentityThatFitsNoHeader(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	component := &flaky{}
	d := newDoor(t, behind, func(o *Options) {
		to(Target{URL: mustURL(t, serve(t, component)), Weight: 1})(o)
		o.Verify = func(context.Context, string) (identity.Identity, error) {
			return identity.Identity{UserID: userID, Email: strings.Repeat("x", 100<<10)}, nil
		}
	})
	got := d.call(t, "GET", "/api/v1/products", "", "Authorization: Bearer x")
	if code, _, _ := got.failure(t); got.status != 500 || code != "INTERNAL_ERROR" || component.requests.Load() != 0 {
		t.Errorf("%d %s after %d requests", got.status, got.text, component.requests.Load())
	}
}
