package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/commercestack/commercestack/internal/certificate"
	"github.com/commercestack/commercestack/internal/spread"
	"github.com/commercestack/commercestack/services/gateway"
)

// peerFiles name the certificate by which the processes of a stack know each other.
type peerFiles struct {
	CertFile string `env:"COMMERCE_TLS_CERT_FILE" help:"Certificate of this process, PEM. Components are then served with TLS 1.3 to callers that have a certificate of the same authority."`
	KeyFile  string `env:"COMMERCE_TLS_KEY_FILE" help:"Key of the certificate, PEM."`
	CAFile   string `env:"COMMERCE_TLS_CA_FILE" help:"Authorities that are trusted for components, Redis and the Stripe simulator, PEM."`
}

// open reads the files; no file at all is no TLS.
func (f peerFiles) open(r *resources) (err error) {
	files := certificate.Files{Cert: f.CertFile, Key: f.KeyFile, CA: f.CAFile}
	if files.Empty() {
		return nil
	}
	if files.Cert != "" && files.CA == "" {
		return errors.New("COMMERCE_TLS_CERT_FILE needs COMMERCE_TLS_CA_FILE: without an authority every caller would be believed")
	}
	if r.peers, err = certificate.Open(files, r.logger); err != nil {
		return fmt.Errorf("TLS between components: %w", err)
	}
	return nil
}

// publicFiles name the certificate that customers see.
type publicFiles struct {
	CertFile string `env:"COMMERCE_GATEWAY_TLS_CERT_FILE" help:"Certificate of the public address, PEM; without it the address is plain HTTP."`
	KeyFile  string `env:"COMMERCE_GATEWAY_TLS_KEY_FILE" help:"Key of that certificate, PEM."`
}

// open reads the files; no file at all is no TLS.
func (f publicFiles) open(r *resources) (err error) {
	files := certificate.Files{Cert: f.CertFile, Key: f.KeyFile}
	if files.Empty() {
		return nil
	}
	if r.public, err = certificate.Open(files, r.logger); err != nil {
		return fmt.Errorf("TLS of the public address: %w", err)
	}
	return nil
}

// peerTLS is what components are served with: nothing unless there is a
// certificate, since an authority alone only serves to call others.
func peerTLS(peers *certificate.Store) *tls.Config {
	if peers == nil || peers.NotAfter().IsZero() {
		return nil
	}
	return peers.Server()
}

// publicTLS is what the gateway is served with, nothing without a certificate.
// Processes of the stack that call the gateway by its name in the stack see its
// certificate as a component, which they trust.
func publicTLS(public, peers *certificate.Store) *tls.Config {
	if public == nil {
		return nil
	}
	return public.ServerBeside(peers)
}

// newTransport reaches other components; the gateway and the clients share it.
// Its connections are few and renewed, so that calls reach every pod of a component.
func newTransport(peers *certificate.Store) http.RoundTripper {
	return spread.New(spread.Config{}, func() *http.Transport {
		transport := gateway.NewTransport()
		if peers != nil {
			transport.DialTLSContext = peers.Dialer("h2")
		}
		return transport
	})
}

const outsideIdle = 32

// newOutsideTransport reaches what stands beside the components, such as the
// Stripe simulator. It is nil without authorities of the stack.
func newOutsideTransport(peers *certificate.Store) http.RoundTripper {
	if peers == nil {
		return nil
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	transport.MaxIdleConnsPerHost = outsideIdle
	transport.DialTLSContext = peers.OutsideDialer("h2", "http/1.1")
	return transport
}

const (
	// redisAuthorities in a rediss:// address names a file of the authorities to
	// trust, or systemAuthorities; without it those of the stack are trusted.
	redisAuthorities  = "ssl_ca_certs"
	systemAuthorities = "system"
)

// newRedis returns a client of the address, which may be a rediss:// one.
func newRedis(address string, peers *certificate.Store) (*redis.Client, error) {
	bare, authorities := cutParameter(address, redisAuthorities)
	options, err := redis.ParseURL(bare)
	if err != nil {
		return nil, errors.New("COMMERCE_REDIS_URL is not a redis:// address")
	}
	switch {
	case options.TLSConfig == nil && authorities != "":
		return nil, fmt.Errorf("COMMERCE_REDIS_URL has %s, which needs rediss://", redisAuthorities)
	case options.TLSConfig == nil || authorities == systemAuthorities:
	case authorities != "":
		if options.TLSConfig.RootCAs, err = readAuthorities(authorities); err != nil {
			return nil, fmt.Errorf("COMMERCE_REDIS_URL: %s: %w", redisAuthorities, err)
		}
	case peers != nil:
		options.Dialer = peers.Dialer()
	}
	// What a connection would say of itself at its start is not among the rights of the platform's login.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}

// cutParameter takes a parameter from an address, which is returned as it is when
// it is none.
func cutParameter(address, name string) (rest, value string) {
	parsed, err := url.Parse(address)
	if err != nil {
		return address, ""
	}
	query := parsed.Query()
	if value = query.Get(name); value == "" {
		return address, ""
	}
	query.Del(name)
	parsed.RawQuery = query.Encode()
	return parsed.String(), value
}

func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate of an authority", path)
	}
	return pool, nil
}

// newCommandClient is how commands call a running process. caFile holds the
// authorities to trust instead of the system's.
func newCommandClient(files certificate.Files, timeout time.Duration) (*http.Client, error) {
	client := &http.Client{Timeout: timeout}
	if files.Empty() {
		return client, nil
	}
	store, err := certificate.Open(files, nil)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	transport.MaxIdleConnsPerHost = outsideIdle
	transport.DialTLSContext = store.Dialer("h2", "http/1.1")
	client.Transport = transport
	return client, nil
}
