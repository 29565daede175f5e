package app

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"go.opentelemetry.io/otel/trace"

	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rpc"
)

// directory finds components: in this process, or by their URLs. Clients are
// made when first asked for, so that components may be built in any order.
type directory struct {
	server *connect.Server
	local  map[string]bool
	remote map[string]*url.URL
	http   *http.Client
	signer *identity.Signer
	// tracing makes spans; nil is off.
	tracing trace.TracerProvider

	mu      sync.Mutex
	clients map[string]*connect.Client
}

// clientFor returns the function by which a component reaches the others. A
// component that is nowhere is a mistake of the configuration, found at start
// by checkRemotes, so asking for it later panics.
func (d *directory) clientFor(caller string) func(string) *connect.Client {
	return func(target string) *connect.Client {
		d.mu.Lock()
		defer d.mu.Unlock()
		key := caller + ">" + target
		if client, ok := d.clients[key]; ok {
			return client
		}
		var transport connect.Transport
		remote := false
		switch {
		case d.local[target]:
			transport = connectinprocess.New(d.server)
		case d.remote[target] != nil:
			transport = rpc.NewTransport(d.http, d.remote[target].String())
			remote = true
		default:
			panic(fmt.Sprintf("component %s asks for %s, which is neither in this process nor has an address", caller, target))
		}
		client := rpc.NewClient(transport, rpc.ClientOptions{Caller: caller, Target: target, Remote: remote, Signer: d.signer, TracerProvider: d.tracing})
		d.clients[key] = client
		return client
	}
}
