package app

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/commercestack/commercestack/internal/certificate"
	"github.com/commercestack/commercestack/internal/certificate/certtest"
)

// balancer sends connections to the first process that is ready, as a
// Kubernetes Service does: what is open stays where it is.
type balancer struct {
	processes [][2]string // address, probe
	dialled   [2]atomic.Int64
}

func (b *balancer) dial(ctx context.Context) (net.Conn, error) {
	at := len(b.processes) - 1
	for i, p := range b.processes {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p[1]+"/readyz", http.NoBody)
		if err != nil {
			return nil, err
		}
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			at = i
			break
		}
	}
	b.dialled[at].Add(1)
	return (&net.Dialer{}).DialContext(ctx, "tcp", b.processes[at][0])
}

// onlyOnce is a body that cannot be sent again, so that no transport repeats the request.
type onlyOnce struct{ io.Reader }

// TestClientsDoNotNoticeAStop keeps posting over several connections of every
// kind while one of two processes stops.
func TestClientsDoNotNoticeAStop(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"without TLS": false, "with TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var store *certificate.Store
			var client *tls.Config
			if secure {
				store, client = newPair(t)
			}
			b := &balancer{}
			stopFirst := startWorking(t, b, store)
			startWorking(t, b, store)
			stop := post(t, b, client)
			time.Sleep(500 * time.Millisecond)
			begun := time.Now()
			stopFirst()
			t.Logf("the stop took %s", time.Since(begun))
			time.Sleep(300 * time.Millisecond)
			stop()
			if b.dialled[1].Load() == 0 {
				t.Error("nobody moved over")
			}
		})
	}
}

// newPair is a server's certificate and what a client has to know of it.
func newPair(t *testing.T) (*certificate.Store, *tls.Config) {
	t.Helper()
	files := certtest.New(t, "ours").Write(t, t.TempDir())
	store, err := certificate.Open(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return store, &tls.Config{Certificates: []tls.Certificate{conn}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
}

// startWorking starts a process whose answers take a moment, and adds it to the balancer.
func startWorking(t *testing.T, b *balancer, store *certificate.Store) (stop func()) {
	t.Helper()
	p := newBare(&Config{DrainDelay: 1500 * time.Millisecond})
	if err := p.listenTLS("127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(10 * time.Millisecond)
		_, _ = io.WriteString(w, "done")
	}), peerTLS(store)); err != nil {
		t.Fatal(err)
	}
	if err := p.listenMetrics("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.processes = append(b.processes, [2]string{p.addresses()[0], p.addresses()[1]})
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan error, 1)
	go func() { finished <- p.run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-finished; err != nil {
			t.Errorf("the stop failed: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// post sends requests over HTTP/1.1 and HTTP/2 until the returned function is called. None may fail.
func post(t *testing.T, b *balancer, secure *tls.Config) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	var posts atomic.Int64
	var group sync.WaitGroup
	for i := range 6 {
		client := &http.Client{Transport: transportOver(b, secure, i%2 == 0), Timeout: time.Minute}
		scheme := "http"
		if secure != nil {
			scheme = "https"
		}
		group.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(3 * time.Millisecond):
				}
				posts.Add(1)
				request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, scheme+"://shop.example/", onlyOnce{strings.NewReader("order")})
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := client.Do(request)
				if err != nil {
					t.Errorf("HTTP/2 %t: %v", i%2 == 0, err)
					continue
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil || string(body) != "done" {
					t.Errorf("HTTP/2 %t: %q (%v)", i%2 == 0, body, err)
				}
			}
		})
	}
	return func() {
		close(ended)
		group.Wait()
		t.Logf("%d posts", posts.Load())
		if posts.Load() < 100 {
			t.Error("that was no traffic")
		}
	}
}

func transportOver(b *balancer, secure *tls.Config, http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	transport := &http.Transport{
		Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dial(ctx) },
	}
	if secure != nil {
		transport.TLSClientConfig = secure.Clone()
	}
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2 && secure != nil)
	protocols.SetUnencryptedHTTP2(http2 && secure == nil)
	return transport
}
