package desired

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	admissionapi "k8s.io/pod-security-admission/api"
	admission "k8s.io/pod-security-admission/policy"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/api/v1alpha1"
)

// drawSpec draws a spec that people could write. What the schema refuses is
// thrown away by the caller.
func drawSpec(t *rapid.T) map[string]any {
	spec := map[string]any{
		"version":     rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9._-]{0,62}`).Draw(t, "version"),
		"environment": rapid.SampledFrom([]string{"Development", "Staging", "Production"}).Draw(t, "environment"),
		"rollout":     map[string]any{"approval": "BeforeStart"},
		"integrations": map[string]any{
			"stripe": ref("stripe"), "smtp": map[string]any{"address": rapid.SampledFrom([]string{"mail:25", "[::1]:587"}).Draw(t, "smtp")},
		},
		"deletionPolicy": rapid.SampledFrom([]string{"Retain", "Snapshot", "Delete"}).Draw(t, "deletionPolicy"),
		"gateway":        drawGateway(t),
		"postgres":       drawPostgres(t),
		"services":       drawServices(t),
	}
	if spec["environment"] == "Development" && rapid.Bool().Draw(t, "simulated") {
		delete(spec, "integrations")
		spec["demoCatalog"] = rapid.Bool().Draw(t, "demo")
	}
	if rapid.Bool().Draw(t, "s3") {
		spec["objectStorage"] = map[string]any{"mode": "S3", "s3": map[string]any{"bucket": "uploads", "endpoint": rapid.SampledFrom([]string{"", "minio:9000"}).Draw(t, "endpoint")}}
	}
	if rapid.Bool().Draw(t, "externalRedis") {
		spec["redis"] = map[string]any{"mode": "External", "external": ref("redis")}
	}
	if rapid.Bool().Draw(t, "pull") {
		spec["imagePullSecrets"] = []any{map[string]any{"name": "registry"}}
	}
	return spec
}

func ref(name string) map[string]any {
	return map[string]any{"secretRef": map[string]any{"name": name}}
}

func drawGateway(t *rapid.T) map[string]any {
	gateway := map[string]any{"host": "shop.example.com", "expose": rapid.SampledFrom([]string{"ClusterIP", "LoadBalancer", "Ingress", "HTTPRoute"}).Draw(t, "expose")}
	if gateway["expose"] == "HTTPRoute" {
		gateway["parentRef"] = map[string]any{"name": "edge"}
	}
	switch mode := rapid.SampledFrom([]string{"Internal", "Secret", "CertManager", "Off"}).Draw(t, "tls"); mode {
	case "Secret":
		gateway["tls"] = map[string]any{"mode": mode, "secretRef": map[string]any{"name": "public"}}
	case "CertManager":
		gateway["tls"] = map[string]any{"mode": mode, "issuerRef": map[string]any{"name": "issuer"}}
	default:
		gateway["tls"] = map[string]any{"mode": mode}
	}
	return gateway
}

func drawPostgres(t *rapid.T) map[string]any {
	mode := rapid.SampledFrom([]string{"", "Managed", "StatefulSet", "External"}).Draw(t, "postgres")
	postgres := map[string]any{"parameters": map[string]any{"max_connections": "9000"}}
	if mode != "" {
		postgres["mode"] = mode
	}
	if mode == "External" {
		postgres["external"] = ref("postgres")
	}
	if rapid.Bool().Draw(t, "sized") {
		postgres["resources"] = map[string]any{"limits": map[string]any{"memory": rapid.SampledFrom([]string{"64Mi", "3Gi"}).Draw(t, "memory")}}
	}
	return postgres
}

func drawServices(t *rapid.T) []any {
	var services []any
	for _, name := range Components() {
		if !rapid.Bool().Draw(t, "tuned") {
			continue
		}
		service := map[string]any{"name": string(name)}
		if rapid.Bool().Draw(t, "off") {
			service["autoscaling"] = map[string]any{"mode": "Off"}
			service["replicas"] = rapid.Int64Range(2, 9).Draw(t, "replicas")
		} else {
			service["autoscaling"] = map[string]any{
				"minReplicas": rapid.Int64Range(2, 5).Draw(t, "min"), "maxReplicas": rapid.Int64Range(5, 50).Draw(t, "max"),
			}
		}
		if HasData(name) {
			service["workers"] = map[string]any{"mode": rapid.SampledFrom([]string{"Shared", "Separate"}).Draw(t, "workers")}
		}
		if rapid.Bool().Draw(t, "resources") {
			service["resources"] = map[string]any{
				"requests": map[string]any{"memory": rapid.SampledFrom([]string{"16Mi", "900Mi"}).Draw(t, "request")},
			}
		}
		services = append(services, service)
	}
	return services
}

// rendered is what is common to all rendered objects.
type rendered struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Template *corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

func TestAnyStack(t *testing.T) {
	t.Parallel()
	evaluator, err := admission.NewEvaluator(admission.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]([a-z0-9-]{0,28}[a-z0-9])?`).Draw(t, "name")
		stack, invalid, err := admit(map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "CommerceStack", "metadata": map[string]any{"name": name}, "spec": drawSpec(t),
		})
		if err != nil {
			t.Fatalf("admit: %v", err)
		}
		if len(invalid) > 0 {
			t.Skip("the schema refuses it")
		}
		stack.Namespace, stack.UID = "shops", "0f8f7a3e-0000-4000-8000-000000000001"
		in := newInput(stack)
		if invalid := Validate(in); len(invalid) > 0 {
			t.Fatalf("refused: %v", invalid.ToAggregate())
		}
		seen := make(map[string]bool)
		for _, object := range everything(t, in) {
			checkRendered(t, evaluator, object, name, seen)
		}
	})
}

func checkRendered(t *rapid.T, evaluator admission.Evaluator, object any, stack string, seen map[string]bool) {
	t.Helper()
	content, err := json.Marshal(object)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	r := rendered{}
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatalf("%s is not an object of Kubernetes: %v", content, err)
	}
	id := r.Kind + " " + r.Metadata.Name
	if messages := validation.IsDNS1035Label(r.Metadata.Name); len(messages) > 0 || !strings.HasPrefix(r.Metadata.Name, stack+"-") {
		t.Fatalf("%s: bad name: %v", id, messages)
	}
	if r.Metadata.Namespace != "shops" {
		t.Fatalf("%s is in namespace %q", id, r.Metadata.Namespace)
	}
	if r.Metadata.Labels == nil {
		return // the first number of replicas
	}
	if seen[id] {
		t.Fatalf("%s is there twice", id)
	}
	seen[id] = true
	checkLabels(t, id, r.Metadata.Labels)
	if r.Spec.Template == nil {
		return
	}
	pod := r.Spec.Template
	checkLabels(t, id+"'s pods", pod.Labels)
	for _, result := range evaluator.EvaluatePod(admissionapi.LevelVersion{Level: admissionapi.LevelRestricted, Version: admissionapi.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Fatalf("%s is not restricted: %s: %s", id, result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	if err := checkPod(&pod.Spec); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
}

func checkLabels(t *rapid.T, id string, labels map[string]string) {
	t.Helper()
	for name, value := range labels {
		if messages := slices.Concat(validation.IsQualifiedName(name), validation.IsValidLabelValue(value)); len(messages) > 0 {
			t.Fatalf("%s: label %s=%s: %v", id, name, value, messages)
		}
	}
	for _, name := range []string{LabelName, LabelInstance, LabelComponent, LabelManagedBy} {
		if labels[name] == "" {
			t.Fatalf("%s has no label %s", id, name)
		}
	}
}

// checkPod holds a pod to what the restricted level does not ask for.
func checkPod(spec *corev1.PodSpec) error {
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken || spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
		return fmt.Errorf("it has a token or links to Services")
	}
	if spec.ServiceAccountName == "" || spec.ServiceAccountName == "default" {
		return fmt.Errorf("it runs as %q", spec.ServiceAccountName)
	}
	volumes := make(map[string]bool)
	for _, volume := range spec.Volumes {
		if volume.Secret != nil && (volume.Secret.SecretName == "" || *volume.Secret.DefaultMode != 0o440) {
			return fmt.Errorf("secret volume %s shows %q to others", volume.Name, volume.Secret.SecretName)
		}
		volumes[volume.Name] = true
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			return fmt.Errorf("container %s can write where it runs", c.Name)
		}
		requests, limits := c.Resources.Requests, c.Resources.Limits
		if requests.Cpu().IsZero() || requests.Memory().IsZero() || limits.Memory().IsZero() || requests.Memory().Cmp(*limits.Memory()) > 0 {
			return fmt.Errorf("container %s has resources %v, %v", c.Name, requests, limits)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				return fmt.Errorf("container %s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
	}
	return nil
}
