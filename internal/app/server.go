package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/telemetry"
	"github.com/commercestack/commercestack/services/gateway"
)

const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
	shutdownTimeout   = 30 * time.Second
	maxHeaderBytes    = 64 << 10
)

// listener is one address of the process.
type listener struct {
	net    net.Listener
	server *http.Server
}

func (l *listener) serve() error {
	if err := l.server.Serve(l.net); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (l *listener) close() { _ = l.net.Close() }

// newServer makes the one RPC server of the process, with the interceptors
// that every component shares.
func (p *process) newServer() *connect.Server {
	return rpc.NewServer(rpc.ServerOptions{
		Signer: p.resources.keys.signer, Logger: p.resources.logger, Registry: p.resources.registry,
		Interceptors: p.dataInterceptors(),
	})
}

// listen opens an address. HTTP/1.1 and HTTP/2 without TLS are served beside
// each other: gRPC clients and our own gateway need the latter.
func (p *process) listen(address string, handler http.Handler) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p.listeners = append(p.listeners, listener{net: l, server: &http.Server{
		Handler: handler, Protocols: protocols, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: time.Minute,
	}})
	return nil
}

func (p *process) shutdownListeners() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var all []error
	for i := range p.listeners {
		all = append(all, p.listeners[i].server.Shutdown(ctx))
	}
	return errors.Join(all...)
}

// handler serves the components of this process to the gateway and to other
// components: RPC, REST, and their own routes.
func (p *process) handler() http.Handler {
	mux := http.NewServeMux()
	rpc.Mount(mux, p.server, rpc.WithReadiness(func(ctx context.Context, _ string) error { return p.ready(ctx) }))
	for _, built := range p.components {
		for pattern, route := range built.Routes {
			mux.Handle(pattern, route)
		}
	}
	for pattern, route := range p.resources.extra {
		mux.Handle(pattern, route)
	}
	p.health(mux)
	mux.Handle("/", rest.New(p.server))
	return mux
}

// health adds the probes. Liveness never looks at a dependency: restarting a
// pod does not bring a database back.
func (p *process) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := p.ready(ctx); err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
}

// metricsHandler serves the operators' own port.
func (p *process) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", telemetry.MetricsHandler(p.resources.registry))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	p.health(mux)
	return mux
}

func replaceComponent(text, name string) string { return strings.ReplaceAll(text, "{component}", name) }

// newTransport reaches other components; the gateway and the clients share its shape.
func newTransport() http.RoundTripper { return gateway.NewTransport() }

// target is one remote address with all of the traffic.
func target(u *url.URL) []gateway.Target { return []gateway.Target{{URL: u, Weight: 1}} }
