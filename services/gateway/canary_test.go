package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/identity"
)

// describeRoutes is a table as text.
func describeRoutes(routes []canaryRoute) string {
	lines := make([]string, 0, len(routes))
	for _, route := range routes {
		lines = append(lines, fmt.Sprintf("%s %s %d", route.component, route.url, route.weight))
	}
	return strings.Join(lines, ", ")
}

// table is a file of canaries as the kubelet keeps it: a link to a link to a
// folder, of which the second is swapped.
type table struct {
	folder string
	round  int
}

func newTable(t testing.TB) *table {
	t.Helper()
	f := &table{folder: t.TempDir()}
	if err := os.Symlink(filepath.Join("..data", "routes.json"), f.path()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *table) path() string { return filepath.Join(f.folder, "routes.json") }

// write replaces the content by a swap of links.
func (f *table) write(t testing.TB, content string) {
	t.Helper()
	f.round++
	folder := "..round" + strconv.Itoa(f.round)
	if err := os.Mkdir(filepath.Join(f.folder, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.folder, folder, "routes.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(f.folder, "..next")
	if err := os.Symlink(folder, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(f.folder, "..data")); err != nil {
		t.Fatal(err)
	}
}

// share is a table with one canary of order and product each.
func share(url string, weight int) string {
	return fmt.Sprintf(`{"canaries":[{"component":"order","url":%q,"weight":%d},{"component":"product","url":%q,"weight":%d}]}`, url, weight, url, weight)
}

// weightOf is a component's weight now, 0 without a canary.
func weightOf(c *canaries, name string) int {
	if chosen := c.fresh()[name]; chosen != nil {
		return chosen.route.weight
	}
	return 0
}

func TestTableIsReadAgain(t *testing.T) {
	t.Parallel()
	file, at, log := newTable(t), newClock(), &syncBuffer{}
	built := 0
	c := newCanaries(file.path(), []string{"product", "order"}, func(canaryRoute) http.Handler {
		built++
		return http.NotFoundHandler()
	}, slog.New(slog.NewTextHandler(log, nil)), at.now)
	if len(c.fresh()) != 0 || log.String() != "" {
		t.Fatalf("without a file there are canaries, or a complaint: %s", log.String())
	}
	for _, step := range []struct {
		name, content string
		weight        int
		built         int
		log           string
	}{
		{"a canary comes", share("http://a", 5), 5, 2, "weight=5"},
		{"it grows", share("http://a", 50), 50, 2, "weight=50"},
		{"nonsense", `{"canaries":`, 50, 2, "refused"},
		{"a wrong weight", share("http://a", 500), 50, 2, "canaries[0].weight"},
		{"nothing in the file", "", 50, 2, "the file is empty"},
		{"another address", share("http://b", 50), 50, 4, "http://b"},
		{"no canary", `{"canaries":[]}`, 0, 4, "canary is gone"},
		{"the first again", share("http://a", 5), 5, 6, "weight=5"},
	} {
		before, lines := weightOf(c, "order"), len(log.String())
		file.write(t, step.content)
		at.move(routesRecheck - time.Millisecond)
		if got := weightOf(c, "order"); got != before {
			t.Errorf("%s: the file was read too early", step.name)
		}
		for range 5 {
			at.move(routesRecheck)
			if got := weightOf(c, "order"); got != step.weight {
				t.Errorf("%s: weight %d, want %d", step.name, got, step.weight)
			}
		}
		added := log.String()[lines:]
		if !strings.Contains(added, step.log) || strings.Count(added, "\n") > 2 {
			t.Errorf("%s: the log says %q", step.name, added)
		}
		if strings.Contains(added, "refused") && strings.Count(added, "\n") != 1 {
			t.Errorf("%s: the log repeats itself: %q", step.name, added)
		}
		if built != step.built {
			t.Errorf("%s: %d proxies were built, want %d", step.name, built, step.built)
		}
	}
	if err := os.Remove(file.path()); err != nil {
		t.Fatal(err)
	}
	at.move(routesRecheck)
	if len(c.fresh()) != 0 {
		t.Error("the file is gone and the canaries are not")
	}
	if err := os.Mkdir(file.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	at.move(routesRecheck)
	if len(c.fresh()) != 0 || !strings.Contains(log.String(), "is a directory") {
		t.Errorf("a folder is no file: %s", log.String())
	}
}

// TestShare: over many callers the share is the weight, one caller stays with
// one version, and a larger weight only adds callers.
func TestShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		weight := rapid.IntRange(0, fullWeight).Draw(rt, "weight")
		seed := mix(hashText(offset, "https://shop-"+rapid.StringMatching(`[a-z]{1,12}`).Draw(rt, "name")+":8080"))
		kind := rapid.SampledFrom([]string{"uuid", "counter", "address"}).Draw(rt, "keys")
		chosen := canary{route: canaryRoute{weight: weight}, seed: seed}
		grown := canary{route: canaryRoute{weight: min(weight+10, fullWeight)}, seed: seed}
		const callers = 4000
		got := 0
		for i := range callers {
			key := map[string]string{
				"uuid": uuid.NewSHA1(uuid.NameSpaceURL, []byte(strconv.FormatUint(seed+uint64(i), 36))).String(), "counter": "user-" + strconv.Itoa(i),
				"address": fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255),
			}[kind]
			if takes := chosen.takes(key); takes != chosen.takes(key) || takes && !grown.takes(key) {
				rt.Fatalf("caller %s changes sides", key)
			} else if takes {
				got++
			}
		}
		// Five standard deviations of a fair draw.
		p := float64(weight) / fullWeight
		if off := float64(got) - p*callers; off*off > 25*callers*p*(1-p)+1 {
			rt.Fatalf("%d of %d %s callers for a weight of %d", got, callers, kind, weight)
		}
	})
}

func TestCallersWithoutAKeyAreDrawn(t *testing.T) {
	t.Parallel()
	chosen, got := canary{route: canaryRoute{weight: 25}}, 0
	for range 4000 {
		if chosen.takes("") {
			got++
		}
	}
	if got < 800 || got > 1200 {
		t.Errorf("%d of 4000 for a weight of 25", got)
	}
}

func TestCallerKey(t *testing.T) {
	t.Parallel()
	for want, caller := range map[string]identity.Identity{
		"user":            {UserID: "user", GuestToken: "guest", ClientIP: "10.0.0.1"},
		"guest":           {GuestToken: "guest", ClientIP: "10.0.0.1"},
		"10.0.0.1":        {ClientIP: "10.0.0.1"},
		"2001:db8::/64":   {ClientIP: "2001:db8::1"},
		"":                {},
		"2001:db8:1::/64": {ClientIP: "2001:db8:1::ffff"},
	} {
		if got := callerKey(caller); got != want {
			t.Errorf("%+v is %q, want %q", caller, got, want)
		}
	}
}

// withCanary puts the canaries of a table beside the stable shop.
func withCanary(t testing.TB, file *table, stable string) func(*Options) {
	t.Helper()
	return func(o *Options) {
		to(Target{URL: mustURL(t, stable), Weight: 1})(o)
		o.Config.RoutesFile = file.path()
	}
}

// counted counts the requests of a handler.
type counted struct {
	http.Handler

	requests atomic.Int64
}

// ServeHTTP implements http.Handler.
func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	c.Handler.ServeHTTP(w, r)
}

func TestCanaryGetsItsCallers(t *testing.T) {
	t.Parallel()
	behind := newShop(t)
	stable, other := &counted{Handler: behind.handler}, &counted{Handler: behind.handler}
	file := newTable(t)
	file.write(t, share(serve(t, other), 50))
	d := newDoor(t, behind, withCanary(t, file, serve(t, stable)))
	for i := range 40 {
		bearer := d.bearer(t, uuid.NewString(), time.Hour, "read:own")
		before := other.requests.Load()
		for range 3 {
			if got := d.call(t, "GET", "/api/v1/orders", "", bearer); got.status != 200 {
				t.Fatalf("REST: %d %s", got.status, got.text)
			}
			if got := d.call(t, "POST", "/commerce.order.v1.OrderService/ListOrders", "{}", bearer); got.status != 200 {
				t.Fatalf("Connect: %d %s", got.status, got.text)
			}
		}
		if took := other.requests.Load() - before; took != 0 && took != 6 {
			t.Errorf("caller %d had %d of 6 calls at the canary", i, took)
		}
	}
	atCanary, atStable := other.requests.Load(), stable.requests.Load()
	if atCanary < 60 || atCanary > 180 || atCanary+atStable != 240 {
		t.Errorf("the canary had %d calls, the stable version %d, of 240", atCanary, atStable)
	}
	got := values(t, d.registry)
	for series, want := range map[string]float64{
		`commerce_gateway_canary_weight{component=auth}`:                                    0,
		`commerce_gateway_canary_weight{component=order}`:                                   50,
		`commerce_gateway_upstream_requests_total{code=200,component=order,variant=canary}`: float64(atCanary),
		`commerce_gateway_upstream_requests_total{code=200,component=order,variant=stable}`: float64(atStable),
		`commerce_gateway_upstream_seconds{component=order,variant=canary}`:                 float64(atCanary),
	} {
		if value, ok := got[series]; !ok || value != want {
			t.Errorf("%s is %v, want %v", series, value, want)
		}
	}
	file.write(t, `{}`)
	waitFor(t, func() bool { return values(t, d.registry)[`commerce_gateway_canary_weight{component=order}`] == 0 })
}

// values are all figures of a registry; of a histogram, the count.
func values(t testing.TB, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := make([]string, 0, len(m.GetLabel()))
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			series := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			all[series] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// echo counts requests and repeats their bodies.
type echo struct{ requests atomic.Int64 }

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.requests.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.Copy(w, r.Body)
}

// TestVanishedCanaryLosesNothing takes the canary's listener away under load:
// first requests that it has end there, then nobody listens. Writes and reads all get their answer.
func TestVanishedCanaryLosesNothing(t *testing.T) {
	t.Parallel()
	stable, other := &echo{}, &echo{}
	leaving := httptest.NewUnstartedServer(other)
	leaving.Config.Protocols = new(http.Protocols)
	leaving.Config.Protocols.SetUnencryptedHTTP2(true)
	leaving.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	leaving.Start()
	file := newTable(t)
	file.write(t, share(leaving.URL, 100))
	d := newDoor(t, newShop(t), func(o *Options) {
		withCanary(t, file, serve(t, stable))(o)
		o.Config.Policies = nil
	})
	body := `{"items":[` + strings.Repeat(`{"productId":"x"},`, 500) + `{}]}`
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var sent atomic.Int64
	for worker := range 6 {
		running.Go(func() {
			method, path, payload := "POST", "/api/v1/orders", body
			if worker%2 == 0 {
				method, path, payload = "GET", "/api/v1/products", ""
			}
			for ctx.Err() == nil {
				sent.Add(1)
				if got := d.call(t, method, path, payload); got.status != 200 || got.text != payload {
					t.Errorf("%s: %d %.100s", method, got.status, got.text)
					return
				}
			}
		})
	}
	waitFor(t, func() bool { return other.requests.Load() > 100 })
	if stable.requests.Load() != 0 {
		t.Errorf("%d requests went to the stable version", stable.requests.Load())
	}
	// The canary's pod leaves as pods do: it ends what it has.
	drained, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := leaving.Config.Shutdown(drained); err != nil {
		t.Fatal(err)
	}
	// What the canary answered in the window before holds its circuit closed; until it opens
	// the stable version answers after a try, from then on at once.
	waitFor(t, func() bool { return strings.Contains(d.log.String(), "order canary") })
	stop()
	running.Wait()
	if stable.requests.Load() == 0 {
		t.Error("the stable version answered nothing")
	}
	if got := stable.requests.Load() + other.requests.Load(); got != sent.Load() {
		t.Errorf("%d requests were sent, %d arrived", sent.Load(), got)
	}
	if strings.Contains(d.log.String(), `"backend":"order"`) {
		t.Errorf("the circuit of the stable version opened: %s", onlyCircuits(d.log.String()))
	}
}

func onlyCircuits(log string) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(line string) bool { return !strings.Contains(line, "circuit") })
	return strings.Join(lines, "\n")
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// TestBadCanary: what a canary was sent and may have done is its caller's to
// know; what may be repeated is repeated on the stable version.
func TestBadCanary(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, path       string
		fail               http.HandlerFunc
		status, stable     int
		canaryCode         string
		canaryTries, calls int
	}{
		"a read is repeated":                {"GET", "/api/v1/orders/" + userID, unavailable, 200, 1, "503", 1, 1},
		"when the canary hangs up too":      {"GET", "/api/v1/orders/" + userID, hangUp, 200, 1, codeError, 1, 1},
		"a write is not":                    {"POST", "/api/v1/orders", unavailable, 503, 0, "503", 1, 1},
		"nor when it may have been done":    {"POST", "/api/v1/orders", hangUp, 503, 0, codeError, 1, 1},
		"an error of the canary is counted": {"POST", "/api/v1/orders", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 500, 0, "500", 3, 3},
	} {
		stable, bad := &flaky{}, &flaky{failures: 1 << 30, fail: test.fail}
		file := newTable(t)
		file.write(t, share(serve(t, bad), 100))
		d := newDoor(t, newShop(t), withCanary(t, file, serve(t, stable)))
		for range test.calls {
			got := d.call(t, test.method, test.path, map[bool]string{true: `{"items":[]}`}[test.method == "POST"], d.bearer(t, userID, time.Hour, "*"))
			if got.status != test.status {
				t.Errorf("%s: %d %s", name, got.status, got.text)
			}
		}
		if stable.requests.Load() != int64(test.stable) {
			t.Errorf("%s: %d requests at the stable version, want %d", name, stable.requests.Load(), test.stable)
		}
		if got := values(t, d.registry)["commerce_gateway_upstream_requests_total{code="+test.canaryCode+",component=order,variant=canary}"]; got != float64(test.canaryTries) {
			t.Errorf("%s: %v tries with code %s, want %d", name, got, test.canaryCode, test.canaryTries)
		}
	}
}

// TestComponentsOfThisProcessHaveNoCanary: there is no way round a local handler.
func TestComponentsOfThisProcessHaveNoCanary(t *testing.T) {
	t.Parallel()
	file := newTable(t)
	file.write(t, share("http://127.0.0.1:1", 100))
	d := newDoor(t, newShop(t), func(o *Options) { o.Config.RoutesFile = file.path() })
	if got := d.call(t, "GET", "/api/v1/products", ""); got.status != 200 {
		t.Errorf("%d %s", got.status, got.text)
	}
	if !strings.Contains(d.log.String(), "canaries[0].component") {
		t.Errorf("the log says nothing: %s", d.log.String())
	}
}

// TestNoCanaryCostsNothing: choosing and counting allocate nothing.
func TestNoCanaryCostsNothing(t *testing.T) {
	caller := identity.Identity{UserID: userID}
	file := newTable(t)
	file.write(t, `{"canaries":[]}`)
	none := newCanaries(file.path(), remotes, nil, slog.New(slog.DiscardHandler), time.Now)
	seen := newUpstreamMetrics(prometheus.NewRegistry()).of("order", variantStable)
	answer := &http.Response{StatusCode: 200}
	if allocs := testing.AllocsPerRun(1000, func() {
		if none.choose("order", caller) != nil {
			t.Error("there is a canary")
		}
		seen.observe(answer, nil, time.Millisecond)
	}); allocs > 0.5 {
		t.Errorf("%v allocations", allocs)
	}
	some := newCanaries("", remotes, nil, slog.New(slog.DiscardHandler), time.Now)
	some.current.Store(&map[string]*canary{"order": {route: canaryRoute{weight: 50}, handler: http.NotFoundHandler()}})
	if allocs := testing.AllocsPerRun(1000, func() { some.choose("order", caller) }); allocs != 0 {
		t.Errorf("%v allocations with a canary", allocs)
	}
}

func BenchmarkChoose(b *testing.B) {
	caller := identity.Identity{UserID: userID}
	file := newTable(b)
	none := newCanaries(file.path(), remotes, nil, slog.New(slog.DiscardHandler), time.Now)
	b.ReportAllocs()
	for b.Loop() {
		none.choose("order", caller)
	}
}

func TestObserveOddAnswers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	seen := newUpstreamMetrics(registry).of("order", variantCanary)
	seen.observe(nil, context.Canceled, 0)
	seen.observe(nil, io.EOF, 0)
	seen.observe(&http.Response{StatusCode: 999}, nil, 0)
	seen.observe(&http.Response{StatusCode: 204}, nil, 0)
	seen.observe(&http.Response{StatusCode: 204}, nil, 0)
	var none *figures
	none.observe(nil, io.EOF, 0)
	got := values(t, registry)
	for code, want := range map[string]float64{"204": 2, "canceled": 1, "error": 2} {
		if value := got["commerce_gateway_upstream_requests_total{code="+code+",component=order,variant=canary}"]; value != want {
			t.Errorf("%s: %v, want %v", code, value, want)
		}
	}
}
