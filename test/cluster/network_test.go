//go:build cluster

package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// probe is one attempt to connect from a pod.
type probe struct {
	name      string
	namespace string
	labels    map[string]string
	target    string
	open      bool
}

// strangers tries to connect from pods that have and have not the right to.
func strangers(t *testing.T, s *stack) {
	ctx := t.Context()
	outside := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "e2e-stranger"}}
	if err := kube.Create(ctx, outside); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.Background(), outside) })
	at := func(component string, port int) string {
		return fmt.Sprintf("%s-%s.%s.svc:%d", s.name, component, s.namespace, port)
	}
	as := func(component string) map[string]string {
		return map[string]string{
			"app.kubernetes.io/name": "commercestack", "app.kubernetes.io/instance": s.name, "app.kubernetes.io/component": component,
		}
	}
	probes := []probe{
		{"a stranger reaches the gateway", outside.Name, nil, at("gateway", 443), true},
		{"a stranger does not reach orders", outside.Name, nil, at("order", 8080), false},
		{"a stranger does not reach postgres", outside.Name, nil, at("postgres", 5432), false},
		{"a stranger with stolen labels does not reach postgres", outside.Name, as("order"), at("postgres", 5432), false},
		{"a pod beside the stack does not reach redis", s.namespace, nil, at("redis", 6379), false},
		{"an order pod reaches postgres", s.namespace, as("order"), at("postgres", 5432), true},
		{"an order pod reaches products", s.namespace, as("order"), at("product", 8080), true},
		{"a product pod does not reach billing", s.namespace, as("product"), at("billing", 8080), false},
		{"an analytics pod does not reach auth", s.namespace, as("analytics"), at("auth", 8080), false},
	}
	for i, p := range probes {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if open := connects(t, s, i, p); open != p.open {
				t.Errorf("connected: %t, want %t", open, p.open)
			}
		})
	}
}

// connects runs a pod of the platform's image that asks an address for its
// health and reports whether anything at all answered.
func connects(t *testing.T, s *stack, i int, p probe) bool {
	t.Helper()
	pods, err := s.pods(t.Context(), "gateway")
	if err != nil || len(pods) == 0 {
		t.Fatalf("no gateway pod (%v)", err)
	}
	no, yes, user := false, true, int64(65532)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("probe-%d", i), Namespace: p.namespace, Labels: p.labels},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "probe", Image: pods[0].Spec.Containers[0].Image, ImagePullPolicy: corev1.PullIfNotPresent,
				Command:                  []string{"/usr/local/bin/commerce", "health", "--timeout", "4s", "http://" + p.target + "/"},
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if err := kube.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Delete(context.Background(), pod, client.GracePeriodSeconds(0)) })
	err = waitFor(t.Context(), time.Minute, "the probe has ended", func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed, err
	})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	if ended := pod.Status.ContainerStatuses[0].State.Terminated; ended != nil {
		said = ended.Message
	}
	if strings.Contains(said, "no such host") || strings.Contains(said, "server misbehaving") {
		t.Fatalf("the name is not resolved: %s", said)
	}
	// Whoever is not let in hears nothing; everything else, a refusal to speak plain HTTP above all, is an answer.
	return !strings.Contains(said, "deadline exceeded") && !strings.Contains(said, "i/o timeout")
}
