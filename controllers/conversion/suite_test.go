package conversion_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/api/v1beta1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/controllers/conversion"
	"github.com/commercestack/commercestack/internal/kubetest"
)

const (
	// patience is how long something may take that takes milliseconds on a quiet machine.
	patience = 60 * time.Second
	// operatorNamespace and operatorService are where the webhook is looked for.
	operatorNamespace = "commercestack-system"
	operatorService   = "commercestack-operator-webhook"
)

var (
	// cluster is the API server that the tests share, which serves v1beta1.
	cluster *rest.Config
	// shared is the operator that converts for the tests that need no other.
	shared *operator
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	started, err := kubetest.Start("config/crd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cluster = started.Config
	if shared, err = newOperator(cluster, clock.RealClock{}); err == nil {
		err = shared.install(context.Background())
	}
	if err == nil {
		err = shared.start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.stop()
	return m.Run()
}

// operator is one replica, on a port of its own.
type operator struct {
	client.Client
	cluster *rest.Config
	config  conversion.Config
	stop    func() error
}

func newOperator(cluster *rest.Config, now clock.PassiveClock) (*operator, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme, v1beta1.AddToScheme} {
		if err := add(kinds); err != nil {
			return nil, err
		}
	}
	direct, err := client.New(cluster, client.Options{Scheme: kinds})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	address, _ := listener.Addr().(*net.TCPAddr)
	config := conversion.DefaultConfig()
	config.Namespace, config.Service, config.Port, config.Clock = operatorNamespace, operatorService, address.Port, now
	config.Period, config.Retry, config.Drain = 100*time.Millisecond, 100*time.Millisecond, 0
	config.Logger = slog.New(slog.DiscardHandler)
	return &operator{Client: direct, cluster: cluster, config: config}, nil
}

// install does what a chart does: it makes a Service that leads to the operator,
// and has the definition serve both versions.
func (o *operator) install(ctx context.Context) error {
	if err := o.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}); err != nil {
		return err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorService},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
	if err := o.Create(ctx, service); err != nil {
		return err
	}
	return o.define(ctx, func(spec *apiextensionsv1.CustomResourceDefinitionSpec) {
		spec.Conversion = &apiextensionsv1.CustomResourceConversion{
			Strategy: apiextensionsv1.WebhookConverter,
			Webhook: &apiextensionsv1.WebhookConversion{ConversionReviewVersions: []string{"v1"}, ClientConfig: &apiextensionsv1.WebhookClientConfig{
				Service: &apiextensionsv1.ServiceReference{
					Namespace: operatorNamespace, Name: operatorService, Path: ptr.To(conversion.Path), Port: ptr.To(int32(o.config.Port)),
				},
			}},
		}
		for i := range spec.Versions {
			spec.Versions[i].Served = true
		}
	})
}

// define changes the definition.
func (o *operator) define(ctx context.Context, change func(*apiextensionsv1.CustomResourceDefinitionSpec)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := o.Get(ctx, client.ObjectKey{Name: conversion.Definition}, crd); err != nil {
			return err
		}
		change(&crd.Spec)
		return o.Update(ctx, crd)
	})
}

// start runs the whole operator, and waits until it converts.
func (o *operator) start() error {
	mgr, err := controllers.NewManager(rest.CopyConfig(o.cluster), controllers.Config{
		Images:        desired.Images{Platform: "example.com/commerce", Postgres: "example.com/postgres:17", Redis: "example.com/redis:7"},
		MetricsListen: "0", ProbeListen: "0", ClusterDomain: "cluster.local", Concurrency: 1, Conversion: &o.config, Logger: slog.New(slog.DiscardHandler),
	}, func(options *ctrl.Options) { options.Controller.SkipNameValidation = ptr.To(true) })
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	o.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		stacks := &v1beta1.CommerceStackList{}
		probe := &v1beta1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe"}, Spec: v1beta1.CommerceStackSpec{Version: "1"}}
		probe.Spec.Environment = v1beta1.EnvironmentDevelopment
		err := o.List(ctx, stacks)
		if err == nil {
			err = o.Create(ctx, probe, client.DryRunAll)
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			_ = o.stop()
			return fmt.Errorf("the webhook does not convert: %w", err)
		}
	}
}

// eventually waits for something.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}

// newNamespace is where one test keeps its stacks.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := shared.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// manifest is a stack as a person writes it, its spec laid together of documents.
func manifest(t *testing.T, apiVersion, namespace, name string, documents ...string) *unstructured.Unstructured {
	t.Helper()
	spec := map[string]any{}
	for _, document := range documents {
		if err := yaml.Unmarshal([]byte(document), &spec); err != nil {
			t.Fatal(err)
		}
	}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": v1beta1.Kind, "spec": spec}}
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// read reads a stack in a version, as it is.
func read(t *testing.T, apiVersion, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": v1beta1.Kind}}
	if err := shared.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func spec(t *testing.T, object *unstructured.Unstructured) map[string]any {
	t.Helper()
	content, ok := object.Object["spec"].(map[string]any)
	if !ok {
		t.Fatalf("no spec in %v", object.Object)
	}
	return content
}
