package spread_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/commercestack/commercestack/internal/spread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pod counts requests and repeats their bodies.
type pod struct {
	requests atomic.Int64
	address  string
}

func newPod(t *testing.T) *pod {
	t.Helper()
	p := &pod{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		_, _ = io.Copy(w, r.Body)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

// service is one address in front of pods that chooses by connection, as a ClusterIP does.
type service struct {
	listener net.Listener
	opened   atomic.Int64

	mu   sync.Mutex
	pods []string
}

func newService(t *testing.T, pods ...*pod) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{listener: listener}
	s.have(pods...)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return s
}

func (s *service) have(pods ...*pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = nil
	for _, p := range pods {
		s.pods = append(s.pods, p.address)
	}
}

func (s *service) pass(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	if len(s.pods) == 0 {
		s.mu.Unlock()
		return
	}
	to := s.pods[int(s.opened.Add(1))%len(s.pods)]
	s.mu.Unlock()
	other, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer other.Close()
	go func() {
		_, _ = io.Copy(other, conn)
		_ = other.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, other)
}

func (s *service) url() string { return "http://" + s.listener.Addr().String() }

// lane makes the connections of the tests: HTTP/2 without TLS.
func lane() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols, IdleConnTimeout: time.Second}
}

// post sends a body that cannot be sent twice, and wants it back.
func post(ctx context.Context, through http.RoundTripper, url string) error {
	const text = "an order"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, io.NopCloser(strings.NewReader(text)))
	if err != nil {
		return err
	}
	request.ContentLength = int64(len(text))
	response, err := through.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != text {
		return errors.Join(err, errors.New("another body came back: "+string(got)))
	}
	return nil
}

// flood posts from several goroutines until stop is called, and returns how many there were and the first failure.
func flood(t *testing.T, through http.RoundTripper, url string) (stop func() (int64, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var sent atomic.Int64
	var failure atomic.Pointer[error]
	for range 8 {
		running.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if err := post(context.WithoutCancel(ctx), through, url); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
			}
		})
	}
	return func() (int64, error) {
		cancel()
		running.Wait()
		if err := failure.Load(); err != nil {
			return sent.Load(), *err
		}
		return sent.Load(), nil
	}
}

// TestNewPodsGetTraffic adds a pod behind the address under load: it is used
// after the life of a connection, and no request is lost in the change.
func TestNewPodsGetTraffic(t *testing.T) {
	t.Parallel()
	first, second := newPod(t), newPod(t)
	behind := newService(t, first)
	const life = 200 * time.Millisecond
	transport := spread.New(spread.Config{Life: life}, lane)
	defer transport.CloseIdleConnections()
	stop := flood(t, transport, behind.url())
	time.Sleep(life)
	behind.have(first, second)
	time.Sleep(3 * life)
	sent, err := stop()
	if err != nil {
		t.Fatalf("of %d requests one failed: %v", sent, err)
	}
	if got := second.requests.Load(); got < sent/20 {
		t.Errorf("the new pod got %d of %d requests", got, sent)
	}
	if got := first.requests.Load() + second.requests.Load(); got != sent {
		t.Errorf("%d requests arrived, %d were sent", got, sent)
	}
	if opened := behind.opened.Load(); opened > 60 {
		t.Errorf("%d connections were opened", opened)
	}
}

// TestOneConnectionStays is what the package is against: without it the new pod gets nothing.
func TestOneConnectionStays(t *testing.T) {
	t.Parallel()
	first, second := newPod(t), newPod(t)
	behind := newService(t, first)
	transport := lane()
	defer transport.CloseIdleConnections()
	stop := flood(t, transport, behind.url())
	time.Sleep(100 * time.Millisecond)
	behind.have(second)
	time.Sleep(200 * time.Millisecond)
	if _, err := stop(); err != nil {
		t.Fatal(err)
	}
	if second.requests.Load() != 0 {
		t.Error("a plain transport spreads by itself: this package can go")
	}
}

// TestNoNewConnection: while the address takes no connection, those that exist go on, writes included.
func TestNoNewConnection(t *testing.T) {
	t.Parallel()
	only := newPod(t)
	behind := newService(t, only)
	const life = 100 * time.Millisecond
	transport := spread.New(spread.Config{Lanes: 2, Life: life}, lane)
	defer transport.CloseIdleConnections()
	for range 4 {
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatal(err)
		}
	}
	_ = behind.listener.Close()
	stop := flood(t, transport, behind.url())
	time.Sleep(4 * life)
	if sent, err := stop(); err != nil || sent < 10 {
		t.Errorf("of %d requests one failed: %v", sent, err)
	}
}

// TestLongRequestsEnd on the connection on which they began.
func TestLongRequestsEnd(t *testing.T) {
	t.Parallel()
	only := newPod(t)
	behind := newService(t, only)
	now := time.Now()
	var moved atomic.Int64
	transport := spread.New(spread.Config{Lanes: 1, Life: time.Minute, Now: func() time.Time {
		return now.Add(time.Duration(moved.Load()))
	}}, lane)
	defer transport.CloseIdleConnections()
	reader, writer := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, behind.url(), reader)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string)
	go func() {
		response, err := transport.RoundTrip(request)
		if err != nil {
			ended <- err.Error()
			return
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err != nil {
			ended <- err.Error()
		}
		ended <- string(got)
	}()
	if _, err := io.WriteString(writer, "slow "); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		moved.Add(int64(2 * time.Minute))
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatal(err)
		}
	}
	if opened := behind.opened.Load(); opened != 4 {
		t.Errorf("%d connections for four lives", opened)
	}
	_, _ = io.WriteString(writer, "body")
	_ = writer.Close()
	if got := <-ended; got != "slow body" {
		t.Errorf("the slow request ended with %q", got)
	}
}

func TestAttempt(t *testing.T) {
	t.Parallel()
	closing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closing.Close()
	go func() {
		for {
			conn, err := closing.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 1<<10)
			_, _ = conn.Read(buffer)
			_ = conn.Close()
		}
	}()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	only := newPod(t)
	for name, test := range map[string]struct {
		address string
		sent    bool
		fails   bool
	}{
		"nobody listens":               {gone.Addr().String(), false, true},
		"the peer hangs up":            {closing.Addr().String(), true, true},
		"an answer":                    {only.address, true, false},
		"a name that is nobody's name": {"nobody.invalid:80", false, true},
	} {
		transport := &http.Transport{IdleConnTimeout: time.Second}
		body := &closeCounter{Reader: strings.NewReader("an order")}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+test.address, body)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = int64(len("an order"))
		response, sent, err := spread.Attempt(transport, request)
		if sent != test.sent || (err != nil) != test.fails {
			t.Errorf("%s: sent %t, %v", name, sent, err)
		}
		if response != nil {
			if response.Request != request {
				t.Errorf("%s: the answer is not to the request", name)
			}
			_ = response.Body.Close()
		}
		if left, _ := io.ReadAll(body.Reader); !test.sent && (string(left) != "an order" || body.closed.Load() != 0) {
			t.Errorf("%s: of the body %q is left, closed %d times", name, left, body.closed.Load())
		}
		transport.CloseIdleConnections()
	}
}

type closeCounter struct {
	io.Reader

	closed atomic.Int64
}

// Close implements io.Closer.
func (c *closeCounter) Close() error {
	c.closed.Add(1)
	return nil
}

// silence is a service whose connections can all fall silent, as those to a machine that lost its power.
type silence struct {
	*service

	mu     sync.Mutex
	conns  []net.Conn
	silent atomic.Bool
}

// newSilence passes every second connection to the first pod, which can fall silent, and the rest to the second.
func newSilence(t *testing.T, first, second *pod) *silence {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silence{service: &service{listener: listener}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.carry(conn, first, second) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

func (s *silence) carry(conn net.Conn, first, second *pod) {
	dead := s.opened.Add(1)%2 == 1
	to := second.address
	if dead {
		to = first.address
	}
	other, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn, other)
	s.mu.Unlock()
	pass := func(to, from net.Conn) {
		buffer := make([]byte, 1<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				_ = to.(*net.TCPConn).CloseWrite()
				return
			}
			if dead && s.silent.Load() {
				continue
			}
			_, _ = to.Write(buffer[:n])
		}
	}
	go pass(other, conn)
	pass(conn, other)
}

// TestDeadPeerIsAvoided: of the requests after the death of a peer that says nothing, each lane to it
// holds about as many as are under way on another lane; all others are answered at once, and those that are held end when the peer is given up.
func TestDeadPeerIsAvoided(t *testing.T) {
	t.Parallel()
	first, second := newPod(t), newPod(t)
	behind := newSilence(t, first, second)
	transport := spread.New(spread.Config{Lanes: 4, Life: time.Hour}, func() *http.Transport {
		one := lane()
		one.HTTP2 = &http.HTTP2Config{SendPingTimeout: 500 * time.Millisecond, PingTimeout: 500 * time.Millisecond}
		return one
	})
	defer transport.CloseIdleConnections()
	for range 8 {
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatal(err)
		}
	}
	if first.requests.Load() == 0 || second.requests.Load() == 0 {
		t.Fatalf("%d and %d requests arrived, want some at both", first.requests.Load(), second.requests.Load())
	}
	behind.silent.Store(true)
	var held, slow atomic.Int64
	var running sync.WaitGroup
	for range 200 {
		running.Go(func() {
			started := time.Now()
			if err := post(t.Context(), transport, behind.url()); err != nil {
				held.Add(1)
			}
			if time.Since(started) > 5*time.Second {
				slow.Add(1)
			}
		})
		time.Sleep(2 * time.Millisecond)
	}
	running.Wait()
	if got := held.Load(); got == 0 || got > 20 {
		t.Errorf("%d of 200 requests were lost on two dead lanes of four", got)
	}
	if slow.Load() != 0 {
		t.Errorf("%d requests waited for a dead peer", slow.Load())
	}
}

// TestWritesGoOverAnotherLane: a lane that finds no connection sends nothing, so even a body that cannot be
// repeated goes over another, and the lane is tried again later.
func TestWritesGoOverAnotherLane(t *testing.T) {
	t.Parallel()
	only := newPod(t)
	behind := newService(t, only)
	var refused atomic.Bool
	var dials atomic.Int64
	broken := make(chan net.Conn, 8)
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	transport := spread.New(spread.Config{Lanes: 2, Life: time.Hour, Now: func() time.Time { return time.Unix(0, now.Load()) }}, func() *http.Transport {
		one := lane()
		one.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			if refused.Load() {
				return nil, errors.New("nobody is there")
			}
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				broken <- conn
			}
			return conn, err
		}
		return one
	})
	defer transport.CloseIdleConnections()
	for range 4 {
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatal(err)
		}
	}
	refused.Store(true)
	_ = (<-broken).Close()
	time.Sleep(50 * time.Millisecond)
	before := dials.Load()
	for i := range 20 {
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if tried := dials.Load() - before; tried != 1 {
		t.Errorf("a lane without a connection tried %d times within a second", tried)
	}
	refused.Store(false)
	now.Add(int64(2 * time.Second))
	for range 4 {
		if err := post(t.Context(), transport, behind.url()); err != nil {
			t.Fatal(err)
		}
	}
	if len(broken) != 2 {
		t.Errorf("%d connections, want one again for each lane", len(broken))
	}
}
