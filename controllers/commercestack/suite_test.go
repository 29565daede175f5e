package commercestack_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers"
	"github.com/commercestack/commercestack/controllers/commercestack"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/kubetest"
)

// cluster is the API server that all tests of this package share; each test has
// namespaces of its own.
var cluster *rest.Config

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.DiscardHandler))
	// Most of a test is waiting for the server and its watches, and both processors are
	// the server's: memory is cheaper here than collecting it.
	debug.SetGCPercent(400)
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	started, err := kubetest.Start("config/crd", "third_party/keda", "third_party/external-secrets", "third_party/cloudnative-pg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cluster = started.Config
	ctx, cancel := context.WithCancel(context.Background())
	if err := startCache(ctx, cluster); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	cancel()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

var testImages = desired.Images{Platform: "example.com/commerce", Postgres: "example.com/postgres:17", Redis: "example.com/redis:7"}

// world is one namespace with a reconciler that reads from the manager's cache, and
// of which a test takes visits one by one.
type world struct {
	client.Client
	namespace string
	mapper    meta.RESTMapper
	events    *events.FakeRecorder
	clock     clock.PassiveClock
	funcs     interceptor.Funcs
	gateways  *gateways
	// cloudNativePG is true when the world knows its kinds.
	cloudNativePG bool
	// http reaches receivers of notices.
	http *http.Client
	// prepare makes what a stack needs.
	prepare func(*testing.T, *world)
	// flaws are those of versions; nil plays Deployments without pods.
	flaws      map[string]flaw
	reconciler *commercestack.Reconciler
}

type option func(*world)

func withClock(c clock.PassiveClock) option { return func(w *world) { w.clock = c } }

func withInterceptor(funcs interceptor.Funcs) option { return func(w *world) { w.funcs = funcs } }

func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := rest.HTTPClientFor(cluster)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cluster, plain)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.NewWithWatch(cluster, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Client: writer{direct, &changed{}}, mapper: mapper, events: events.NewFakeRecorder(10_000), clock: clock.RealClock{}, gateways: &gateways{}}
	for _, option := range options {
		option(w)
	}
	if !w.cloudNativePG {
		w.mapper = withoutCloudNativePG{mapper}
	}
	w.namespace = newNamespace(t, direct)
	w.restart(t)
	return w
}

// restart forgets all that the reconciler remembered, as a new process does.
func (w *world) restart(t *testing.T) {
	t.Helper()
	reconciler, err := commercestack.New(commercestack.Config{
		Client: interceptor.NewClient(w.cached(t), w.funcs), Live: w.Client, Mapper: w.mapper, Recorder: recorder{w.events}, Clock: w.clock,
		Images: testImages, ClusterDomain: "cluster.local", Measurer: w.gateways,
		PrometheusURL: "http://prometheus.monitoring:9090", HTTP: w.http,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.reconciler = reconciler
}

// cached reads from the cache what this world wrote.
func (w *world) cached(t *testing.T) cachedClient {
	t.Helper()
	own, ok := w.Client.(writer)
	if !ok {
		t.Fatal("the client does not remember what it wrote")
	}
	return cachedClient{own}
}

func newNamespace(t *testing.T, c client.Client) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// recorder makes a fake recorder of the kind that the manager gives.
type recorder struct{ *events.FakeRecorder }

// development is the smallest stack.
func (w *world) development() *v1alpha1.CommerceStack {
	return &v1alpha1.CommerceStack{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "shop"},
		Spec:       v1alpha1.CommerceStackSpec{Version: "1.0.0", Environment: v1alpha1.EnvironmentDevelopment},
	}
}

// production is a stack with everything that Production asks for, and the Secrets it names.
func (w *world) production(t *testing.T) *v1alpha1.CommerceStack {
	t.Helper()
	w.createSecret(t, "stripe", map[string]string{"secretKey": "sk_live_1", "webhookSecret": "whsec_1"})
	w.createSecret(t, "sendgrid", map[string]string{"apiKey": "SG.1"})
	stack := w.development()
	stack.Spec.Environment = v1alpha1.EnvironmentProduction
	stack.Spec.Rollout.Approval = v1alpha1.ApprovalBeforeStart
	stack.Spec.Integrations = &v1alpha1.IntegrationsSpec{
		Stripe: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "stripe"}}, SendGrid: &v1alpha1.IntegrationRef{SecretRef: v1alpha1.SecretRef{Name: "sendgrid"}},
	}
	return stack
}

func (w *world) createSecret(t *testing.T, name string, values map[string]string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}, StringData: values}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

func (w *world) create(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	if err := w.Create(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	return stack
}

// visit takes one visit.
func (w *world) visit(ctx context.Context, stack *v1alpha1.CommerceStack) (ctrl.Result, error) {
	return w.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(stack)})
}

// settle takes visits until nothing is asked for soon, and reads the stack.
func (w *world) settle(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	for range 20 {
		result, err := w.visit(t.Context(), stack)
		if err != nil {
			t.Fatalf("visit: %v", err)
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
			return w.read(t, stack)
		}
	}
	t.Fatal("the stack asks for one visit after the other")
	return nil
}

func (w *world) read(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	found := &v1alpha1.CommerceStack{}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(stack), found); err != nil {
		t.Fatal(err)
	}
	return found
}

// install brings a stack from nothing to Ready, playing the cluster's controllers.
func (w *world) install(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	w.create(t, stack)
	return w.ready(t, stack)
}

func (w *world) ready(t *testing.T, stack *v1alpha1.CommerceStack) *v1alpha1.CommerceStack {
	t.Helper()
	for range 12 {
		stack = w.settle(t, stack)
		if !w.playCluster(t) && isTrue(stack, v1alpha1.ConditionReady) && !isTrue(stack, v1alpha1.ConditionReconciling) {
			return stack
		}
	}
	t.Fatalf("not Ready: %s", describe(stack))
	return nil
}

// change updates the spec of a stack.
func (w *world) change(t *testing.T, stack *v1alpha1.CommerceStack, change func(*v1alpha1.CommerceStack)) *v1alpha1.CommerceStack {
	t.Helper()
	w.untilNoConflict(t, func() error {
		stack = w.read(t, stack)
		change(stack)
		return w.Update(t.Context(), stack)
	})
	return stack
}

// edit changes an object that somebody else may be writing.
func (w *world) edit(t *testing.T, object client.Object, change func()) {
	t.Helper()
	w.untilNoConflict(t, func() error {
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		return w.Update(t.Context(), object)
	})
}

// untilNoConflict writes as a person does who tries again when somebody else was quicker.
func (w *world) untilNoConflict(t *testing.T, write func() error) {
	t.Helper()
	if err := retry.RetryOnConflict(retry.DefaultBackoff, write); err != nil {
		t.Fatal(err)
	}
}

func isTrue(stack *v1alpha1.CommerceStack, condition string) bool {
	return meta.IsStatusConditionTrue(stack.Status.Conditions, condition)
}

func condition(t *testing.T, stack *v1alpha1.CommerceStack, name string) metav1.Condition {
	t.Helper()
	found := meta.FindStatusCondition(stack.Status.Conditions, name)
	if found == nil {
		t.Fatalf("no condition %s: %s", name, describe(stack))
	}
	return *found
}

func describe(stack *v1alpha1.CommerceStack) string {
	var out strings.Builder
	for _, c := range stack.Status.Conditions {
		fmt.Fprintf(&out, "\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return out.String()
}
