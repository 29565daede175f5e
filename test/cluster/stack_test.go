//go:build cluster

package cluster_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/commercestack/commercestack/api/v1alpha1"
	"github.com/commercestack/commercestack/internal/spread"
	"github.com/commercestack/commercestack/test/shop"
)

// stack is a CommerceStack in a namespace of its own.
type stack struct {
	t         *testing.T
	namespace string
	name      string
}

// step is one part of a story.
type step struct {
	name string
	run  func(t *testing.T)
}

// story takes a stack through steps, one after the other, and ends with the first that fails.
func story(t *testing.T, s *stack, steps []step) {
	t.Helper()
	defer func() { s.t = t }()
	for _, step := range steps {
		started := time.Now()
		if !t.Run(step.name, func(t *testing.T) { s.t = t; step.run(t) }) {
			return
		}
		fmt.Printf("%s: %.1f s\n", step.name, time.Since(started).Seconds())
	}
}

// program is the path that a variable has, or else a name on the PATH.
func program(variable, name string) string { return cmp.Or(os.Getenv(variable), name) }

// helm runs the program and shows what it says when it fails.
func helm(args ...string) error { return runProgram(program("HELM", "helm"), "", args...) }

// kubectl runs the program with an input and shows what it says when it fails.
func kubectl(input string, args ...string) error {
	return runProgram(program("KUBECTL", "kubectl"), input, args...)
}

func runProgram(path, input string, args ...string) error {
	command := exec.Command(path, args...)
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(path), strings.Join(args, " "), err, output)
	}
	return nil
}

// inRepository runs a program in the repository's folder and shows what it says.
func inRepository(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = "../.."
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%s %v: %v", filepath.Base(name), args, err)
	}
}

// waitFor polls until check reports true; it forgives errors until the time is over.
func waitFor(ctx context.Context, limit time.Duration, what string, check func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		done, err := check(ctx)
		if done && err == nil {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s (%w)", what, limit, errors.Join(last, ctx.Err()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sample reads a CommerceStack of config/samples.
func sample(t *testing.T, name string) *v1alpha1.CommerceStack {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../config/samples", name))
	if err != nil {
		t.Fatal(err)
	}
	var object v1alpha1.CommerceStack
	if err := yaml.UnmarshalStrict(content, &object); err != nil {
		t.Fatal(err)
	}
	return &object
}

// apply creates a stack in a new namespace and removes both when the test is over.
func apply(t *testing.T, namespace string, object *v1alpha1.CommerceStack) *stack {
	t.Helper()
	s := place(t, namespace, object.Name)
	object.Namespace = namespace
	if err := kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return s
}

// place is a new namespace for a stack that the test creates; both are removed when it is over.
func place(t *testing.T, namespace, name string) *stack {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := kube.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, namespace: namespace, name: name}
	t.Cleanup(func() {
		if t.Failed() {
			s.dump()
		}
		if !*keep {
			_ = kube.Delete(context.Background(), &v1alpha1.CommerceStack{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
			_ = kube.Delete(context.Background(), ns)
		}
	})
	return s
}

func (s *stack) get(ctx context.Context) (*v1alpha1.CommerceStack, error) {
	var object v1alpha1.CommerceStack
	return &object, kube.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.name}, &object)
}

// update changes the spec as a person with kubectl edit would.
func (s *stack) update(change func(*v1alpha1.CommerceStackSpec)) {
	s.t.Helper()
	s.edit(func(object *v1alpha1.CommerceStack) { change(&object.Spec) })
}

// edit changes the stack as a person does who tries again when the operator was quicker.
func (s *stack) edit(change func(*v1alpha1.CommerceStack)) {
	s.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		object, err := s.get(s.t.Context())
		if err != nil {
			return err
		}
		change(object)
		return kube.Update(s.t.Context(), object)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// waitReady waits until the status speaks of the newest spec and says Ready and
// that nothing is left to do.
func (s *stack) waitReady(limit time.Duration) time.Duration {
	s.t.Helper()
	started := time.Now()
	err := waitFor(s.t.Context(), limit, "the stack is Ready", func(ctx context.Context) (bool, error) {
		object, err := s.get(ctx)
		if err != nil {
			return false, err
		}
		ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return false, errors.New("no condition Ready")
		}
		if ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != object.Generation {
			return false, fmt.Errorf("%s: %s (generation %d of %d)", ready.Reason, ready.Message, ready.ObservedGeneration, object.Generation)
		}
		if busy := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReconciling); busy.Status != metav1.ConditionFalse {
			return false, fmt.Errorf("reconciling: %s", busy.Message)
		}
		return true, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return time.Since(started)
}

// pods lists the pods of a component, or of the whole stack for "".
func (s *stack) pods(ctx context.Context, component string) ([]corev1.Pod, error) {
	labels := client.MatchingLabels{"app.kubernetes.io/instance": s.name}
	if component != "" {
		labels["app.kubernetes.io/component"] = component
	}
	var list corev1.PodList
	err := kube.List(ctx, &list, client.InNamespace(s.namespace), labels)
	return list.Items, err
}

// podReady says whether a pod serves, and is not on its way out.
func podReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// inPostgres runs a command in the container of PostgreSQL.
func (s *stack) inPostgres(command ...string) {
	s.t.Helper()
	args := append([]string{"exec", "-n", s.namespace, s.name + "-postgres-0", "-c", "postgres", "--"}, command...)
	output, err := exec.CommandContext(s.t.Context(), program("KUBECTL", "kubectl"), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", command, err, output)
	}
	if len(output) > 0 {
		fmt.Printf("%s", output)
	}
}

func (s *stack) secret(name string) map[string][]byte {
	s.t.Helper()
	var secret corev1.Secret
	if err := kube.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &secret); err != nil {
		s.t.Fatal(err)
	}
	return secret.Data
}

// shop returns a customer of the gateway, reached through its Service.
func (s *stack) shop() *shop.Shop {
	s.t.Helper()
	var service corev1.Service
	if err := kube.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name + "-gateway"}, &service); err != nil {
		s.t.Fatal(err)
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(s.secret(s.name + "-gateway-tls")["ca.crt"]) {
		s.t.Fatal("the gateway's Secret holds no authority")
	}
	host := service.Name + "." + s.namespace + ".svc"
	address := net.JoinHostPort(service.Spec.ClusterIP, "443")
	// As a load balancer: several connections, none for long, and none to who does not answer.
	transport := spread.New(spread.Config{}, func() *http.Transport {
		return &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: authority, ServerName: host, MinVersion: tls.VersionTLS13},
			MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true,
			HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 5 * time.Second},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, address)
			},
		}
	})
	s.t.Cleanup(transport.CloseIdleConnections)
	return &shop.Shop{URL: "https://" + host, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// admin logs in as the administrator that the operator made.
func (s *stack) admin(guest *shop.Shop) *shop.Shop {
	s.t.Helper()
	login := s.secret(s.name + "-admin-login")
	person, err := guest.Login(s.t.Context(), string(login["username"]), string(login["password"]))
	if err != nil {
		s.t.Fatal(err)
	}
	return person.Shop
}

// dump tells what a failed test needs to be understood.
func (s *stack) dump() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if object, err := s.get(ctx); err == nil {
		status, _ := yaml.Marshal(object.Status)
		s.t.Logf("status of %s:\n%s", s.name, status)
	}
	pods, err := s.pods(ctx, "")
	if err != nil {
		return
	}
	for i := range pods {
		pod := &pods[i]
		line := fmt.Sprintf("pod %s %s", pod.Name, pod.Status.Phase)
		for _, container := range pod.Status.ContainerStatuses {
			line += fmt.Sprintf(" ready=%t restarts=%d", container.Ready, container.RestartCount)
			if container.State.Waiting != nil {
				line += " " + container.State.Waiting.Reason + " " + container.State.Waiting.Message
			}
			if container.LastTerminationState.Terminated != nil {
				line += " last: " + container.LastTerminationState.Terminated.Message
			}
		}
		s.t.Log(line)
	}
}

// containsReplicas reports whether managed fields have the number of pods.
func containsReplicas(fields string) bool { return strings.Contains(fields, `"f:replicas"`) }

// runCronJob runs the Job of one of the stack's CronJobs now, as kubectl commerce does.
func (s *stack) runCronJob(part string) {
	s.t.Helper()
	var cron batchv1.CronJob
	if err := kube.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name + "-" + part}, &cron); err != nil {
		s.t.Fatal(err)
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.namespace, GenerateName: cron.Name + "-", Labels: cron.Spec.JobTemplate.Labels, Annotations: cron.Spec.JobTemplate.Annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
	}, Spec: cron.Spec.JobTemplate.Spec}
	if err := kube.Create(s.t.Context(), job); err != nil {
		s.t.Fatal(err)
	}
}
