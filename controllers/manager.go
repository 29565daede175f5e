package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/apply"
	"github.com/commercestack/commercestack/controllers/commercestack"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/conversion"
	"github.com/commercestack/commercestack/controllers/rotation"
)

// Name of the operator, in events and in the name of its lease.
const Name = "commercestack-operator"

// Config is what the operator can be told.
type Config struct {
	// Images of what stacks run.
	Images desired.Images
	// Namespaces that are looked at; none is all.
	Namespaces []string
	// MetricsListen and ProbeListen are addresses; "0" is off.
	MetricsListen, ProbeListen string
	// LeaderElect lets one of several operators act.
	LeaderElect bool
	// LeaseNamespace of the lease; empty is the operator's own.
	LeaseNamespace string
	// ClusterDomain of Services.
	ClusterDomain string
	// PrometheusURL answers the queries of rollouts; empty without Prometheus.
	PrometheusURL string
	// Namespace the operator runs in, empty where nobody knows.
	Namespace string
	// Concurrency is how many stacks are visited at a time.
	Concurrency int
	// Conversion serves the webhook that converts stacks between versions; nil is off.
	Conversion *conversion.Config
	// Rotation replaces waits and limits of rotations, where it is not zero.
	Rotation rotation.Policy
	// Logger takes everything the operator has to say.
	Logger *slog.Logger
}

// The times of the lease: a leader that is gone is replaced within 20 seconds.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	stopTimeout   = 20 * time.Second
)

// Scheme has every typed kind that the operator reads or writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register Kubernetes' kinds: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the kinds of %s: %w", v1alpha1.Group, err)
	}
	return scheme, nil
}

// Run is the operator: it returns when ctx ends or something it cannot do without fails.
func Run(ctx context.Context, cluster *rest.Config, config Config) error {
	mgr, err := NewManager(cluster, config)
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// NewManager returns a manager with every controller in it. Options change what it is made of.
func NewManager(cluster *rest.Config, config Config, options ...func(*ctrl.Options)) (ctrl.Manager, error) {
	logger := logr.FromSlogHandler(config.Logger.Handler())
	ctrl.SetLogger(logger)
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	lease, renew, retry, stop := leaseDuration, renewDeadline, retryPeriod, stopTimeout
	all := ctrl.Options{
		Scheme: scheme, Logger: logger,
		Cache:   CacheOptions(config.Namespaces),
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics: metricsserver.Options{BindAddress: config.MetricsListen}, HealthProbeBindAddress: config.ProbeListen,
		LeaderElection: config.LeaderElect, LeaderElectionID: Name, LeaderElectionNamespace: config.LeaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease, RenewDeadline: &renew, RetryPeriod: &retry, GracefulShutdownTimeout: &stop,
	}
	for _, option := range options {
		option(&all)
	}
	webhook, err := conversionServer(cluster, config, &all)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cluster, all)
	if err != nil {
		return nil, fmt.Errorf("start the manager: %w", err)
	}
	if webhook != nil {
		mgr.GetWebhookServer() // from now on it starts and ends with the manager
		if err := mgr.AddReadyzCheck("conversion", webhook.Ready); err != nil {
			return nil, fmt.Errorf("add the readiness check: %w", err)
		}
	}
	references, err := referenceCache(mgr, cluster, config.Namespaces)
	if err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the readiness check: %w", err)
	}
	return mgr, Register(mgr, config, references)
}

// conversionServer gives the manager the webhook that converts, if it is on.
func conversionServer(cluster *rest.Config, config Config, options *ctrl.Options) (*conversion.Server, error) {
	if config.Conversion == nil {
		return nil, nil //nolint:nilnil // none is wanted
	}
	server, err := conversion.New(cluster, *config.Conversion)
	if err != nil {
		return nil, err
	}
	options.WebhookServer = server
	return server, nil
}

// CacheOptions holds only what the operator made, and stacks: a cluster's other
// Secrets and pods cost no memory.
func CacheOptions(namespaces []string) cache.Options {
	everything := cache.ByObject{Label: labels.Everything()}
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	service := &metav1.PartialObjectMetadata{}
	service.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
	return cache.Options{
		DefaultNamespaces:    byNamespace(namespaces),
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{desired.LabelManagedBy: desired.ManagedBy}),
		DefaultTransform:     lean,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.CommerceStack{}:   everything,
			&v1alpha1.SaleEvent{}:       everything,
			&v1alpha1.ReleaseApproval{}: everything,
			definition:                  {Label: labels.Everything(), Transform: bare},
			service:                     {Label: labels.SelectorFromSet(labels.Set{desired.LabelPartOf: desired.AppName})},
		},
	}
}

func byNamespace(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]cache.Config{}
	for _, namespace := range slices.Compact(slices.Sorted(slices.Values(namespaces))) {
		all[namespace] = cache.Config{}
	}
	return all
}

// referenceCache holds names and versions of the Secrets that are not the
// operator's, so that a change of one that a stack names is noticed.
func referenceCache(mgr ctrl.Manager, cluster *rest.Config, namespaces []string) (cache.Cache, error) {
	foreign, err := labels.NewRequirement(desired.LabelManagedBy, selection.NotIn, []string{desired.ManagedBy})
	if err != nil {
		return nil, fmt.Errorf("select Secrets of others: %w", err)
	}
	references, err := cache.New(cluster, cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(), DefaultNamespaces: byNamespace(namespaces),
		DefaultLabelSelector: labels.NewSelector().Add(*foreign), DefaultTransform: bare,
	})
	if err != nil {
		return nil, fmt.Errorf("watch Secrets of others: %w", err)
	}
	if err := mgr.Add(references); err != nil {
		return nil, fmt.Errorf("watch Secrets of others: %w", err)
	}
	return references, nil
}

// lean strips what is much and read by nobody: who owns which field, and the rules
// of network policies, whose generation tells that they changed. Of the owners of
// a Deployment it leaves whether the operator owns the number of pods.
func lean(object any) (any, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // what has no metadata has no owners
	}
	var left []metav1.ManagedFieldsEntry
	switch object := object.(type) {
	case *appsv1.Deployment:
		left = apply.ReplicasOwner(object.ManagedFields, commercestack.FieldManager)
	case *networkingv1.NetworkPolicy:
		object.Spec = networkingv1.NetworkPolicySpec{}
	}
	accessor.SetManagedFields(left)
	return object, nil
}

// bare strips what nobody here reads.
func bare(object any) (any, error) {
	if partial, ok := object.(*metav1.PartialObjectMetadata); ok {
		partial.ManagedFields, partial.Annotations, partial.Labels = nil, nil, nil
	}
	return object, nil
}
