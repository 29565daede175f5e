package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	accessv1 "github.com/commercestack/commercestack/api/gen/commerce/access/v1"
	"github.com/commercestack/commercestack/internal/access"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/rest"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// Config is what a platform engineer may choose.
type Config struct {
	// CORSOrigins are the origins browsers may call from; "*" is every origin.
	CORSOrigins []string
	// TrustedProxies are addresses or networks whose X-Forwarded-For is believed.
	TrustedProxies []string
	// Policies are the rate limits by name: "read", "write", "credentials", "payment", "webhook".
	Policies map[string]Policy
	// RequestTimeout bounds one request.
	RequestTimeout time.Duration
	// MaxBodyBytes bounds any body. Endpoints have smaller bounds of their own.
	MaxBodyBytes int64
	// WAF is "off", "detect" or "block".
	WAF string
	// HSTS adds Strict-Transport-Security; for shops served by TLS.
	HSTS bool
	// Transform adds and removes headers of requests and answers.
	Transform Transform
	// RoutesFile names the file of the canaries; empty is none. It is read again when it changes.
	RoutesFile string
}

// DefaultPolicies returns the limits of a normal shop. They count by user, or
// by address for guests, and by endpoint.
func DefaultPolicies() map[string]Policy {
	return map[string]Policy{
		"read":        {Name: "read", Rate: 200, Period: time.Second, Burst: 400},
		"write":       {Name: "write", Rate: 50, Period: time.Second, Burst: 200},
		"credentials": {Name: "credentials", Rate: 60, Period: time.Minute, Burst: 60, Exact: true},
		"payment":     {Name: "payment", Rate: 20, Period: time.Second, Burst: 100},
		"webhook":     {Name: "webhook", Rate: 500, Period: time.Second, Burst: 1000},
	}
}

// Options is what the program gives the gateway.
type Options struct {
	Config Config
	// Local are the handlers of components in this process, by name.
	Local map[string]http.Handler
	// Remote are the addresses of the other components, by name.
	Remote map[string][]Target
	// Verify checks an access token.
	Verify func(ctx context.Context, token string) (identity.Identity, error)
	// Signer signs the identity for remote components.
	Signer *identity.Signer
	// Redis shares rate limits among gateways; nil counts in this process.
	Redis redis.UniversalClient
	// Transport reaches remote components; nil means NewTransport().
	Transport http.RoundTripper
	Logger    *slog.Logger
	Registry  prometheus.Registerer
	Now       func() time.Time
}

// Gateway is the platform's public HTTP handler.
type Gateway struct {
	config   Config
	proxies  trustedProxies
	cors     corsPolicy
	limits   limiter
	resolver *resolver
	backends map[string]http.Handler
	local    map[string]bool
	canaries *canaries
	verify   func(ctx context.Context, token string) (identity.Identity, error)
	signer   *identity.Signer
	waf      *firewall
	metrics  *metrics
	logger   *slog.Logger
	now      func() time.Time
	handler  http.Handler
}

// failFunc answers a request with an error in the protocol the caller speaks.
type failFunc func(w http.ResponseWriter, r *http.Request, err error)

// New builds the gateway. It fails on a configuration that makes no sense,
// naming the setting.
func New(o Options) (*Gateway, error) {
	proxies, err := parseTrustedProxies(o.Config.TrustedProxies)
	if err != nil {
		return nil, err
	}
	waf, err := newFirewall(o.Config.WAF, o.Logger)
	if err != nil {
		return nil, err
	}
	resolver, err := newResolver()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: o.Config, proxies: proxies, cors: corsPolicy{origins: o.Config.CORSOrigins}, waf: waf,
		resolver: resolver, backends: make(map[string]http.Handler), local: make(map[string]bool),
		verify: o.Verify, signer: o.Signer, logger: o.Logger, now: o.Now, metrics: newMetrics(o.Registry),
	}
	g.limits = newLocalLimiter(o.Now)
	if o.Redis != nil {
		g.limits = newRedisLimiter(o.Redis, o.Logger, o.Now)
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if err := g.reach(o); err != nil {
		return nil, err
	}
	for name, handler := range o.Local {
		g.backends[name], g.local[name] = handler, true
	}
	return g, g.compress()
}

// reach makes the ways to components in other processes, and to their canaries.
func (g *Gateway) reach(o Options) error {
	metrics := newUpstreamMetrics(o.Registry)
	remote := make(map[string]*backend, len(o.Remote))
	var names []string
	for name, targets := range o.Remote {
		b, err := newBackend(name, targets, o.Transport, o.Logger, metrics)
		if err != nil {
			return err
		}
		remote[name], g.backends[name] = b, b.proxy(writeFault)
		if _, local := o.Local[name]; !local {
			names = append(names, name)
		}
	}
	g.canaries = newCanaries(o.Config.RoutesFile, names,
		func(route canaryRoute) http.Handler { return remote[route.component].canary(route, writeFault) }, o.Logger, o.Now)
	o.Registry.MustRegister(g.canaries)
	return nil
}

// compress wraps the pipeline with gzip for bodies worth it.
func (g *Gateway) compress() error {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.CompressionLevel(1), gzhttp.SuffixETag("-gzip"),
		gzhttp.ContentTypeFilter(compressible))
	if err != nil {
		return err
	}
	plain := http.HandlerFunc(g.serve)
	gzipped := wrap(plain)
	g.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") || r.Header.Get("Accept-Encoding") == "" {
			if r.Header.Get("Accept-Encoding") == "" {
				w.Header().Add("Vary", "Accept-Encoding")
				restoreETag(r)
			}
			plain(w, r)
			return
		}
		restoreETag(r)
		gzipped.ServeHTTP(w, r)
	})
	return nil
}

// compressible holds for text and data. Pictures and documents are compressed
// already, and gRPC compresses by itself.
func compressible(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch media = strings.TrimSpace(media); media {
	case "application/json", "application/javascript", "application/xml", "application/manifest+json", "application/connect+json", "application/proto", "image/svg+xml":
		return true
	default:
		return strings.HasPrefix(media, "text/")
	}
}

// restoreETag takes the suffix of compressed answers off If-None-Match, so that
// a browser revalidates what it got compressed.
func restoreETag(r *http.Request) {
	if tag := r.Header.Get("If-None-Match"); strings.Contains(tag, `-gzip"`) {
		r.Header.Set("If-None-Match", strings.ReplaceAll(tag, `-gzip"`, `"`))
	}
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.handler.ServeHTTP(w, r)
}

// serve is the pipeline, in the order the package comment states.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	started := g.now()
	requestID := r.Header.Get(telemetry.RequestIDHeader)
	if !telemetry.ValidRequestID(requestID) {
		requestID = telemetry.NewRequestID()
	}
	r.Header.Del(identity.Header)
	r.Header.Set(telemetry.RequestIDHeader, requestID)
	ctx, cancel := context.WithTimeout(telemetry.WithRequestID(r.Context(), requestID), g.config.RequestTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	recorder := &statusRecorder{ResponseWriter: w}
	w = recorder
	w.Header().Set(telemetry.RequestIDHeader, requestID)
	g.setSecurityHeaders(w)

	caller := g.guest(r)
	to := unmatched
	defer func() {
		if cause := recover(); cause != nil {
			if errors.Is(asError(cause), http.ErrAbortHandler) {
				g.record(r, recorder, to, caller, g.now().Sub(started))
				panic(cause)
			}
			g.logger.ErrorContext(ctx, "panic in the gateway", slog.Any("panic", cause))
			if !recorder.wrote {
				writeFault(w, r, fault.New(fault.KindInternal, fault.ReasonInternal, "an internal error occurred"))
			}
		}
		g.record(r, recorder, to, caller, g.now().Sub(started))
	}()
	if g.cors.apply(w, r) {
		to.name = "preflight"
		return
	}
	found, allow, ok := g.resolver.resolve(r)
	if !ok {
		g.refuse(w, r, allow, caller)
		return
	}
	to = found
	if err := g.admit(w, r, to, &caller); err != nil {
		writeFault(w, r, err)
		return
	}
	g.forward(w, r, to, caller)
}

const (
	maxUserAgent  = 512
	maxGuestToken = 256
)

// guest is the caller before any token is read. What it says of itself is
// bounded, because the identity travels in one header: a longer guest token
// than we ever made opens nothing anyway.
func (g *Gateway) guest(r *http.Request) identity.Identity {
	caller := identity.Identity{ClientIP: g.proxies.clientAddress(r), UserAgent: r.UserAgent(), GuestToken: r.Header.Get("X-Guest-Token")}
	if len(caller.UserAgent) > maxUserAgent {
		caller.UserAgent = strings.ToValidUTF8(caller.UserAgent[:maxUserAgent], "")
	}
	if len(caller.GuestToken) > maxGuestToken {
		caller.GuestToken = ""
	}
	return caller
}

// unmatched is the endpoint of requests that have none, for figures and limits.
var unmatched = endpoint{name: "unmatched", policy: "read"}

// refuse answers a request that leads nowhere. It counts as a read, so that a
// scan is limited too.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, allow []string, caller identity.Identity) {
	if err := g.limit(w, r, unmatched, caller); err != nil {
		writeFault(w, r, err)
		return
	}
	if isRPC(r.URL.Path) {
		writeFault(w, r, fault.NotFound("procedure", r.URL.Path))
		return
	}
	rest.Refuse(r.Context(), w, r.Method, allow)
}

// admit decides whether the request may go on, and fills in who sends it.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request, to endpoint, caller *identity.Identity) error {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, g.config.MaxBodyBytes)
	}
	if to.rule == nil {
		if err := g.limit(w, r, to, *caller); err != nil {
			return err
		}
		return g.inspect(r, to, *caller)
	}
	if to.rule.GetLevel() == accessv1.Level_LEVEL_SERVICE {
		return fault.NotFound("route", r.URL.Path)
	}
	authErr := g.authenticate(r, caller)
	// The limit comes before the verdict on the token: guessing tokens is limited too.
	if err := g.limit(w, r, to, *caller); err != nil {
		return err
	}
	if authErr != nil && to.rule.GetLevel() != accessv1.Level_LEVEL_PUBLIC {
		return authErr
	}
	if authErr != nil && !to.ignoresToken {
		return authErr
	}
	if err := access.Check(to.rule, *caller); err != nil {
		return err
	}
	return g.inspect(r, to, *caller)
}

// inspect asks the firewall. Webhooks pass: their sender signs every byte, and
// a payment that is refused for its wording is money lost. So do the gateway's
// own answers, which probes ask for.
func (g *Gateway) inspect(r *http.Request, to endpoint, caller identity.Identity) error {
	if to.policy == "webhook" || to.component == Name {
		return nil
	}
	return g.waf.inspect(r, caller.ClientIP)
}

// authenticate reads the bearer token. No token is a guest; a token that does
// not hold is an error even on public routes, so that a client notices.
func (g *Gateway) authenticate(r *http.Request, caller *identity.Identity) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return fault.AuthFailed("the Authorization header must be \"Bearer\" and an access token")
	}
	verified, err := g.verify(r.Context(), strings.TrimSpace(token))
	if err != nil {
		return err
	}
	verified.ClientIP, verified.UserAgent, verified.GuestToken = caller.ClientIP, caller.UserAgent, caller.GuestToken
	*caller = verified
	return nil
}

// limit counts the call against the policy of the endpoint.
func (g *Gateway) limit(w http.ResponseWriter, r *http.Request, to endpoint, caller identity.Identity) error {
	policy, ok := g.config.Policies[to.policy]
	if !ok || policy.Rate <= 0 {
		return nil
	}
	who := "ip:" + limitAddress(caller.ClientIP)
	if caller.UserID != "" {
		who = "user:" + caller.UserID
	}
	decision := g.limits.allow(r.Context(), policy, policy.Name+":"+to.name+":"+who)
	limit, limitPolicy := decision.headers(policy)
	w.Header().Set("RateLimit", limit)
	w.Header().Set("RateLimit-Policy", limitPolicy)
	if decision.Allowed {
		return nil
	}
	g.metrics.limited.WithLabelValues(policy.Name).Inc()
	return fault.RateLimit(decision.RetryAfter)
}

// forward hands the request to its component with the caller's identity.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, to endpoint, caller identity.Identity) {
	backend, ok := g.backends[to.component]
	if !ok {
		writeFault(w, r, fault.NotFound("route", r.URL.Path))
		return
	}
	g.config.Transform.apply(w, r)
	if g.local[to.component] {
		backend.ServeHTTP(w, r.WithContext(identity.With(r.Context(), caller)))
		return
	}
	signed, err := g.signer.Sign(caller)
	if err != nil {
		writeFault(w, r, err)
		return
	}
	r.Header.Set(identity.Header, signed)
	if other := g.canaries.choose(to.component, caller); other != nil {
		backend = other
	}
	backend.ServeHTTP(w, r)
}

func asError(cause any) error {
	if err, ok := cause.(error); ok {
		return err
	}
	return nil
}
