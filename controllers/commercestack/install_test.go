package commercestack_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/controllers/commercestack/desired"
)

func TestInstallDevelopment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.create(t, w.development())

	stack = w.settle(t, stack)
	for _, name := range v1alpha1.ConditionTypes {
		condition(t, stack, name)
	}
	if c := condition(t, stack, v1alpha1.ConditionMigrationsApplied); c.Message != "Waiting for PostgreSQL." {
		t.Errorf("MigrationsApplied: %s", c.Message)
	}
	deployments := &appsv1.DeploymentList{}
	w.list(t, deployments)
	for _, d := range deployments.Items {
		if d.Labels[desired.LabelComponent] != desired.NameSimulator {
			t.Errorf("Deployment %s is there before the migrations", d.Name)
		}
	}

	stack = w.ready(t, stack)
	if stack.Status.ServicesReady != "10/10" || stack.Status.Version != "1.0.0" || stack.Status.URL == "" || stack.Status.ObservedGeneration != stack.Generation {
		t.Errorf("status: %q %q %q %d", stack.Status.ServicesReady, stack.Status.Version, stack.Status.URL, stack.Status.ObservedGeneration)
	}
	if stack.Status.CurrentRevision == "" || stack.Status.CurrentRevision != stack.Status.UpdateRevision || stack.Status.RenderRevision != desired.CurrentRenderRevision {
		t.Errorf("revisions: %+v", stack.Status)
	}
	w.list(t, deployments)
	if len(deployments.Items) != 11 {
		t.Errorf("%d Deployments, want 10 components and the simulator", len(deployments.Items))
	}
	policies := &networkingv1.NetworkPolicyList{}
	w.list(t, policies)
	if len(policies.Items) < 10 {
		t.Errorf("%d network policies", len(policies.Items))
	}
	for _, name := range []string{"shop-vault", "shop-admin-login", "shop-ca", "shop-order-tls", "shop-postgres-tls", "shop-redis-tls", "shop-stripesim-tls"} {
		if err := w.Get(t.Context(), key(w.namespace, name), &corev1.Secret{}); err != nil {
			t.Error(err)
		}
	}
}

// Readers of somebody else's Redis are told whom to trust, whatever they read.
func TestAnExternalRedisIsTrustedByItsOwnAuthority(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, ca, want string }{
		"its own authority": {"rediss://u:hunter2@cache.example.com:6380/0", "its authority", "rediss://u:hunter2@cache.example.com:6380/0?ssl_ca_certs=%2Fetc%2Fcommerce%2Fsecrets%2Fredis-ca.crt"},
		"a public one":      {"rediss://cache.example.com:6380/0?protocol=2", "", "rediss://cache.example.com:6380/0?protocol=2&ssl_ca_certs=system"},
		"without TLS":       {"redis://cache.example.com:6379/0", "", "redis://cache.example.com:6379/0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			values := map[string]string{"url": c.url + "\n"}
			if c.ca != "" {
				values["ca.crt"] = c.ca
			}
			w.createSecret(t, "cache", values)
			stack := w.development()
			stack.Spec.Redis.Mode = v1alpha1.DataExternal
			stack.Spec.Redis.External = &v1alpha1.ExternalRedis{SecretRef: v1alpha1.SecretRef{Name: "cache"}}
			w.settle(t, w.create(t, stack))
			read := 0
			secrets := &corev1.SecretList{}
			w.list(t, secrets)
			for i := range secrets.Items {
				data := secrets.Items[i].Data
				if url, ok := data["redis-url"]; ok {
					read++
					if string(url) != c.want || string(data["redis-ca.crt"]) != c.ca {
						t.Errorf("%s has %q and %q", secrets.Items[i].Name, url, data["redis-ca.crt"])
					}
				} else if data["redis-ca.crt"] != nil {
					t.Errorf("%s has an authority and no address", secrets.Items[i].Name)
				}
			}
			if read != len(desired.Components()) {
				t.Errorf("%d Secrets have the address", read)
			}
		})
	}
}

func TestInstallProduction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stack := w.install(t, w.production(t))
	if isTrue(stack, v1alpha1.ConditionAwaitingApproval) {
		t.Error("the first installation waits for approval")
	}
	scalers := &autoscalingv2.HorizontalPodAutoscalerList{}
	w.list(t, scalers)
	if len(scalers.Items) < 10 {
		t.Errorf("%d autoscalers", len(scalers.Items))
	}
	deployments := &appsv1.DeploymentList{}
	w.list(t, deployments)
	for _, d := range deployments.Items {
		if *d.Spec.Replicas != 2 {
			t.Errorf("Deployment %s began with %d pods", d.Name, *d.Spec.Replicas)
		}
		for _, field := range d.ManagedFields {
			if field.Manager == desired.ManagedBy && containsReplicas(field.FieldsV1.GetRawBytes()) {
				t.Errorf("the operator owns the number of pods of %s", d.Name)
			}
		}
	}
}
