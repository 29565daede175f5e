package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/rpc"
	"github.com/commercestack/commercestack/internal/telemetry"
)

const (
	jsonType = "application/json"
	// protocolName is what calls report as their protocol.
	protocolName = "rest"
)

// handler serves the REST form of a server's methods.
type handler struct {
	server *connect.Server
	table  *Table
	specs  map[string]connect.Spec
}

// New returns a handler for every method of the server that has a
// google.api.http rule. Register all services first. It panics when a rule
// cannot be served or two of them collide, as connect.Server.Register does.
func New(server *connect.Server) http.Handler {
	h := &handler{server: server, specs: make(map[string]connect.Spec)}
	var methods []protoreflect.MethodDescriptor
	for spec := range server.Specs() {
		if method, ok := spec.Schema.(protoreflect.MethodDescriptor); ok {
			methods = append(methods, method)
			h.specs[spec.Procedure] = spec
		}
	}
	table, err := newTable(methods)
	if err != nil {
		panic(err) // a mistake in the contract, found at start and by the tests
	}
	h.table = table
	return h
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := correlate(w, r)
	match, ok := h.table.Match(r.Method, r.URL.EscapedPath())
	if !ok {
		Refuse(ctx, w, r.Method, match.Allow)
		return
	}
	exchange := &rpc.Exchange{}
	s := &stream{route: match.Route, values: match.Values, writer: w, request: r, exchange: exchange}
	defer s.release()
	info := &connect.CallInfo{
		Spec: h.specs[match.Route.Procedure], PeerAddr: r.RemoteAddr, Protocol: protocolName, Codec: connect.CodecNameJSON, TransportInfo: exchange,
	}
	for key, values := range r.Header {
		info.RequestHeader().SetValues(key, values)
	}
	err := h.server.Call(ctx, match.Route.Procedure, info, s)
	maps.Insert(w.Header(), info.ResponseHeader().All())
	if err == nil && !s.sent {
		err = fault.New(fault.KindInternal, "", "there was no answer")
	}
	if err != nil {
		writeError(ctx, w, match.Route, s.status, err)
		return
	}
	s.write(w, r)
}

// correlate gives the request its correlation id and tells the client.
func correlate(w http.ResponseWriter, r *http.Request) context.Context {
	ctx := r.Context()
	id := telemetry.RequestID(ctx)
	if id == "" {
		id = r.Header.Get(telemetry.RequestIDHeader)
		if !telemetry.ValidRequestID(id) {
			id = telemetry.NewRequestID()
		}
		ctx = telemetry.WithRequestID(ctx, id)
	}
	w.Header().Set(telemetry.RequestIDHeader, id)
	return ctx
}

// Refuse answers a request that has no route: 404, or 405 (204 for OPTIONS) when
// the path has the methods of allow.
func Refuse(ctx context.Context, w http.ResponseWriter, method string, allow []string) {
	if len(allow) == 0 {
		WriteError(ctx, w, fault.New(fault.KindNotFound, "", "there is nothing at this address"))
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	if method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeError(ctx, w, nil, http.StatusMethodNotAllowed, fault.Invalid("", "this address does not answer %s", strings.ToValidUTF8(method, "?")))
}

// write sends the answer of a call that succeeded.
func (s *stream) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if s.contentType != "" {
		header.Set("Content-Type", s.contentType)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	if s.cache(header, r) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(s.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(s.body) // a client that went away is no failure of ours
	}
}

// cache sets the cache headers and reports whether the client has the answer already.
func (s *stream) cache(header http.Header, r *http.Request) (notModified bool) {
	if !s.route.Cacheable() {
		if header.Get("Cache-Control") == "" {
			header.Set("Cache-Control", "no-store")
		}
		return false
	}
	control := "private, no-cache" // a logged-in caller may see more than others
	if s.exchange.Anonymous {
		control = s.route.Rule.GetCacheControl()
	}
	etag := s.exchange.Etag
	if etag == "" || s.exchange.Encoded == nil {
		sum := sha256.Sum256(s.body)
		etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	}
	header.Set("Cache-Control", control)
	header.Set("Etag", etag)
	header.Add("Vary", "Authorization")
	if !matches(r.Header.Get("If-None-Match"), etag) {
		return false
	}
	header.Del("Content-Type")
	return true
}

// matches compares If-None-Match with an entity tag, weakly as RFC 9110 wants.
func matches(header, etag string) bool {
	if header == "" {
		return false
	}
	if strings.TrimSpace(header) == "*" {
		return true
	}
	for candidate := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}
