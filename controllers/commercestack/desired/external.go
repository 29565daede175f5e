package desired

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// PartExternal names the ExternalSecret and the Secret that it makes.
const PartExternal = "external"

// ExternalSecret has External Secrets Operator read entries of a store into one
// Secret that the operator alone reads: what pods get is made of the vault. The
// Secret carries the stack's labels, so that a change is noticed.
func ExternalSecret(in Input, store v1alpha1.ExternalStoreSpec, names []string) *unstructured.Unstructured {
	name := ObjectName(in.Stack.Name, PartExternal)
	labels := map[string]any{}
	for key, value := range podLabels(in, PartExternal) {
		labels[key] = value
	}
	var data []any
	for _, entry := range names {
		data = append(data, map[string]any{"secretKey": entry, "remoteRef": map[string]any{"key": store.KeyPrefix + entry}})
	}
	kind := store.SecretStoreRef.Kind
	if kind == "" {
		kind = "SecretStore"
	}
	object := foreign(in, "external-secrets.io/v1", "ExternalSecret", name, PartExternal, true)
	object.Object["spec"] = map[string]any{
		"secretStoreRef":  map[string]any{"name": store.SecretStoreRef.Name, "kind": kind},
		"refreshInterval": store.RefreshInterval.Duration.String(),
		"target": map[string]any{
			"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain", "template": map[string]any{"metadata": map[string]any{"labels": labels}},
		},
		"data": data,
	}
	return object
}
