package chart_test

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/commercestack/commercestack/test/chart"
)

// oldest is the oldest Kubernetes that the chart takes.
const oldest = "1.29.0"

// TestVersionsOfKubernetes holds the chart to what its README promises of each.
func TestVersionsOfKubernetes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version, set string
		refused      string
		policies     int
	}{
		"newer":                          {"1.36.1", "", "", 2},
		"the first with policies":        {"1.30.0", "", "", 2},
		"of a vendor":                    {"1.30.4-gke.1348000", "", "", 2},
		"the last without policies":      {"1.29.15", "", "admissionPolicy.enabled=false", 0},
		"without policies, of a vendor":  {"1.29.7-eks-1de2ab1", "", "admissionPolicy.enabled=false", 0},
		"without policies, and none set": {oldest, "admissionPolicy.enabled=false", "", 0},
		"newer, and none set":            {"1.36.1", "admissionPolicy.enabled=false", "", 0},
		"too old":                        {"1.28.15", "admissionPolicy.enabled=false", "requires kubeVersion: >=1.29.0-0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--kube-version", c.version}
			if c.set != "" {
				args = append(args, "--set", c.set)
			}
			objects, err := chart.Template(t.Context(), args...)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("it says %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			kinds := count(objects)
			if kinds["ValidatingAdmissionPolicy"] != c.policies || kinds["ValidatingAdmissionPolicyBinding"] != c.policies || kinds["CustomResourceDefinition"] != 3 {
				t.Errorf("rendered %v", kinds)
			}
		})
	}
}

// TestKustomizeWithoutPolicies is the way of kustomize on the oldest version.
func TestKustomizeWithoutPolicies(t *testing.T) {
	t.Parallel()
	objects, err := chart.Kustomize("operator")
	if err != nil {
		t.Fatal(err)
	}
	if kinds := count(objects); kinds["ValidatingAdmissionPolicy"] != 0 || kinds["CustomResourceDefinition"] != 3 || kinds["Deployment"] != 1 {
		t.Errorf("config/operator has %v", kinds)
	}
}

// TestRulesOfTheOldestVersion holds the rules of the CRDs to the functions that
// the oldest version knows.
func TestRulesOfTheOldestVersion(t *testing.T) {
	t.Parallel()
	objects, err := chart.Template(t.Context(), "--kube-version", oldest, "--set", "admissionPolicy.enabled=false")
	if err != nil {
		t.Fatal(err)
	}
	environments := environment.MustBaseEnvSet(version.MustParse(oldest))
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, crd); err != nil {
			t.Fatal(err)
		}
		for _, version := range crd.Spec.Versions {
			props := &apiextensions.JSONSchemaProps{}
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, props, nil); err != nil {
				t.Fatal(err)
			}
			structural, err := schema.NewStructural(props)
			if err != nil {
				t.Fatal(err)
			}
			if rules := compileRules(t, environments, filepath.Join(o.GetName(), version.Name), structural, true); rules == 0 {
				t.Errorf("%s of %s has no rule", version.Name, o.GetName())
			}
		}
	}
}

// compileRules compiles the rules of a schema and of all below it, and says how many there are.
func compileRules(t *testing.T, environments *environment.EnvSet, path string, s *schema.Structural, root bool) int {
	t.Helper()
	results, err := cel.Compile(s, model.SchemaDeclType(s, root), celconfig.PerCallLimit, environments, cel.NewExpressionsEnvLoader())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for i, result := range results {
		if result.Error != nil {
			t.Errorf("%s: %s: %v", path, s.XValidations[i].Rule, result.Error)
		}
	}
	rules := len(results)
	for name, property := range s.Properties {
		rules += compileRules(t, environments, filepath.Join(path, name), &property, false)
	}
	if s.Items != nil {
		rules += compileRules(t, environments, filepath.Join(path, "[]"), s.Items, false)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		rules += compileRules(t, environments, filepath.Join(path, "*"), s.AdditionalProperties.Structural, false)
	}
	return rules
}
