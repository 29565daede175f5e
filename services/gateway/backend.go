package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/spread"
)

// Target is one address of a component and its share of the traffic.
type Target struct {
	// URL of the component, without a path.
	URL *url.URL
	// Weight is the share of this target among the component's targets; 0 sends nothing.
	Weight int
}

// errBackend marks an answer that counts against the circuit breaker.
var errBackend = errors.New("backend answered with an error")

const (
	proxyTries      = 3
	proxyBackoff    = 25 * time.Millisecond
	breakerFailures = 10
	breakerOpen     = 2 * time.Second
	// breakerWindow is how long answers count.
	breakerWindow = 5 * time.Second
)

// backend is how one component in other processes is reached.
type backend struct {
	component string
	targets   []Target
	total     int
	transport http.RoundTripper
	logger    *slog.Logger
	metrics   *upstreamMetrics
	stable    *retryTransport
}

// newBackend checks the targets of a component.
func newBackend(component string, targets []Target, transport http.RoundTripper, logger *slog.Logger, metrics *upstreamMetrics) (*backend, error) {
	total := 0
	for _, target := range targets {
		if target.Weight < 0 {
			return nil, fmt.Errorf("component %s: weight %d of %s is negative", component, target.Weight, target.URL)
		}
		total += target.Weight
	}
	if total == 0 {
		return nil, fmt.Errorf("component %s: no target has a weight", component)
	}
	b := &backend{component: component, targets: targets, total: total, transport: transport, logger: logger, metrics: metrics}
	b.stable = b.guarded(component, variantStable)
	return b, nil
}

// guarded returns a transport with circuit breakers of its own. Reads have another
// than the rest: while a database takes no writes, what is read is still there.
func (b *backend) guarded(name, variant string) *retryTransport {
	return &retryTransport{
		component: b.component, next: b.transport, figures: b.metrics.of(b.component, variant),
		breaker: b.newBreaker(name), reads: b.newBreaker(name + " reads"), //nolint:bodyclose // breakers, not answers
	}
}

func (b *backend) newBreaker(name string) *gobreaker.CircuitBreaker[*http.Response] {
	return gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{ //nolint:bodyclose // a type, not a call; who forwards the answer closes it
		Name: name, Timeout: breakerOpen, Interval: breakerWindow,
		ReadyToTrip: rpc.TripAfter(breakerFailures),
		// A client that hangs up says nothing about the peer; counted, ten of them would close the shop to everybody.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			b.logger.Warn("circuit changed", slog.String("backend", name), slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
}

// proxy forwards to the component over the network. A request that is safe to
// repeat is tried again on another connection; after many failures in a row the
// circuit opens, and callers get 503 at once instead of waiting for a dead peer.
func (b *backend) proxy(fail failFunc) http.Handler {
	return b.forwarding(b.stable, func() *url.URL { return pick(b.targets, b.total).URL }, fail)
}

// canary forwards to another version of the component.
func (b *backend) canary(route canaryRoute, fail failFunc) http.Handler {
	transport := &canaryTransport{backend: b, canary: b.guarded(b.component+" canary", variantCanary)}
	return b.forwarding(transport, func() *url.URL { return route.url }, fail)
}

func (b *backend) forwarding(transport http.RoundTripper, target func() *url.URL, fail failFunc) http.Handler {
	refuse := func(w http.ResponseWriter, r *http.Request, err error) {
		if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
			w.WriteHeader(499)
			return
		}
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			fail(w, r, fault.Invalid("body", "the body is larger than %d bytes", tooLarge.Limit))
			return
		}
		fail(w, r, fault.Unavailable(b.component, time.Second).WithCause(err))
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target())
			pr.Out.Host = pr.In.Host
		},
		ModifyResponse: preferBackend,
		ErrorHandler:   refuse,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(context.WithValue(r.Context(), gatewayHeaderKey{}, w.Header()))
		if err := keepBody(r); err != nil {
			refuse(w, r, err)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// maxKeptBody is the largest body that is read before it is sent on.
const maxKeptBody = 64 << 10

// keepBody makes a body that can be sent twice out of one that can not, unless
// it is large or of unknown length. A component that stops refuses what was on
// its way to it, and the transport sends that again when it has the body.
func keepBody(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength <= 0 || r.ContentLength > maxKeptBody {
		return nil
	}
	content := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, content); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	r.Body, _ = r.GetBody()
	return nil
}

// canaryTransport sends requests to a canary. What could not be sent goes to
// the stable version, and so does the second try of what may be repeated: a
// canary that vanishes or fails costs its callers as little as possible.
type canaryTransport struct {
	backend *backend
	canary  *retryTransport
}

// RoundTrip implements http.RoundTripper.
func (t *canaryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, sent, err := spread.Attempt(roundTripFunc(t.canary.once), r)
	good := err == nil && response.StatusCode != http.StatusServiceUnavailable
	if good || sent && !repeatable(r) || r.Context().Err() != nil {
		return response, err
	}
	if response != nil {
		_ = response.Body.Close()
	}
	stable := spread.Again(r)
	to, path := pick(t.backend.targets, t.backend.total).URL, *r.URL
	path.Scheme, path.Host = to.Scheme, to.Host
	stable.URL = &path
	return t.backend.stable.RoundTrip(stable)
}

// roundTripFunc is a function as a transport.
type roundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// gatewayHeaderKey finds the headers that the gateway has set so far.
type gatewayHeaderKey struct{}

// preferBackend takes back the gateway's headers that the component sets too.
// The proxy appends, and a page with two content security policies obeys both:
// the gateway's, which is for data, would leave it without style and script.
func preferBackend(response *http.Response) error {
	own, _ := response.Request.Context().Value(gatewayHeaderKey{}).(http.Header)
	for name := range response.Header {
		if name != "Vary" {
			own.Del(name)
		}
	}
	return nil
}

// pick chooses a target by weight. total is the sum of the weights and positive.
func pick(targets []Target, total int) Target {
	if len(targets) == 1 {
		return targets[0]
	}
	at := rand.IntN(total) //nolint:gosec // a traffic share needs no secret randomness
	for _, target := range targets {
		if at < target.Weight {
			return target
		}
		at -= target.Weight
	}
	return targets[len(targets)-1]
}

// retryTransport repeats idempotent requests and guards the peer with a circuit breaker.
type retryTransport struct {
	component string
	next      http.RoundTripper
	figures   *figures
	// breaker guards what changes something, reads what does not.
	breaker, reads *gobreaker.CircuitBreaker[*http.Response]
}

// RoundTrip implements http.RoundTripper.
func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	tries := 1
	if repeatable(r) {
		tries = proxyTries
	}
	var response *http.Response
	var err error
	for attempt := range tries {
		if attempt > 0 {
			if response != nil {
				_ = response.Body.Close()
			}
			if !pause(r.Context(), proxyBackoff<<attempt) {
				return nil, r.Context().Err()
			}
		}
		response, err = t.once(r)
		if err == nil && (response.StatusCode != http.StatusServiceUnavailable || attempt == tries-1) {
			return response, nil
		}
		if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
			return nil, err
		}
	}
	return response, err
}

// once sends the request through the breaker. Answers of 502 to 504 count as
// failures of the peer but are still passed on.
func (t *retryTransport) once(r *http.Request) (*http.Response, error) {
	var failed *http.Response
	breaker := t.breaker
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		breaker = t.reads
	}
	response, err := breaker.Execute(func() (*http.Response, error) {
		started := time.Now()
		answer, err := t.next.RoundTrip(r)
		t.figures.observe(answer, err, time.Since(started))
		if err == nil && answer.StatusCode >= http.StatusBadGateway && answer.StatusCode <= http.StatusGatewayTimeout {
			failed = answer
			return nil, errBackend
		}
		return answer, err
	})
	if errors.Is(err, errBackend) {
		return failed, nil
	}
	return response, err
}

// repeatable holds for requests without a body whose method changes nothing.
func repeatable(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// NewTransport returns the transport to components: HTTP/2 without TLS for
// http:// URLs (one connection carries many calls, and gRPC passes), HTTP/2 by
// ALPN for https://. A peer that is silent is asked whether it lives, and given up
// after eight seconds: before the deadline of whoever waits for it.
func NewTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		Protocols:             protocols,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 5 * time.Second},
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ForceAttemptHTTP2:     true,
	}
}
