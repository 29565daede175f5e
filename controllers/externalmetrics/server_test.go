package externalmetrics

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/external_metrics"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/internal/pki"
)

const patience = 60 * time.Second

// aggregating lets the API server show who it is to the servers behind it, as
// every real one does.
func aggregating(t *testing.T) func(*envtest.APIServer) {
	t.Helper()
	authority, err := pki.ParseAuthority(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Advance(time.Now(), "front-proxy"); err != nil {
		t.Fatal(err)
	}
	leaf, _, _, err := authority.Ensure(nil, pki.Request{Name: "front-proxy-client", DNSNames: []string{"front-proxy-client"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, leaf[name], 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return func(server *envtest.APIServer) {
		server.Configure().
			Set("proxy-client-cert-file", file(pki.CertKey)).Set("proxy-client-key-file", file(pki.PrivateKey)).
			Set("requestheader-client-ca-file", file(pki.BundleKey)).Set("requestheader-allowed-names", "front-proxy-client").
			Set("requestheader-username-headers", "X-Remote-User").Set("requestheader-group-headers", "X-Remote-Group").
			Set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
	}
}

// shop is a cluster with worker pods of order, whose metrics a test sets.
type shop struct {
	client.Client
	external external_metrics.ExternalMetricsClient
	// page is what the pods tell; nil is a pod that does not answer.
	page atomic.Pointer[string]
}

func (s *shop) tell(page string) { s.page.Store(&page) }

func (s *shop) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := s.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// worker is a ready pod that serves the shop's page.
func (s *shop) worker(t *testing.T, name, component string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := s.page.Load()
		if page == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(*page))
	}))
	t.Cleanup(server.Close)
	address, text, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{
			desired.LabelName: desired.AppName, desired.LabelInstance: "shop", desired.LabelComponent: component, desired.LabelRole: desired.RoleWorker,
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "commerce", Image: "example.com/commerce", Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: int32(port)}},
		}}},
	}
	s.create(t, pod)
	pod.Status.PodIP, pod.Status.PodIPs = address, []corev1.PodIP{{IP: address}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if err := s.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// start registers the adapter with an API server and runs it.
func start(t *testing.T) *shop {
	t.Helper()
	cluster := kubetest.NewWith(t, aggregating(t))
	scheme, err := scheme()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{}
	if s.Client, err = client.New(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if s.external, err = external_metrics.NewForConfig(cluster.Config); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	service := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
		"service": map[string]any{"namespace": "default", "name": "adapter", "port": int64(port)},
	}}}
	service.SetGroupVersionKind(kindAPIService)
	service.SetName(desired.ExternalMetricsAPI)
	s.create(t, service, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "adapter"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: port}}},
	})
	run(t, cluster, port)
	return s
}

func run(t *testing.T, cluster *kubetest.Cluster, port int32) {
	t.Helper()
	user, err := cluster.Environment.AddUser(envtest.User{Name: "adapter", Groups: []string{"system:masters"}}, rest.CopyConfig(cluster.Config))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{Kubeconfig: path, Port: int(port), Namespace: "default", Service: "adapter", Logger: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the adapter ended with %v", err)
		}
	})
}

func freePort(t *testing.T) int32 {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no port")
	}
	return int32(address.Port)
}

// ask asks as an autoscaler does: the API server, with the selector of its spec.
func (s *shop) ask(metric, component string) (string, error) {
	selector := labels.SelectorFromSet(labels.Set{desired.LabelInstance: "shop", desired.LabelComponent: component})
	list, err := s.external.NamespacedMetrics("default").List(metric, selector)
	if err != nil {
		return "", err
	}
	if len(list.Items) != 1 {
		return "", fmt.Errorf("%d values", len(list.Items))
	}
	item := list.Items[0]
	if item.MetricName != metric || item.MetricLabels[desired.LabelComponent] != component || time.Since(item.Timestamp.Time) > patience {
		return "", fmt.Errorf("the value is of %s%v at %s", item.MetricName, item.MetricLabels, item.Timestamp)
	}
	return item.Value.String(), nil
}

// eventually asks until the answer is as wanted: what was read a moment ago is told again.
func (s *shop) eventually(t *testing.T, metric, component, want string) {
	t.Helper()
	var got string
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if got, err = s.ask(metric, component); err == nil && got == want {
			return
		}
	}
	t.Fatalf("%s of %s is %q, %v, want %s", metric, component, got, err, want)
}

const busy = `commerce_outbox_depth{schema="order"} 3
commerce_outbox_oldest_seconds{schema="order"} 4.25
commerce_bus_waiting{component="order",subscription="a"} 250
commerce_bus_oldest_seconds{component="order",subscription="a"} 61.5
`

// The API server asks the adapter, which reads pods: a value is right, follows
// what pods tell, and is an error where nobody tells it.
func TestExternalMetrics(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.tell(busy)
	s.worker(t, "one", "order")
	s.worker(t, "two", "order")
	s.eventually(t, desired.MetricQueueDepth, "order", "253")
	s.eventually(t, desired.MetricQueueOldest, "order", "61500m")

	s.tell(strings.ReplaceAll(busy, " 250", " 7"))
	s.eventually(t, desired.MetricQueueDepth, "order", "10")

	for name, c := range map[string]struct {
		page      *string
		component string
		metric    string
	}{
		"a database that does not answer": {ptr("commerce_bus_waiting{component=\"order\",subscription=\"a\"} 1\n"), "order", desired.MetricQueueDepth},
		"pods that do not answer":         {nil, "order", desired.MetricQueueOldest},
		"no pod":                          {ptr(busy), "user", desired.MetricQueueDepth},
		"a metric that is none":           {ptr(busy), "order", "commerce_queue_width"},
	} {
		s.page.Store(c.page)
		var got string
		err := error(nil)
		for deadline := time.Now().Add(patience); err == nil && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			got, err = s.ask(c.metric, c.component)
		}
		if !apierrors.IsServiceUnavailable(err) && !apierrors.IsNotFound(err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	s.tell(busy)
	s.eventually(t, desired.MetricQueueDepth, "order", "253")
}

func ptr(text string) *string { return &text }

// A cluster has one external metrics API: that of others is left alone.
func TestAnAPIServiceOfOthersIsLeftAlone(t *testing.T) {
	t.Parallel()
	cluster := kubetest.New(t)
	scheme, err := scheme()
	if err != nil {
		t.Fatal(err)
	}
	server, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	theirs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
		"service": map[string]any{"namespace": "keda", "name": "keda-metrics-apiserver"}, "insecureSkipTLSVerify": true,
	}}}
	theirs.SetGroupVersionKind(kindAPIService)
	theirs.SetName(desired.ExternalMetricsAPI)
	if err := server.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	cert, err := newCertificate(server, "default", "adapter", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.refresh(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := cert.tell(t.Context()); err == nil || !strings.Contains(err.Error(), "keda/keda-metrics-apiserver") {
		t.Errorf("it says %v", err)
	}
	if err := server.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil {
		t.Fatal(err)
	}
	if bundle, _, _ := unstructured.NestedString(theirs.Object, "spec", "caBundle"); bundle != "" {
		t.Error("it got our authority")
	}
}
