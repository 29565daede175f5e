package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/clock"
	"github.com/commercestack/commercestack/internal/component"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const patience = 30 * time.Second

// newBare is a process without components from the registry.
func newBare(config *Config, components ...*component.Component) *process {
	return &process{
		config: config, components: components, clock: clock.New(time.Now, slog.New(slog.DiscardHandler)),
		resources: resources{logger: slog.New(slog.DiscardHandler), registry: telemetry.NewRegistry()},
	}
}

func get(t testing.TB, url string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestAStopLosesNoRequest(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var loopEnded, closed atomic.Bool
	p := newBare(&Config{DrainDelay: 300 * time.Millisecond}, &component.Component{
		Name: "slow",
		Run: []func(context.Context) error{func(ctx context.Context) error {
			<-ctx.Done()
			loopEnded.Store(true)
			return nil
		}},
		Close: func() { closed.Store(true) },
	})
	mux := http.NewServeMux()
	p.health(mux)
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		if loopEnded.Load() {
			http.Error(w, "the background stopped under a request", http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "whole")
	})
	if err := p.listen("127.0.0.1:0", mux); err != nil {
		t.Fatal(err)
	}
	base := "http://" + p.addresses()[0]
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() { finished <- p.run(ctx) }()
	if status, body, err := get(t, base+"/readyz"); err != nil || status != 200 || body != "ok\n" {
		t.Fatalf("before: %d %q (%v)", status, body, err)
	}
	type answer struct {
		status int
		body   string
		err    error
	}
	slow := make(chan answer, 1)
	go func() {
		status, body, err := get(t, base+"/slow")
		slow <- answer{status, body, err}
	}()
	<-entered
	stop()
	// Load balancers are told first, while requests are still taken.
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		status, body, err := get(t, base+"/readyz")
		if err != nil || time.Now().After(end) {
			t.Fatalf("while it drains: %d %q (%v)", status, body, err)
		}
		if status == http.StatusServiceUnavailable && strings.Contains(body, "stopping") {
			break
		}
	}
	if status, _, err := get(t, base+"/healthz"); err != nil || status != 200 {
		t.Errorf("a process that drains is alive: %d (%v)", status, err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, _, err := get(t, base+"/healthz"); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("new requests are still taken")
		}
	}
	select {
	case err := <-finished:
		t.Fatalf("stopped in the middle of a request (%v)", err)
	case <-time.After(50 * time.Millisecond):
	}
	if loopEnded.Load() || closed.Load() {
		t.Error("the background ended before the requests")
	}
	close(leave)
	if got := <-slow; got.err != nil || got.status != 200 || got.body != "whole" {
		t.Errorf("the slow request got %d %q (%v)", got.status, got.body, got.err)
	}
	if err := <-finished; err != nil {
		t.Errorf("the stop failed: %v", err)
	}
	if !loopEnded.Load() || !closed.Load() {
		t.Error("something was left running")
	}
}

func TestALoopThatFailsStopsTheProcess(t *testing.T) {
	t.Parallel()
	failed := errors.New("queue is gone")
	p := newBare(&Config{DrainDelay: time.Hour}, &component.Component{
		Name: "order", Run: []func(context.Context) error{func(context.Context) error { return failed }},
	})
	if err := p.listen("127.0.0.1:0", http.NotFoundHandler()); err != nil {
		t.Fatal(err)
	}
	if err := p.run(t.Context()); !errors.Is(err, failed) || !strings.Contains(err.Error(), "order: ") {
		t.Errorf("%v", err)
	}
}

func TestReadinessNamesTheComponentOnly(t *testing.T) {
	t.Parallel()
	p := newBare(&Config{}, &component.Component{Name: "admin"}, &component.Component{Name: "order", Ready: func(context.Context) error {
		return errors.New("password=secret refused")
	}})
	if err := p.ready(t.Context()); err == nil || err.Error() != "component order is not ready" {
		t.Errorf("%v", err)
	}
}

func TestMetricsPort(t *testing.T) {
	t.Parallel()
	p := newBare(&Config{})
	p.inner = http.NotFoundHandler()
	p.public = http.RedirectHandler("/public", http.StatusFound)
	if err := p.addListeners("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	addresses := p.addresses()
	if len(addresses) != 3 {
		t.Fatalf("listens on %v", addresses)
	}
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() { finished <- p.run(ctx) }()
	for path, want := range map[string]string{"/metrics": "commerce_build_info", "/healthz": "ok", "/readyz": "ok", "/debug/pprof/": "goroutine"} {
		if status, body, err := get(t, "http://"+addresses[2]+path); err != nil || status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d (%v)", path, status, err)
		}
	}
	if status, _, err := get(t, "http://"+addresses[1]+"/metrics"); err != nil || status != 404 {
		t.Errorf("metrics are served to peers: %d (%v)", status, err)
	}
	stop()
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

func TestAddressesInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	for name, listen := range map[string][3]string{
		"public": {address, "", ""}, "internal": {"127.0.0.1:0", address, ""}, "metrics": {"127.0.0.1:0", "", address},
	} {
		p := newBare(&Config{})
		p.inner, p.public = http.NotFoundHandler(), http.NotFoundHandler()
		if err := p.addListeners(listen[0], listen[1], listen[2]); err == nil || !strings.Contains(err.Error(), "listen on "+address) {
			t.Errorf("%s: %v", name, err)
		}
		p.close()
	}
	var out strings.Builder
	err = Main(t.Context(), []string{"up", "--listen", address, "--data", t.TempDir()}, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "cannot listen on "+address) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("up: %v", err)
	}
}

func TestComponentsThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	r := resources{logger: slog.New(slog.DiscardHandler), registry: telemetry.NewRegistry(), databaseURL: func(name string) (string, error) {
		return "", errors.New("no database for " + name)
	}}
	for want, names := range map[string][]string{"no database for auth": {"auth"}, "there is no component": {"orders"}} {
		if _, err := newProcess(t.Context(), &Config{}, names, nil, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", names, err)
		}
	}
	r.databaseURL = func(string) (string, error) { return "postgres://nobody@127.0.0.1:1/none", nil }
	if _, err := newProcess(t.Context(), &Config{}, []string{"analytics"}, nil, r); err == nil || !strings.Contains(err.Error(), "analytics") {
		t.Errorf("%v", err)
	}
}
