package desired

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// schemaOf is the API as the cluster enforces it.
type schemaOf struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

var loadSchema = sync.OnceValues(func() (*schemaOf, error) {
	content, err := os.ReadFile(filepath.FromSlash("../../../config/crd/commercestack.dev_commercestacks.yaml"))
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(content, crd); err != nil {
		return nil, err
	}
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, props, nil); err != nil {
		return nil, err
	}
	s := &schemaOf{}
	if s.structural, err = schema.NewStructural(props); err != nil {
		return nil, err
	}
	if s.validator, _, err = validation.NewSchemaValidator(props); err != nil {
		return nil, err
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
})

// admit does what the cluster does to a new stack: defaults, then validation.
func admit(object map[string]any) (*v1alpha1.CommerceStack, field.ErrorList, error) {
	s, err := loadSchema()
	if err != nil {
		return nil, nil, err
	}
	defaulting.Default(object, s.structural)
	invalid := validation.ValidateCustomResource(nil, object, s.validator)
	ruled, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	content, err := json.Marshal(object)
	if err != nil {
		return nil, nil, err
	}
	stack := &v1alpha1.CommerceStack{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	return stack, append(invalid, ruled...), decoder.Decode(stack)
}

// newStack is a valid stack of the text, in the namespace shops.
func newStack(t *testing.T, text string) *v1alpha1.CommerceStack {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	// Numbers are whole as in the cluster.
	if err := utiljson.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	stack, invalid, err := admit(object)
	if err != nil {
		t.Fatal(err)
	}
	if len(invalid) > 0 {
		t.Fatalf("the stack is not valid: %v", invalid.ToAggregate())
	}
	stack.Namespace, stack.UID = "shops", "0f8f7a3e-0000-4000-8000-000000000001"
	return stack
}

// sample is one of the samples that people apply.
func sample(t *testing.T, name string) *v1alpha1.CommerceStack {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "samples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return newStack(t, string(content))
}

// newInput is what the reconciler would hand in for a stack.
func newInput(stack *v1alpha1.CommerceStack) Input {
	in := Input{
		Stack: stack, RenderRevision: CurrentRenderRevision, PostgresMode: stack.Spec.Postgres.Mode, AdminEmail: "admin@example.com",
		Images:           Images{Platform: "commercestack/commercestack", Postgres: "postgres:15-bookworm", Redis: "redis:7-bookworm"},
		RedisCertificate: "c0ffee",
		Secrets: Secrets{
			Components: map[v1alpha1.ComponentName]string{}, Migrate: stack.Name + "-migrate-1a2b3c4d5e", CreateAdmin: stack.Name + "-create-admin-1a2b3c4d5e",
			Demo: stack.Name + "-demo-1a2b3c4d5e", Simulator: stack.Name + "-stripesim-1a2b3c4d5e",
			Postgres: stack.Name + "-postgres-1a2b3c4d5e", Redis: stack.Name + "-redis-1a2b3c4d5e",
		},
		Capabilities: Capabilities{ServiceMonitor: true, HTTPRoute: true, CertManager: true, CloudNativePG: true},
	}
	if in.PostgresMode == "" {
		in.PostgresMode = v1alpha1.DataStatefulSet
	}
	for _, name := range Components() {
		in.Secrets.Components[name] = ComponentName(stack.Name, name) + "-1a2b3c4d5e"
	}
	return in
}

// atRevision is an input of another shape of pod templates.
func atRevision(in Input, revision int32) Input {
	in.RenderRevision = revision
	return in
}

// givenSpec is the input of a stack with a spec, indented by two spaces.
func givenSpec(t *testing.T, spec string) Input {
	t.Helper()
	return newInput(newStack(t, "apiVersion: commercestack.dev/v1alpha1\nkind: CommerceStack\nmetadata: {name: shop}\nspec:\n  version: 0.1.0\n"+spec))
}

// The beginnings of specs of each environment.
const (
	developmentSpec = "  environment: Development\n"
	stagingSpec     = "  environment: Staging\n  integrations: {stripe: {secretRef: {name: stripe}}, sendGrid: {secretRef: {name: sendgrid}}}\n"
	productionSpec  = "  environment: Production\n  rollout: {approval: BeforeStart}\n" +
		"  integrations: {stripe: {secretRef: {name: stripe}}, sendGrid: {secretRef: {name: sendgrid}}}\n"
)
