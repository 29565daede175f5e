package app

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	admin "github.com/commercestack/commercestack/services/admin/module"
	analytics "github.com/commercestack/commercestack/services/analytics/module"
	auth "github.com/commercestack/commercestack/services/auth/module"
	billing "github.com/commercestack/commercestack/services/billing/module"
	"github.com/commercestack/commercestack/services/gateway"
	notification "github.com/commercestack/commercestack/services/notification/module"
	order "github.com/commercestack/commercestack/services/order/module"
	product "github.com/commercestack/commercestack/services/product/module"
	storefront "github.com/commercestack/commercestack/services/storefront/module"
	user "github.com/commercestack/commercestack/services/user/module"
)

// Config is everything the program can be told, by flag or by environment.
// Secrets come by file or environment, never by flag.
type Config struct {
	LogLevel    string `default:"${log_level}" enum:"debug,info,warn,error" env:"COMMERCE_LOG_LEVEL" help:"Lowest level that is logged."`
	PublicURL   string `env:"COMMERCE_PUBLIC_URL" help:"The shop's address as customers see it, without a trailing slash."`
	Currency    string `default:"EUR" env:"COMMERCE_CURRENCY" help:"ISO 4217 currency of the shop."`
	Development bool   `env:"COMMERCE_DEVELOPMENT" help:"Simulate external services and show captured mail."`

	DatabaseURL        string `env:"COMMERCE_DATABASE_URL,DATABASE_URL" help:"PostgreSQL. With {component} in it each component logs in as itself; otherwise it is the administrator's."`
	DatabaseReplicaURL string `env:"COMMERCE_DATABASE_REPLICA_URL" help:"Read replica, with {component} in it."`
	DatabaseMaxConns   int32  `default:"8" env:"COMMERCE_DATABASE_MAX_CONNS" help:"Connections of each component."`
	RedisURL           string `env:"COMMERCE_REDIS_URL,REDIS_URL" help:"Redis."`
	ObjectsURL         string `env:"COMMERCE_OBJECTS_URL" help:"Object storage: file:///folder or s3://bucket?region=…"`
	NATSURL            string `name:"nats-url" env:"COMMERCE_NATS_URL" help:"NATS with JetStream as the event bus, one or several addresses separated by commas; empty uses PostgreSQL."`
	NATSCredsFile      string `name:"nats-creds-file" env:"COMMERCE_NATS_CREDS_FILE" help:"Credentials file for NATS."`
	NATSCAFile         string `name:"nats-ca-file" env:"COMMERCE_NATS_CA_FILE" help:"Authorities to trust for NATS instead of the system's, PEM."`
	NATSReplicas       int    `name:"nats-replicas" default:"1" env:"COMMERCE_NATS_REPLICAS" help:"Copies that a NATS cluster keeps of each event."`

	IdentityKeysFile   string `env:"COMMERCE_IDENTITY_KEYS_FILE" help:"Keys by which processes of the stack trust each other, one id:base64 a line."`
	EncryptionKeysFile string `env:"COMMERCE_ENCRYPTION_KEYS_FILE" help:"Keys that encrypt sensitive fields at rest, one id:base64 a line."`

	DrainDelay    time.Duration `default:"0s" env:"COMMERCE_DRAIN_DELAY" help:"How long to go on serving after a stop was asked for, so that load balancers notice."`
	MetricsListen string        `env:"COMMERCE_METRICS_LISTEN" help:"Address of /metrics, /healthz and /readyz."`

	// DevelopmentClockAhead makes the clock of the process wrong, to see that nothing depends on it.
	DevelopmentClockAhead time.Duration `hidden:"" help:"How far the clock of the process is wrong; only with --development."`

	Gateway      GatewayConfig       `embed:"" prefix:"gateway-"`
	Auth         auth.Config         `embed:"" prefix:"auth-"`
	User         user.Config         `embed:"" prefix:"user-"`
	Product      product.Config      `embed:"" prefix:"product-"`
	Order        order.Config        `embed:"" prefix:"order-"`
	Billing      billing.Config      `embed:"" prefix:"billing-"`
	Notification notification.Config `embed:"" prefix:"notification-"`
	Analytics    analytics.Config    `embed:"" prefix:"analytics-"`
	Admin        admin.Config        `embed:"" prefix:"admin-"`
	Storefront   storefront.Config   `embed:"" prefix:"storefront-"`
}

// GatewayConfig is the gateway's part of the configuration.
type GatewayConfig struct {
	CORSOrigins    []string          `env:"COMMERCE_GATEWAY_CORS_ORIGINS" help:"Origins browsers may call from; * is every origin."`
	TrustedProxies []string          `env:"COMMERCE_GATEWAY_TRUSTED_PROXIES" help:"Addresses or networks whose X-Forwarded-For is believed."`
	RateLimits     map[string]string `env:"COMMERCE_GATEWAY_RATE_LIMITS" help:"Policies as name=calls/period:burst, such as read=200/1s:400; 0 switches one off."`
	RequestTimeout time.Duration     `default:"30s" env:"COMMERCE_GATEWAY_REQUEST_TIMEOUT" help:"Bound on one request."`
	MaxBodyBytes   int64             `default:"16777216" env:"COMMERCE_GATEWAY_MAX_BODY_BYTES" help:"Largest body of any request; endpoints have smaller bounds of their own."`
	WAF            string            `default:"off" enum:"off,detect,block" env:"COMMERCE_GATEWAY_WAF" help:"OWASP core rules: off, detect or block."`
	HSTS           bool              `env:"COMMERCE_GATEWAY_HSTS" help:"Tell browsers to insist on TLS."`
	RoutesFile     string            `env:"COMMERCE_GATEWAY_ROUTES_FILE" help:"Canaries of components as JSON: which share of callers goes to which address. Read again within a second of a change; no file is no canary."`
	SetRequest     map[string]string `env:"COMMERCE_GATEWAY_SET_REQUEST_HEADERS" help:"Headers set on requests to components."`
	SetResponse    map[string]string `env:"COMMERCE_GATEWAY_SET_RESPONSE_HEADERS" help:"Headers set on answers."`
}

// config turns the flags into the gateway's own configuration.
func (g GatewayConfig) config() (gateway.Config, error) {
	policies := gateway.DefaultPolicies()
	for name, text := range g.RateLimits {
		policy, err := parsePolicy(name, text)
		if err != nil {
			return gateway.Config{}, err
		}
		known, ok := policies[name]
		if !ok {
			return gateway.Config{}, fmt.Errorf("there is no rate limit %q: choose from %s", name, strings.Join(slices.Sorted(maps.Keys(policies)), ", "))
		}
		policy.Exact = known.Exact
		policies[name] = policy
	}
	return gateway.Config{
		CORSOrigins: g.CORSOrigins, TrustedProxies: g.TrustedProxies, Policies: policies, RequestTimeout: g.RequestTimeout,
		MaxBodyBytes: g.MaxBodyBytes, WAF: g.WAF, HSTS: g.HSTS, RoutesFile: g.RoutesFile,
		Transform: gateway.Transform{SetRequest: g.SetRequest, SetResponse: g.SetResponse},
	}, nil
}

// parsePolicy reads "200/1s:400" or "0".
func parsePolicy(name, text string) (gateway.Policy, error) {
	if text == "0" {
		return gateway.Policy{Name: name}, nil
	}
	wrong := fmt.Errorf("rate limit %s=%q is not calls/period:burst, such as 200/1s:400", name, text)
	calls, rest, ok := strings.Cut(text, "/")
	period, burst, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return gateway.Policy{}, wrong
	}
	rate, err1 := strconv.Atoi(calls)
	window, err2 := time.ParseDuration(period)
	size, err3 := strconv.Atoi(burst)
	if err1 != nil || err2 != nil || err3 != nil || rate <= 0 || window <= 0 || size <= 0 {
		return gateway.Policy{}, wrong
	}
	return gateway.Policy{Name: name, Rate: rate, Period: window, Burst: size}, nil
}

// wall is the clock of the process, right or wrong.
func (c *Config) wall() (func() time.Time, error) {
	switch {
	case c.DevelopmentClockAhead == 0:
		return time.Now, nil
	case !c.Development:
		return nil, errors.New("--development-clock-ahead is for development only")
	}
	return func() time.Time { return time.Now().Add(c.DevelopmentClockAhead) }, nil
}

// componentEnv reads COMMERCE_<COMPONENT>_<NAME>.
func componentEnv(component, name string) string {
	return os.Getenv("COMMERCE_" + strings.ToUpper(component) + "_" + name)
}

// databaseURL returns the login of a component: its own variable
// COMMERCE_<COMPONENT>_DATABASE_URL, else the common URL with {component} filled in.
func (c *Config) databaseURL(component string) (string, error) {
	if own := componentEnv(component, "DATABASE_URL"); own != "" {
		return own, nil
	}
	if strings.Contains(c.DatabaseURL, "{component}") {
		return strings.ReplaceAll(c.DatabaseURL, "{component}", component), nil
	}
	return "", fmt.Errorf("component %s has no database: set COMMERCE_%s_DATABASE_URL, or COMMERCE_DATABASE_URL with {component} in it",
		component, strings.ToUpper(component))
}

// remoteURL returns the address of a component in another process.
func remoteURL(component string, given map[string]string) (*url.URL, error) {
	text := given[component]
	if text == "" {
		text = componentEnv(component, "URL")
	}
	if text == "" {
		return nil, fmt.Errorf("component %s is neither in this process nor has an address: set COMMERCE_%s_URL", component, strings.ToUpper(component))
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("COMMERCE_%s_URL %q is not an http:// or https:// address", strings.ToUpper(component), text)
	}
	return u, nil
}
