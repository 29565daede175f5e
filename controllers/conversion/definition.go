package conversion

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	applyv1 "k8s.io/apiextensions-apiserver/pkg/client/applyconfiguration/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/commercestack/commercestack/internal/pki"
)

// Definition is the CustomResourceDefinition whose objects are converted.
const Definition = "commercestacks.commercestack.dev"

// FieldManager owns spec.conversion.webhook.clientConfig.caBundle of the
// definition, and nothing else in it.
const FieldManager = "commercestack-operator-conversion"

// tell gives the API server the authority, by the definition, if that asks us.
func (s *Server) tell(ctx context.Context, data map[string][]byte) error {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := s.client.Get(ctx, client.ObjectKey{Name: Definition}, crd); err != nil {
		return fmt.Errorf("read CustomResourceDefinition %s: %w", Definition, err)
	}
	asked := askedBy(crd)
	if asked == nil || asked.Service == nil || asked.Service.Namespace != s.config.Namespace || asked.Service.Name != s.config.Service {
		return fmt.Errorf("spec.conversion of CustomResourceDefinition %s does not lead to Service %s/%s: install the definition that belongs to this operator, or run it without --conversion",
			Definition, s.config.Namespace, s.config.Service)
	}
	bundle := data[pki.BundleKey]
	if bytes.Equal(asked.CABundle, bundle) {
		return nil
	}
	// Without the rest of spec.conversion, which belongs to whoever installed it.
	patch := applyv1.CustomResourceDefinition(Definition).WithSpec(applyv1.CustomResourceDefinitionSpec().WithConversion(
		applyv1.CustomResourceConversion().WithWebhook(applyv1.WebhookConversion().WithClientConfig(
			applyv1.WebhookClientConfig().WithCABundle(bundle...)))))
	if err := s.client.Apply(ctx, patch, client.FieldOwner(FieldManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("tell the authority to CustomResourceDefinition %s: %w", Definition, err)
	}
	s.config.Logger.InfoContext(ctx, "the API server was told the webhook's authority", slog.String("definition", Definition))
	return nil
}

// askedBy is the webhook of a definition, nil if it has none.
func askedBy(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.WebhookClientConfig {
	conversion := crd.Spec.Conversion
	if conversion == nil || conversion.Strategy != apiextensionsv1.WebhookConverter || conversion.Webhook == nil {
		return nil
	}
	return conversion.Webhook.ClientConfig
}
