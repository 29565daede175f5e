package externalmetrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/measure"
)

const (
	// certificateCheck is how often the certificate is looked at.
	certificateCheck = time.Hour
	// certificateRetry is the wait after the API server could not be told.
	certificateRetry = 5 * time.Second
)

// Config is what the server can be told.
type Config struct {
	// Kubeconfig is the path of a file; empty is the pod's own account.
	Kubeconfig string
	// Namespaces that pods are looked for in; none is all.
	Namespaces []string
	// Port of HTTPS.
	Port int
	// Namespace and Service that lead to the server, as in the APIService.
	Namespace, Service string
	// Logger takes everything the server has to say.
	Logger *slog.Logger
}

// Validate finds what is missing.
func (c Config) Validate() error {
	switch {
	case c.Namespace == "" || c.Service == "":
		return errors.New("the namespace and the name of the Service that leads to the server must be given")
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("port %d is none", c.Port)
	case c.Logger == nil:
		return errors.New("a logger must be given")
	}
	return nil
}

// Run serves until ctx ends.
func Run(ctx context.Context, config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	klog.SetSlogLogger(config.Logger)
	log.SetLogger(logr.FromSlogHandler(config.Logger.Handler()))
	folder, err := os.MkdirTemp("", "serving-")
	if err != nil {
		return fmt.Errorf("make a folder for the certificate: %w", err)
	}
	defer os.RemoveAll(folder)
	adapter := newAdapter(config)
	cluster, err := adapter.ClientConfig()
	if err != nil {
		return err
	}
	scheme, err := scheme()
	if err != nil {
		return err
	}
	direct, err := client.New(cluster, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	cert, err := newCertificate(direct, config.Namespace, config.Service, folder)
	if err != nil {
		return err
	}
	if err := cert.refresh(time.Now()); err != nil {
		return err
	}
	adapter.SecureServing.ServerCert.CertKey.CertFile, adapter.SecureServing.ServerCert.CertKey.KeyFile = cert.certFile(), cert.keyFile()
	provider, err := startProvider(ctx, cluster, scheme, config.Namespaces)
	if err != nil {
		return err
	}
	adapter.WithExternalMetrics(provider)
	go cert.keep(ctx, config.Logger)
	if err := adapter.Run(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// newAdapter is the library's server with the settings that matter here.
func newAdapter(config Config) *cmd.AdapterBase {
	adapter := &cmd.AdapterBase{
		Name: "commercestack-metrics-adapter", RemoteKubeConfigFile: config.Kubeconfig, FlagSet: pflag.NewFlagSet("library", pflag.ContinueOnError),
	}
	adapter.InstallFlags()
	adapter.SecureServing.BindPort = config.Port
	adapter.Authentication.RemoteKubeConfigFile = config.Kubeconfig
	adapter.Authorization.RemoteKubeConfigFile = config.Kubeconfig
	return adapter
}

func scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register Kubernetes' kinds: %w", err)
	}
	return scheme, nil
}

// startProvider watches worker pods, and nothing else of them than who they are
// and where.
func startProvider(ctx context.Context, cluster *rest.Config, scheme *runtime.Scheme, namespaces []string) (*Provider, error) {
	options := cache.Options{
		Scheme:           scheme,
		ByObject:         map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: labels.SelectorFromSet(labels.Set{desired.LabelRole: desired.RoleWorker})}},
		DefaultTransform: cache.TransformStripManagedFields(),
	}
	for _, namespace := range namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	pods, err := cache.New(cluster, options)
	if err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	if _, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false)); err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	go func() { _ = pods.Start(ctx) }() // ends with ctx
	if !pods.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("watch pods: %w", ctx.Err())
	}
	measurer, err := measure.New(measure.Config{Clock: clock.RealClock{}})
	if err != nil {
		return nil, err
	}
	return NewProvider(pods, measurer, clock.RealClock{}), nil
}

// keep renews the certificate in time and has the API server know its authority.
func (c *certificate) keep(ctx context.Context, logger *slog.Logger) {
	for {
		wait := certificateCheck
		err := c.refresh(time.Now())
		if err == nil {
			err = c.tell(ctx)
		}
		if err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "keep the certificate", "error", err)
			wait = certificateRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
