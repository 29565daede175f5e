package conversion

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/commercestack/commercestack/internal/pki"
)

var (
	errOutage = errors.New("the API server is away")
	start     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// newServer is a replica on a cluster that holds the objects and fails as told.
func newServer(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) *Server {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	config := DefaultConfig()
	config.Namespace, config.Service, config.Logger, config.Clock = "operators", "webhook", quiet, clocktesting.NewFakePassiveClock(start)
	config.Retry, config.Period = time.Millisecond, time.Millisecond
	return &Server{config: config, client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).Build()}
}

// asking is a definition that asks a Service.
func asking(namespace, service string) *apiextensionsv1.CustomResourceDefinition {
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: Definition}}
	crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
		Strategy: apiextensionsv1.WebhookConverter,
		Webhook: &apiextensionsv1.WebhookConversion{ClientConfig: &apiextensionsv1.WebhookClientConfig{
			Service: &apiextensionsv1.ServiceReference{Namespace: namespace, Name: service},
		}},
	}
	return crd
}

func secretOf(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "operators", Name: "webhook"}, Data: data}
}

func TestLookSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	none := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: Definition}}
	fails := func(kind string) interceptor.Funcs {
		return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if _, ok := o.(*corev1.Secret); ok == (kind == "Secret") {
				return errOutage
			}
			return c.Get(ctx, key, o, options...)
		}}
	}
	full := interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return errOutage }}
	denied := interceptor.Funcs{Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
		return errOutage
	}}
	for name, c := range map[string]struct {
		funcs   interceptor.Funcs
		objects []client.Object
		want    string
		serves  bool
	}{
		"no definition":              {want: "read CustomResourceDefinition", serves: true},
		"a definition without any":   {objects: []client.Object{none}, want: "does not lead to Service operators/webhook", serves: true},
		"that asks another":          {objects: []client.Object{asking("operators", "other")}, want: "does not lead to Service operators/webhook", serves: true},
		"that asks elsewhere":        {objects: []client.Object{asking("others", "webhook")}, want: "does not lead to", serves: true},
		"that cannot be told":        {funcs: denied, objects: []client.Object{asking("operators", "webhook")}, want: "tell the authority", serves: true},
		"that cannot be read":        {funcs: fails("definition"), want: "the API server is away", serves: true},
		"a Secret that is broken":    {objects: []client.Object{secretOf(map[string][]byte{pki.CertKey: []byte("x")})}, want: "restore it, or delete it"},
		"a Secret out of reach":      {funcs: fails("Secret"), want: "read Secret operators/webhook"},
		"a Secret not to be written": {funcs: full, want: "store the webhook's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.funcs, c.objects...)
			err := s.look(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %q", err, c.want)
			}
			if serves := s.Ready(nil) == nil; serves != c.serves {
				t.Errorf("it serves: %t", serves)
			}
		})
	}
}

// A replica that is second reads what the first wrote.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	secrets := schema.GroupResource{Resource: "secrets"}
	var s *Server
	first := true
	s = newServer(t, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		if !first {
			return c.Create(ctx, o, options...)
		}
		first = false
		data, _, err := s.good(nil)
		if err != nil {
			return err
		}
		return errors.Join(c.Create(ctx, secretOf(data)), apierrors.NewAlreadyExists(secrets, "webhook"))
	}}, asking("operators", "webhook"))
	if err := s.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := secretOf(nil)
	if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(found), found); err != nil || !pki.Equal(found.Data, s.known) {
		t.Errorf("the replica has other material than the Secret (%v)", err)
	}

	restless := newServer(t, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		return apierrors.NewConflict(secrets, "webhook", errOutage)
	}})
	if err := restless.look(t.Context()); err == nil || !strings.Contains(err.Error(), "changes all the time") {
		t.Errorf("error = %v", err)
	}
}

// A new certificate waits until its authority is told, but not past the old one's end.
func TestNewCertificateWaitsForTheAuthority(t *testing.T) {
	t.Parallel()
	away := false
	s := newServer(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
		if _, ok := o.(*apiextensionsv1.CustomResourceDefinition); ok && away {
			return errOutage
		}
		return c.Get(ctx, key, o, options...)
	}}, asking("operators", "webhook"))
	clock, _ := s.config.Clock.(*clocktesting.FakePassiveClock)
	if err := s.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := s.held.Load()
	away = true
	for days, replaced := range map[int]bool{61: false, 91: true} {
		clock.SetTime(start.Add(time.Duration(days) * 24 * time.Hour))
		if err := s.look(t.Context()); err == nil {
			t.Error("nobody says that the authority was not told")
		}
		if replaced != (s.held.Load() != old) {
			t.Errorf("after %d days it is replaced: %t", days, !replaced)
		}
		s.held.Store(old)
	}
}

// What fails is tried again sooner than it is looked at.
func TestKeepTriesAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, interceptor.Funcs{}, asking("operators", "other"))
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	s.keep(ctx)
	if s.Ready(nil) != nil {
		t.Error("it has no certificate")
	}
}
