package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
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
	// shutdownTimeout, a drain delay and the grace of jobs are together within the 45 s a pod gets.
	shutdownTimeout = 20 * time.Second
	maxHeaderBytes  = 64 << 10
)

// listener is one address of the process.
type listener struct {
	net    net.Listener
	server *http.Server
	// last holds for the address of probes and metrics, which answers until everything else has ended.
	last bool
}

func (l *listener) serve() error {
	var err error
	if l.server.TLSConfig != nil {
		err = l.server.ServeTLS(l.net, "", "")
	} else {
		err = l.server.Serve(l.net)
	}
	if !errors.Is(err, http.ErrServerClosed) {
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
		Interceptors: p.dataInterceptors(), TracerProvider: p.resources.tracing,
	})
}

// listen opens an address. HTTP/1.1 and HTTP/2 without TLS are served beside
// each other: gRPC clients and our own gateway need the latter.
func (p *process) listen(address string, handler http.Handler) error {
	return p.listenTLS(address, handler, nil)
}

// listenTLS opens an address that is served with TLS, or without where secure is nil.
func (p *process) listenTLS(address string, handler http.Handler, secure *tls.Config) error {
	l, err := net.Listen("tcp", address) //nolint:noctx // it does not wait
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: p.parting(handler), Protocols: protocols, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ReadTimeout: time.Minute, ErrorLog: slog.NewLogLogger(p.resources.logger.Handler(), slog.LevelWarn),
	}
	if secure == nil {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP2(true)
		server.TLSConfig = secure
	}
	p.listeners = append(p.listeners, listener{net: l, server: server})
	return nil
}

// parting tells clients with each answer of a draining process to take another
// connection, which leads to another process: HTTP/1.1 by Connection: close,
// which becomes a GOAWAY on HTTP/2. Closing idle connections instead would lose
// the request that is just being sent.
func (p *process) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdownListeners lets requests end, those of probes and Prometheus last. What
// has not ended in time is cut off: the pod would be killed anyway.
func (p *process) shutdownListeners() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	for _, last := range []bool{false, true} {
		var group sync.WaitGroup
		for i := range p.listeners {
			l := &p.listeners[i]
			if l.last != last {
				continue
			}
			group.Go(func() {
				if err := l.server.Shutdown(ctx); err != nil {
					p.resources.logger.WarnContext(ctx, "requests were cut off by the stop", slog.String("listen", l.net.Addr().String()), slog.Any("cause", err))
					_ = l.server.Close()
				}
			})
		}
		group.Wait()
	}
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

// target is one remote address with all of the traffic.
func target(u *url.URL) []gateway.Target { return []gateway.Target{{URL: u, Weight: 1}} }
