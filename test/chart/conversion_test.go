package chart_test

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1beta1"
	"github.com/commercestack/commercestack/controllers/conversion"
	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/test/chart"
)

const webhookService = chart.Release + "-webhook"

// converted is a cluster with what is rendered of the conversion, whose operator
// has the rights of the chart and no others.
type converted struct {
	client.Client
	config *rest.Config
	port   int
}

func startConverted(t *testing.T, objects []*unstructured.Unstructured) *converted {
	t.Helper()
	c := &converted{config: kubetest.New(t).Config}
	var err error
	if c.Client, err = client.New(c.config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, _ := listener.Addr().(*net.TCPAddr)
	c.port = address.Port
	_ = listener.Close()
	// Without nodes the Service leads to this process, by the port of the definition.
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: chart.Namespace}},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: chart.Namespace, Name: webhookService},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
		},
	} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	c.install(t, objects)
	patch := []byte(`[{"op":"replace","path":"/spec/conversion/webhook/clientConfig/service/port","value":` + strconv.Itoa(c.port) + `}]`)
	if err := c.Patch(t.Context(), definition(), client.RawPatch("application/json-patch+json", patch), client.FieldOwner("test")); err != nil {
		t.Fatal(err)
	}
	return c
}

func definition() *unstructured.Unstructured {
	crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}}
	crd.SetName(conversion.Definition)
	return crd
}

// install applies what helm applies of the conversion, without force.
func (c *converted) install(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		o = o.DeepCopy()
		switch kind := o.GetKind(); {
		case kind == "CustomResourceDefinition":
			// The port is the test's own from here on.
			unstructured.RemoveNestedField(o.Object, "spec", "conversion", "webhook", "clientConfig", "service", "port")
		case o.GetName() == chart.Release+"-conversion":
		default:
			continue
		}
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("helm")); err != nil {
			t.Fatalf("%s: %v", chart.Key(o), err)
		}
	}
}

// run runs the webhook with the operator's account.
func (c *converted) run(t *testing.T) {
	t.Helper()
	account := rest.CopyConfig(c.config)
	account.Impersonate = rest.ImpersonationConfig{UserName: operatorUser, Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	config := conversion.DefaultConfig()
	config.Namespace, config.Service, config.Port, config.Drain = chart.Namespace, webhookService, c.port, 0
	config.Period, config.Retry, config.Logger = 100*time.Millisecond, 100*time.Millisecond, slog.New(slog.DiscardHandler)
	server, err := conversion.New(account, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (c *converted) bundle(t *testing.T) string {
	t.Helper()
	crd := definition()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(crd), crd); err != nil {
		t.Fatal(err)
	}
	bundle, _, _ := unstructured.NestedString(crd.Object, "spec", "conversion", "webhook", "clientConfig", "caBundle")
	return bundle
}

// unserved says that nobody answers for a version.
func unserved(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// lists tells whether stacks can be had in a version.
func (c *converted) lists(t *testing.T, version string) error {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(v1beta1.Group + "/" + version)
	list.SetKind(v1beta1.Kind + "List")
	return c.List(t.Context(), list)
}

func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// The operator's account may do what the webhook needs, and whoever installs the
// definition again, with the version served or not, takes nothing from it.
func TestDefinitionHasTwoOwners(t *testing.T) {
	t.Parallel()
	for name, render := range map[string]func(served bool) ([]*unstructured.Unstructured, error){
		"helm": func(served bool) ([]*unstructured.Unstructured, error) {
			set := "conversion.enabled=true"
			if served {
				set += ",conversion.served=true"
			}
			return chart.Template(t.Context(), "--set", set)
		},
		"kustomize": func(served bool) ([]*unstructured.Unstructured, error) {
			if served {
				return chart.Kustomize("v1beta1")
			}
			return chart.Kustomize("conversion")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enabled, err := render(false)
			if err != nil {
				t.Fatal(err)
			}
			served, err := render(true)
			if err != nil {
				t.Fatal(err)
			}
			c := startConverted(t, enabled)
			if c.bundle(t) != "" {
				t.Error("the chart brings an authority")
			}
			c.run(t)
			within(t, "the authority is told", func() bool { return c.bundle(t) != "" })
			bundle := c.bundle(t)
			if err := c.lists(t, "v1beta1"); !unserved(err) {
				t.Errorf("v1beta1 is answered with %v before it is served", err)
			}
			for range 2 {
				c.install(t, served)
				within(t, "v1beta1 is served", func() bool { return c.lists(t, "v1beta1") == nil })
				c.install(t, enabled)
				within(t, "v1beta1 is not served", func() bool { return unserved(c.lists(t, "v1beta1")) })
				if err := c.lists(t, "v1alpha1"); err != nil {
					t.Error(err)
				}
			}
			if c.bundle(t) != bundle {
				t.Error("installing again took the authority away")
			}
		})
	}
}

// The admission policies hold names in requests of either version.
func TestPoliciesHoldBothVersions(t *testing.T) {
	t.Parallel()
	objects, err := chart.Template(t.Context(), "--set", "conversion.enabled=true,conversion.served=true")
	if err != nil {
		t.Fatal(err)
	}
	c := startConverted(t, objects)
	c.run(t)
	within(t, "v1beta1 is served", func() bool { return c.bundle(t) != "" && c.lists(t, "v1beta1") == nil })
	var rest []*unstructured.Unstructured
	for _, o := range objects {
		if o.GetName() != chart.Release+"-conversion" {
			rest = append(rest, o)
		}
	}
	p := install(t, c.config, rest)
	p.waitForPolicies(t)
	if err := v1beta1.AddToScheme(p.kinds); err != nil {
		t.Fatal(err)
	}
	alice := p.as(t, "alice")
	inBeta := func(requester string) *v1beta1.CommerceStack {
		beta := &v1beta1.CommerceStack{}
		if err := beta.ConvertFrom(stack("shop", requester)); err != nil {
			t.Fatal(err)
		}
		return beta
	}
	refused(t, "a stack of v1beta1 that nobody asked for", alice.Create(t.Context(), inBeta("")), "kubectl annotate --local")
	refused(t, "a stack of v1beta1 in another's name", alice.Create(t.Context(), inBeta("bob")), "requested-by must be")
	if err := alice.Create(t.Context(), inBeta("alice")); err != nil {
		t.Fatalf("a stack of v1beta1 in one's own name: %v", err)
	}
	change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"components":[{"name":"order","replicas":4}]}}`))
	refused(t, "a change of v1beta1 in another's name", p.as(t, "bob").Patch(t.Context(), inBeta(""), change), "requested-by=bob")
	if err := alice.Patch(t.Context(), inBeta(""), change); err != nil {
		t.Errorf("a change of v1beta1 by who asked before: %v", err)
	}
}
