package externalmetrics

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/controllers/commercestack/desired"
	"github.com/commercestack/commercestack/internal/pki"
)

var kindAPIService = schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}

// certificate is the server's. Its authority lives as long as the process and is
// told to the API server, so that no key is ever stored.
type certificate struct {
	client client.Client
	// namespace and service that the APIService must lead to.
	namespace, service string
	// folder of the files, which the server reads again when they change.
	folder string

	authority *pki.Authority
	leaf      map[string][]byte
}

func newCertificate(c client.Client, namespace, service, folder string) (*certificate, error) {
	authority, err := pki.ParseAuthority(nil)
	if err != nil {
		return nil, err
	}
	return &certificate{client: c, namespace: namespace, service: service, folder: folder, authority: authority}, nil
}

func (c *certificate) certFile() string { return filepath.Join(c.folder, pki.CertKey) }
func (c *certificate) keyFile() string  { return filepath.Join(c.folder, pki.PrivateKey) }

// refresh writes the files of a certificate that is good at the time now.
func (c *certificate) refresh(now time.Time) error {
	if _, err := c.authority.Advance(now, c.service); err != nil {
		return fmt.Errorf("make an authority: %w", err)
	}
	name := c.service + "." + c.namespace + ".svc"
	leaf, _, _, err := c.authority.Ensure(c.leaf, pki.Request{Name: name, DNSNames: []string{name}}, now)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	for file, content := range map[string][]byte{c.certFile(): leaf[pki.CertKey], c.keyFile(): leaf[pki.PrivateKey]} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return fmt.Errorf("write the certificate: %w", err)
		}
	}
	c.leaf = leaf
	return nil
}

// tell gives the API server the authority, by the APIService, if that is ours.
func (c *certificate) tell(ctx context.Context) error {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(kindAPIService)
	if err := c.client.Get(ctx, client.ObjectKey{Name: desired.ExternalMetricsAPI}, found); err != nil {
		return fmt.Errorf("read APIService %s: %w", desired.ExternalMetricsAPI, err)
	}
	name, _, _ := unstructured.NestedString(found.Object, "spec", "service", "name")
	namespace, _, _ := unstructured.NestedString(found.Object, "spec", "service", "namespace")
	if name != c.service || namespace != c.namespace {
		return fmt.Errorf("APIService %s leads to Service %s/%s, not to %s/%s: a cluster has one external metrics API, so remove the other, or set externalMetrics.enabled=false",
			desired.ExternalMetricsAPI, namespace, name, c.namespace, c.service)
	}
	bundle := base64.StdEncoding.EncodeToString(c.authority.Bundle())
	if had, _, _ := unstructured.NestedString(found.Object, "spec", "caBundle"); had == bundle {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": bundle}})
	if err != nil {
		return fmt.Errorf("tell the authority: %w", err)
	}
	if err := c.client.Patch(ctx, found, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("tell the authority to APIService %s: %w", desired.ExternalMetricsAPI, err)
	}
	return nil
}
