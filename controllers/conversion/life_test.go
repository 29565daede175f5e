package conversion_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/api/v1beta1"
	"github.com/commercestack/commercestack/controllers/conversion"
	"github.com/commercestack/commercestack/internal/kubetest"
	"github.com/commercestack/commercestack/internal/pki"
)

const day = 24 * time.Hour

// twins are two replicas on a cluster of their own, whose time a test sets.
type twins struct {
	*operator

	other *operator
	clock *clocktesting.FakePassiveClock
	began time.Time
}

// startTwins starts both with an authority that is 260 days old, so that all of
// its life can be seen while its certificates are good at the API server's time.
func startTwins(t *testing.T) *twins {
	t.Helper()
	cluster := kubetest.New(t, "config/crd")
	began := time.Now().Add(-300 * day)
	w := &twins{began: began, clock: clocktesting.NewFakePassiveClock(began.Add(260 * day))}
	var err error
	if w.operator, err = newOperator(cluster.Config, w.clock); err != nil {
		t.Fatal(err)
	}
	if w.other, err = newOperator(cluster.Config, w.clock); err != nil {
		t.Fatal(err)
	}
	if err := w.install(t.Context()); err != nil {
		t.Fatal(err)
	}
	authority, _ := pki.ParseAuthority(nil)
	if _, err := authority.Advance(began, operatorService); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorService}, Data: authority.Data()}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for _, o := range []*operator{w.operator, w.other} {
		if err := o.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := o.stop(); err != nil {
				t.Errorf("an operator ended with %v", err)
			}
		})
	}
	return w
}

func (w *twins) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorService}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// told is the authority that the API server knows.
func (w *twins) told(t *testing.T) []byte {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := w.Get(t.Context(), client.ObjectKey{Name: conversion.Definition}, crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Conversion.Webhook.ClientConfig.CABundle
}

// shown is the certificate of a replica, checked as the API server checks it.
func (w *twins) shown(t *testing.T, o *operator) (*x509.Certificate, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.told(t))
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: operatorService + "." + operatorNamespace + ".svc", MinVersion: tls.VersionTLS13}}
	conn, err := dialer.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", o.config.Port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil, errors.New("no TLS")
	}
	return secure.ConnectionState().PeerCertificates[0], nil
}

// settled waits until both replicas show the certificate in the Secret, and the
// API server knows its authority.
func (w *twins) settled(t *testing.T) {
	t.Helper()
	eventually(t, "both replicas show the certificate in the Secret", func() bool {
		data := w.secret(t).Data
		pair, err := tls.X509KeyPair(data["serving.crt"], data["serving.key"])
		if err != nil || !bytes.Equal(w.told(t), data[pki.BundleKey]) {
			return false
		}
		for _, o := range []*operator{w.operator, w.other} {
			if cert, err := w.shown(t, o); err != nil || !cert.Equal(pair.Leaf) {
				return false
			}
		}
		return true
	})
}

// traffic is somebody who writes v1beta1 all the time.
type traffic struct {
	calls  atomic.Int64
	failed []error
	stop   func()
}

func (w *twins) startTraffic(t *testing.T) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	people := &traffic{stop: func() {
		cancel()
		done.Wait()
	}}
	done.Go(func() {
		for ctx.Err() == nil {
			stack := &v1beta1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"test":"%d"}}}`, people.calls.Add(1))
			err := w.Patch(ctx, stack, client.RawPatch("application/merge-patch+json", patch))
			if err != nil && ctx.Err() == nil {
				people.failed = append(people.failed, err)
			}
		}
	})
	return people
}

// goesOn waits for more calls.
func (p *traffic) goesOn(t *testing.T) {
	t.Helper()
	before := p.calls.Load()
	eventually(t, "people go on", func() bool { return p.calls.Load() > before+5 })
}

// The certificate and its authority are replaced while stacks are written by the
// version that needs them, and no call fails.
func TestRotationUnderTraffic(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.settled(t)
	stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
	stack.Spec = v1alpha1.CommerceStackSpec{Version: "1", Environment: v1alpha1.EnvironmentDevelopment, ReconcilePolicy: v1alpha1.ReconcilePaused}
	if err := w.Create(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	people := w.startTraffic(t)
	first, err := w.shown(t, w.operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name       string
		at         time.Duration
		trusted    int
		sameIssuer bool
	}{
		{"the next authority is told", 274 * day, 2, true},
		{"it signs", 276 * day, 2, false},
		{"the former one is forgotten", 279 * day, 1, false},
	} {
		w.clock.SetTime(w.began.Add(step.at))
		eventually(t, step.name, func() bool { return bytes.Count(w.secret(t).Data[pki.BundleKey], []byte("BEGIN")) == step.trusted })
		eventually(t, step.name, func() bool {
			cert, err := w.shown(t, w.operator)
			return err == nil && bytes.Equal(cert.AuthorityKeyId, first.AuthorityKeyId) == step.sameIssuer
		})
		w.settled(t)
		people.goesOn(t)
	}
	before := w.secret(t)
	w.clock.SetTime(time.Now())
	w.settled(t)
	time.Sleep(2 * w.config.Period)
	if after := w.secret(t); after.ResourceVersion != before.ResourceVersion {
		t.Error("a certificate that is good was replaced")
	}
	people.stop()
	if len(people.failed) > 0 {
		t.Errorf("%d of %d calls failed: %v", len(people.failed), people.calls.Load(), errors.Join(people.failed...))
	}
}

// What others take away comes back, and a new process goes on with what is stored.
func TestWhatIsTakenAwayComesBack(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.settled(t)
	before := w.secret(t)
	if err := w.Delete(t.Context(), before.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Secret is back", func() bool {
		found := &corev1.Secret{}
		err := w.Get(t.Context(), client.ObjectKeyFromObject(before), found)
		return err == nil && pki.Equal(found.Data, before.Data)
	})
	err := w.define(t.Context(), func(spec *apiextensionsv1.CustomResourceDefinitionSpec) {
		spec.Conversion.Webhook.ClientConfig.CABundle = nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.settled(t)

	// A new process has nothing but the Secret.
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	stack := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
	stack.Spec = v1alpha1.CommerceStackSpec{Version: "1", Environment: v1alpha1.EnvironmentDevelopment, ReconcilePolicy: v1alpha1.ReconcilePaused}
	if err := w.Create(t.Context(), stack); err != nil {
		t.Errorf("the stored version needs the webhook: %v", err)
	}
	shown := &v1beta1.CommerceStack{}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(stack), shown); err == nil {
		t.Error("v1beta1 was read without the webhook")
	}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	if !pki.Equal(w.secret(t).Data, before.Data) {
		t.Error("a new process made a new certificate")
	}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(stack), shown); err != nil {
		t.Error(err)
	}
}

// Without the webhook the stored version is read and written as ever, but not
// applied where somebody owns fields of v1beta1: the API server compares owners in
// their own version, served or not. So switching the webhook off comes last.
func TestOwnersOfTheOtherVersionNeedTheWebhook(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.settled(t)
	stack := &v1beta1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
	stack.Spec = v1beta1.CommerceStackSpec{Version: "1", Environment: v1beta1.EnvironmentDevelopment, ReconcilePolicy: v1beta1.ReconcilePaused}
	if err := w.Create(t.Context(), stack, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	write := func() error {
		stored := &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"version":"2"}}`))
		return w.Patch(t.Context(), stored, patch, client.FieldOwner("somebody"))
	}
	apply := func() error {
		object := manifest(t, older, "default", "shop", `{version: "3", environment: Development, reconcilePolicy: Paused}`)
		return w.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("gitops"), client.ForceOwnership)
	}
	if err := apply(); err != nil {
		t.Errorf("applying with the webhook: %v", err)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	unserve := func(spec *apiextensionsv1.CustomResourceDefinitionSpec) {
		for i := range spec.Versions {
			spec.Versions[i].Served = spec.Versions[i].Name == v1alpha1.GroupVersion.Version
		}
	}
	for _, change := range []func(*apiextensionsv1.CustomResourceDefinitionSpec){func(*apiextensionsv1.CustomResourceDefinitionSpec) {}, unserve} {
		if err := w.define(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(stack), &v1alpha1.CommerceStack{}); err != nil {
			t.Errorf("reading the stored version: %v", err)
		}
		if err := write(); err != nil {
			t.Errorf("writing the stored version: %v", err)
		}
		if err := apply(); err == nil || !strings.Contains(err.Error(), "conversion webhook") {
			t.Errorf("applying the stored version is answered with %v", err)
		}
	}
	// As docs/operator.md says: owners are forgotten, and then the webhook is not needed.
	forget := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"managedFields":[{}]}}`))
	if err := w.Patch(t.Context(), &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "shop"}}, forget); err != nil {
		t.Fatal(err)
	}
	if err := apply(); err != nil {
		t.Errorf("applying where nobody owns fields of v1beta1: %v", err)
	}
}
