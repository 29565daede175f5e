package conversion

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Config is what the webhook can be told.
type Config struct {
	// Namespace of the operator, and Service that leads to it. The Secret is named
	// as the Service.
	Namespace, Service string
	// Port that is listened on.
	Port int
	// Clock by which certificates end.
	Clock clock.PassiveClock
	// Period is how often the Secret and the definition are looked at, Retry how
	// soon after a failure.
	Period, Retry time.Duration
	// Drain is how long requests are still taken after the end was asked for: that
	// long a Service may go on sending them.
	Drain time.Duration
	// Logger takes everything the webhook has to say.
	Logger *slog.Logger
}

// The usual times.
const (
	defaultPeriod = 30 * time.Second
	defaultRetry  = 2 * time.Second
	defaultDrain  = 5 * time.Second
)

// DefaultConfig has everything but Namespace, Service, Port and Logger.
func DefaultConfig() Config {
	return Config{Clock: clock.RealClock{}, Period: defaultPeriod, Retry: defaultRetry, Drain: defaultDrain}
}

// Validate finds what is missing.
func (c Config) Validate() error {
	switch {
	case c.Namespace == "":
		return errors.New("the operator's namespace must be given")
	case c.Service == "":
		return errors.New("the name of the Service that leads to the webhook must be given")
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("port %d is none", c.Port)
	case c.Clock == nil || c.Logger == nil || c.Period <= 0 || c.Retry <= 0:
		return errors.New("a clock, a logger, a period and a time of retry must be given")
	}
	return nil
}

// Server is a webhook.Server that looks after its own certificate.
type Server struct {
	webhook.Server

	config Config
	client client.Client
	// held is the certificate in use.
	held atomic.Pointer[tls.Certificate]
	// known is the Secret's content when it was last seen: a Secret that somebody
	// deletes comes back, rather than another authority.
	known map[string][]byte
}

// New returns a server that is registered with nobody yet.
func New(cluster *rest.Config, config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("conversion webhook: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register Kubernetes' kinds: %w", err)
		}
	}
	direct, err := client.New(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	s := &Server{config: config, client: direct}
	s.Server = webhook.NewServer(webhook.Options{Port: config.Port, TLSOpts: []func(*tls.Config){func(t *tls.Config) {
		t.MinVersion, t.GetCertificate = tls.VersionTLS13, s.certificate
	}}})
	s.Register(Path, handler{config.Logger})
	return s, nil
}

var errNoCertificate = errors.New("there is no certificate yet")

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if held := s.held.Load(); held != nil {
		return held, nil
	}
	return nil, errNoCertificate
}

// Ready is a check of readiness: without a certificate nobody is served.
func (s *Server) Ready(*http.Request) error {
	if s.held.Load() == nil {
		return errNoCertificate
	}
	return nil
}

// Start serves until ctx ends, and a little longer. It needs no cache, since one
// that holds converted objects could only be filled by it.
func (s *Server) Start(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() {
		s.keep(ctx)
		time.Sleep(s.config.Drain)
		stop()
	}()
	return s.Server.Start(serving)
}

// keep looks after the certificate until ctx ends.
func (s *Server) keep(ctx context.Context) {
	for ctx.Err() == nil {
		wait := s.config.Period
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			wait = s.config.Retry
			s.config.Logger.ErrorContext(ctx, "the conversion webhook is not as it should be", slog.Any("cause", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// look takes a certificate that is good now into use, once its authority is told.
func (s *Server) look(ctx context.Context) error {
	data, err := s.material(ctx)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(data[servingCertKey], data[servingPrivateKey])
	if err != nil {
		return fmt.Errorf("the certificate in Secret %s/%s does not fit its key", s.config.Namespace, s.config.Service)
	}
	told := s.tell(ctx, data)
	if held := s.held.Load(); told == nil || held == nil || !s.config.Clock.Now().Before(held.Leaf.NotAfter) {
		s.held.Store(&pair)
	}
	return told
}
